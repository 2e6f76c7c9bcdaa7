"""Goal: a PDF that can be read in any script, with every entry on it, and the same bytes whenever it is written."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from ingest_api.http.resources import account_text
from ingest_api.statements.formats.pdf import PdfStatement
from ingest_api.statements.formats.scripts import REGULAR, runs, width, wrapped
from tests.ingest_api.statements.formats.made_up import ACCOUNT, DESCRIPTIONS, made_lines, written


def text_of(descriptions: list[str]) -> str:
    reader = PdfReader(io.BytesIO(written(PdfStatement(), made_lines(descriptions))))
    return "\n".join(page.extract_text() for page in reader.pages)


def test_equal_statements_are_equal_bytes() -> None:
    assert written(PdfStatement(), made_lines(DESCRIPTIONS), batch=2) == written(
        PdfStatement(), made_lines(DESCRIPTIONS)
    )


def test_every_entry_and_balance_is_on_a_page() -> None:
    lines, text = made_lines(DESCRIPTIONS * 20), text_of(DESCRIPTIONS * 20)
    assert account_text(ACCOUNT) in text
    assert "page 5" in text
    for line in lines:
        assert f"{abs(line.amount_minor) // 100:,}.{abs(line.amount_minor) % 100:02d}" in text
    assert text.count("cash clearing") == sum(line.counterparty_name == "cash clearing" for line in lines)


def test_text_can_be_copied_out_of_it() -> None:
    text = text_of(DESCRIPTIONS)
    assert all(word in text for word in ("Rent October", "Жук Ελληνικά", "x.example"))


@pytest.mark.parametrize(
    ("text", "font"),
    [("支付宝", "STSong-Light"), ("タワー", "HeiseiMin-W3"), ("한국어", "HYSMyeongJo-Medium")],
    ids=["chinese", "japanese", "korean"],
)
def test_east_asian_text_is_written_with_the_fonts_of_readers(text: str, font: str) -> None:
    assert runs(text) == [(font, text)]
    reader = PdfReader(io.BytesIO(written(PdfStatement(), made_lines([text]))))
    page: Any = reader.pages[0]
    fonts = [used.get_object()["/BaseFont"] for used in page["/Resources"]["/Font"].values()]
    assert f"/{font}" in fonts


def test_right_to_left_text_stands_in_the_order_in_which_it_is_read() -> None:
    assert shown("שלום 42") == "42 םולש"
    [arabic] = runs("سلام")
    assert arabic.text[-1] == "\ufeb3", "the first letter is at the right, in its joined form"


def shown(text: str) -> str:
    return "".join(run.text for run in runs(text))


def test_what_no_font_knows_is_a_question_mark() -> None:
    assert shown("a🎉b") == "a?b"
    assert shown("a\x01b\u2028c") == "a b c"
    assert {run.font for run in runs("Rent 東京")} == {REGULAR, "STSong-Light"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_text(descriptions: list[str]) -> None:
    assert written(PdfStatement(), made_lines(descriptions)).startswith(b"%PDF-")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=120), st.integers(20, 300))
def test_wrapped_lines_fit(text: str, width_max: int) -> None:
    lines = wrapped(text, 7, width_max, 4)
    assert len(lines) <= 4
    assert all(len(line) <= 2 or width(line, 7) <= width_max for line in lines)
    if lines and not lines[-1].endswith("…"):
        assert "".join("".join(lines).split()) == "".join(text.split())

"""Files made to do harm, and any bytes at all: refused by name, never a crash, never a part of a file."""

import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.statements.iso20022.stream import DEPTH_MAX, PARTS_MAX, TEXT_CHARS_MAX
from reconciliation.statements.parse import parsed
from reconciliation.statements.source import LINE_CHARS_MAX
from tests.reconciliation.statements.files import SAMPLES, parse_text

CAMT = "<Document><BkToCstmrStmt>{}</BkToCstmrStmt></Document>"
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


def zipped(members: dict[str, bytes]) -> bytes:
    """An archive with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        (" \n\n", "empty"),
        ("no file of ours", "unknown_format"),
        ("a,b,c\n1,2,3\n", "unknown_format"),
        ("<html><body/></html>", "message_unknown"),
        ("<Document></Document>", "no_statement"),
        ("<Envelope><Document></Document></Envelope>", "no_statement"),
        (CAMT.format("<Stmt>"), "xml_invalid"),
        (CAMT.format("&undefined;"), "xml_invalid"),
        (BOMB + CAMT.format("&b;"), "doctype"),
        ("<!-- x -->" * 8_000 + BOMB + CAMT.format("<Stmt/>"), "xml_invalid"),
        (CAMT.format("<Stmt>" + "<a>" * (DEPTH_MAX + 1)), "xml_invalid"),
        (CAMT.format("<Stmt><Id>" + "x" * (TEXT_CHARS_MAX + 1) + "</Id></Stmt>"), "too_large"),
        (CAMT.format("<Stmt>" + "<Id>1</Id>" * (PARTS_MAX + 2) + "</Stmt>"), "too_large"),
        ("<?xml version='1.0' encoding='no-such'?>" + CAMT.format("<Stmt/>"), "xml_invalid"),
        (":20:A\n:25:\0B\n:60F:C200101EUR1,00\n", "nul_bytes"),
        ("01," + "x" * LINE_CHARS_MAX, "line_too_long"),
        ("automatic_payout_id,gross\n" + "1," * LINE_CHARS_MAX, "line_too_long"),
        (b"\x1f\x8b\x08 packed", "archive"),
        (zipped({"a.csv": b"x"}), "archive"),
        (zipped({"xl/workbook.xml": b"<x/>", "xl/worksheets/sheet1.xml": b"0" * (50 << 20)}), "too_large"),
        (zipped({"xl/workbook.xml": BOMB.encode()}), "doctype"),
        (zipped({"xl/workbook.xml": b"<x/>"}), "unreadable"),
        (b"PK\x03\x04 no archive", "unreadable"),
        ('{"payouts": ' + "[" * 100_000, "structure"),
        ("{}", "unknown_format"),
        ("OFXHEADER:100\n<OFX><STMTRS><CURDEF>EUR", "cut_off"),
    ],
)
def test_harm_is_refused_by_name(content: str | bytes, reason: str, tmp_path: Path) -> None:
    result = parse_text(tmp_path, content)
    assert result.status == "refused"
    assert str(result.reason).partition(":")[0] == reason


def test_a_message_that_is_not_read_is_named_and_not_its_envelope(tmp_path: Path) -> None:
    result = parse_text(tmp_path, "<Envelope><AppHdr/><Document><FIToFIPmtStsRpt/></Document></Envelope>")
    assert str(result.reason).startswith("message_unknown: <FIToFIPmtStsRpt> is no message that is read here")
    assert result.statements == []


def test_a_doctype_behind_a_long_comment_is_refused(tmp_path: Path) -> None:
    """What detection does not see any more, the parser does."""
    head = "<Document/>".replace("/>", ">") + "<BkToCstmrStmt>"
    content = f"<!-- {head} {'x' * 70_000} -->" + BOMB + CAMT.format("<Stmt>&b;</Stmt>")
    assert str(parse_text(tmp_path, content).reason).startswith("doctype")


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert str(parsed(tmp_path).reason).startswith("unreadable")
    assert str(parsed(tmp_path / "none").reason).startswith("unreadable")


def test_one_bad_entry_refuses_all_others(tmp_path: Path) -> None:
    entry = '<Ntry><Amt Ccy="EUR">{}</Amt><CdtDbtInd>{}</CdtDbtInd></Ntry>'
    entries = "".join(entry.format(*one) for one in (("1", "CRDT"), ("1.001", "CRDT"), ("1", "BOTH"), ("1", "DBIT")))
    result = parse_text(tmp_path, CAMT.format(f"<Stmt>{entries}</Stmt>"))
    assert (result.status, result.statements) == ("refused", [])
    assert [line.position.element for line in result.bad_lines] == ["Stmt[1]/Ntry[2]", "Stmt[1]/Ntry[3]"]


def test_a_workbook_whose_cells_are_errors_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["reporting_category", "currency", "count", "gross", "fee", "net"])
    sheet.append(["charge", "eur", 1, "#REF!", 0, 1])
    book.save(tmp_path / "book")
    result = parsed(tmp_path / "book")
    assert (result.status, len(result.bad_lines)) == ("refused", 1)


@given(st.binary(max_size=2_000))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert_whole_or_nothing(content)


SEEDS = [
    "camt053/camt_parser__053_valid_example_v8.xml",
    "camt054/camt__camt054.v8.xml",
    "mt940/mt940__betterplace_with_binary_character.sta",
    "bai2/bai2__nwb_example.bai2",
    "nacha/ach__iat-mixedCreditDebit.ach",
    "pain001/bankstatementparser__pain.001.001.03.xml",
]


@pytest.mark.parametrize("name", SEEDS)
@given(place=st.integers(0, 10_000), cut=st.integers(0, 60), insertion=st.binary(max_size=12))
@settings(max_examples=40, deadline=None)
def test_damaged_samples_are_read_or_refused(name: str, place: int, cut: int, insertion: bytes) -> None:
    content = (SAMPLES / name).read_bytes()
    place %= len(content)
    assert_whole_or_nothing(content[:place] + insertion + content[place + cut :])


def assert_whole_or_nothing(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        result = parse_text(Path(folder), content)
    assert (result.status == "ok") == bool(result.statements) == (result.reason is None)
    for statement, lines in result.statements:
        assert all(line.statement == statement.number for line in lines)

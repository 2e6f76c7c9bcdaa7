"""Goal: each shape is read back as it was meant, by the parsers that read the real ones, and its totals agree."""

from datetime import date
from pathlib import Path

import pytest

from reconciliation.generated.entries import Batch, Entry
from reconciliation.generated.faults import SHAPES, WITH_FEES
from reconciliation.matching.rules import RulesFault
from reconciliation.statement_lines import OWN_REFERENCE, delivered
from reconciliation.statements.parse import parsed

DAY = date(2026, 11, 18)
PAYPAL_HAS_NO = ("paypal", "KWD")
"""Its hundredths can't tell thousandths."""
FORMATS = dict(zip(SHAPES, OWN_REFERENCE, strict=True))


def entries(currency: str, count: int = 20) -> tuple[Entry, ...]:
    return tuple(Entry(f"REF{n:013}", 1_000 + 37 * n, 25 + n, currency, DAY) for n in range(count))


def written(tmp_path: Path, shape: str, told: tuple[Entry, ...], stated: tuple[Entry, ...]) -> Path:
    file = tmp_path / f"file.{SHAPES[shape][0]}"
    file.write_text(SHAPES[shape][1](Batch(7, DAY, told[0].currency, told, stated)), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("shape", "currency"),
    [(shape, currency) for shape in SHAPES for currency in ("EUR", "JPY", "KWD") if (shape, currency) != PAYPAL_HAS_NO],
)
def test_a_file_is_read_back(tmp_path: Path, shape: str, currency: str) -> None:
    whole = entries(currency)
    file = parsed(written(tmp_path, shape, whole, whole))
    assert (file.status, file.format) == ("ok", FORMATS[shape])
    lines, controls = delivered(file, shape)
    assert controls == []
    fees = shape in WITH_FEES
    assert [(line.id, line.amount_minor, line.currency, line.date, line.fee_minor) for line in lines] == [
        (one.reference, one.net_minor if fees else one.gross_minor, currency, DAY, one.fee_minor if fees else None)
        for one in whole
    ]
    assert all(line.gross_minor == one.gross_minor for line, one in zip(lines, whole, strict=True) if fees)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_cut_file_says_how_much_it_lacks(tmp_path: Path, shape: str) -> None:
    whole = entries("EUR")
    lines, controls = delivered(parsed(written(tmp_path, shape, whole[:15], whole)), shape)
    lacking = sum(one.net_minor if shape in WITH_FEES else one.gross_minor for one in whole[15:])
    assert (len(lines), [(one.day, one.account, one.missing_minor) for one in controls]) == (
        15,
        [(DAY, shape, lacking)],
    )


def test_a_refused_file_gives_no_lines(tmp_path: Path) -> None:
    file = tmp_path / "file.xml"
    file.write_text("<Document><BkToCstmrStmt>")
    with pytest.raises(RulesFault, match=r"file.xml: \w+: "):
        delivered(parsed(file), "bank")

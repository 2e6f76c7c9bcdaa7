"""A statement of entries that a test chooses, in any format."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from ingest_api.statements.formats.rendering import Head, Rendering, Turnover
from ingest_api.statements.kinds import LineKind
from ingest_api.statements.line import Line, Place
from ingest_api.statements.moments import Month
from ingest_api.statements.totals import Totals
from payments.identifiers import system_account
from payments.postings import SystemAccount

ACCOUNT, OTHER = bytes(range(16)), bytes(range(16, 32))
CASH = system_account(SystemAccount.CASH_CLEARING, "EUR")
OPENING_MINOR = -250
START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
DESCRIPTIONS = [
    "Rent October",
    '=HYPERLINK("http://x.example")',
    "+49 30 123",
    "שלום עולם 123 order",
    "السلام عليكم invoice 42",
    "支付宝 付款",
    "東京タワーへの支払い",
    "한국어 설명",
    "party 🎉",
    "<b>&amp;\"'</b>]]>",
    "ภาษาไทย Жук Ελληνικά",
    "two\nlines\tand\ra return",
    "",
    "x" * 140,
]


def made_lines(descriptions: Sequence[str]) -> list[Line]:
    """One entry per description: every kind, both sides, each sort of counterparty, some with a fee."""
    amounts = [(-1) ** number * (1_000 + number) for number in range(len(descriptions))]
    balances = list(accumulate(amounts, initial=OPENING_MINOR))[1:]
    return [
        Line(
            Place(START + timedelta(minutes=number), 0, number, 0, 0),
            number.to_bytes(16, "big"),
            list(LineKind)[number % len(LineKind)],
            amounts[number],
            balances[number],
            (OTHER, CASH, None)[number % 3],
            description,
            number % 2,
        )
        for number, description in enumerate(descriptions)
    ]


def made_head(lines: Sequence[Line], currency: str = "EUR") -> Head:
    """What stands before these entries."""
    credits = [line.amount_minor for line in lines if line.amount_minor > 0]
    debits = [-line.amount_minor for line in lines if line.amount_minor < 0]
    closing = OPENING_MINOR + sum(credits) - sum(debits)
    return Head(
        account=ACCOUNT,
        currency=currency,
        period=Month(2026, 10),
        start=START,
        end=END,
        as_of=END + timedelta(hours=1),
        is_final=True,
        opening_minor=OPENING_MINOR,
        closing_minor=closing,
        available_minor=closing - 7,
        held_minor=5,
        incoming_minor=2,
        credits=Turnover(len(credits), sum(credits)),
        debits=Turnover(len(debits), sum(debits)),
    )


def written(rendering: Rendering, lines: Sequence[Line], *, currency: str = "EUR", batch: int = 500) -> bytes:
    """The whole statement."""
    totals, parts = Totals(), [rendering.head(made_head(lines, currency))]
    for start in range(0, len(lines), batch):
        totals.add(lines[start : start + batch])
        parts.append(rendering.lines(lines[start : start + batch]))
    return b"".join([*parts, rendering.foot(totals)])

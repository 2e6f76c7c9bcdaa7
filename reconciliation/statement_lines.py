"""A parsed statement or report → lines for the matcher, and what the file lacks of its own totals.

Each format has one reference that the payer's side chose (its own number of the payment); this is what both know.
"""

from collections import Counter
from datetime import date
from typing import Final, NamedTuple

from reconciliation.matching.controls import Control
from reconciliation.matching.lines import Line
from reconciliation.matching.rules import RulesFault
from reconciliation.statements.lines import Line as StatementLine
from reconciliation.statements.lines import Statement
from reconciliation.statements.parse import Parsed

OWN_REFERENCE: Final = {
    "stripe.payout_reconciliation": "order_id",
    "adyen.settlement_detail": "merchant_reference",
    "paypal": "invoice_id",
    "camt053": "end_to_end_id",
    "bai2": "customer_reference",
    "mt940": "customer_reference",
}
PAYOUTS: Final = {"payout", "MerchantPayout"}
"""Types of rows that pay out the others: they are the sum to compare with, not a movement of their own."""


class Delivered(NamedTuple):
    """What one file says."""

    lines: list[Line]
    controls: list[Control]


def delivered(file: Parsed, account: str) -> Delivered:
    """All its lines, under the name `account`. Raises RulesFault for a refused file and for an unknown format."""
    if file.status != "ok":
        raise RulesFault(f"{file.file}: {file.reason}")
    if file.format not in OWN_REFERENCE:
        raise RulesFault(f"{file.file}: no reference is known that {file.format} shares with the books")
    lines: list[Line] = []
    controls: list[Control] = []
    for statement, told in file.statements:
        own = [_line(file, account, line) for line in told if line.type not in PAYOUTS]
        lines += own
        missing_minor = _missing_minor(statement)
        if missing_minor and own:
            day = Counter(line.date for line in own).most_common(1)[0][0]
            controls.append(Control(file.file, account, statement.currency, day, missing_minor))
    return Delivered(lines, controls)


def _missing_minor(statement: Statement) -> int:
    """Of the first total that is not made; banks and providers put sums before counts."""
    return next((total.stated - total.actual for total in statement.control_totals if not total.agrees), 0)


def _line(file: Parsed, account: str, line: StatementLine) -> Line:
    if line.booking_date is None:
        raise RulesFault(f"{file.file}, line {line.position.line}: no booking date")
    gross = line.gross_minor
    if gross is None and line.fee_minor is not None:
        gross = line.amount_minor + line.fee_minor
    return Line(
        file.file,
        line.position.line,
        line.amount_minor,
        line.currency,
        date.fromisoformat(line.booking_date),
        line.references.get(OWN_REFERENCE[file.format], ""),
        line.description,
        account=account,
        type=line.type,
        status=line.status,
        gross_minor=gross,
        fee_minor=line.fee_minor,
    )

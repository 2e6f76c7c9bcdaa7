"""What a leg of an account is called on a statement. The sign of the amount tells credit from debit."""

from enum import StrEnum
from typing import NamedTuple

from payments.entries import EntryKind
from payments.items.details import CauseKind
from payments.terms.methods import METHOD_OF


class LineKind(StrEnum):
    """The value is the public word."""

    TRANSFER = "transfer"
    PAYMENT = "payment"
    """To a merchant, or captured from a hold."""
    EXCHANGE = "exchange"
    """A transfer into another currency."""
    DEPOSIT = "deposit"
    DEPOSIT_RETURNED = "deposit_returned"
    WITHDRAWAL = "withdrawal"
    REFUND = "refund"
    DISPUTE = "dispute"
    """Chargeback, provisional credit, win and loss."""
    DEBT_RECOVERED = "debt_recovered"
    JOURNAL = "journal"


class Posted(NamedTuple):
    """What of a journal entry tells its kind."""

    kind: EntryKind
    cause: CauseKind | None
    debit_account: bytes
    credit_account: bytes
    is_exchange: bool
    """Its legs are of two currencies."""


_OF_CAUSE = {
    CauseKind.REFUND: LineKind.REFUND,
    CauseKind.DISPUTE: LineKind.DISPUTE,
    CauseKind.RECEIVABLE: LineKind.DEBT_RECOVERED,
    CauseKind.DEPOSIT: LineKind.DEPOSIT_RETURNED,
    CauseKind.CAPTURE: LineKind.PAYMENT,
}


def line_kind(posted: Posted) -> LineKind:
    """The cause tells first, then the form of the journal entry, then who its parties are."""
    if posted.cause in _OF_CAUSE:
        return _OF_CAUSE[posted.cause]
    if posted.kind is EntryKind.JOURNAL_POSTED:
        return LineKind.JOURNAL
    if posted.debit_account in METHOD_OF:
        return LineKind.DEPOSIT
    if posted.credit_account in METHOD_OF:
        return LineKind.WITHDRAWAL
    if posted.is_exchange:
        return LineKind.EXCHANGE
    return LineKind.PAYMENT if posted.kind is EntryKind.RECEIVED else LineKind.TRANSFER

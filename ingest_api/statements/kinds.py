"""What a leg of an account is called on a statement. The sign of the amount tells credit from debit."""

from enum import StrEnum
from typing import NamedTuple

from payments.commerce.connector import ConnectorOperation
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
    PAYMENT_ORDER = "payment_order"
    """A buyer's payment through a provider, one seller's part of a checkout. Its refunds are refunds."""
    PAYOUT = "payout"
    """Through a provider, to the outside."""
    JOURNAL = "journal"


class Posted(NamedTuple):
    """What of a journal entry tells its kind."""

    kind: EntryKind
    cause: CauseKind | None
    debit_account: bytes
    credit_account: bytes
    is_exchange: bool
    """Its legs are of two currencies."""
    operation: ConnectorOperation | None
    """What a provider did before a journal was posted."""


_OF_CAUSE = {
    CauseKind.REFUND: LineKind.REFUND,
    CauseKind.DISPUTE: LineKind.DISPUTE,
    CauseKind.RECEIVABLE: LineKind.DEBT_RECOVERED,
    CauseKind.DEPOSIT: LineKind.DEPOSIT_RETURNED,
    CauseKind.CAPTURE: LineKind.PAYMENT,
}
_OF_OPERATION: dict[ConnectorOperation | None, LineKind] = {
    ConnectorOperation.CHARGE: LineKind.PAYMENT_ORDER,
    ConnectorOperation.REFUND: LineKind.REFUND,
    ConnectorOperation.PAYOUT: LineKind.PAYOUT,
}


def line_kind(posted: Posted) -> LineKind:
    """The cause tells first, then what a provider did, the form of the journal entry, and who its parties are."""
    if posted.cause in _OF_CAUSE:
        return _OF_CAUSE[posted.cause]
    if posted.kind is EntryKind.JOURNAL_POSTED:
        return _OF_OPERATION.get(posted.operation, LineKind.JOURNAL)
    if posted.debit_account in METHOD_OF:
        return LineKind.DEPOSIT
    if posted.credit_account in METHOD_OF:
        return LineKind.WITHDRAWAL
    if posted.is_exchange:
        return LineKind.EXCHANGE
    return LineKind.PAYMENT if posted.kind is EntryKind.RECEIVED else LineKind.TRANSFER

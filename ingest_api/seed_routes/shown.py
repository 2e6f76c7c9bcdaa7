"""Document 0's transaction: what callers send and see."""

from typing import Annotated

import msgspec

from ingest_api.external_banks.shown import BankTransfer
from ingest_api.http.bodies import AmountText
from ingest_api.http.resources import Payment
from ingest_api.seed_routes.words import WORDS
from payments.lifecycle import PaymentStatus

_Party = Annotated[
    str, msgspec.Meta(description="A user (`usr_…`), an account, an alias, or a linked bank account (`bnk_…`)")
]


class TransactionBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """Send money. Without `currency` it is that of the paying side. Without an Idempotency-Key the body is the key, so
    it needs a `transactionDate`.
    """

    from_id: _Party
    to_id: _Party
    amount: AmountText
    transaction_date: str = ""
    currency: str = ""


class Transaction(msgspec.Struct, rename="camel"):
    """A transaction. `amount` is in minor units of `currency`; `status`: `accepted`, `declined` or `waiting for
    verification`.
    """

    transaction_id: str
    from_id: str
    to_id: str
    transaction_date: str
    amount: int
    currency: str
    status: str


class TransactionList(msgspec.Struct, rename="camel"):
    """A user's transactions, the latest first. `nextCursor` leads on where `hasMore`."""

    user_id: str
    transactions: list[Transaction]
    has_more: bool
    next_cursor: str | None


RESOURCES: tuple[type, ...] = (TransactionBody, Transaction, TransactionList)


def shown_payment(payment: Payment, date: str = "") -> Transaction:
    """A payment in the document's words; `date` where the ledger has none yet."""
    status = WORDS[PaymentStatus(payment.status)].wallet
    at = payment.decided_at or date
    parties = payment.from_account, payment.to_account
    return Transaction(payment.id, *parties, at, payment.amount_minor, payment.currency, status)


def shown_bank_transfer(transfer: BankTransfer, date: str) -> Transaction:
    """The same of a transfer over a bank."""
    status = WORDS[PaymentStatus(transfer.status)].wallet
    parties = transfer.from_account, transfer.to_account
    return Transaction(transfer.id, *parties, date, transfer.amount_minor, transfer.currency, status)


def as_document(payments: list[Payment]) -> list[Transaction]:
    """Payments in the document's words."""
    return [shown_payment(payment) for payment in payments]

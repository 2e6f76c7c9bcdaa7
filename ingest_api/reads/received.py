"""Payments as a refund or a dispute has to state them: what the payee has received."""

from typing import Final, NamedTuple
from uuid import UUID

from ingest_api.reads.database import Database
from payments.terms.providers import clearing_of

_RECEIVED: Final = """
SELECT payment.payer, payment.payee, coalesce(leg.amount_minor, payment.amount_minor) AS amount_minor,
    coalesce(leg.currency, payment.currency) AS currency
FROM payments AS payment
LEFT JOIN journal_legs AS leg ON leg.journal_id = payment.payment_id AND leg.account_id = payment.payee
    AND leg.currency <> payment.currency
WHERE payment.payment_id = %s"""
"""In another currency it is what has arrived; with a fee it is the amount, as the payer paid it."""


_BOUGHT: Final = """
SELECT order_id, provider, seller, amount_minor, currency FROM payment_orders WHERE payment_order_id = %s
ORDER BY opened_at, order_id LIMIT 1"""


class Received(NamedTuple):
    """A payment at its payee."""

    payment_id: bytes
    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str


async def find_received(database: Database, payment_id: bytes) -> Received | None:
    """The payment, or None where Postgres has none. Raises DatabaseUnavailable."""
    row = await database.row(_RECEIVED, (UUID(bytes=payment_id),))
    if row is None:
        return None
    return Received(payment_id, row["payer"].bytes, row["payee"].bytes, row["amount_minor"], row["currency"])


async def find_bought(database: Database, payment_order_id: str) -> Received | None:
    """What a provider has charged for a payment order, or None where Postgres has none. Raises DatabaseUnavailable."""
    row = await database.row(_BOUGHT, (payment_order_id,)) if "\0" not in payment_order_id else None
    if row is None:
        return None
    clearing = clearing_of(row["provider"], row["currency"])
    assert isinstance(clearing, bytes), "a provider that was asked"
    return Received(row["order_id"].bytes, clearing, row["seller"].bytes, row["amount_minor"], row["currency"])

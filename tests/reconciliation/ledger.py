"""Rows of the ledger as the sink writes them: charges of customers at a provider, and its payouts."""

from datetime import UTC, datetime
from uuid import UUID

from psycopg import Connection

from payments.identifiers import system_account
from payments.postings import SystemAccount

CLEARING = UUID(bytes=system_account(SystemAccount.STRIPE_CLEARING, "EUR"))
SELLER = UUID(int=0x7700_0000_0000_7000_8000_0000_0000_0001)
NIL = UUID(int=0)

_ENTRY = "INSERT INTO journal_entries VALUES (%s, %s, %s, %s, %s, 'EUR', %s, %s, %s, 0, 0, 0, 0, 0)"
_REQUEST = """
INSERT INTO provider_requests VALUES (%s, %s, 'stripe', 1, %s, %s, 'EUR', %s, 1, 'succeeded', false, '', %s, false,
    now(), now(), 0, %s, 0)"""


def charge(
    books: Connection, number: int, amount_minor: int, day: str, order: str = "", place: tuple[int, int] | None = None
) -> UUID:
    """A charge at the provider: its clearing account is debited, the seller's credited. Posted at noon, UTC. `place`:
    shard and sequence in the ledger.
    """
    journal = UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
    at = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
    books.execute(_ENTRY, (journal, journal, CLEARING, SELLER, amount_minor, at, *(place or (0, number))))
    request = (journal, SELLER, NIL, amount_minor, order or f"order-{number}", f"ch_{number}", number)
    books.execute(_REQUEST, request)
    return journal


def report(*rows: tuple[str, str, str, str]) -> str:
    """A payout reconciliation of Stripe: order, amount, day, kind. Fees are none."""
    head = (
        "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,source_id,order_id,"
        "automatic_payout_id"
    )
    lines = [
        f"txn_{order}_{amount},{day} 12:00:00,eur,{amount},0.00,{amount},{kind},src_{order},{order},po_1"
        for order, amount, day, kind in rows
    ]
    return "\n".join([head, *lines]) + "\n"


RULES = """
version: 1
name: stripe-daily
revision: 3
zone: Europe/Berlin
calendar: WEEKDAYS
settlement_days: 2
date_window: {before_days: 0, after_days: 3}
books: {accounts: [stripe_clearing], currencies: [EUR], id: order}
statements: {sources: [stripe]}
"""

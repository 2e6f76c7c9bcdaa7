"""Rows of the ledger as the sink writes them: charges of customers at a provider, and its payouts."""

from datetime import UTC, datetime
from uuid import UUID

from psycopg import Connection

from payments.identifiers import system_account
from payments.postings import SystemAccount

CLEARING = UUID(bytes=system_account(SystemAccount.STRIPE_CLEARING, "EUR"))
PROVIDER_FEES = UUID(bytes=system_account(SystemAccount.PROVIDER_FEES, "EUR"))
SELLER = UUID(int=0x7700_0000_0000_7000_8000_0000_0000_0001)
NIL = UUID(int=0)

_ENTRY = "INSERT INTO journal_entries VALUES (%s, %s, %s, %s, %s, 'EUR', %s, %s, %s, 0, 0, 0, 0, 0)"
_REQUEST = """
INSERT INTO provider_requests VALUES (%s, %s, 'stripe', 1, %s, %s, 'EUR', %s, 1, 'succeeded', false, '', %s, false,
    now(), now(), 0, %s, 0)"""
_CAUSE = "INSERT INTO causes VALUES (%s, %s, 0, %s, 0, 4, %s, 'provider_fee', %s)"


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


def fee(books: Connection, number: int, fee_minor: int, day: str, place: tuple[int, int] | None = None) -> None:
    """What the provider keeps of that charge, as the ledger posts it: an entry of its own, caused by the request."""
    journal, caused_by = (UUID(int=(kind << 112) + 0x7000_8000_0000_0000_0000 + number) for kind in (0x0191, 0x0190))
    at = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
    shard, sequence = place or (0, 1_000 + number)
    books.execute(_ENTRY, (journal, journal, PROVIDER_FEES, CLEARING, fee_minor, at, shard, sequence))
    books.execute(_CAUSE, (shard, sequence, journal, caused_by, at))


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

"""Charges in the tables of the ledger as the sink writes them, each side by a statement of its own, to be broken."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from payments.commerce.connector import ConnectorOperation
from payments.entries import EntryKind
from payments.items.details import OPEN_ITEMS, OrderStatus, ProviderRequest
from tests.reconciliation.internal.views import CLEARING, SELLER

CHECKOUT = UUID(int=0x0191_0000_0000_7000_8000_0000_0000_0001)
PAYER, PAYEE = (UUID(int=0x7700_0000_0000_7000_8000_0000_0000_0100 + number) for number in range(2))
ASKED = int(EntryKind.PROVIDER_ASKED)
REQUEST_ITEM = OPEN_ITEMS.index(ProviderRequest)

_ORDER = """
INSERT INTO payment_orders VALUES (%(id)s, %(checkout)s, %(name)s, 'stripe', 'buyer', %(seller)s, %(amount)s, 'EUR',
    false, %(status)s, 0, %(reference)s, 0, %(at)s, %(at)s, 0, %(sequence)s, 0)"""
_REQUEST = """
INSERT INTO provider_requests VALUES (%(id)s, %(checkout)s, 'stripe', %(operation)s, %(id)s, %(amount)s, 'EUR',
    %(name)s,
    %(attempt)s, %(outcome)s, false, '', %(reference)s, %(is_open)s, %(at)s, %(at)s, 0, %(sequence)s, 0)"""
_JOURNAL = """
INSERT INTO journals VALUES (%(id)s, %(checkout)s, %(legs)s, 0, %(refusal)s, %(is_open)s, %(at)s, %(at)s, 0,
    %(sequence)s, 0)"""
_ASKED = """
INSERT INTO item_events (shard, ledger_sequence, ledger_offset, entry_index, item_kind, item_id, owner, operation_id,
    kind, reason, amount_minor, decided_at)
VALUES (0, %(sequence)s, %(sequence)s, 0, %(item)s, %(id)s, %(checkout)s, %(id)s, %(asked)s, 0, %(amount)s, %(at)s)"""
_LEG = """
INSERT INTO reserved_legs VALUES (%(leg)s, %(seller)s, %(id)s, %(amount)s, 'EUR', %(is_open)s, %(at)s, %(at)s, 0,
    %(sequence)s, 0)"""
_ENTRY = """
INSERT INTO journal_entries VALUES (%(id)s, %(id)s, %(clearing)s, %(seller)s, %(amount)s, 'EUR', %(at)s, 0,
    %(sequence)s,
    %(sequence)s, 0, 3, 0, 0, 0, 2)"""
_DECISION = """
INSERT INTO decisions VALUES (%(id)s, 0, 0, %(payer)s, %(payee)s, 100, 'EUR', %(at)s, 0, 0, 0, 0, 0)"""
_RETURN = """
INSERT INTO returns VALUES (%(id)s, 1, %(payer)s, %(payee)s, 100, 'EUR', %(at)s, 0, 0, 0, 0, 0, 0)"""
_BALANCE = """
INSERT INTO balances VALUES (%(seller)s, 'EUR', %(amount)s, %(amount)s, %(at)s) ON CONFLICT (account_id) DO UPDATE
SET posted_minor = balances.posted_minor + EXCLUDED.posted_minor,
    available_minor = balances.available_minor + EXCLUDED.available_minor"""


def charge(
    books: Connection,
    number: int,
    at: datetime,
    status: OrderStatus = OrderStatus.SUCCESS,
    amount_minor: int = 10_00,
    seller: UUID = SELLER,
) -> UUID:
    """A charge that has come to this status, with all that belongs to it."""
    id_ = UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
    is_done, is_open = status is OrderStatus.SUCCESS, status is OrderStatus.EXECUTING
    named: dict[str, Any] = {
        "id": id_,
        "leg": UUID(int=id_.int + (1 << 64)),
        "checkout": CHECKOUT,
        "seller": seller,
        "clearing": CLEARING,
        "name": f"order-{number}",
        "amount": amount_minor,
        "status": int(status),
        "operation": int(ConnectorOperation.CHARGE),
        "attempt": 0 if is_open else 1,
        "outcome": "unknown" if is_open else "succeeded" if is_done else "failed",
        "reference": "" if is_open else f"pi_{number}",
        "is_open": is_open,
        "refusal": 1 if status is OrderStatus.FAILED else 0,
        "legs": f'[["{CLEARING}", {-amount_minor}, "EUR"], ["{seller}", {amount_minor}, "EUR"]]',
        "item": REQUEST_ITEM,
        "asked": ASKED,
        "sequence": number,
        "at": at,
    }
    for statement in (_ORDER, _REQUEST, _JOURNAL, _ASKED, _LEG, *((_ENTRY, _BALANCE) if is_done else ())):
        books.execute(statement.encode(), named)
    return id_


def reserve(books: Connection, number: int, at: datetime, *, is_returned: bool = False) -> UUID:
    """A payment between two customers that has left its payer; returned or not."""
    id_ = UUID(int=0x0192_0000_0000_7000_8000_0000_0000_0000 + number)
    named = {"id": id_, "payer": PAYER, "payee": PAYEE, "at": at}
    books.execute(_DECISION.encode(), named)
    if is_returned:
        books.execute(_RETURN.encode(), named)
    return id_


def change(books: Connection, table: str, key: str, id_: UUID, **fields: Any) -> None:
    """One side is told otherwise."""
    columns = ", ".join(f"{name} = %({name})s" for name in fields)
    books.execute(f"UPDATE {table} SET {columns} WHERE {key} = %(key)s".encode(), fields | {"key": id_})


def remove(books: Connection, table: str, key: str, id_: UUID) -> None:
    """One side has nothing of it."""
    books.execute(f"DELETE FROM {table} WHERE {key} = %s".encode(), (id_,))

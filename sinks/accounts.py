"""The tables accounts and account_events: type, standing and overdraft limit of each account, and every decision that
is about one account alone.

Account operations are rare beside payments, so changes of standing are applied one by one, in ledger order.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from psycopg import Connection

from payments.accounts import AccountStatus, AccountType
from payments.entries import EntryKind
from payments.errors import InvariantViolation
from payments.items.details import Opening
from sinks.copy_rows import (
    BIGINT,
    CURRENCY,
    ID,
    INTEGER,
    SMALLINT,
    TIME,
    Column,
    CopyTarget,
    currency_text,
    postgres_time,
)
from sinks.decisions import is_about_payment
from sinks.ledger_batch import LedgerBatch

ACCOUNTS: Final = CopyTarget(
    "accounts",
    {
        "account_id": ID,
        "currency": CURRENCY,
        "type": SMALLINT,
        "status": SMALLINT,
        "overdraft_limit_minor": BIGINT,
        "opened_at": TIME,
        "changed_at": TIME,
    },
)
ACCOUNT_EVENTS: Final = CopyTarget(
    "account_events",
    {
        "operation_id": ID,
        "account_id": ID,
        "kind": SMALLINT,
        "reason": SMALLINT,
        "amount_minor": BIGINT,
        "currency": CURRENCY,
        "decided_at": TIME,
        "shard": SMALLINT,
        "ledger_sequence": BIGINT,
        "ledger_offset": BIGINT,
        "command_offset": BIGINT,
        "command_item": INTEGER,
    },
    text_column="description",
)
_STANDING: Final = {
    EntryKind.ACCOUNT_FROZEN: AccountStatus.FROZEN,
    EntryKind.ACCOUNT_UNFROZEN: AccountStatus.OPEN,
    EntryKind.ACCOUNT_CLOSED: AccountStatus.CLOSED,
}
_CHANGES: Final = (*_STANDING, EntryKind.OVERDRAFT_LIMIT_SET, EntryKind.STANDING_SET)
_SET_LIMIT: Final = "UPDATE accounts SET overdraft_limit_minor = %s, changed_at = %s WHERE account_id = %s"
_SET_STATUS: Final = "UPDATE accounts SET status = %s, changed_at = %s WHERE account_id = %s"
_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def apply_account_operations(connection: Connection, batch: LedgerBatch) -> None:
    """Events first, then new accounts, then changes, so that an account may be opened and frozen in one batch."""
    happened = batch.decides & ~is_about_payment(batch)
    if not happened.any():
        return
    ACCOUNT_EVENTS.send(connection, _event_rows(batch, happened), batch.texts_of(happened))
    _open(connection, batch, batch.is_any(EntryKind.ACCOUNT_OPENED))
    _change(connection, batch, batch.is_any(*_CHANGES))


def _event_rows(batch: LedgerBatch, happened: Column) -> Column:
    entries, places = batch.entries[happened], {name: column[happened] for name, column in batch.places.items()}
    return ACCOUNT_EVENTS.rows(
        {
            "operation_id": entries["operation_id"],
            "account_id": entries["debit_account"],
            "kind": batch.kinds[happened],
            "reason": batch.reasons[happened],
            "amount_minor": entries["amount_minor"],
            "currency": currency_text(entries["currency"]),
            "decided_at": postgres_time(entries["decided_at_us"]),
            "shard": places["shard"],
            "ledger_sequence": places["sequence"],
            "ledger_offset": places["offset"],
            "command_offset": entries["source_offset"],
            "command_item": entries["source_item"],
        }
    )


def _open(connection: Connection, batch: LedgerBatch, opened: Column) -> None:
    entries = batch.entries[opened]
    types = np.full(batch.entry_count, int(AccountType.CHECKING))
    for detailed in batch.detailed:
        for detail in detailed.entry.details:
            if isinstance(detail, Opening):
                types[detailed.at] = detail.type
    opened_at = postgres_time(entries["decided_at_us"])
    rows = ACCOUNTS.rows(
        {
            "account_id": entries["debit_account"],
            "currency": currency_text(entries["currency"]),
            "type": types[opened],
            "status": int(AccountStatus.OPEN),
            "overdraft_limit_minor": entries["amount_minor"],
            "opened_at": opened_at,
            "changed_at": opened_at,
        }
    )
    ACCOUNTS.send(connection, rows)


def _change(connection: Connection, batch: LedgerBatch, changed: Column) -> None:
    with connection.cursor() as cursor:
        for index in np.flatnonzero(changed):
            entry, kind = batch.entries[index], EntryKind(int(batch.kinds[index]))
            account = UUID(bytes=entry["debit_account"].tobytes())
            changed_at = _UNIX_EPOCH + timedelta(microseconds=int(entry["decided_at_us"]))
            if kind is EntryKind.OVERDRAFT_LIMIT_SET:
                cursor.execute(_SET_LIMIT, (int(entry["amount_minor"]), changed_at, account))
            else:
                status = _STANDING.get(kind, int(entry["amount_minor"]))
                cursor.execute(_SET_STATUS, (int(status), changed_at, account))
            if cursor.rowcount != 1:
                raise InvariantViolation(f"{kind.name} of account {account}, which was never opened")

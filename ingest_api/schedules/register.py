"""The register of schedules, as the routes use it: made, looked at, changed, each in one transaction.

Reads and writes schedules; reads their occurrences. Guarantees: a repeated call makes one schedule, and a change waits
for the scheduler's pass over this schedule, or the pass for the change.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.reads.cursor import Cursor
from ingest_api.reads.database import Database, Share
from ingest_api.schedules.rows import COLUMNS, FINISH, INSERT, UPDATE, ScheduledTransfer, Status, row_of, transfer_of
from runtime.personal_data.rows import Connection

_CONNECTIONS: Final = 2
"""Two are 300 changes a second."""

SELECT: Final = f"SELECT {COLUMNS}, request, created_at, clock_timestamp() AS now FROM schedules"
BY_ID: Final = f"{SELECT} WHERE schedule_id = %s"
_PAGE: Final = f"""{SELECT}
WHERE payer = %(payer)s AND (%(status)s::text IS NULL OR status = %(status)s)
AND (%(at)s::timestamptz IS NULL OR (created_at, schedule_id) < (%(at)s, %(id)s::uuid))
ORDER BY created_at DESC, schedule_id DESC LIMIT %(limit)s"""
_CHANGED: Final = "UPDATE schedules SET changed_by = %s, changed_at = now() WHERE schedule_id = %s"
_THERE: Final = "SELECT to_regclass('schedules') IS NOT NULL AS there"
"""The scheduler makes the table when it first runs."""

_PAUSE: Final = f"""
UPDATE schedules SET status = '{Status.PAUSED}', changed_at = now()
WHERE payer = %s AND coalesce(changed_by, created_by) = %s AND status = '{Status.ACTIVE}'"""
OCCURRENCES: Final = """
SELECT tried.*, payment.state, payment.reason AS state_reason
FROM schedule_occurrences AS tried LEFT JOIN payments AS payment USING (payment_id)
WHERE tried.schedule_id = %(schedule)s
AND (%(at)s::timestamptz IS NULL OR (tried.due_at, tried.payment_id) < (%(at)s, %(id)s::uuid))
ORDER BY tried.due_at DESC, tried.payment_id DESC LIMIT %(limit)s"""


class Stored(NamedTuple):
    """A schedule as it stands, and Postgres' time when it was read."""

    transfer: ScheduledTransfer
    request: bytes
    created_at: datetime
    now: datetime


class ScheduleRegister:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def of(cls, writing: Database) -> "ScheduleRegister":
        return cls(Share(writing, _CONNECTIONS))

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def now(self) -> datetime:
        """What time it is for Postgres, and so for the scheduler."""
        row = await self._database.row("SELECT clock_timestamp() AS now")
        assert row is not None
        now: datetime = row["now"]
        return now

    async def enter(self, transfer: ScheduledTransfer, request: bytes, by: str) -> tuple[Stored, bool]:
        """Make it, unless one of this id is there; what there is then, and whether it was made."""
        row = row_of(transfer) | {"request": request, "created_by": by}
        async with self._database.transaction() as connection:
            made = await connection.execute(INSERT.encode(), row)
            return await _get(connection, BY_ID, transfer.schedule.schedule_id), made.rowcount == 1

    async def find(self, schedule_id: bytes) -> Stored | None:
        """One schedule."""
        row = await self._database.row(BY_ID, (UUID(bytes=schedule_id),))
        return stored_of(row) if row is not None else None

    async def page(self, payer: bytes, status: Status | None, after: Cursor | None, limit: int) -> list[Stored]:
        """Schedules that pay from an account, the latest first."""
        parameters = {"payer": UUID(bytes=payer), "status": status, **_place(after), "limit": limit}
        return [stored_of(row) for row in await self._database.page(_PAGE, parameters)]

    async def change(self, schedule_id: bytes, by: str, wanted: Callable[[Stored], ScheduledTransfer]) -> Stored:
        """The schedule, which there is, as `wanted` makes it; that may raise, and nothing is changed."""
        async with self._database.transaction() as connection:
            stored = await _get(connection, f"{BY_ID} FOR UPDATE", schedule_id)
            changed = wanted(stored)
            if changed != stored.transfer:
                id_ = UUID(bytes=schedule_id)
                await connection.execute(UPDATE.encode(), row_of(changed))
                await connection.execute(_CHANGED, (by, id_))
                await connection.execute(FINISH.encode(), ([id_],))
            return await _get(connection, BY_ID, schedule_id)

    async def occurrences(self, schedule_id: bytes, after: Cursor | None, limit: int) -> list[dict[str, Any]]:
        """Rows of a schedule's occurrences with what is known of their payments, the latest first."""
        parameters = {"schedule": UUID(bytes=schedule_id), **_place(after), "limit": limit}
        return await self._database.page(OCCURRENCES, parameters)


async def pause_of(connection: Connection, payer: bytes, by: str) -> None:
    """Whoever ordered or last changed these may no longer pay from the account. Part of the caller's transaction."""
    [row] = await (await connection.execute(_THERE)).fetchall()
    if row["there"]:
        await connection.execute(_PAUSE.encode(), (UUID(bytes=payer), by))


def _place(after: Cursor | None) -> dict[str, Any]:
    return {"at": after.decided_at if after else None, "id": after.payment_id if after else None}


async def _get(connection: Connection, query: str, schedule_id: bytes) -> Stored:
    [row] = await (await connection.execute(query.encode(), (UUID(bytes=schedule_id),))).fetchall()
    return stored_of(row)


def stored_of(row: Mapping[str, Any]) -> Stored:
    """The value of a row that SELECT reads."""
    return Stored(transfer_of(row), row["request"], row["created_at"], row["now"])

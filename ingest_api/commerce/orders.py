"""Orders that nobody has paid yet: made, cancelled, or sent to be paid.

Reads and writes the table orders. Guarantees: an order is either cancelled or sent to be paid, never both, however
many calls come at once; what it is paid for is what was ordered.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.commerce.bodies import Line
from ingest_api.reads.database import Database, Share

_CONNECTIONS: Final = 2
"""Every call takes one statement of a millisecond: a thousand orders a second."""

_COLUMNS: Final = "order_id, lines, ordered_by, ordered_at, checked_out_at, cancelled_at"
_MAKE: Final = f"""
INSERT INTO orders (order_id, lines, ordered_by) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING {_COLUMNS}"""
_FIND: Final = f"SELECT {_COLUMNS} FROM orders WHERE order_id = %s"
_CANCEL: Final = f"""
UPDATE orders SET cancelled_at = coalesce(cancelled_at, now())
WHERE order_id = %s AND checked_out_at IS NULL RETURNING {_COLUMNS}"""
_CHECK_OUT: Final = f"""
UPDATE orders SET checked_out_at = coalesce(checked_out_at, now())
WHERE order_id = %s AND cancelled_at IS NULL RETURNING {_COLUMNS}"""


class Order(NamedTuple):
    """A row of orders."""

    order_id: bytes
    lines: tuple[Line, ...]
    ordered_by: str
    ordered_at: datetime
    checked_out_at: datetime | None
    cancelled_at: datetime | None


class Orders:
    """Every method raises DatabaseUnavailable, and answers None where there is no such order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def of(cls, writing: Database) -> "Orders":
        return cls(Share(writing, _CONNECTIONS))

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def make(self, order_id: bytes, lines: Sequence[Line], by: str) -> tuple[Order, bool]:
        """The order of this id, and whether it is a new one: if not, compare the lines."""
        stored = json.dumps([(str(UUID(bytes=line.seller)), *line[1:]) for line in lines])
        made = await self._database.row(_MAKE, (UUID(bytes=order_id), stored, by))
        if made is not None:
            return _order(made), True
        known = await self.find(order_id)
        assert known is not None  # orders are never removed
        return known, False

    async def find(self, order_id: bytes) -> Order | None:
        """The order as it stands."""
        return await self._changed(_FIND, order_id)

    async def cancel(self, order_id: bytes) -> Order | None:
        """Nobody can pay it any more, unless somebody has begun to: then it stays as it is."""
        return await self._changed(_CANCEL, order_id) or await self.find(order_id)

    async def check_out(self, order_id: bytes) -> Order | None:
        """It is going to be paid, unless it is cancelled: then it stays as it is. The same at every call."""
        return await self._changed(_CHECK_OUT, order_id) or await self.find(order_id)

    async def _changed(self, statement: str, order_id: bytes) -> Order | None:
        row = await self._database.row(statement, (UUID(bytes=order_id),))
        return _order(row) if row is not None else None


def _order(row: Mapping[str, Any]) -> Order:
    lines = tuple(Line(UUID(seller).bytes, *line) for seller, *line in row["lines"])
    times = row["ordered_at"], row["checked_out_at"], row["cancelled_at"]
    return Order(row["order_id"].bytes, lines, row["ordered_by"], *times)

"""Rows as tuples, whatever the caller's connection makes of its own."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

Connection = AsyncConnection[Any]


async def all_rows(connection: Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Every row of a query."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query.encode(), parameters)
        return await cursor.fetchall()


async def first_row(connection: Connection, query: str, *parameters: object) -> tuple[Any, ...] | None:
    """The first row of a query, or None."""
    rows = await all_rows(connection, query, *parameters)
    return rows[0] if rows else None

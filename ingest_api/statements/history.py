"""Every entry of an account with the balance after it, page by page in either direction.

Guarantees: each page comes from one snapshot, and the balances before and after it are those of that snapshot: what
stands in `balances` less every later leg. Nothing is remembered between pages, so an entry that the sink brings late
shifts what follows it and contradicts nothing.
"""

from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ingest_api.reads.database import Database
from ingest_api.statements.line import (
    ABOUT,
    ARMS,
    LEG_COLUMNS,
    LINE_COLUMNS,
    PLACE_COLUMNS,
    Line,
    Place,
    fees_account,
    line_of,
)

_INSTANT: Final = timedelta(microseconds=1)
SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"

_ACCOUNT: Final = """
SELECT account.currency, coalesce(balance.posted_minor, 0) AS posted_minor
FROM accounts AS account LEFT JOIN balances AS balance USING (account_id) WHERE account.account_id = %s"""

_AT_ONCE: Final = f"""
SELECT coalesce(sum(amount_minor), 0)::bigint AS amount_minor
FROM account_legs WHERE account_id = %(account)s AND posted_at = %(posted_at)s
    AND ({PLACE_COLUMNS}) > (%(posted_at)s, %(shard)s, %(ledger_sequence)s, %(entry_index)s, %(leg_index)s)"""
"""What was posted behind a place in its microsecond."""

_SPANS: Final = """
SELECT coalesce(first.until, 'infinity')::text AS begins,
    coalesce(max(later.until), first.until, 'infinity')::text AS ends,
    coalesce(sum(later.posted_minor), 0) AS posted_minor
FROM (VALUES (1)) AS always (one)
LEFT JOIN LATERAL (
    SELECT until FROM account_sums WHERE account_id = %(account)s AND until > %(since)s ORDER BY until LIMIT 1
) AS first ON true
LEFT JOIN account_sums AS later ON later.account_id = %(account)s AND later.until > first.until
GROUP BY first.until"""
"""The sums of the spans behind the one that a time is in, from where and to where."""

_BESIDE: Final = """
SELECT coalesce(sum(amount_minor), 0)::bigint AS amount_minor FROM (
    SELECT amount_minor FROM account_legs
    WHERE account_id = %(account)s AND posted_at >= %(since)s AND posted_at < %(begins)s::timestamptz
    UNION ALL
    SELECT amount_minor FROM account_legs WHERE account_id = %(account)s AND posted_at >= %(ends)s::timestamptz
) AS beside"""
"""What was posted since that time before these spans, and behind them: added up from the indexes alone."""

_KEYSET: Final = """posted_at {side}= %(posted_at)s
    AND (posted_at {side} %(posted_at)s OR (shard, ledger_sequence, entry_index, leg_index)
        {side} (%(shard)s, %(ledger_sequence)s, %(entry_index)s, %(leg_index)s))"""


class Span(NamedTuple):
    """Which entries, and from which end. `since` is inclusive, `until` exclusive."""

    since: datetime | None
    until: datetime | None
    newest_first: bool
    after: Place | None
    """The last entry of the page before."""
    limit: int


class Page(NamedTuple):
    """Entries in the order that was asked for; the balances are those before the earliest and after the latest."""

    currency: str
    lines: list[Line]
    opening_minor: int
    closing_minor: int
    has_more: bool


async def entries_page(database: Database, account: bytes, span: Span) -> Page | None:
    """One page, or None where the account is not known. Raises DatabaseUnavailable."""
    asked = {"account": UUID(bytes=account), "until": span.until}
    async with database.transaction() as connection:
        await connection.execute(SNAPSHOT)
        found = await _row(connection, _ACCOUNT, (asked["account"],))
        if found is None:
            return None
        rows = await page_rows(connection, span, asked | {"fees": fees_account(found["currency"])})
        shown = rows[: span.limit] if span.newest_first else rows[: span.limit][::-1]
        later = await _later(connection, asked, shown[0] if shown else None)
    closing_minor = found["posted_minor"] - later
    lines = lines_before(account, shown, closing_minor)
    opening_minor = closing_minor - sum(line.amount_minor for line in lines)
    in_order = lines if span.newest_first else lines[::-1]
    return Page(found["currency"], in_order, opening_minor, closing_minor, len(rows) > span.limit)


async def page_rows(connection: AsyncConnection[DictRow], span: Span, parameters: dict[str, Any]) -> list[DictRow]:
    """The rows of page_query. Planned for its own values each time, in a millisecond: a plan for any limit and any
    place, which the sixth page would be given, reads and sorts the whole month.
    """
    query, bound = page_query(span, parameters)
    return await (await connection.execute(query.encode(), bound, prepare=False)).fetchall()


def page_query(span: Span, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """SQL and parameters of one page: one row more than asked for tells whether there is another page.

    Each arm is cut to the page before they are put together, so a page reads as much of a month as it shows.
    """
    conditions = ["account_id = %(account)s"]
    if span.since is not None:
        conditions.append("posted_at >= %(since)s")
    if span.until is not None:
        conditions.append("posted_at < %(until)s")
    if span.after is not None:
        conditions.append(_KEYSET.format(side="<" if span.newest_first else ">"))
        parameters = parameters | span.after._asdict()
    direction = " DESC" if span.newest_first else ""
    order = ", ".join(column + direction for column in PLACE_COLUMNS.split(", "))
    found = f"WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT %(rows)s"
    arms = " UNION ALL ".join(f"(SELECT {LEG_COLUMNS} FROM {arm} {found})" for arm in ARMS)
    legs = f"SELECT * FROM ({arms}) AS leg ORDER BY {order} LIMIT %(rows)s"
    query = f"SELECT {LINE_COLUMNS} FROM ({legs}) AS leg {ABOUT} ORDER BY {order}"
    return query, parameters | {"since": span.since, "rows": span.limit + 1}


async def _later(connection: AsyncConnection[DictRow], asked: dict[str, Any], latest: DictRow | None) -> int:
    """What was posted behind the page: behind its latest entry, or from the end of the span on where it is empty."""
    if latest is not None:
        at_once = await _row(connection, _AT_ONCE, asked | {name: latest[name] for name in Place._fields})
        assert at_once is not None, "a sum has one row"
        in_its_microsecond: int = at_once["amount_minor"]
        return in_its_microsecond + await posted_since(connection, asked["account"], latest["posted_at"] + _INSTANT)
    return await posted_since(connection, asked["account"], asked["until"]) if asked["until"] is not None else 0


async def posted_since(connection: AsyncConnection[DictRow], account: UUID, since: datetime) -> int:
    """What was posted to an account at this time or later. Inside one snapshot: the sink moves the spans' ends."""
    asked = {"account": account, "since": since}
    spans = await _row(connection, _SPANS, asked)
    assert spans is not None, "there is always one"
    beside = await _row(connection, _BESIDE, asked | {"begins": spans["begins"], "ends": spans["ends"]})
    assert beside is not None, "a sum has one row"
    return int(spans["posted_minor"]) + int(beside["amount_minor"])


def lines_before(account: bytes, newest_first: list[DictRow], closing_minor: int) -> list[Line]:
    """Rows from the latest to the earliest as lines, counting back from the balance after the latest."""
    balances = accumulate((-row["amount_minor"] for row in newest_first), initial=closing_minor)
    return [line_of(account, row, balance) for row, balance in zip(newest_first, balances, strict=False)]


async def _row(connection: AsyncConnection[DictRow], query: str, parameters: Any) -> DictRow | None:
    return await (await connection.execute(query.encode(), parameters)).fetchone()

"""The statement of an account's month or year, read from one snapshot and rendered as it is read.

Reads balances, then account_legs and what they belong to, BATCH_LINES entries after another: so many are in memory,
however many the period has. Guarantees: the opening balance, the entries and the closing balance tie out (a
statement that would not is broken off), and a closing balance is the next period's opening balance.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ingest_api.problems import Fault, FieldError, field_problem, refused
from ingest_api.reads.accounts import BALANCE_AT
from ingest_api.reads.database import Database
from ingest_api.statements.formats.rendering import Head, Rendering, Turnover
from ingest_api.statements.history import SNAPSHOT, Span, page_rows
from ingest_api.statements.line import fees_account, line_of, place_of
from ingest_api.statements.moments import Period
from ingest_api.statements.totals import Totals
from payments.errors import InvariantViolation
from payments.rejections import Reason

BATCH_LINES: Final = 500
"""× about 1 kB: half a megabyte in memory, and a few milliseconds of work between two looks at other calls."""

CUT_OFF: Final = timedelta(hours=1)
"""How long after its end a period is final. A record that the brokers took before the end is in Postgres within
seconds; an hour outlasts a restart of everything.
"""

_TURNOVER: Final = """
SELECT count(*) FILTER (WHERE amount_minor > 0) AS credits,
    coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0)::bigint AS credited_minor,
    count(*) FILTER (WHERE amount_minor < 0) AS debits,
    coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0)::bigint AS debited_minor,
    transaction_timestamp() AS read_at
FROM account_legs WHERE account_id = %(account)s AND posted_at >= %(start)s AND posted_at < %(end)s"""


async def rendered(
    database: Database, account: bytes, period: Period, rendering: Rendering
) -> AsyncGenerator[bytes, None]:
    """The statement, part by part. Raises Problem before the first part, DatabaseUnavailable, and InvariantViolation
    where the entries do not lead from the opening to the closing balance.
    """
    async with database.transaction() as connection:
        await connection.execute(SNAPSHOT)
        head = await _head(connection, account, period)
        _refuse_too_many(head, rendering)
        yield await asyncio.to_thread(rendering.head, head)
        totals, balance_minor = Totals(), head.opening_minor
        async for rows in _batches(connection, head):
            amounts = (row["amount_minor"] for row in rows)
            balances = [*accumulate(amounts, initial=balance_minor)][1:]
            lines = [line_of(account, row, balance) for row, balance in zip(rows, balances, strict=True)]
            totals.add(lines)
            balance_minor = balances[-1]
            yield await asyncio.to_thread(rendering.lines, lines)  # pages of PDF take longer than a call may wait
        if balance_minor != head.closing_minor:
            raise InvariantViolation(f"statement {period}: entries lead to {balance_minor}, not {head.closing_minor}")
        yield await asyncio.to_thread(rendering.foot, totals)


async def _head(connection: AsyncConnection[DictRow], account: bytes, period: Period) -> Head:
    asked = {"account": UUID(bytes=account), "start": period.start, "end": period.end}
    closing = await _row(connection, BALANCE_AT, asked | {"at": period.end - timedelta(microseconds=1)})
    if closing is None:
        raise refused(Reason.ACCOUNT_NOT_FOUND)
    turnover = await _row(connection, _TURNOVER, asked)
    assert turnover is not None, "a sum has one row"
    read_at: datetime = turnover["read_at"].astimezone(UTC)
    if read_at < period.start:
        raise field_problem(FieldError(f"?{period.word}", Fault.PARAMETER_INVALID, f"The {period.word} has not begun."))
    credits = Turnover(turnover["credits"], turnover["credited_minor"])
    debits = Turnover(turnover["debits"], turnover["debited_minor"])
    return Head(
        account=account,
        currency=closing["currency"],
        period=period,
        start=period.start,
        end=period.end,
        as_of=min(read_at, period.end + CUT_OFF),
        is_final=read_at >= period.end + CUT_OFF,
        opening_minor=closing["posted_minor"] - credits.amount_minor + debits.amount_minor,
        closing_minor=closing["posted_minor"],
        available_minor=closing["available_minor"],
        held_minor=closing["held_minor"],
        incoming_minor=closing["incoming_minor"],
        credits=credits,
        debits=debits,
    )


def _refuse_too_many(head: Head, rendering: Rendering) -> None:
    count, most = head.credits.entries + head.debits.entries, rendering.entries_max
    if count > most:
        detail = f"The {head.period.word} has {count} entries, more than this format takes ({most}); take csv."
        raise field_problem(FieldError("?format", Fault.PARAMETER_INVALID, detail))


async def _batches(connection: AsyncConnection[DictRow], head: Head) -> AsyncIterator[list[DictRow]]:
    asked = {"account": UUID(bytes=head.account), "until": head.end, "fees": fees_account(head.currency)}
    span = Span(head.start, head.end, newest_first=False, after=None, limit=BATCH_LINES)
    has_more = True
    while has_more:
        rows = await page_rows(connection, span, asked)
        has_more = len(rows) > span.limit
        if shown := rows[: span.limit]:
            yield shown
            span = span._replace(after=place_of(shown[-1]))


async def _row(connection: AsyncConnection[DictRow], query: str, parameters: Any) -> DictRow | None:
    return await (await connection.execute(query.encode(), parameters)).fetchone()

"""The statement of an account's month, read from one snapshot and rendered as it is read.

Reads balances, then account_legs and what they belong to, BATCH_LINES entries after another: so many are in memory,
however many the month has. Guarantees: the opening balance, the entries and the closing balance tie out (a
statement that would not is broken off), and a closing balance is the next month's opening balance.
"""

import asyncio
import calendar
import re
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ingest_api.problems import Fault, FieldError, field_problem, refused
from ingest_api.reads.accounts import BALANCE_AT
from ingest_api.reads.database import Database
from ingest_api.statements.formats.rendering import Head, Rendering, Turnover
from ingest_api.statements.history import SNAPSHOT, Span, page_rows
from ingest_api.statements.line import fees_account, line_of, place_of
from ingest_api.statements.totals import Totals
from payments.errors import InvariantViolation
from payments.rejections import Reason

BATCH_LINES: Final = 500
"""× about 1 kB: half a megabyte in memory, and a few milliseconds of work between two looks at other calls."""

CUT_OFF: Final = timedelta(hours=1)
"""How long after its end a month is final. A record that the brokers took before the end is in Postgres within seconds;
an hour outlasts a restart of everything.
"""

_TURNOVER: Final = """
SELECT count(*) FILTER (WHERE amount_minor > 0) AS credits,
    coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0)::bigint AS credited_minor,
    count(*) FILTER (WHERE amount_minor < 0) AS debits,
    coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0)::bigint AS debited_minor,
    transaction_timestamp() AS read_at
FROM account_legs WHERE account_id = %(account)s AND posted_at >= %(start)s AND posted_at < %(end)s"""


class Month(NamedTuple):
    """A month of UTC. An entry belongs to it by its ledger time: from `start` on, before `end`."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """The month of `2026-10`. Raises Problem for another text."""
        matched = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
        if matched is None or not 1970 <= int(matched[1]) < 9999:
            raise field_problem(FieldError("?month", Fault.PARAMETER_INVALID, "Send a month as 2026-10."))
        return cls(int(matched[1]), int(matched[2]))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        days = calendar.monthrange(self.year, self.number)[1]
        return self.start + timedelta(days=days)


async def rendered(
    database: Database, account: bytes, month: Month, rendering: Rendering
) -> AsyncGenerator[bytes, None]:
    """The statement, part by part. Raises Problem before the first part, DatabaseUnavailable, and InvariantViolation
    where the entries do not lead from the opening to the closing balance.
    """
    async with database.transaction() as connection:
        await connection.execute(SNAPSHOT)
        head = await _head(connection, account, month)
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
            raise InvariantViolation(f"statement {month}: entries lead to {balance_minor}, not {head.closing_minor}")
        yield await asyncio.to_thread(rendering.foot, totals)


async def _head(connection: AsyncConnection[DictRow], account: bytes, month: Month) -> Head:
    asked = {"account": UUID(bytes=account), "start": month.start, "end": month.end}
    closing = await _row(connection, BALANCE_AT, asked | {"at": month.end - timedelta(microseconds=1)})
    if closing is None:
        raise refused(Reason.ACCOUNT_NOT_FOUND)
    turnover = await _row(connection, _TURNOVER, asked)
    assert turnover is not None, "a sum has one row"
    read_at: datetime = turnover["read_at"].astimezone(UTC)
    if read_at < month.start:
        raise field_problem(FieldError("?month", Fault.PARAMETER_INVALID, "The month has not begun."))
    credits = Turnover(turnover["credits"], turnover["credited_minor"])
    debits = Turnover(turnover["debits"], turnover["debited_minor"])
    return Head(
        account=account,
        currency=closing["currency"],
        month=str(month),
        start=month.start,
        end=month.end,
        as_of=min(read_at, month.end + CUT_OFF),
        is_final=read_at >= month.end + CUT_OFF,
        opening_minor=closing["posted_minor"] - credits.amount_minor + debits.amount_minor,
        closing_minor=closing["posted_minor"],
        available_minor=closing["available_minor"],
        held_minor=closing["held_minor"],
        incoming_minor=closing["incoming_minor"],
        credits=credits,
        debits=debits,
    )


def _refuse_too_many(head: Head, rendering: Rendering) -> None:
    count = head.credits.entries + head.debits.entries
    if count > rendering.entries_max:
        detail = f"The month has {count} entries, more than this format takes ({rendering.entries_max}); take csv."
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

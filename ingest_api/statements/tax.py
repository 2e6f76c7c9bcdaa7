"""The year of some accounts for whoever taxes it: what came in and went out by kind, and the fees, as a CSV table.

Reads balances and account_legs, added up by Postgres some days at a time, and writes an account as soon as it is added
up: a row per kind, whatever the number of entries. Guarantees: one snapshot for all accounts; per account the opening
balance, the totals and the closing balance tie out (a report that would not is broken off).
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ingest_api.http.resources import account_text, rfc3339
from ingest_api.owners.rights import Role
from ingest_api.problems import Fault, FieldError, field_problem, refused
from ingest_api.reads.accounts import BALANCE_AT
from ingest_api.reads.database import Database
from ingest_api.statements.formats.cells import csv_rows
from ingest_api.statements.history import SNAPSHOT
from ingest_api.statements.kinds import line_kind
from ingest_api.statements.line import ABOUT, fees_account, posted_of
from ingest_api.statements.moments import Year
from ingest_api.statements.totals import KindTotal, Totals
from payments.entries import EntryKind
from payments.errors import InvariantViolation
from payments.money import format_minor
from payments.rejections import Reason

ACCOUNTS_MAX: Final = 100
"""Of one report: each is added up in turn (docs/statements.md has how long that takes)."""

SUMMED_ENTRIES: Final = 50_000
"""At a time, or those of one day: half a second. A million at once take 50 s: they are planned as if all the table were
asked for, and a time-out is near.
"""

COLUMNS: Final = (
    "row",
    "account",
    "currency",
    "kind",
    "credits",
    "credited",
    "credited_minor",
    "fees_on_credits",
    "fees_on_credits_minor",
    "debits",
    "debited",
    "debited_minor",
    "fees_on_debits",
    "fees_on_debits_minor",
    "balance",
    "balance_minor",
    "at",
)

_SUMS: Final = f"""
SELECT headline.kind, cause.cause_kind, request.operation, stated.is_exchange, leg.amount_minor > 0 AS is_credit,
    CASE WHEN headline.debit_account < %(customers)s THEN headline.debit_account ELSE %(nil)s END AS debit_account,
    CASE WHEN headline.credit_account < %(customers)s THEN headline.credit_account ELSE %(nil)s END AS credit_account,
    count(*) AS entries, sum(leg.amount_minor)::bigint AS amount_minor,
    coalesce(sum(stated.fee_minor) FILTER (WHERE headline.kind <> {EntryKind.JOURNAL_POSTED:d}), 0)::bigint AS fee_minor
FROM (
    SELECT * FROM account_legs WHERE account_id = %(account)s AND posted_at >= %(start)s AND posted_at < %(end)s
) AS leg {ABOUT}
GROUP BY 1, 2, 3, 4, 5, 6, 7"""
"""By what tells the kind (ingest_api.statements.kinds). Ids below `customers` are the operator's accounts."""

_DAYS: Final = """
SELECT date_trunc('day', posted_at) AS day, count(*) AS entries FROM account_legs
WHERE account_id = %(account)s AND posted_at >= %(start)s AND posted_at < %(end)s GROUP BY 1 ORDER BY 1"""

_OWNED: Final = """
SELECT account_id FROM account_owners JOIN accounts USING (account_id)
WHERE user_id = %s AND until IS NULL AND role <> %s ORDER BY account_id"""

_CUSTOMERS: Final = UUID(bytes=bytes(6) + b"\x10" + bytes(9))


class AccountYear(NamedTuple):
    """What an account did in a year."""

    account: bytes
    currency: str
    opening_minor: int
    totals: Totals
    closing_minor: int


async def owned_accounts(database: Database, user: bytes) -> list[bytes]:
    """The open and closed accounts that are the user's, alone or with others. Raises DatabaseUnavailable."""
    rows = await database.rows(_OWNED, (UUID(bytes=user), Role.VIEWER))
    return [row["account_id"].bytes for row in rows]


async def tax_report(database: Database, accounts: Sequence[bytes], year: Year) -> AsyncGenerator[bytes, None]:
    """The report of all accounts together, account by account. Raises Problem before the first part where there are
    too many or one is not known, DatabaseUnavailable, and InvariantViolation where one does not tie out.
    """
    if len(accounts) > ACCOUNTS_MAX:
        detail = f"At most {ACCOUNTS_MAX} accounts in one report: ask for each account's own."
        raise field_problem(FieldError("?account", Fault.PARAMETER_INVALID, detail))
    of_currency: defaultdict[str, KindTotal] = defaultdict(KindTotal)
    async with database.transaction() as connection:
        await connection.execute(SNAPSHOT)
        before = [await _balance_before(connection, account, year.start) for account in accounts]
        yield csv_rows([COLUMNS])
        for account, opening in zip(accounts, before, strict=True):
            one = await _account_year(connection, account, opening, year)
            for _, total in one.totals:
                of_currency[one.currency].add_total(total)
            yield csv_rows(_rows(one, year))
    yield csv_rows(
        ("total", "", *_total(currency, "", total), "", "", "") for currency, total in sorted(of_currency.items())
    )


async def _account_year(
    connection: AsyncConnection[DictRow], account: bytes, opening: DictRow, year: Year
) -> AccountYear:
    closing = await _balance_before(connection, account, year.end)
    currency: str = closing["currency"]
    asked: dict[str, Any] = {"account": UUID(bytes=account), "fees": fees_account(currency)}
    asked |= {"customers": _CUSTOMERS, "nil": UUID(int=0), "start": year.start, "end": year.end}
    days = await (await connection.execute(_DAYS.encode(), asked)).fetchall()
    totals, balance_minor = Totals(), opening["posted_minor"]
    for start, end in _slices(days, year):
        async for row in await connection.execute(_SUMS.encode(), asked | {"start": start, "end": end}):
            totals.add_sum(line_kind(posted_of(row)), row["entries"], row["amount_minor"], row["fee_minor"])
            balance_minor += row["amount_minor"]
    if balance_minor != closing["posted_minor"]:
        raise InvariantViolation(f"year {year}: entries lead to {balance_minor}, not {closing['posted_minor']}")
    return AccountYear(account, currency, opening["posted_minor"], totals, balance_minor)


def _slices(days: Sequence[DictRow], year: Year) -> Iterator[tuple[datetime, datetime]]:
    """The year's days with entries, as many together as SUMMED_ENTRIES are."""
    start, entries = year.start, 0
    for row in days:
        if entries and entries + row["entries"] > SUMMED_ENTRIES:
            yield start, row["day"]
            start, entries = row["day"], 0
        entries += row["entries"]
    if entries:
        yield start, year.end


async def _balance_before(connection: AsyncConnection[DictRow], account: bytes, end: datetime) -> DictRow:
    asked = {"account": UUID(bytes=account), "at": end - timedelta(microseconds=1)}
    found = await (await connection.execute(BALANCE_AT.encode(), asked)).fetchone()
    if found is None:
        raise refused(Reason.ACCOUNT_NOT_FOUND)
    return found


def _rows(one: AccountYear, year: Year) -> Iterator[tuple[object, ...]]:
    """Opening balance, a row per kind, closing balance."""
    account, currency = account_text(one.account), one.currency
    for row, at, minor in (("opening", year.start, one.opening_minor), ("closing", year.end, one.closing_minor)):
        if row == "closing":
            yield from (("kind", account, *_total(currency, kind, of_kind), "", "", "") for kind, of_kind in one.totals)
        yield row, account, currency, *[""] * 11, format_minor(minor, currency), minor, rfc3339(at)


def _total(currency: str, kind: str, total: KindTotal) -> tuple[object, ...]:
    return (
        currency,
        kind,
        total.credits,
        *_money(total.credited_minor, currency),
        *_money(total.fees_on_credits_minor, currency),
        total.debits,
        *_money(total.debited_minor, currency),
        *_money(total.fees_on_debits_minor, currency),
    )


def _money(minor: int, currency: str) -> tuple[str, int]:
    return format_minor(minor, currency), minor

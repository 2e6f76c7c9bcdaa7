"""Breaks as they stand today, with their age: the one read behind the API's list, the command's and the console's.

Reads recon_breaks and, once for all of them, the zones and calendars of their rules. Guarantees: two
queries whatever is asked for; 10,000 breaks cost a fifth of what a page of them may take (benchmarks/reconciliation).
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import Connection

from reconciliation.breaks.ageing import age_days, bucket_of
from reconciliation.breaks.machine import LIVE
from reconciliation.breaks.reads import Break, Wanted, find_break, page_of_breaks
from reconciliation.matching.calendars import Calendar

_CLOCKS: Final = "SELECT rule_set, zone, calendar FROM recon_rule_sets WHERE rule_set = ANY(%s)"


class Aged(NamedTuple):
    """A break today. `age_days` are business days since the day of its oldest line, `age` the bucket of that."""

    row: Break
    age_days: int
    age: str
    is_overdue: bool


def list_breaks(
    connection: Connection, wanted: Wanted, limit: int, now: datetime, after: tuple[int | date, UUID] | None = None
) -> list[Aged]:
    """At most `limit` of them, in the order that is wanted. `after`: as reads.page_of_breaks has it."""
    return aged(connection, page_of_breaks(connection, wanted, limit, after), now)


def one_break(connection: Connection, id_: UUID, now: datetime) -> Aged | None:
    """One of them, or None."""
    found = find_break(connection, id_)
    return None if found is None else aged(connection, [found], now)[0]


def aged(connection: Connection, rows: Sequence[Break], now: datetime) -> list[Aged]:
    """Each by the zone and calendar of its rules."""
    days = _days(connection, {row.rule_set for row in rows}, now)
    return [_aged(row, *days[row.rule_set]) for row in rows]


def _aged(row: Break, today: date, calendar: Calendar) -> Aged:
    age = age_days(row.day, today, calendar)
    return Aged(row, age, bucket_of(age).name, row.due_on < today and row.status in LIVE)


def _days(connection: Connection, names: Iterable[str], now: datetime) -> dict[str, tuple[date, Calendar]]:
    rows = connection.execute(_CLOCKS, (list(names),))
    return {name: (now.astimezone(ZoneInfo(zone)).date(), Calendar(calendar)) for name, zone, calendar in rows}

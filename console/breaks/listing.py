"""The list of breaks, and what waits for a second person. Ten thousand rows are one page."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response
from markupsafe import escape
from psycopg import Connection
from pydantic import BaseModel, Field

from console.http.places import NO_NUL, place_of, place_text
from console.http.visits import ROOT, Visitor
from console.pages import page
from console.words import keys, money, status
from payments.identifiers import format_id
from reconciliation.breaks import reads
from reconciliation.breaks.ageing import BUCKETS, days_of
from reconciliation.breaks.listing import Aged, list_breaks
from reconciliation.breaks.machine import Status
from reconciliation.breaks.reads import LIST_MAX, Wanted
from reconciliation.matching.breaks import BreakType
from reconciliation.matching.calendars import Calendar
from reconciliation.runs.sides import BREAK

router = APIRouter()

SHOWN: Final = 500
"""Longer lists do not ask by themselves: 10,000 rows are 0.2 s of CPU."""

PAGE_SIZES: Final = (SHOWN, 2_000, LIST_MAX)
WAITING_MAX: Final = 500

_ROW: Final = (
    f'<tr><th scope="row"><a href="{ROOT}/breaks/%s">%s</a></th><td>%s</td><td class="number">%s</td><td>%s</td>'
    '<td>%s</td><td class="number">%s</td><td>%s%s</td><td>%s</td><td%s>%s%s</td><td>%s</td><td>%s</td></tr>\n'
)
"""A line of the list: of ten thousand 50 ms of CPU, as a loop of the template 130."""

_OVERDUE: Final = ' class="wrong"'
_AFTER_SIGN_OFF: Final = " <strong>after sign-off</strong>"


class BreakQuery(BaseModel):
    """What the form above the list asks for; a field that is left open is empty."""

    order: Literal["value", "age"] = "value"
    rules: str = Field("", max_length=100, pattern=NO_NUL)
    type: BreakType | Literal[""] = ""
    status: Status | Literal[""] = ""
    owner: str = Field("", max_length=100, pattern=NO_NUL)
    account: str = Field("", max_length=200, pattern=NO_NUL)
    currency: str = Field("", max_length=3, pattern=NO_NUL)
    age: Literal["", "0-1", "2-3", "4-7", "8-30", "31-60", "61-90", ">90"] = ""
    after_sign_off: bool = False
    limit: int = Field(SHOWN, ge=1, le=LIST_MAX)
    after: str = Field("", max_length=100)

    def wanted(self, today: date) -> Wanted:
        """What is asked of the table. Ages are counted by TARGET, as the API counts them."""
        bucket = next((bucket for bucket in BUCKETS if bucket.name == self.age), None)
        oldest, youngest = days_of(bucket, today, Calendar.TARGET) if bucket is not None else (None, None)
        return Wanted(
            order=self.order,
            rule_set=self.rules,
            type=self.type,
            status=self.status,
            owner=self.owner,
            currency=self.currency,
            oldest=oldest,
            youngest=youngest,
            after_sign_off=self.after_sign_off,
            account=self.account,
        )

    def next_page(self, place: str) -> str:
        """The same question, from there on."""
        asked = self.model_dump(exclude_defaults=True, exclude={"after"}, mode="json") | {"after": place}
        return urlencode(asked)


@router.get("/breaks")
async def get_breaks(visit: Visitor, query: Annotated[BreakQuery, Query()]) -> Response:
    """What does not tie, the largest or the oldest first."""
    place = place_of(query.after, int if query.order == "value" else date) if query.after else None

    def read(connection: Connection) -> dict[str, Any]:
        now = datetime.now(UTC)
        found = list_breaks(connection, query.wanted(now.date()), query.limit + 1, now, place)
        shown = found[: query.limit]
        last = shown[-1].row if len(found) > query.limit else None
        at = 0 if last is None else abs(last.difference_minor) if query.order == "value" else last.day
        return {
            "rows": "".join(map(_row, shown)),
            "sums": _sums(shown),
            "query": query,
            "more": query.next_page(place_text(at, last.break_id)) if last is not None else "",
            "types": [*BreakType],
            "statuses": [*Status],
            "buckets": BUCKETS,
            "sizes": PAGE_SIZES,
            "live_max": SHOWN,
        }

    return await page(visit, "breaks.html", read)


@lru_cache(maxsize=4_096)
def _text(value: str | date) -> str:
    """Escaped; kinds, reasons, people and days come again and again."""
    return str(escape(value))


def _row(aged: Aged) -> str:
    one, id_ = aged.row, format_id(BREAK, aged.row.break_id.bytes)
    due = (_OVERDUE, _text(one.due_on), " overdue") if aged.is_overdue else ("", _text(one.due_on), "")
    return _ROW % (
        id_,
        id_,
        _text(one.type),
        money(one.difference_minor, one.currency),
        _text(one.currency),
        _text(one.day),
        aged.age_days,
        status(one.status),
        _AFTER_SIGN_OFF if one.after_sign_off else "",
        _text(one.owner),
        *due,
        _text(one.reason),
        escape(keys(one.keys)),
    )


def _sums(breaks: Sequence[Aged]) -> list[tuple[str, int, int]]:
    """Currency, count and difference of those that are shown."""
    counts: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for one, *_ in breaks:
        counts[one.currency] += 1
        sums[one.currency] += one.difference_minor
    return [(currency, counts[currency], sums[currency]) for currency in sorted(counts)]


@router.get("/adjustments")
async def get_waiting(visit: Visitor) -> Response:
    """What waits for a second person, the oldest first."""

    def read(connection: Connection) -> dict[str, Any]:
        return {"waiting": reads.waiting_proposals(connection, WAITING_MAX)}

    return await page(visit, "adjustments.html", read)

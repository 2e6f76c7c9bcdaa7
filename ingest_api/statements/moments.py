"""Times that callers name, and the months and years of statements (UTC)."""

import calendar
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, NamedTuple, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from ingest_api.problems import Fault, FieldError, field_problem

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FIRST = datetime.min.replace(tzinfo=UTC)
"""What a time of the year 1 with an offset may lie before, and Python then cannot read."""


class TimesQuery(BaseModel, extra="forbid", populate_by_name=False):
    """Query of what lies between two times, by each name that the documents have for them. Times without an offset are
    UTC. One that ends before it begins is refused: an empty page would read as if there were nothing.
    """

    begins_by: ClassVar[tuple[str, ...]] = ("since", "start_time", "start")
    """Fields that say from when on; the first that is given counts."""
    ends_by: ClassVar[tuple[str, ...]] = ("until", "end_time", "endtime", "end")

    since: datetime | None = Field(None, alias="from", description="RFC 3339, or a date: inclusive")
    until: datetime | None = Field(None, alias="to", description="RFC 3339, or a date: exclusive, not before from")
    start_time: datetime | None = Field(None, alias="startTime", description="As from")
    end_time: datetime | None = Field(None, alias="endTime", description="As to")
    endtime: datetime | None = Field(None, description="As to")
    start: datetime | None = Field(None, description="As from")
    end: datetime | None = Field(None, description="As to")

    @property
    def between(self) -> tuple[datetime | None, datetime | None]:
        """From which time on, and before which."""
        since, until = (self._given(fields) for fields in (TimesQuery.begins_by, TimesQuery.ends_by))
        return utc(since), utc(until)

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        since, until = self.between
        if since is not None and until is not None and since > until:
            begins, ends = self._named(self.begins_by), self._named(self.ends_by)
            raise not_in_order(ends, f"It is before {begins}: exchange the two, or leave one of them out")
        return self

    def _given(self, fields: Sequence[str]) -> datetime | None:
        return next((at for name in fields if (at := getattr(self, name)) is not None), None)

    def _named(self, fields: Sequence[str]) -> str:
        """What the caller says for the one of these that counts."""
        named = next(name for name in fields if getattr(self, name) is not None)
        return type(self).model_fields[named].alias or named


def not_in_order(parameter: str, detail: str) -> PydanticCustomError:
    """What a query refuses that holds two bounds, by the name of the second one."""
    return PydanticCustomError("not_in_order", detail, {"parameter": parameter})


def utc(at: datetime | None) -> datetime | None:
    """Times without an offset are UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def past_utc(at: datetime | None) -> datetime | None:
    """The same of a time that may not be to come: how an account will stand is not known. Raises Problem."""
    moment = utc(at)
    if moment is not None and moment > datetime.now(UTC):
        raise field_problem(FieldError("?at", Fault.PARAMETER_INVALID, "Send a time that has passed, or none for now."))
    return max(moment, _FIRST) if moment is not None else None


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
    def word(self) -> str:
        return "month"

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        days = calendar.monthrange(self.year, self.number)[1]
        return self.start + timedelta(days=days)


class Year(NamedTuple):
    """A year of UTC, from `start` on, before `end`."""

    number: int

    @classmethod
    def parse(cls, text: str) -> "Year":
        """The year of `2026`. Raises Problem for another text."""
        if len(text) != 4 or not (text.isascii() and text.isdigit()) or not 1970 <= int(text) < 9999:
            raise field_problem(FieldError("?year", Fault.PARAMETER_INVALID, "Send a year as 2026."))
        return cls(int(text))

    def __str__(self) -> str:
        return f"{self.number:04d}"

    @property
    def word(self) -> str:
        return "year"

    @property
    def start(self) -> datetime:
        return datetime(self.number, 1, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return datetime(self.number + 1, 1, 1, tzinfo=UTC)


Period = Month | Year
"""What a statement is of. Its text is how callers name it."""


def named_period(month: str | None, year: str | None) -> Period:
    """The one of the two that is given. Raises Problem where both are, or none, or it is no such period."""
    if month is not None and year is None:
        return Month.parse(month)
    if year is not None and month is None:
        return Year.parse(year)
    raise field_problem(FieldError("?month", Fault.PARAMETER_INVALID, "Send a month as 2026-10, or a year as 2026."))

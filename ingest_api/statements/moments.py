"""Times that callers name."""

from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, Field

from ingest_api.problems import Fault, FieldError, field_problem

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FIRST = datetime.min.replace(tzinfo=UTC)
"""What a time of the year 1 with an offset may lie before, and Python then cannot read."""


class TimesQuery(BaseModel, extra="forbid", populate_by_name=False):
    """Query of what lies between two times, by each name that the documents have for them. Times without an offset are
    UTC.
    """

    since: datetime | None = Field(None, alias="from", description="RFC 3339, or a date: inclusive")
    until: datetime | None = Field(None, alias="to", description="RFC 3339, or a date: exclusive")
    start_time: datetime | None = Field(None, alias="startTime", description="As from")
    end_time: datetime | None = Field(None, alias="endTime", description="As to")
    endtime: datetime | None = Field(None, description="As to")
    start: datetime | None = Field(None, description="As from")
    end: datetime | None = Field(None, description="As to")

    @property
    def between(self) -> tuple[datetime | None, datetime | None]:
        """From which time on, and before which."""
        since = self.since or self.start_time or self.start
        return utc(since), utc(self.until or self.end_time or self.endtime or self.end)


def utc(at: datetime | None) -> datetime | None:
    """Times without an offset are UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def past_utc(at: datetime | None) -> datetime | None:
    """The same of a time that may not be to come: how an account will stand is not known. Raises Problem."""
    moment = utc(at)
    if moment is not None and moment > datetime.now(UTC):
        raise field_problem(FieldError("?at", Fault.PARAMETER_INVALID, "Send a time that has passed, or none for now."))
    return max(moment, _FIRST) if moment is not None else None

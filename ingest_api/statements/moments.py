"""Times that callers name."""

from datetime import UTC, datetime
from typing import Final

from ingest_api.problems import Fault, FieldError, field_problem

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FIRST = datetime.min.replace(tzinfo=UTC)
"""What a time of the year 1 with an offset may lie before, and Python then cannot read."""


def utc(at: datetime | None) -> datetime | None:
    """Times without an offset are UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def past_utc(at: datetime | None) -> datetime | None:
    """The same of a time that may not be to come: how an account will stand is not known. Raises Problem."""
    moment = utc(at)
    if moment is not None and moment > datetime.now(UTC):
        raise field_problem(FieldError("?at", Fault.PARAMETER_INVALID, "Send a time that has passed, or none for now."))
    return max(moment, _FIRST) if moment is not None else None

"""What callers send about internal reconciliation."""

from typing import Annotated, Final

import msgspec

REPAIRS_MAX: Final = 100
DAYS_DEFAULT: Final = 30


class InternalRunBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`days`: what has changed within so many is looked at, beside all that is open; 0 is everything."""

    days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = DAYS_DEFAULT


class InternalRepairBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Findings by their ids. `is_dry_run`: only tell what would be done."""

    findings: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=40)]], msgspec.Meta(min_length=1, max_length=REPAIRS_MAX)
    ]
    is_dry_run: bool = False


RESOURCES = (InternalRunBody, InternalRepairBody)

"""What callers send about internal reconciliation."""

from typing import Annotated, Final

import msgspec

REPAIRS_MAX: Final = 100
DAYS_DEFAULT: Final = 30
ASK_MAX: Final = 50
"""At five a second they take ten seconds: a caller waits for them."""


class InternalRunBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`days`: what has changed within so many is looked at, beside all that is open; 0 is all. `ask_max`: about so many
    suspicious movements at most are providers asked, those first that nobody has asked about; 0 is none.
    """

    days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = DAYS_DEFAULT
    ask_max: Annotated[int, msgspec.Meta(ge=0, le=ASK_MAX)] = 0


class InternalRepairBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Findings by their ids. `is_dry_run`: only tell what would be done."""

    findings: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=40)]], msgspec.Meta(min_length=1, max_length=REPAIRS_MAX)
    ]
    is_dry_run: bool = False


RESOURCES = (InternalRunBody, InternalRepairBody)

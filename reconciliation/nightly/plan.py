"""The plan: which rules run when, which files are expected until when, and where files come from. One YAML file.

Schema, by example (docs/reconciliation.md explains each field):

    version: 1
    inbox: inbox                        # <inbox>/<source>/<file>; paths are relative to this file
    reports: reports
    keep: {matches_days: 90, signed_years: 10}
    profiles: {galileo: galileo.yaml}   # source → how its tables are read
    nightly:
      - rules: stripe.yaml
        at: "06:00"
        look_back_days: 40
        formats: [csv, xlsx]
        expected: [{source: stripe, name: "payouts-*.csv", by: "05:30"}]
    internal: {at: "05:00", ask_max: 500}   # our own services against each other
"""

from datetime import time
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml
from msgspec import Meta, Struct

from reconciliation.internal.run import ASK_MAX
from reconciliation.matching.calendars import Calendar
from reconciliation.matching.rules import Days, RulesFault
from reconciliation.runs.forgetting import Keep
from reconciliation.runs.rules import INTERNAL, ReadRules, read_rules
from reconciliation.statements.providers.profile import Profile, load_profile
from reconciliation.statements.refusals import Refused

Clock = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""HH:MM, in the zone of the night."""

PLAN_BYTES_MAX: Final = 1 << 20


class Expected(Struct, forbid_unknown_fields=True, frozen=True):
    """A file that comes on every business day until `by`; `name` as a shell's pattern."""

    source: str
    by: Clock
    name: str = "*"


class Nightly(Struct, forbid_unknown_fields=True, frozen=True):
    """One rule set. Without `zone` and `calendar` those of the rules; `look_back_days`: business days, 0 is all."""

    rules: str
    at: Clock
    zone: str = ""
    calendar: Calendar | None = None
    look_back_days: Days = 0
    follow: bool = True
    formats: tuple[Literal["csv", "xlsx", "pdf"], ...] = ("csv",)
    expected: list[Expected] = []


class Internally(Struct, forbid_unknown_fields=True, frozen=True):
    """Internal reconciliation. `look_back_days`: what has changed within so many days, beside all that is open; 0 is
    all. `ask_max`: about so many movements at most are providers asked; `ask_day`: about all of the day before, too.
    """

    at: Clock
    zone: str = "UTC"
    calendar: Calendar = Calendar.EVERY_DAY
    look_back_days: Days = 30
    ask_max: Annotated[int, Meta(ge=0, le=ASK_MAX)] = ASK_MAX
    ask_day: bool = False
    formats: tuple[Literal["csv", "xlsx", "pdf"], ...] = ("csv",)


class Plan(Struct, forbid_unknown_fields=True, frozen=True):
    """The file as it is written."""

    version: Literal[1]
    inbox: str
    nightly: list[Nightly] = []
    internal: Internally | None = None
    reports: str = ""
    profiles: dict[str, str] = {}
    keep: Keep = Keep()


class Times(NamedTuple):
    """When nights begin, and which days have one."""

    at: time
    zone: ZoneInfo
    calendar: Calendar


class Night(NamedTuple):
    """One rule set with its rules read."""

    read: ReadRules
    times: Times
    asked: Nightly

    @property
    def name(self) -> str:
        """Of the rule set."""
        return self.read.rules.name

    @property
    def is_followed(self) -> bool:
        """Legs of accounts are found by their position in the ledger; payments as a whole are not."""
        return self.asked.follow and bool(self.read.rules.books.accounts)


class InternalNight(NamedTuple):
    """Our own services against each other."""

    times: Times
    asked: Internally

    @property
    def name(self) -> str:
        """Of the rule set."""
        return INTERNAL


AnyNight = Night | InternalNight


class ReadPlan(NamedTuple):
    """A plan that can be carried out."""

    nights: list[Night]
    internal: InternalNight | None
    inbox: Path
    reports: Path | None
    profiles: dict[str, tuple[Profile, str]]
    """By source: how its tables are read, and the name of that file."""
    keep: Keep

    @property
    def all(self) -> list[AnyNight]:
        """Files first: who asks providers may take minutes."""
        return [*self.nights, *([self.internal] if self.internal is not None else [])]


def read_plan(path: Path) -> ReadPlan:
    """With the rules and profiles that it names. Raises RulesFault with the place of what is wrong."""
    folder = path.absolute().parent
    try:
        text = path.read_bytes()[:PLAN_BYTES_MAX].decode()
        plan = msgspec.convert(yaml.safe_load(text), Plan)
        profiles = {source: (load_profile(folder / name), name) for source, name in plan.profiles.items()}
        nights = [_night(folder, asked) for asked in plan.nightly]
        internal = _internal(plan.internal) if plan.internal is not None else None
    except (OSError, UnicodeDecodeError) as error:
        raise RulesFault(f"plan: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RulesFault(f"plan: no YAML: {' '.join(str(error).split())}") from error
    except (msgspec.ValidationError, Refused) as error:
        raise RulesFault(f"plan: {error}") from error
    if not nights and internal is None:
        raise RulesFault("plan: nothing to run: name rules in `nightly`, or `internal`")
    names = [night.name for night in nights]
    if len(set(names)) < len(names):
        raise RulesFault(f"plan: nightly: each rule set once; there are {', '.join(sorted(names))}")
    reports = folder / plan.reports if plan.reports else None
    return ReadPlan(nights, internal, folder / plan.inbox, reports, profiles, plan.keep)


def _night(folder: Path, asked: Nightly) -> Night:
    read = read_rules((folder / asked.rules).read_text(encoding="utf-8"))
    return Night(read, _times(asked.at, asked.zone or read.rules.zone, asked.calendar or read.rules.calendar), asked)


def _internal(asked: Internally) -> InternalNight:
    return InternalNight(_times(asked.at, asked.zone, asked.calendar), asked)


def _times(at: str, zone: str, calendar: Calendar) -> Times:
    try:
        return Times(time.fromisoformat(at), ZoneInfo(zone), calendar)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise RulesFault(f"plan: zone: {zone!r} is no zone of the tz database, such as Europe/Berlin") from error

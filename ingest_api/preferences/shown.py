"""What callers send and see of preferences, devices and notices."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from ingest_api.http.resources import rfc3339
from ingest_api.reads.cursor import Cursor, encode_cursor
from payments.identifiers import USER, format_id
from schemas.tables.notifications import CHOOSABLE, LANGUAGES, NOTICE, SECURITY, Channel, Preferences

TOKEN_CHARS_MAX: Final = 4_096

ZoneText = Annotated[
    str,
    msgspec.Meta(
        description="Name of a time zone (IANA)", extra_json_schema={"maxLength": 64, "examples": ["Europe/Berlin"]}
    ),
]
ClockText = Annotated[
    str,
    msgspec.Meta(
        description="HH:MM of the zone's clock",
        extra_json_schema={"pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["22:00"]},
    ),
]
Choices = Annotated[
    dict[str, dict[str, str]],
    msgspec.Meta(
        description="Kind → channel (email, sms, push) → `now`, `off`, or `daily` for the summary by e-mail",
        extra_json_schema={"examples": [{"payment_received": {"email": "daily", "push": "now"}}]},
    ),
]


class QuietHours(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Nothing is sent from one time to the other; security notices are. Equal times: there are none."""

    from_: ClockText = msgspec.field(name="from")
    until: ClockText


class PreferencesBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All that is chosen; what is left out is as at the beginning."""

    language: Literal["en", "de"] = "en"
    zone: ZoneText = "UTC"
    quiet_hours: QuietHours | None = None
    summary_at: ClockText = "08:00"
    notices: Choices = {}


class PreferencesResource(msgspec.Struct):
    """What is in force: for each kind when each channel tells of it. `always` come by e-mail at once."""

    language: str
    zone: str
    quiet_hours: QuietHours | None
    summary_at: str
    notices: dict[str, dict[str, str]]
    always: list[str]


class DeviceBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The token by which the push provider knows an app on a device."""

    token: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": TOKEN_CHARS_MAX})]


class Device(msgspec.Struct):
    """A device that push goes to. Its token is never shown."""

    id: str
    since: str


class DeviceList(msgspec.Struct):
    """The caller's devices, the first first."""

    items: list[Device]


class NoticeResource(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One thing that a user was told, or is to be told, on one channel."""

    id: str
    user: str
    kind: str
    channel: str
    status: str
    about: str
    happened_at: str
    attempts: int
    failure: str | None = None
    due_at: str | None = None
    ended_at: str | None = None


class NoticePage(msgspec.Struct):
    """Notices, the latest first. `next_cursor` leads on where `has_more`."""

    items: list[NoticeResource]
    has_more: bool
    next_cursor: str | None


class Unsubscribed(msgspec.Struct):
    """What no e-mail comes of any more."""

    kind: str


RESOURCES: Final[tuple[type, ...]] = (
    QuietHours,
    PreferencesBody,
    PreferencesResource,
    DeviceBody,
    Device,
    DeviceList,
    NoticeResource,
    NoticePage,
    Unsubscribed,
)

assert LANGUAGES == ("en", "de")


def shown(chosen: Preferences) -> PreferencesResource:
    """Every kind and channel, chosen or not."""
    has_quiet = chosen.quiet_from != chosen.quiet_until
    return PreferencesResource(
        language=chosen.language,
        zone=chosen.zone,
        quiet_hours=QuietHours(chosen.quiet_from, chosen.quiet_until) if has_quiet else None,
        summary_at=chosen.summary_at,
        notices={kind: {channel: chosen.mode(kind, channel) for channel in Channel} for kind in CHOOSABLE},
        always=sorted(SECURITY),
    )


def shown_device(device: str, since: datetime) -> Device:
    """One device."""
    return Device(device, rfc3339(since))


def shown_notice(row: Mapping[str, Any]) -> NoticeResource:
    """One notice: what it is about by its id, and nothing of who is told."""
    return NoticeResource(
        id=format_id(NOTICE, row["notice_id"].bytes),
        user=format_id(USER, row["user_id"].bytes),
        kind=row["kind"],
        channel=row["channel"],
        status=row["status"],
        about=row["details"].get("object", ""),
        happened_at=rfc3339(row["happened_at"]),
        attempts=row["attempts"],
        failure=row["failure"],
        due_at=rfc3339(row["due_at"]) if row["ended_at"] is None else None,
        ended_at=rfc3339(row["ended_at"]) if row["ended_at"] else None,
    )


def shown_page(rows: list[dict[str, Any]], limit: int) -> NoticePage:
    """Up to `limit` of them; one more than that says that there are more."""
    more, last = len(rows) > limit, rows[:limit][-1] if rows else None
    after = encode_cursor(Cursor(last["queued_at"], last["notice_id"])) if more and last is not None else None
    return NoticePage([shown_notice(row) for row in rows[:limit]], more, after)

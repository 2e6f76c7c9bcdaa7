"""Bodies → what a user chooses. Refusals are raised as Problem."""

import re
from typing import Final

from ingest_api.preferences.shown import TOKEN_CHARS_MAX, PreferencesBody
from ingest_api.problems import Fault, FieldError, field_problem
from payments.terms.wall_clock import zone_names
from runtime.personal_data.personal import Personal
from schemas.tables.notifications import CHOOSABLE, SECURITY, Channel, Mode, NoticeKind, Preferences

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def chosen_by(body: PreferencesBody) -> Preferences:
    """Raises Problem."""
    if body.zone not in zone_names():
        raise _invalid("/zone", "Send the name of a time zone, such as Europe/Berlin.")
    _checked_clock("/summary_at", body.summary_at)
    quiet = body.quiet_hours
    if quiet is not None:
        _checked_clock("/quiet_hours/from", quiet.from_)
        _checked_clock("/quiet_hours/until", quiet.until)
    for kind, modes in body.notices.items():
        _checked_kind(kind, modes)
    chosen = Preferences(body.language, body.zone, summary_at=body.summary_at, choices=body.notices)
    if quiet is None:
        return chosen
    return Preferences(chosen.language, chosen.zone, quiet.from_, quiet.until, chosen.summary_at, chosen.choices)


def _checked_clock(pointer: str, text: str) -> None:
    if not _CLOCK.fullmatch(text):
        raise _invalid(pointer, "Send hours and minutes of the clock, such as 22:00.")


def _checked_kind(kind: str, modes: dict[str, str]) -> None:
    if kind not in CHOOSABLE:
        raise _invalid("/notices", f"Kinds are: {', '.join(CHOOSABLE)}.")
    for channel, mode in modes.items():
        pointer = f"/notices/{kind}"
        if channel not in set(Channel) or mode not in set(Mode):
            raise _invalid(pointer, f"Send {', '.join(Channel)}, each with one of: {', '.join(Mode)}.")
        if mode == Mode.DAILY and channel != Channel.EMAIL:
            raise _invalid(pointer, "A summary comes by e-mail alone: send now or off.")
        if channel == Channel.EMAIL and NoticeKind(kind) in SECURITY and mode != Mode.NOW:
            raise _invalid(pointer, "What keeps a login safe comes by e-mail at once: leave it out, or send now.")


def checked_token(token: str) -> Personal:
    """Raises Problem."""
    if not 0 < len(token) <= TOKEN_CHARS_MAX or not token.isascii() or not token.isprintable():
        raise _invalid("/token", f"Send the token as the provider gave it: at most {TOKEN_CHARS_MAX} characters.")
    return Personal(token)


def _invalid(pointer: str, detail: str) -> Exception:
    return field_problem(FieldError(pointer, Fault.FIELD_INVALID, detail))

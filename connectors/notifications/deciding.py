"""What happened, what a user wants and what time it is → notices. Pure: the same input gives the same notices.

Quiet hours and summaries are times of the user's wall clock; across changes of summer time they are the instants of
payments.terms.wall_clock, so a quiet night is an hour longer or shorter, and no summary comes twice or not at all.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple

from connectors.notifications.happenings import Happening
from payments.terms.wall_clock import instant_us, zone_of
from schemas.tables.notifications import SECURITY, Channel, Mode, Preferences, channel_of_previous

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT_LIVED: Final = timedelta(hours=24)
"""After so long nobody is woken by a phone any more: the process was not running for a while."""


class Recipient(NamedTuple):
    """A user, as far as it matters for what the user is told."""

    preferences: Preferences
    reachable: frozenset[Channel]
    """For which there is an address, number or device, and which are configured."""
    devices: tuple[str, ...]
    recent: Counter[Channel]
    """Notices of the last hour, by channel."""


class Notice(NamedTuple):
    """One message, or (`collected`) one line of the next summary."""

    channel: Channel
    target: str
    due_at: datetime
    collected: bool = False


def decide(happening: Happening, recipient: Recipient, now: datetime, hourly_max: int) -> list[Notice]:
    """Who wants to know gets it once per channel and device: now, after the quiet hours, or in the summary. What is
    beyond `hourly_max` of a channel goes into the summary.
    """
    if happening.kind in SECURITY:
        return list(_of_security(happening, recipient, now))
    notices: dict[Channel, list[Notice]] = {}
    for channel in sorted(recipient.reachable):
        mode = recipient.preferences.mode(happening.kind, channel)
        is_late = channel is not Channel.EMAIL and now - happening.happened_at > _SHORT_LIVED
        if mode is Mode.OFF or is_late:
            continue
        if mode is Mode.NOW and recipient.recent[channel] < hourly_max:
            notices[channel] = list(_at(channel, recipient, quiet_end(recipient.preferences, now)))
        elif Channel.EMAIL in recipient.reachable:
            due_at = next_summary(recipient.preferences, now)
            notices.setdefault(Channel.EMAIL, [Notice(Channel.EMAIL, "", due_at, collected=True)])
    return [notice for told in notices.values() for notice in told]


def _of_security(happening: Happening, recipient: Recipient, now: datetime) -> Iterator[Notice]:
    """At once and uncounted; by text message where there is no e-mail address."""
    for channel in sorted(recipient.reachable):
        in_its_place = channel is Channel.SMS and Channel.EMAIL not in recipient.reachable
        if in_its_place or recipient.preferences.mode(happening.kind, channel) is Mode.NOW:
            yield from _at(channel, recipient, now)


def to_previous(happening: Happening, channels: Collection[Channel], now: datetime) -> Iterator[Notice]:
    """What the contacts of before are told, at once, by these channels: whatever the user of now has chosen."""
    for name in happening.previous:
        channel = channel_of_previous(name)
        if channel is not None and channel in channels:
            yield Notice(channel, name, now)


def _at(channel: Channel, recipient: Recipient, due_at: datetime) -> Iterator[Notice]:
    for target in recipient.devices if channel is Channel.PUSH else ("",):
        yield Notice(channel, target, due_at)


def quiet_end(preferences: Preferences, now: datetime) -> datetime:
    """When the quiet hours end that it is now, else now. It is quiet where their end comes before their next begin."""
    begin, end = (_next(preferences, text, now) for text in (preferences.quiet_from, preferences.quiet_until))
    return end if end < begin else now


def next_summary(preferences: Preferences, now: datetime) -> datetime:
    """When the next summary is made."""
    return _next(preferences, preferences.summary_at, now)


def _next(preferences: Preferences, clock_time: str, now: datetime) -> datetime:
    """The first instant after now at which the user's clock reaches a time of day."""
    zone, at = zone_of(preferences.zone), time.fromisoformat(clock_time)
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(3))  # a zone may skip a whole day (Samoa, 2011)
    instants = (_EPOCH + timedelta(microseconds=instant_us(zone, datetime.combine(day, at))) for day in days)
    return next(instant for instant in instants if instant > now)

"""Goal: users are told what they chose, when they chose it, and nobody can switch off what keeps a login safe."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.notifications.deciding import Notice, Recipient, decide, next_summary, quiet_end, to_previous
from connectors.notifications.happenings import OF_ACTION, OF_EVENT, Happening, of_action, of_event
from payments.events.event import EventType
from payments.identifiers import ACCOUNT, PAYMENT, USER, format_id
from schemas.tables.notifications import (
    SECURITY,
    Channel,
    NoticeKind,
    Preferences,
    Unsubscribing,
    read_unsubscribe_token,
    unsubscribe_token,
)
from schemas.tables.security_actions import SecurityAction

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EVERYWHERE = frozenset(Channel)
ACC, OTHER = b"\x11" * 16, b"\x12" * 16


def recipient(preferences: Preferences = Preferences(), *channels: Channel, **recent: int) -> Recipient:  # noqa: B008
    counted = Counter({Channel(name): count for name, count in recent.items()})
    return Recipient(preferences, frozenset(channels) or EVERYWHERE, ("phone", "tablet"), counted)


def happening(kind: NoticeKind = NoticeKind.PAYMENT_FAILED, at: datetime = NOON) -> Happening:
    return Happening("events:1", kind, ACC, None, at, {})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_one_notice_for_each_channel_and_device_that_was_chosen() -> None:
    chosen = Preferences(choices={"payment_failed": {"sms": "now", "push": "now", "email": "off"}})
    assert decide(happening(), recipient(chosen), NOON, 20) == [
        Notice(Channel.PUSH, "phone", NOON),
        Notice(Channel.PUSH, "tablet", NOON),
        Notice(Channel.SMS, "", NOON),
    ]
    assert decide(happening(), recipient(Preferences(), Channel.SMS), NOON, 20) == [], "a text message has to be chosen"


def test_what_is_for_the_summary_waits_for_it() -> None:
    chosen = Preferences(zone="Europe/Berlin", choices={"payment_failed": {"email": "daily"}})
    due_at = utc("2026-11-23 07:00")
    assert decide(happening(), recipient(chosen, Channel.EMAIL), NOON, 20) == [
        Notice(Channel.EMAIL, "", due_at, collected=True)
    ]


def test_beyond_the_hours_limit_everything_goes_into_the_summary_once() -> None:
    told = decide(happening(), recipient(Preferences(), email=20, push=20), NOON, 20)
    assert told == [Notice(Channel.EMAIL, "", utc("2026-11-23 08:00"), collected=True)]
    assert [notice.channel for notice in decide(happening(), recipient(Preferences(), push=20), NOON, 20)] == ["email"]


@pytest.mark.parametrize("kind", sorted(SECURITY))
def test_security_notices_come_at_once_whatever_was_chosen(kind: NoticeKind) -> None:
    off = {channel.value: "off" for channel in Channel}
    asleep = Preferences(quiet_from="00:00", quiet_until="23:59", choices={kind: off})
    assert decide(happening(kind), recipient(asleep, email=1_000), NOON, 20) == [Notice(Channel.EMAIL, "", NOON)]
    assert decide(happening(kind), recipient(asleep, Channel.SMS), NOON, 20) == [Notice(Channel.SMS, "", NOON)]


def test_nobody_is_woken_for_what_is_old() -> None:
    told = decide(happening(at=NOON - timedelta(hours=25)), recipient(), NOON, 20)
    assert [notice.channel for notice in told] == [Channel.EMAIL]


NIGHT = Preferences(zone="Europe/Berlin", quiet_from="22:00", quiet_until="07:00")


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-22 20:59", "2026-11-22 20:59"),  # 21:59: not yet
        ("2026-11-22 21:00", "2026-11-23 06:00"),
        ("2026-11-23 05:59", "2026-11-23 06:00"),
        ("2026-11-23 06:00", "2026-11-23 06:00"),
        ("2026-03-28 22:00", "2026-03-29 05:00"),  # the clock skips an hour: 23:00 CET to 07:00 CEST
        ("2026-10-24 21:00", "2026-10-25 06:00"),  # the clock repeats one: 23:00 CEST to 07:00 CET
    ],
)
def test_quiet_hours_end_by_the_users_clock(now: str, end: str) -> None:
    assert quiet_end(NIGHT, utc(now)) == utc(end)


def test_hours_that_the_clock_skips_or_repeats() -> None:
    """02:00 to 02:30 in Berlin: not there on 29 March, there twice on 25 October, and quiet the first time."""
    nap = Preferences(zone="Europe/Berlin", quiet_from="02:00", quiet_until="02:30")
    assert quiet_end(nap, utc("2026-03-29 01:10")) == utc("2026-03-29 01:10")
    assert quiet_end(nap, utc("2026-10-25 00:10")) == utc("2026-10-25 00:30")
    assert quiet_end(nap, utc("2026-10-25 01:10")) == utc("2026-10-25 01:10")
    at_two = Preferences(zone="Europe/Berlin", summary_at="02:15")
    assert next_summary(at_two, utc("2026-10-25 00:15")) == utc("2026-10-26 01:15"), "one summary a day"
    assert next_summary(at_two, utc("2026-03-28 12:00")) == utc("2026-03-29 01:00"), "none left out"


def test_equal_times_are_no_quiet_hours() -> None:
    assert quiet_end(Preferences(), utc("2026-11-22 00:00")) == utc("2026-11-22 00:00")


def test_each_side_of_an_event_is_told_its_own_story() -> None:
    payer, payee = format_id(ACCOUNT, ACC), format_id(ACCOUNT, OTHER)
    facts = {"payer": payer, "payee": payee, "amount": "10.00", "currency": "EUR"}
    exchanged = facts | {"payee_amount": "11.00", "payee_currency": "USD"}
    payload = {"type": "payment.posted", "object": format_id(PAYMENT, b"\x01" * 16), "data": exchanged}
    sent, received = of_event(7, NOON, payload)
    assert (sent.kind, sent.account, sent.details["amount"]) == (NoticeKind.PAYMENT_SENT, ACC, "10.00 EUR")
    assert (received.kind, received.account, received.details["amount"]) == (
        NoticeKind.PAYMENT_RECEIVED,
        OTHER,
        "11.00 USD",
    )
    assert sent.cause == received.cause == "events:7"
    assert set(sent.details) == {"word", "object", "amount", "account"}, "nothing that somebody has written"
    assert payer not in sent.details.values()


def test_of_the_audit_log_the_one_it_was_done_to_is_told() -> None:
    entry: dict[str, Any] = {"actor": format_id(USER, ACC), "object": format_id(USER, OTHER), "at": NOON}
    entry |= {"before": None, "after": None}
    (changed,) = of_action(3, entry | {"action": "user.roles_changed"})
    assert (changed.user, changed.kind) == (OTHER, NoticeKind.ROLES_CHANGED)
    (made,) = of_action(4, entry | {"action": "api_key.created", "object": "key_1"})
    assert made.user == ACC
    assert of_action(5, entry | {"action": "api_key.created", "actor": "till", "object": "key_1"}) == []
    assert of_action(6, entry | {"action": "login.succeeded"}) == []


def test_contacts_of_before_are_told_by_the_channels_there_are() -> None:
    kept = ["user.email.before.1", "user.phone.before.2", "user.name"]
    entry: dict[str, Any] = {"action": "user.changed", "actor": None, "object": format_id(USER, OTHER), "at": NOON}
    (changed,) = of_action(3, entry | {"before": {"contacts_before": kept}, "after": None})
    assert list(to_previous(changed, [Channel.EMAIL, Channel.PUSH], NOON)) == [Notice(Channel.EMAIL, kept[0], NOON)]
    assert [notice.target for notice in to_previous(changed, list(Channel), NOON)] == kept[:2]


def test_every_kind_is_told_of_something() -> None:
    told = {kind for sides in OF_EVENT.values() for kind, _ in sides} | set(OF_ACTION.values())
    assert told == set(NoticeKind) - {NoticeKind.DAILY_SUMMARY}
    assert OF_EVENT.keys() <= set(EventType)
    assert OF_ACTION.keys() <= set(SecurityAction)


def test_a_link_allows_one_thing_and_none_other() -> None:
    key, allowed = b"k" * 32, Unsubscribing(ACC, NoticeKind.PAYMENT_SENT)
    token = unsubscribe_token(key, allowed)
    assert read_unsubscribe_token(key, token) == allowed
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    for wrong in (changed, token[1:], "", "é", "a" * 5, unsubscribe_token(b"x" * 32, allowed)):
        assert read_unsubscribe_token(key, wrong) is None

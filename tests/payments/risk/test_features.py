"""What rules read is what happened; the names and their wire values stay as they were released."""

import pytest
from hypothesis import given

from millrace import risk_page
from payments.risk.activity import NO_ACTIVITY, Attempted, Key, key_of_account, observe
from payments.risk.features import FEATURES, published
from payments.risk.limits import UNLIMITED, Limits, Tier
from payments.risk.moment import Attempt, Moment, PaymentKind
from payments.risk.signals import Countries
from payments.risk.state import NEW, Fact, RiskState, TierSet, evolve
from payments.risk.windows import SPANS
from tests.payments.risk.attempts import (
    ATTEMPT,
    CARD,
    DAY_US,
    HOUR_US,
    KEYS,
    MINUTE_US,
    NOON_US,
    PAYER,
    Event,
    attempted,
    events,
    inside,
)

SAID = [
    "amount_minor",
    "currency",
    "kind",
    "hour_utc",
    "weekday_utc",
    "payer_country",
    "payee_country",
    "card_country",
    "ip_country",
    "distinct_countries",
    "available_minor",
    "kyc_tier",
    "limit_per_transaction_minor",
    "limit_daily_minor",
    "limit_monthly_minor",
    "spent_today_minor",
    "spent_this_month_minor",
    "payee_is_new",
    "dormant_days",
    "is_just_under_threshold",
    "just_under_threshold_24h",
]
WHOSE = {"": "account", "payee_": "payee", "card_": "card", "device_": "device", "ip_": "ip"}


def read(name: str, attempt: Attempt = ATTEMPT, state: RiskState = NEW) -> object:
    return FEATURES[name].read(Moment(attempt, state, Limits(1, 2, 3), 10_000_00))


def test_the_wire_values_of_features_never_change() -> None:
    counted = []
    for prefix, whose in WHOSE.items():
        for span in ("10m", "1h", "24h", "30d"):
            for measure in ("attempts", "approvals", "attempted_minor", "approved_minor"):
                counted.append(f"{prefix}{measure}_{span}")
        for span in ("1h", "24h"):
            others = [other for other in WHOSE.values() if other != whose]
            counted += [f"{prefix}distinct_{other}s_{span}" for other in others]
    expected = dict(enumerate(SAID)) | dict(enumerate(counted, 128))
    assert {feature.position: name for name, feature in FEATURES.items()} == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount_minor", 9_500_00),
        ("currency", "EUR"),
        ("kind", "payout"),
        ("hour_utc", 12),
        ("weekday_utc", 7),
        ("payer_country", "DE"),
        ("payee_country", "FR"),
        ("card_country", "DE"),
        ("ip_country", ""),
        ("distinct_countries", 2),
        ("available_minor", 77),
        ("kyc_tier", 2),
        ("limit_per_transaction_minor", 1),
        ("limit_daily_minor", 2),
        ("limit_monthly_minor", 3),
        ("spent_today_minor", 9_400_00),
        ("spent_this_month_minor", 9_450_00),
        ("payee_is_new", False),
        ("dormant_days", 0),
        ("is_just_under_threshold", True),
        ("just_under_threshold_24h", 1),
        ("attempts_10m", 0),
        ("attempts_1h", 2),
        ("approvals_1h", 1),
        ("attempted_minor_24h", 9_401_00),
        ("approved_minor_30d", 9_450_00),
        ("distinct_cards_24h", 1),
        ("card_attempts_1h", 4),
        ("ip_attempts_1h", 0),
    ],
)
def test_every_kind_of_feature_is_read(name: str, value: object) -> None:
    history: list[Fact] = [
        TierSet(Tier.VERIFIED),
        attempted(NOON_US - 3 * DAY_US),
        attempted(NOON_US - HOUR_US, 1_00, approved=False),
        Attempted(NOON_US - HOUR_US, 9_400_00, KEYS, approved=True, just_under_threshold=True),
    ]
    state = NEW
    for fact in history:
        state = evolve(state, fact)
    attempt = Attempt(
        NOON_US, 9_500_00, "EUR", KEYS, PaymentKind.PAYOUT, 77, Countries("DE", "FR", "DE"), {"card_attempts_1h": 4}
    )
    found = read(name, attempt, state)
    assert (type(found), found) == (type(value), value)


def test_a_week_begins_on_monday() -> None:
    days = [read("weekday_utc", ATTEMPT._replace(time_us=NOON_US + day * DAY_US)) for day in range(8)]
    assert days == [7, 1, 2, 3, 4, 5, 6, 7]


def test_a_payee_that_is_not_known_is_new() -> None:
    assert read("payee_is_new", ATTEMPT._replace(keys=(PAYER, b"", b"", b"", b""))) is True
    assert read("payee_is_new") is True
    assert read("dormant_days", ATTEMPT, evolve(NEW, attempted(NOON_US - 90 * DAY_US))) == 90


@given(events())
def test_what_is_published_of_a_card_is_what_its_accounts_did(listed: list[Event]) -> None:
    """Each attempt by another account, to another payee; the approved ones are in the currency asked for."""
    activity = in_currency = NO_ACTIVITY
    for number, event in enumerate(listed):
        keys = (number.to_bytes(8, "big"), b"p" + number.to_bytes(7, "big"), CARD, b"", b"")
        fact = Attempted(event.time_us, event.amount_minor, keys, event.approved)
        activity = observe(activity, Key.CARD, fact)
        in_currency = observe(in_currency, Key.CARD, fact) if event.approved else in_currency
    now_us = max([NOON_US, *(event.time_us for event in listed)]) + MINUTE_US
    values = published(Key.CARD, activity, in_currency, now_us, FEATURES)
    assert values.keys() == {name for name in FEATURES if name.startswith("card_")} - {"card_country"}
    for span in SPANS:
        held = inside(listed, span, now_us)
        assert values[f"card_attempts_{span.name}"] == len(held)
        listed_in_currency = [event for event in listed if event.approved]
        expected = sum(event.amount_minor for event in inside(listed_in_currency, span, now_us))
        assert values[f"card_approved_minor_{span.name}"] == values[f"card_attempted_minor_{span.name}"] == expected
    assert values["card_distinct_accounts_24h"] == values["card_distinct_payees_24h"]
    assert values["card_distinct_devices_24h"] == values["card_distinct_ips_1h"] == 0


def test_published_values_reach_a_rule_by_their_names() -> None:
    activity = observe(NO_ACTIVITY, Key.CARD, attempted())
    attempt = ATTEMPT._replace(published=published(Key.CARD, activity, activity, NOON_US, FEATURES))
    assert read("card_approvals_10m", attempt) == read("card_distinct_accounts_1h", attempt) == 1


def test_an_account_is_known_by_the_random_half_of_its_id() -> None:
    assert key_of_account(bytes(range(16))) == bytes(range(8, 16))


def test_a_moment_without_limits_says_so() -> None:
    moment = Moment(ATTEMPT, NEW, UNLIMITED, None)
    assert moment.limit_daily_minor == 2**63 - 1
    assert not moment.is_just_under_threshold


def test_the_page_shows_the_features_as_they_are() -> None:
    text = risk_page.PAGE.read_text()
    assert risk_page.page(text) == text
    assert all(f"`{name}`" in text for name in FEATURES)

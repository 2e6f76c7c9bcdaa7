"""Habits of an account, and what departs from them: structuring, an account that wakes up, a payee never paid before.

Keeps the payees paid before, when the account was last used and how long it had rested, and a day's window of payments
just under the reporting threshold. These are features of rules; how much is too much stands in the rules.
"""

from typing import NamedTuple

from payments.risk.activity import Attempted, Key
from payments.risk.distinct import remember
from payments.risk.windows import APPROVALS, DAY, add, inside, total

JUST_UNDER_PERCENT = 90
"""An amount from 90 % of a reporting threshold to just below it is just under it."""

DORMANT_DAYS_MIN = 30
"""A shorter pause is none."""

_DAY_US = 86_400 * 10**6


class Habits(NamedTuple):
    """At most 512 bytes of payees, 364 of the window, 27 of times."""

    last_attempt_us: int = 0
    """0 where there was none."""

    woke_at_us: int = 0
    """The attempt that ended the last pause of at least DORMANT_DAYS_MIN; 0 where there was none."""

    rested_us: int = 0
    """How long that pause was."""

    payees: bytes = b""
    """Keys of the payees to whom money was reserved, the newest last."""

    just_under_threshold: bytes = b""
    """Window of the payments just under the reporting threshold."""


NO_HABITS = Habits()


class Countries(NamedTuple):
    """ISO 3166-1 alpha-2, as the caller's attributes say; empty where unknown."""

    payer: str = ""
    payee: str = ""
    card: str = ""
    ip: str = ""


UNKNOWN_COUNTRIES = Countries()


def learn(habits: Habits, attempted: Attempted) -> Habits:
    """The habits after one attempt, which is no earlier than the last (state.evolve sees to it)."""
    last_us, woke_at_us, rested_us, payees, just_under = habits
    now_us = attempted.time_us
    if last_us and now_us - last_us >= DORMANT_DAYS_MIN * _DAY_US:
        woke_at_us, rested_us = now_us, now_us - last_us
    if attempted.approved:
        payees = remember(payees, attempted.keys[Key.PAYEE])
    if attempted.just_under_threshold:
        just_under = add(just_under, DAY, now_us, attempted.amount_minor, approved=attempted.approved)
    return Habits(now_us, woke_at_us, rested_us, payees, just_under)


def dormant_days(habits: Habits, now_us: int) -> int:
    """Whole days that the account rested before now, or before it woke in the last 24 hours; 0 for fewer than 30."""
    last_us = habits.last_attempt_us
    days = (now_us - last_us) // _DAY_US if last_us else 0
    if days >= DORMANT_DAYS_MIN:
        return days
    woke_lately = habits.woke_at_us and now_us - habits.woke_at_us <= _DAY_US
    return habits.rested_us // _DAY_US if woke_lately else 0


def is_just_under(amount_minor: int, threshold_minor: int | None) -> bool:
    """The mark of structuring: an amount that only just need not be reported."""
    if threshold_minor is None:
        return False
    return amount_minor < threshold_minor and amount_minor * 100 >= threshold_minor * JUST_UNDER_PERCENT


def just_under_24h(habits: Habits, now_us: int) -> int:
    """Approved payments just under the reporting threshold."""
    return total(inside(habits.just_under_threshold, DAY, now_us), APPROVALS)


def distinct_countries(countries: Countries) -> int:
    """How many different ones are known of this payment."""
    return len(set(countries) - {""})

"""Limits: the most that an account may pay at once, in a day and in a month, its own and those of its KYC tier.

A day and a month are those of UTC at event time, the broker's; what comes late counts for the newest day. Spent is what
was reserved, be it for a review. A payment that comes back does not give its limit back: it errs to the safe side, and
for a day or a month at most.
"""

from datetime import date
from enum import IntEnum, StrEnum
from typing import NamedTuple

from payments.risk.windows import SUM_MAX

NO_LIMIT = SUM_MAX
"""The limit of an account that has none, above any amount and any sum of a month."""

_DAY_US = 86_400 * 10**6
_UNIX_EPOCH_DAY = date(1970, 1, 1).toordinal()


class Tier(IntEnum):
    """How well the operator knows the customer. The value is the wire value: append only."""

    UNVERIFIED = 0
    BASIC = 1
    VERIFIED = 2
    ENHANCED = 3


class RiskReason(StrEnum):
    """Why a payment is held or denied; the value is the public error code. The place is the wire value: append only."""

    PER_TRANSACTION_LIMIT = "per_transaction_limit_exceeded"
    DAILY_LIMIT = "daily_limit_exceeded"
    MONTHLY_LIMIT = "monthly_limit_exceeded"
    VERIFICATION_REQUIRED = "verification_required"
    """The limit is that of the KYC tier, and a higher tier exists."""

    DENIED_BY_RULE = "denied_by_rule"
    REVIEW_BY_RULE = "review_by_rule"
    RULE_FAILED = "rule_failed"
    """A rule could not be evaluated (an overflow, a division by zero): a person decides."""


class Limits(NamedTuple):
    """In minor units of the account's currency."""

    per_transaction_minor: int = NO_LIMIT
    daily_minor: int = NO_LIMIT
    monthly_minor: int = NO_LIMIT


class Usage(NamedTuple):
    """What was spent in the newest day and month, both counted from 1 January of the year 1."""

    day: int = 0
    day_minor: int = 0
    month: int = 0
    month_minor: int = 0


UNLIMITED = Limits()
NOTHING_ALLOWED = Limits(0, 0, 0)
UNUSED = Usage()


def lower(limits: Limits, others: Limits) -> Limits:
    """Both hold: the lower of each."""
    return Limits(*map(min, limits, others))


def usage_at(usage: Usage, now_us: int) -> Usage:
    """The usage as it counts now: a new day or month begins with nothing spent."""
    day = now_us // _DAY_US + _UNIX_EPOCH_DAY
    if day <= usage.day:
        return usage
    now = date.fromordinal(day)
    month = now.year * 12 + now.month
    return Usage(day, 0, month, usage.month_minor if month == usage.month else 0)


def spend(usage: Usage, time_us: int, amount_minor: int) -> Usage:
    """The usage after a payment was reserved."""
    day, day_minor, month, month_minor = usage_at(usage, time_us)
    return Usage(day, min(day_minor + amount_minor, SUM_MAX), month, min(month_minor + amount_minor, SUM_MAX))


def remaining(limits: Limits, usage: Usage, now_us: int) -> Limits:
    """What may still be paid at once, today and this month; never below zero."""
    _, day_minor, _, month_minor = usage_at(usage, now_us)
    left = zip(limits, (0, day_minor, month_minor), strict=True)
    return Limits(*(limit if limit == NO_LIMIT else max(limit - spent, 0) for limit, spent in left))


def refusals(
    limits: Limits, usage: Usage, amount_minor: int, now_us: int, before_minor: int = 0
) -> tuple[RiskReason, ...]:
    """Every limit that the amount is above; none where it may be paid. `before_minor` of it is spent already."""
    if limits == UNLIMITED:
        return ()
    added_minor = amount_minor - before_minor
    asked = (amount_minor, added_minor, added_minor)
    left = zip(_LIMIT_REASONS, asked, remaining(limits, usage, now_us), strict=True)
    return tuple(reason for reason, minor, left_minor in left if minor > left_minor)


_LIMIT_REASONS = (RiskReason.PER_TRANSACTION_LIMIT, RiskReason.DAILY_LIMIT, RiskReason.MONTHLY_LIMIT)

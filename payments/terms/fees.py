"""What a transfer costs: a fee schedule is versioned data, validated once when it is loaded; `charge` applies it.

Everything is computed exactly in ten-thousandths of a minor unit and rounded once, at the end.
"""

from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from payments.identifiers import system_account
from payments.money import EXPONENTS, MAX_MINOR, Money
from payments.postings import Posting, SystemAccount
from payments.terms.rounding import Rounding, rounded_quotient

BASIS_POINTS = 10_000
"""Basis points of the whole: one is a hundredth of a percent."""

MAX_TIERS = 32


class Tiering(StrEnum):
    """How the tiers apply to an amount."""

    SLAB = "slab"
    """The whole amount at the tier that it falls in (also: volume pricing)."""
    GRADUATED = "graduated"
    """Each part of the amount at the tier that the part falls in (also: marginal)."""


class ChargeBearer(StrEnum):
    """Who pays the fee (ISO 20022 charge bearer: DEBT and CRED)."""

    PAYER = "payer"
    """On top: the payer is debited amount + fee."""
    PAYEE = "payee"
    """Out of the amount: the payee is credited amount − fee, which must leave something."""


class Tier(NamedTuple):
    """A rate for amounts up to a bound: so many basis points, and a flat part."""

    up_to_minor: int | None
    """Inclusive; None for the last tier, which has no bound."""
    basis_points: int
    flat_minor: int = 0


class FeeSchedule(NamedTuple):
    """A fee in one currency. A plain flat or proportional fee is one tier without a bound."""

    version: int
    currency: str
    tiers: tuple[Tier, ...]
    bearer: ChargeBearer = ChargeBearer.PAYER
    tiering: Tiering = Tiering.SLAB
    minimum_minor: int = 0
    maximum_minor: int | None = None
    rounding: Rounding = Rounding.HALF_EVEN


class FeeScheduleProblem(StrEnum):
    """Why a fee schedule can't be used."""

    VERSION_NOT_POSITIVE = "version_not_positive"
    CURRENCY_UNKNOWN = "currency_unknown"
    TIER_COUNT = "tier_count"
    """There must be 1 to 32 tiers."""
    TIERS_OUT_OF_ORDER = "tiers_out_of_order"
    """Each bound must be above the one before, and the first above zero."""
    LAST_TIER_BOUNDED = "last_tier_bounded"
    """Amounts above the last bound would have no fee; and only the last tier goes without a bound."""
    NEGATIVE = "negative"
    RATE_ABOVE_WHOLE = "rate_above_whole"
    """More than 10,000 basis points."""
    TOO_LARGE = "too_large"
    """A bound or an amount above `payments.money.MAX_MINOR`."""
    MINIMUM_ABOVE_MAXIMUM = "minimum_above_maximum"


class FeeRefusal(StrEnum):
    """Why a valid schedule can't be applied to this amount."""

    AMOUNT_INVALID = "amount_invalid"
    CURRENCY_MISMATCH = "currency_mismatch"
    FEE_CONSUMES_AMOUNT = "fee_consumes_amount"
    """Out of the amount: nothing would be left for the payee."""
    TOTAL_TOO_LARGE = "total_too_large"
    """On top: the debit would exceed `payments.money.MAX_MINOR`."""


class Charge(NamedTuple):
    """A fee applied: debited = credited + fee, exactly."""

    schedule_version: int
    currency: str
    debited_minor: int
    credited_minor: int
    fee_minor: int


def fee_schedule_problem(schedule: FeeSchedule) -> FeeScheduleProblem | None:
    """The first problem of the schedule, or None: then `charge` may be called with it."""
    if schedule.version <= 0:
        return FeeScheduleProblem.VERSION_NOT_POSITIVE
    if schedule.currency not in EXPONENTS:
        return FeeScheduleProblem.CURRENCY_UNKNOWN
    return _bounds_problem(schedule.tiers) or _values_problem(schedule)


def _bounds_problem(tiers: tuple[Tier, ...]) -> FeeScheduleProblem | None:
    if not 1 <= len(tiers) <= MAX_TIERS:
        return FeeScheduleProblem.TIER_COUNT
    bounds = [0] + [tier.up_to_minor for tier in tiers[:-1] if tier.up_to_minor is not None]
    if tiers[-1].up_to_minor is not None or len(bounds) < len(tiers):
        return FeeScheduleProblem.LAST_TIER_BOUNDED
    in_order = all(lower < upper for lower, upper in pairwise(bounds))
    return None if in_order else FeeScheduleProblem.TIERS_OUT_OF_ORDER


def _values_problem(schedule: FeeSchedule) -> FeeScheduleProblem | None:
    maximum_minor = MAX_MINOR if schedule.maximum_minor is None else schedule.maximum_minor
    rates = [tier.basis_points for tier in schedule.tiers]
    amounts = [tier.flat_minor for tier in schedule.tiers] + [schedule.minimum_minor, maximum_minor]
    amounts += [tier.up_to_minor for tier in schedule.tiers if tier.up_to_minor is not None]
    if min(rates + amounts) < 0:
        return FeeScheduleProblem.NEGATIVE
    if max(rates) > BASIS_POINTS:
        return FeeScheduleProblem.RATE_ABOVE_WHOLE
    if max(amounts) > MAX_MINOR:
        return FeeScheduleProblem.TOO_LARGE
    return FeeScheduleProblem.MINIMUM_ABOVE_MAXIMUM if schedule.minimum_minor > maximum_minor else None


def charge(schedule: FeeSchedule, amount: Money) -> Charge | FeeRefusal:
    """What payer and payee pay and get when this amount is transferred under a valid schedule."""
    if amount.currency != schedule.currency:
        return FeeRefusal.CURRENCY_MISMATCH
    if not 0 < amount.minor <= MAX_MINOR:
        return FeeRefusal.AMOUNT_INVALID
    fee_minor = _fee_minor(schedule, amount.minor)
    if schedule.bearer is ChargeBearer.PAYER:
        debited_minor, credited_minor = amount.minor + fee_minor, amount.minor
    else:
        debited_minor, credited_minor = amount.minor, amount.minor - fee_minor
    if credited_minor <= 0:
        return FeeRefusal.FEE_CONSUMES_AMOUNT
    if debited_minor > MAX_MINOR:
        return FeeRefusal.TOTAL_TOO_LARGE
    return Charge(schedule.version, schedule.currency, debited_minor, credited_minor, fee_minor)


def _fee_minor(schedule: FeeSchedule, amount_minor: int) -> int:
    exact = _slab if schedule.tiering is Tiering.SLAB else _graduated
    fee_minor = rounded_quotient(exact(schedule.tiers, amount_minor), BASIS_POINTS, schedule.rounding)
    at_least = max(fee_minor, schedule.minimum_minor)
    return at_least if schedule.maximum_minor is None else min(at_least, schedule.maximum_minor)


def _slab(tiers: tuple[Tier, ...], amount_minor: int) -> int:
    tier = next(tier for tier in tiers if tier.up_to_minor is None or amount_minor <= tier.up_to_minor)
    return _at(tier, amount_minor)


def _graduated(tiers: tuple[Tier, ...], amount_minor: int) -> int:
    exact = reached_minor = 0
    for tier in tiers:
        upper_minor = amount_minor if tier.up_to_minor is None else min(amount_minor, tier.up_to_minor)
        exact += _at(tier, upper_minor - reached_minor)
        reached_minor = upper_minor
        if reached_minor == amount_minor:
            break
    return exact


def _at(tier: Tier, part_minor: int) -> int:
    return part_minor * tier.basis_points + tier.flat_minor * BASIS_POINTS


def charge_postings(charged: Charge, payer: bytes, payee: bytes) -> tuple[Posting, ...]:
    """Dr payer, Cr payee, Cr fees; without the last one where nothing is charged."""
    parties = (
        Posting(payer, -charged.debited_minor, charged.currency),
        Posting(payee, charged.credited_minor, charged.currency),
    )
    fees = Posting(system_account(SystemAccount.FEES, charged.currency), charged.fee_minor, charged.currency)
    return (*parties, fees) if charged.fee_minor else parties

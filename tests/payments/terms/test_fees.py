"""Fees against a slow model: every minor unit pays its own rate in exact fractions, and the sum is rounded once."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from payments.identifiers import system_account
from payments.money import EXPONENTS, MAX_MINOR, Money
from payments.postings import SystemAccount
from payments.terms.fees import (
    MAX_TIERS,
    Charge,
    ChargeBearer,
    FeeRefusal,
    FeeSchedule,
    FeeScheduleProblem,
    Tier,
    Tiering,
    charge,
    charge_postings,
    fee_schedule_problem,
)
from payments.terms.rounding import Rounding

PAYER, PAYEE = b"payer".ljust(16), b"payee".ljust(16)
DECIMAL_RULE = {Rounding.HALF_EVEN: ROUND_HALF_EVEN, Rounding.HALF_UP: ROUND_HALF_UP, Rounding.DOWN: ROUND_DOWN}

amounts = st.one_of(st.integers(1, 300), st.integers(1, MAX_MINOR))
small_amounts = st.integers(1, 300)


@st.composite
def schedules(draw: st.DrawFn, bound_max: int = MAX_MINOR) -> FeeSchedule:
    bounds: list[int | None] = [*sorted(draw(st.sets(st.integers(1, bound_max), max_size=4))), None]
    flats = st.integers(0, min(bound_max, 1000))
    tiers = tuple(Tier(bound, draw(st.integers(0, 10_000)), draw(flats)) for bound in bounds)
    minimum = draw(flats)
    return FeeSchedule(
        version=draw(st.integers(1, 99)),
        currency=draw(st.sampled_from(["EUR", "JPY", "KWD", "CLF"])),
        tiers=tiers,
        bearer=draw(st.sampled_from(ChargeBearer)),
        tiering=draw(st.sampled_from(Tiering)),
        minimum_minor=minimum,
        maximum_minor=draw(st.none() | st.integers(minimum, MAX_MINOR)),
        rounding=draw(st.sampled_from(Rounding)),
    )


def _tier_of(schedule: FeeSchedule, unit: int) -> Tier:
    return next(tier for tier in schedule.tiers if tier.up_to_minor is None or unit <= tier.up_to_minor)


def _fee_by_the_unit(schedule: FeeSchedule, amount_minor: int) -> int:
    units = range(1, amount_minor + 1)
    if schedule.tiering is Tiering.GRADUATED:
        paid = [_tier_of(schedule, unit) for unit in units]
    else:
        paid = [_tier_of(schedule, amount_minor)] * amount_minor
    exact = sum(Fraction(tier.basis_points, 10_000) for tier in paid) + sum(tier.flat_minor for tier in set(paid))
    fee_minor = max(_rounded(exact, schedule.rounding), schedule.minimum_minor)
    return fee_minor if schedule.maximum_minor is None else min(fee_minor, schedule.maximum_minor)


def _rounded(exact: Fraction | int, rule: Rounding) -> int:
    decimal = Context(prec=60).divide(Decimal(exact.numerator), Decimal(exact.denominator))
    return int(decimal.quantize(Decimal(1), rounding=DECIMAL_RULE[rule]))


@given(schedules(bound_max=200), small_amounts)
def test_a_fee_is_what_each_minor_unit_pays(schedule: FeeSchedule, amount_minor: int) -> None:
    assume(len(set(schedule.tiers)) == len(schedule.tiers))  # the model adds the flat part of each tier once
    expected = _fee_by_the_unit(schedule, amount_minor)
    charged = charge(schedule, Money(amount_minor, schedule.currency))
    if isinstance(charged, FeeRefusal):
        assert charged is FeeRefusal.FEE_CONSUMES_AMOUNT
        assert schedule.bearer is ChargeBearer.PAYEE
        assert expected >= amount_minor
    else:
        assert charged.fee_minor == expected


@given(schedules(), amounts)
def test_the_legs_balance_and_nobody_pays_twice(schedule: FeeSchedule, amount_minor: int) -> None:
    assert fee_schedule_problem(schedule) is None
    charged = charge(schedule, Money(amount_minor, schedule.currency))
    assume(isinstance(charged, Charge))
    assert isinstance(charged, Charge)
    legs = charge_postings(charged, PAYER, PAYEE)
    assert sum(leg.amount_minor for leg in legs) == 0
    assert all(leg.amount_minor and leg.currency == schedule.currency for leg in legs)
    named = {leg.account: leg.amount_minor for leg in legs}
    whole = PAYEE if schedule.bearer is ChargeBearer.PAYER else PAYER
    assert abs(named[whole]) == amount_minor
    assert named.get(system_account(SystemAccount.FEES, schedule.currency), 0) == charged.fee_minor
    assert 0 < charged.credited_minor <= charged.debited_minor <= MAX_MINOR


@given(schedules(), amounts)
def test_a_refusal_is_true(schedule: FeeSchedule, amount_minor: int) -> None:
    """The same fee, borne by the other side, shows how large it is."""
    refusal = charge(schedule, Money(amount_minor, schedule.currency))
    assume(isinstance(refusal, FeeRefusal))
    on_top = schedule.bearer is ChargeBearer.PAYER
    assert refusal is (FeeRefusal.TOTAL_TOO_LARGE if on_top else FeeRefusal.FEE_CONSUMES_AMOUNT)
    other = ChargeBearer.PAYEE if on_top else ChargeBearer.PAYER
    charged = charge(schedule._replace(bearer=other), Money(amount_minor, schedule.currency))
    if isinstance(charged, Charge):
        assert charged.fee_minor > MAX_MINOR - amount_minor if on_top else charged.fee_minor >= amount_minor


@given(schedules(), amounts, amounts)
def test_a_graduated_fee_never_falls_as_the_amount_grows(schedule: FeeSchedule, one: int, other: int) -> None:
    graduated = schedule._replace(tiering=Tiering.GRADUATED, bearer=ChargeBearer.PAYER)
    less, more = (charge(graduated, Money(minor, schedule.currency)) for minor in sorted((one, other)))
    assume(isinstance(more, Charge))
    assert isinstance(less, Charge)
    assert isinstance(more, Charge)
    assert less.fee_minor <= more.fee_minor


@given(schedules(), amounts)
def test_a_fee_keeps_its_minimum_and_maximum(schedule: FeeSchedule, amount_minor: int) -> None:
    charged = charge(schedule, Money(amount_minor, schedule.currency))
    assume(isinstance(charged, Charge))
    assert isinstance(charged, Charge)
    assert schedule.minimum_minor <= charged.fee_minor
    assert schedule.maximum_minor is None or charged.fee_minor <= schedule.maximum_minor


@given(schedules(), st.integers(1, MAX_MINOR))
def test_one_tier_is_the_same_slab_or_graduated(schedule: FeeSchedule, amount_minor: int) -> None:
    single = schedule._replace(tiers=schedule.tiers[-1:])
    slab, graduated = (
        charge(single._replace(tiering=tiering), Money(amount_minor, single.currency)) for tiering in Tiering
    )
    assert slab == graduated


PLAIN = FeeSchedule(1, "EUR", (Tier(None, 100),))


@pytest.mark.parametrize(
    ("amount", "bearer", "expected"),
    [
        (Money(0, "EUR"), ChargeBearer.PAYER, FeeRefusal.AMOUNT_INVALID),
        (Money(-1, "EUR"), ChargeBearer.PAYER, FeeRefusal.AMOUNT_INVALID),
        (Money(MAX_MINOR + 1, "EUR"), ChargeBearer.PAYEE, FeeRefusal.AMOUNT_INVALID),
        (Money(100, "USD"), ChargeBearer.PAYER, FeeRefusal.CURRENCY_MISMATCH),
        (Money(MAX_MINOR, "EUR"), ChargeBearer.PAYER, FeeRefusal.TOTAL_TOO_LARGE),
        (Money(990_099_009_900_990, "EUR"), ChargeBearer.PAYER, FeeRefusal.TOTAL_TOO_LARGE),
        (
            Money(990_099_009_900_989, "EUR"),
            ChargeBearer.PAYER,
            Charge(1, "EUR", MAX_MINOR, 990_099_009_900_989, 9_900_990_099_010),
        ),
        (Money(MAX_MINOR, "EUR"), ChargeBearer.PAYEE, Charge(1, "EUR", MAX_MINOR, 990 * 10**12 - 1, 10**13)),
    ],
)
def test_the_ends_of_the_range(amount: Money, bearer: ChargeBearer, expected: Charge | FeeRefusal) -> None:
    assert charge(PLAIN._replace(bearer=bearer), amount) == expected


@pytest.mark.parametrize(("flat_minor", "is_refused"), [(6, False), (7, True), (8, True)])
def test_a_payee_who_bears_the_fee_is_left_something(flat_minor: int, is_refused: bool) -> None:
    flat = PLAIN._replace(tiers=(Tier(None, 0, flat_minor),), bearer=ChargeBearer.PAYEE)
    expected = FeeRefusal.FEE_CONSUMES_AMOUNT if is_refused else Charge(1, "EUR", 7, 1, 6)
    assert charge(flat, Money(7, "EUR")) == expected


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (PLAIN._replace(version=0), FeeScheduleProblem.VERSION_NOT_POSITIVE),
        (PLAIN._replace(currency="eur"), FeeScheduleProblem.CURRENCY_UNKNOWN),
        (PLAIN._replace(tiers=()), FeeScheduleProblem.TIER_COUNT),
        (
            PLAIN._replace(tiers=(*(Tier(n, 1) for n in range(1, MAX_TIERS + 1)), Tier(None, 1))),
            FeeScheduleProblem.TIER_COUNT,
        ),
        (PLAIN._replace(tiers=(Tier(100, 1),)), FeeScheduleProblem.LAST_TIER_BOUNDED),
        (PLAIN._replace(tiers=(Tier(None, 1), Tier(None, 1))), FeeScheduleProblem.LAST_TIER_BOUNDED),
        (PLAIN._replace(tiers=(Tier(5, 1), Tier(5, 2), Tier(None, 1))), FeeScheduleProblem.TIERS_OUT_OF_ORDER),
        (PLAIN._replace(tiers=(Tier(9, 1), Tier(5, 2), Tier(None, 1))), FeeScheduleProblem.TIERS_OUT_OF_ORDER),
        (PLAIN._replace(tiers=(Tier(0, 1), Tier(None, 1))), FeeScheduleProblem.TIERS_OUT_OF_ORDER),
        (PLAIN._replace(tiers=(Tier(None, -1),)), FeeScheduleProblem.NEGATIVE),
        (PLAIN._replace(tiers=(Tier(None, 1, -1),)), FeeScheduleProblem.NEGATIVE),
        (PLAIN._replace(minimum_minor=-1), FeeScheduleProblem.NEGATIVE),
        (PLAIN._replace(maximum_minor=-1), FeeScheduleProblem.NEGATIVE),
        (PLAIN._replace(tiers=(Tier(None, 10_001),)), FeeScheduleProblem.RATE_ABOVE_WHOLE),
        (PLAIN._replace(tiers=(Tier(None, 1, MAX_MINOR + 1),)), FeeScheduleProblem.TOO_LARGE),
        (PLAIN._replace(maximum_minor=MAX_MINOR + 1), FeeScheduleProblem.TOO_LARGE),
        (PLAIN._replace(tiers=(Tier(MAX_MINOR + 1, 1), Tier(None, 1))), FeeScheduleProblem.TOO_LARGE),
        (PLAIN._replace(tiers=(Tier(MAX_MINOR, 1), Tier(None, 1))), None),
        (PLAIN._replace(minimum_minor=2, maximum_minor=1), FeeScheduleProblem.MINIMUM_ABOVE_MAXIMUM),
        (PLAIN._replace(minimum_minor=1, maximum_minor=1), None),
        (PLAIN._replace(tiers=(*(Tier(n, 1) for n in range(1, MAX_TIERS)), Tier(None, 1))), None),
    ],
)
def test_problems_of_a_schedule(schedule: FeeSchedule, problem: FeeScheduleProblem | None) -> None:
    assert fee_schedule_problem(schedule) is problem


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_every_currency_can_have_a_fee(currency: str) -> None:
    assert fee_schedule_problem(PLAIN._replace(currency=currency)) is None

"""Splits: the sum is the amount to the minor unit, and largest remainder is the fairest division there is."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from payments.money import MAX_MINOR, Money
from payments.movements.journals import MAX_LEGS
from payments.postings import Posting
from payments.terms.splits import MAX_SHARES, Share, Split, SplitProblem, SplitRefusal, split, split_problem

amounts = st.one_of(st.integers(1, 300), st.integers(1, MAX_MINOR))


def account(number: int) -> bytes:
    return number.to_bytes(16, "big")


REST = account(999)


@st.composite
def whole_splits(draw: st.DrawFn, shares_max: int = MAX_SHARES) -> Split:
    """Basis points that make the whole, by cutting it at random places."""
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), max_size=shares_max - 1)))
    rates = [upper - lower for lower, upper in zip([0, *cuts], [*cuts, 10_000], strict=True)]
    return Split(1, "EUR", tuple(Share(account(number), rate) for number, rate in enumerate(rates)))


@st.composite
def splits_with_rest(draw: st.DrawFn) -> Split:
    whole = draw(whole_splits(shares_max=8))
    fixed = st.integers(0, 100) | st.integers(0, MAX_MINOR)
    shares = tuple(share._replace(fixed_minor=draw(fixed)) for share in whole.shares[: draw(st.integers(1, 8))])
    return whole._replace(shares=shares, remainder_to=REST)


def _parts(division: Split, amount_minor: int) -> dict[bytes, int]:
    postings = split(division, Money(amount_minor, "EUR"))
    assert not isinstance(postings, SplitRefusal)
    assert all(posting.amount_minor > 0 and posting.currency == "EUR" for posting in postings)
    return {posting.account: posting.amount_minor for posting in postings}


@given(whole_splits(), amounts)
def test_largest_remainder_is_exact_and_within_one_of_the_quota(division: Split, amount_minor: int) -> None:
    assert split_problem(division) is None
    parts = _parts(division, amount_minor)
    assert sum(parts.values()) == amount_minor
    for share in division.shares:
        quota = Fraction(amount_minor * share.basis_points, 10_000)
        assert quota.__floor__() <= parts.get(share.account, 0) <= quota.__ceil__()


@given(whole_splits(shares_max=4), st.integers(1, 300))
def test_largest_remainder_is_nearest_to_the_quotas(division: Split, amount_minor: int) -> None:
    """Of all ways to give out what is missing, none is nearer; of the nearest, the earlier shares get more."""
    quotas = [Fraction(amount_minor * share.basis_points, 10_000) for share in division.shares]
    ways = (tuple(map(sum, zip((q.__floor__() for q in quotas), extra, strict=True)))
            for extra in product((1, 0), repeat=len(quotas)))  # fmt: skip
    exact = [way for way in ways if sum(way) == amount_minor]
    nearest = min(sum((part - quota) ** 2 for part, quota in zip(way, quotas, strict=True)) for way in exact)
    expected = next(w for w in exact if sum((p - q) ** 2 for p, q in zip(w, quotas, strict=True)) == nearest)
    parts = _parts(division, amount_minor)
    assert tuple(parts.get(share.account, 0) for share in division.shares) == expected


@given(splits_with_rest(), amounts)
def test_a_named_account_gets_all_that_is_left(division: Split, amount_minor: int) -> None:
    assert split_problem(division) is None
    wanted = {s.account: s.fixed_minor + int(Fraction(amount_minor * s.basis_points, 10_000)) for s in division.shares}
    left = amount_minor - sum(wanted.values())
    if left < 0:
        assert split(division, Money(amount_minor, "EUR")) is SplitRefusal.SHARES_EXCEED_AMOUNT
    else:
        parts = _parts(division, amount_minor)
        assert parts == {each: part for each, part in (wanted | {REST: left}).items() if part}


@given(splits_with_rest(), amounts, amounts)
def test_with_a_named_remainder_nobody_gets_less_of_more(division: Split, one: int, other: int) -> None:
    less, more = (split(division, Money(minor, "EUR")) for minor in sorted((one, other)))
    assume(not isinstance(less, SplitRefusal))
    assert not isinstance(less, SplitRefusal)
    assert not isinstance(more, SplitRefusal)
    after = {posting.account: posting.amount_minor for posting in more}
    assert all(posting.amount_minor <= after[posting.account] for posting in less)


def test_the_largest_split_fits_a_journal() -> None:
    assert 1 + MAX_SHARES + 1 == MAX_LEGS


THIRDS = Split(1, "EUR", (Share(account(1), 3333), Share(account(2), 3333), Share(account(3), 3334)))


@pytest.mark.parametrize(
    ("division", "amount_minor", "expected"),
    [
        (THIRDS, 100, [33, 33, 34]),
        (THIRDS, 1, [1]),
        (THIRDS, 2, [1, 1]),
        (THIRDS, MAX_MINOR, [333_300_000_000_000, 333_300_000_000_000, 333_399_999_999_999]),
        (Split(1, "EUR", (Share(account(1), 5000), Share(account(2), 5000))), 1, [1]),  # a tie: the earlier one
        (Split(1, "EUR", (Share(account(1), fixed_minor=7),), REST), 7, [7]),
    ],
)
def test_divisions(division: Split, amount_minor: int, expected: list[int]) -> None:
    assert list(_parts(division, amount_minor).values()) == expected


def test_a_tie_goes_to_the_earlier_share() -> None:
    halves = Split(1, "EUR", (Share(account(1), 5000), Share(account(2), 5000)))
    assert split(halves, Money(3, "EUR")) == (Posting(account(1), 2, "EUR"), Posting(account(2), 1, "EUR"))


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        (Money(0, "EUR"), SplitRefusal.AMOUNT_INVALID),
        (Money(MAX_MINOR + 1, "EUR"), SplitRefusal.AMOUNT_INVALID),
        (Money(100, "USD"), SplitRefusal.CURRENCY_MISMATCH),
    ],
)
def test_refused_amounts(amount: Money, refusal: SplitRefusal) -> None:
    assert split(THIRDS, amount) is refusal


@pytest.mark.parametrize(
    ("division", "problem"),
    [
        (THIRDS._replace(version=0), SplitProblem.VERSION_NOT_POSITIVE),
        (THIRDS._replace(currency="XXX"), SplitProblem.CURRENCY_UNKNOWN),
        (THIRDS._replace(shares=()), SplitProblem.SHARE_COUNT),
        (
            THIRDS._replace(shares=tuple(Share(account(n)) for n in range(MAX_SHARES + 1)), remainder_to=REST),
            SplitProblem.SHARE_COUNT,
        ),
        (THIRDS._replace(shares=THIRDS.shares + THIRDS.shares[:1]), SplitProblem.ACCOUNT_REPEATED),
        (THIRDS._replace(remainder_to=account(1)), SplitProblem.ACCOUNT_REPEATED),
        (THIRDS._replace(shares=(Share(account(1), -1),), remainder_to=REST), SplitProblem.NEGATIVE),
        (THIRDS._replace(shares=(Share(account(1), 0, -1),), remainder_to=REST), SplitProblem.NEGATIVE),
        (THIRDS._replace(shares=(Share(account(1), 0, MAX_MINOR + 1),), remainder_to=REST), SplitProblem.TOO_LARGE),
        (THIRDS._replace(shares=(*THIRDS.shares, Share(account(4), 1))), SplitProblem.RATES_ABOVE_WHOLE),
        (THIRDS._replace(shares=(Share(account(1), 10_001),), remainder_to=REST), SplitProblem.RATES_ABOVE_WHOLE),
        (THIRDS._replace(shares=THIRDS.shares[:2]), SplitProblem.RATES_BELOW_WHOLE),
        (THIRDS._replace(shares=(Share(account(1), 10_000, 1),)), SplitProblem.FIXED_WITHOUT_REMAINDER),
        (THIRDS._replace(shares=THIRDS.shares[:2], remainder_to=REST), None),
    ],
)
def test_problems_of_a_split(division: Split, problem: SplitProblem | None) -> None:
    assert split_problem(division) is problem

"""One amount over several accounts: a split is versioned data, validated once when it is loaded; `split` applies it.

A share is rounded down, always, and the remainder rule says who gets what that leaves: the sum is the amount, exactly.
"""

from enum import StrEnum
from typing import NamedTuple

from payments.money import EXPONENTS, MAX_MINOR, Money
from payments.postings import Posting
from payments.terms.fees import BASIS_POINTS

MAX_SHARES = 62
"""With the payer and the remainder they fill a journal (`payments.movements.journals.MAX_LEGS`)."""


class Share(NamedTuple):
    """What one account gets: a fixed part and basis points of the whole amount."""

    account: bytes
    basis_points: int = 0
    fixed_minor: int = 0


class Split(NamedTuple):
    """Shares in one currency, and who gets the remainder."""

    version: int
    currency: str
    shares: tuple[Share, ...]
    remainder_to: bytes | None = None
    """The account that gets all that the shares leave. None: largest remainder (Hamilton), for basis points alone that
    make the whole; each missing minor unit goes to the share that rounding cut most, the earlier one on a tie.
    """


class SplitProblem(StrEnum):
    """Why a split can't be used."""

    VERSION_NOT_POSITIVE = "version_not_positive"
    CURRENCY_UNKNOWN = "currency_unknown"
    SHARE_COUNT = "share_count"
    """There must be 1 to 62 shares."""
    ACCOUNT_REPEATED = "account_repeated"
    """An account has two shares, or a share and the remainder."""
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"
    """A fixed part above `payments.money.MAX_MINOR`."""
    RATES_ABOVE_WHOLE = "rates_above_whole"
    """The basis points sum to more than 10,000."""
    RATES_BELOW_WHOLE = "rates_below_whole"
    """Nobody is named for the remainder, and the basis points sum to less than 10,000."""
    FIXED_WITHOUT_REMAINDER = "fixed_without_remainder"
    """Fixed parts need an account that gets the remainder."""


class SplitRefusal(StrEnum):
    """Why a valid split can't be applied to this amount."""

    AMOUNT_INVALID = "amount_invalid"
    CURRENCY_MISMATCH = "currency_mismatch"
    SHARES_EXCEED_AMOUNT = "shares_exceed_amount"


def split_problem(division: Split) -> SplitProblem | None:
    """The first problem of the split, or None: then `split` may be called with it."""
    if division.version <= 0:
        return SplitProblem.VERSION_NOT_POSITIVE
    if division.currency not in EXPONENTS:
        return SplitProblem.CURRENCY_UNKNOWN
    if not 1 <= len(division.shares) <= MAX_SHARES:
        return SplitProblem.SHARE_COUNT
    accounts = [share.account for share in division.shares] + [division.remainder_to]
    if len(set(accounts)) < len(accounts):
        return SplitProblem.ACCOUNT_REPEATED
    return _values_problem(division)


def _values_problem(division: Split) -> SplitProblem | None:
    fixed = [share.fixed_minor for share in division.shares]
    rates = [share.basis_points for share in division.shares]
    if min(fixed + rates) < 0:
        return SplitProblem.NEGATIVE
    if max(fixed) > MAX_MINOR:
        return SplitProblem.TOO_LARGE
    if sum(rates) > BASIS_POINTS:
        return SplitProblem.RATES_ABOVE_WHOLE
    if division.remainder_to is not None:
        return None
    if any(fixed):
        return SplitProblem.FIXED_WITHOUT_REMAINDER
    return SplitProblem.RATES_BELOW_WHOLE if sum(rates) < BASIS_POINTS else None


def split(division: Split, amount: Money) -> tuple[Posting, ...] | SplitRefusal:
    """The credits under a valid split, in the order of its shares, then the remainder. A leg of nothing is left out."""
    if amount.currency != division.currency:
        return SplitRefusal.CURRENCY_MISMATCH
    if not 0 < amount.minor <= MAX_MINOR:
        return SplitRefusal.AMOUNT_INVALID
    accounts = [share.account for share in division.shares]
    parts = [share.fixed_minor + amount.minor * share.basis_points // BASIS_POINTS for share in division.shares]
    left_minor = amount.minor - sum(parts)
    if left_minor < 0:
        return SplitRefusal.SHARES_EXCEED_AMOUNT
    if division.remainder_to is not None:
        accounts.append(division.remainder_to)
        parts.append(left_minor)
    else:
        for index in _most_cut(division.shares, amount.minor)[:left_minor]:
            parts[index] += 1
    return tuple(Posting(account, part, amount.currency) for account, part in zip(accounts, parts, strict=True) if part)


def _most_cut(shares: tuple[Share, ...], amount_minor: int) -> list[int]:
    """Places of the shares by what rounding down took from them, the most first."""
    return sorted(range(len(shares)), key=lambda index: -(amount_minor * shares[index].basis_points % BASIS_POINTS))

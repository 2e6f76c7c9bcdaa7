"""The file of rates and fee schedules: read again when it has changed, so that terms change without a restart.

Guarantees: what can't be read or is not valid changes nothing; the terms of before stay in force, and the log says why.
"""

import logging
import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from payments.terms.fees import ChargeBearer, FeeSchedule, Tier, Tiering, fee_schedule_problem
from payments.terms.fx import FixedSide, Quote, Rate, quote_problem, rate_of
from payments.terms.rounding import Rounding

LOGGER: Final = logging.getLogger("millrace.terms")
_QUOTE_S_MAX: Final = 3_600
_SAMPLE_ID: Final = bytes(16)


class _RateLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    sell: str
    buy: str
    rate: str
    spread_basis_points: int = 0


class _TierLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    basis_points: int = 0
    flat_minor: int = 0
    up_to_minor: int | None = None


class _FeeLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    version: int
    currency: str
    tiers: list[_TierLine]
    bearer: ChargeBearer = ChargeBearer.PAYER
    tiering: Tiering = Tiering.SLAB
    minimum_minor: int = 0
    maximum_minor: int | None = None
    rounding: Rounding = Rounding.HALF_EVEN


class _Document(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    quote_s: int = 30
    rounding: Rounding = Rounding.HALF_EVEN
    rates: list[_RateLine] = []
    fees: list[_FeeLine] = []


class Offer(NamedTuple):
    """What one currency costs in another."""

    rate: Rate
    spread_basis_points: int


class Terms(NamedTuple):
    """What is in force."""

    quote_s: int = 30
    """How long a quote is good."""
    rounding: Rounding = Rounding.HALF_EVEN
    offers: dict[tuple[str, str], Offer] = {}  # noqa: RUF012 - never changed in place
    """(sell, buy) → offer; a pair that is stated one way is offered both ways."""
    fees: dict[tuple[str, str], FeeSchedule] = {}  # noqa: RUF012 - never changed in place
    """(name, currency) → schedule."""


class TermsFault(ValueError):
    """The file is not what it should be; the text says where."""


class TermsFile:
    """The terms of a file. Without one there are neither rates nor fees."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._terms = Terms()

    def current(self) -> Terms:
        """What is in force now: one look at the file's time and size, 2 µs."""
        if self._path is None:
            return self._terms
        try:
            stat = self._path.stat()
            seen = stat.st_mtime_ns, stat.st_size
            if seen != self._seen:
                self._seen = seen
                self._terms = parse_terms(self._path.read_text())
        except (OSError, UnicodeError, TermsFault) as fault:
            LOGGER.error("%s: %s; the terms of before stay in force", self._path, fault)
        return self._terms


def parse_terms(text: str) -> Terms:
    """The terms of a document. Raises TermsFault."""
    try:
        document = msgspec.convert(tomllib.loads(text), _Document)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise TermsFault(str(fault)) from fault
    if not 1 <= document.quote_s <= _QUOTE_S_MAX:
        raise TermsFault(f"quote_s: 1 to {_QUOTE_S_MAX} seconds, not {document.quote_s}")
    offers: dict[tuple[str, str], Offer] = {}
    for line in document.rates:
        offer = _offer(line)
        offers[line.sell, line.buy] = offer
        offers.setdefault((line.buy, line.sell), offer._replace(rate=offer.rate.inverse))
    fees = {(line.name, line.currency): _schedule(line) for line in document.fees}
    return Terms(document.quote_s, document.rounding, offers, fees)


def _offer(line: _RateLine) -> Offer:
    named = f"rate {line.sell}/{line.buy}"
    try:
        rate = rate_of(Decimal(line.rate))
    except InvalidOperation:
        raise TermsFault(f"{named}: {line.rate!r} is not a decimal") from None
    if not isinstance(rate, Rate):
        raise TermsFault(f"{named}: {rate}")
    sample = Quote(_SAMPLE_ID, line.sell, line.buy, rate, line.spread_basis_points, 0, FixedSide.SELL)
    problem = quote_problem(sample)
    if problem is not None:
        raise TermsFault(f"{named}: {problem}")
    return Offer(rate, line.spread_basis_points)


def _schedule(line: _FeeLine) -> FeeSchedule:
    stated: dict[str, Any] = msgspec.structs.asdict(line)
    stated.pop("name")
    stated["tiers"] = tuple(Tier(tier.up_to_minor, tier.basis_points, tier.flat_minor) for tier in line.tiers)
    schedule = FeeSchedule(**stated)
    problem = fee_schedule_problem(schedule)
    if problem is not None:
        raise TermsFault(f"fee {line.name} {line.currency}: {problem}")
    return schedule

"""One payment at the moment of its decision, beside the state of its account: what rules read as features.

Each property is a feature; docs/risk.md shows its name, type and docstring. History is from before the payment.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from payments.risk import signals
from payments.risk.activity import Key, Keys
from payments.risk.distinct import count, is_remembered
from payments.risk.limits import Limits, Usage, usage_at
from payments.risk.signals import UNKNOWN_COUNTRIES, Countries
from payments.risk.state import RiskState
from payments.risk.windows import SPANS, inside, total

NOTHING_PUBLISHED: Mapping[str, int] = {}


class PaymentKind(StrEnum):
    """What rules call a movement."""

    TRANSFER = "transfer"
    WITHDRAWAL = "withdrawal"
    HOLD = "hold"
    PAYOUT = "payout"


class Attempt(NamedTuple):
    """A payment that is about to be decided."""

    time_us: int
    """Broker time, microseconds since 1970 (UTC)."""

    amount_minor: int
    """Of a hold that is raised: all of it, with what was captured."""

    currency: str
    keys: Keys
    kind: PaymentKind = PaymentKind.TRANSFER
    available_minor: int = 0
    """Of the payer, before this payment."""

    countries: Countries = UNKNOWN_COUNTRIES
    published: Mapping[str, int] = NOTHING_PUBLISHED
    """Features of its payee, card, device and IP address by name, as last published; what is missing is 0."""

    before_minor: int = 0
    """What of the amount was authorised before: it counts for this payment, and no more for the day and the month."""

    @property
    def added_minor(self) -> int:
        """What this attempt would reserve."""
        return self.amount_minor - self.before_minor


class Moment:
    """Windows are unpacked once, when a rule first asks for them."""

    __slots__ = ("_attempt", "_limits", "_state", "_threshold_minor", "_unpacked")

    def __init__(self, attempt: Attempt, state: RiskState, limits: Limits, threshold_minor: int | None) -> None:
        """`limits`: the lower of the account's and its tier's; `threshold_minor`: from which a payment is reported."""
        self._attempt = attempt
        self._state = state
        self._limits = limits
        self._threshold_minor = threshold_minor
        self._unpacked: dict[int, tuple[int, ...]] = {}

    @property
    def amount_minor(self) -> int:
        """Amount of this payment; of a hold that is raised, all of it."""
        return self._attempt.amount_minor

    @property
    def currency(self) -> str:
        """Its currency, ISO 4217."""
        return self._attempt.currency

    @property
    def kind(self) -> str:
        """Kind of movement: transfer, withdrawal, hold (placed or raised), payout."""
        return self._attempt.kind.value

    @property
    def hour_utc(self) -> int:
        """Hour of the day, 0 to 23, UTC."""
        return self._attempt.time_us // 3_600_000_000 % 24

    @property
    def weekday_utc(self) -> int:
        """1 (Monday) to 7 (Sunday), UTC."""
        return (self._attempt.time_us // 86_400_000_000 + 3) % 7 + 1  # 1 January 1970 was a Thursday

    @property
    def payer_country(self) -> str:
        """Country of the payer, ISO 3166-1 alpha-2; empty where unknown."""
        return self._attempt.countries.payer

    @property
    def payee_country(self) -> str:
        """Country of the payee, likewise."""
        return self._attempt.countries.payee

    @property
    def card_country(self) -> str:
        """Country of the card's issuer, likewise."""
        return self._attempt.countries.card

    @property
    def ip_country(self) -> str:
        """Country of the IP address, likewise."""
        return self._attempt.countries.ip

    @property
    def distinct_countries(self) -> int:
        """How many different ones of these four are known."""
        return signals.distinct_countries(self._attempt.countries)

    @property
    def available_minor(self) -> int:
        """Available balance of the account."""
        return self._attempt.available_minor

    @property
    def kyc_tier(self) -> int:
        """0 unverified, 1 basic, 2 verified, 3 enhanced."""
        return int(self._state.tier)

    @property
    def limit_per_transaction_minor(self) -> int:
        """Most that may be paid at once: the lower of the account's limit and its tier's; 2⁶³ − 1 is none."""
        return self._limits.per_transaction_minor

    @property
    def limit_daily_minor(self) -> int:
        """Most that may be paid in a UTC day, likewise."""
        return self._limits.daily_minor

    @property
    def limit_monthly_minor(self) -> int:
        """Most that may be paid in a UTC month, likewise."""
        return self._limits.monthly_minor

    @property
    def spent_today_minor(self) -> int:
        """Reserved in this UTC day."""
        return self._usage().day_minor

    @property
    def spent_this_month_minor(self) -> int:
        """Reserved in this UTC month."""
        return self._usage().month_minor

    @property
    def payee_is_new(self) -> bool:
        """Nothing was ever reserved for this payee, or for 64 others since."""
        return not is_remembered(self._state.habits.payees, self._attempt.keys[Key.PAYEE])

    @property
    def dormant_days(self) -> int:
        """Days without a payment until now, or until the account woke in the last 24 hours; 0 where below 30."""
        return signals.dormant_days(self._state.habits, self._attempt.time_us)

    @property
    def is_just_under_threshold(self) -> bool:
        """The amount is at least 90 % of the reporting threshold of its currency, and below it."""
        return signals.is_just_under(self._attempt.amount_minor, self._threshold_minor)

    @property
    def just_under_threshold_24h(self) -> int:
        """Payments of the last 24 hours whose money was reserved and that were just under the threshold."""
        return signals.just_under_24h(self._state.habits, self._attempt.time_us)

    def measure(self, place: int, index: int) -> int:
        """Of the account's window at this place in SPANS, by index in Totals."""
        buckets = self._unpacked.get(place)
        if buckets is None:
            window = self._state.activity.windows[place]
            buckets = self._unpacked[place] = inside(window, SPANS[place], self._attempt.time_us)
        return total(buckets, index)

    def distinct(self, kind: Key, place: int) -> int:
        """Different keys of this kind that the account used in the window at this place in SPANS."""
        return count(self._state.activity.seen[kind], SPANS[place], self._attempt.time_us)

    def last_published(self, name: str) -> int:
        """Of a feature that spans accounts."""
        return self._attempt.published.get(name, 0)

    def _usage(self) -> Usage:
        return usage_at(self._state.usage, self._attempt.time_us)

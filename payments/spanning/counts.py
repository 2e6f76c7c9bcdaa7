"""Features that span accounts: what is counted of a payee, card, device or address over all accounts, and published.

The shard of the key counts (`Counts`), from what the payers' shards tell it, and publishes to those that asked lately;
a payer's shard keeps what it was told last (`Learned`), and its rules read that. So a rule sees what was known, never
what is: the entry of the payment records the values that were used.

A publication goes out when the last one is PUBLISH_EVERY_US old, or when a value has doubled since: for each key and
shard at most one a second and one for each doubling, 20 from the first payment to the millionth, and what is not told
yet is less than what was. Size of `Counts`: activity 3,040, sums of 4 currencies 5,824, 64 askers 1,900, last values
700: at most 11.5 kB, and 500 bytes for a card that is used once a day.
"""

from typing import Final, NamedTuple, TypeVar

import msgspec

from payments.risk.activity import NO_ACTIVITY, Activity, Attempted, Key, observe
from payments.risk.features import FEATURES, Feature, published
from payments.risk.windows import SPANS, add

PUBLISH_EVERY_US: Final = 1_000_000
ASKED_US: Final = 3_600 * 10**6
"""A shard that no payment with this key has passed for an hour is told no more."""

MAX_ASKERS: Final = 64
"""The shards of a large installation; beyond it those that asked last are told."""

MAX_CURRENCIES: Final = 4
"""Currencies whose sums are kept of one key, those used last."""

SUMS: Final = frozenset(feature.position for feature in FEATURES.values() if "_minor_" in feature.name)
"""Of one currency; all other values are of all payments."""

COUNTS: Final = ""
"""In place of a currency: what is of all payments."""

_LENGTH_US = {
    feature.position: next(span for span in SPANS if feature.name.endswith(f"_{span.name}")).length_us
    for feature in FEATURES.values()
    if feature.of is not None
}
_NAMES = {feature.position: feature.name for feature in FEATURES.values()}

Values = dict[int, int]
"""By position of the feature; what is 0 is left out."""

Kept = TypeVar("Kept")


class Asker(NamedTuple):
    """A shard that has a payment with the key, and an account by which a message finds it."""

    shard: int
    account: bytes
    asked_at_us: int


class Counts(NamedTuple):
    """Of one key, at its shard."""

    activity: Activity = NO_ACTIVITY
    sums: dict[str, tuple[bytes, ...]] = {}  # noqa: RUF012 - never changed in place
    """Windows of the payments of one currency, the one used last at the end."""
    published: dict[str, Values] = {}  # noqa: RUF012
    """By currency, and COUNTS: what all askers were told last."""
    published_at_us: int = 0
    askers: tuple[Asker, ...] = ()
    """The newest last."""


class Learned(NamedTuple):
    """What a payer's shard was told of one key."""

    at_us: dict[str, int] = {}  # noqa: RUF012
    values: dict[str, Values] = {}  # noqa: RUF012


def counted(counts: Counts, of: Key, attempted: Attempted, currency: str, asker: Asker) -> Counts:
    """After one attempt of which the asker's shard has told."""
    windows = counts.sums.get(currency, (b"",) * len(SPANS))
    time_us, amount_minor, _, approved, _ = attempted
    windows = tuple(
        add(window, span, time_us, amount_minor, approved=approved) for window, span in zip(windows, SPANS, strict=True)
    )
    others = [
        known
        for known in counts.askers
        if known.shard != asker.shard and asker.asked_at_us - known.asked_at_us < ASKED_US
    ]
    return counts._replace(
        activity=observe(counts.activity, of, attempted),
        sums=_newest(counts.sums, currency, windows),
        askers=(*others, asker)[-MAX_ASKERS:],
    )


def values_of(counts: Counts, of: Key, reads: tuple[Feature, ...], currency: str, now_us: int) -> Values:
    """What the rules read of this key, for payments in this currency."""
    in_currency = NO_ACTIVITY._replace(windows=counts.sums.get(currency, NO_ACTIVITY.windows))
    names = {feature.name: feature.position for feature in reads if feature.of is of}
    found = published(of, counts.activity, in_currency, now_us, names)
    return {position: found[name] for name, position in names.items() if found[name]}


def to_tell(before: Counts, after: Counts, values: Values, currency: str) -> tuple[Asker, ...]:
    """Who is told these values now: all askers, one that is new alone, or nobody."""
    asker = after.askers[-1]
    told = before.published.get(COUNTS, {}) | before.published.get(currency, {})
    is_old = asker.asked_at_us - before.published_at_us >= PUBLISH_EVERY_US
    if is_old or any(value >= 2 * told.get(position, 0) for position, value in values.items()):
        return after.askers
    is_known = any(
        known.shard == asker.shard and asker.asked_at_us - known.asked_at_us < ASKED_US for known in before.askers
    )
    return () if is_known else (asker,)


def told(counts: Counts, values: Values, currency: str, at_us: int) -> Counts:
    """After all askers were told."""
    said = dict(counts.published)
    for scope, theirs in _by_scope(values, currency).items():
        said = _newest(said, scope, theirs)
    return counts._replace(published=said, published_at_us=at_us)


def learn(learned: Learned, values: Values, currency: str, at_us: int) -> Learned:
    """After a publication, made at this time of the key's shard."""
    times, known = learned
    for scope, theirs in _by_scope(values, currency).items():
        times, known = _newest(times, scope, at_us), _newest(known, scope, theirs)
    return Learned(times, known)


def known_of(learned: Learned, currency: str, now_us: int) -> dict[str, int]:
    """Features by name for a payment in this currency. A value as old as its window is 0: more would have been told."""
    return {
        _NAMES[position]: value
        for scope in (COUNTS, currency)
        for position, value in learned.values.get(scope, {}).items()
        if now_us - learned.at_us[scope] < _LENGTH_US[position]
    }


def encode(state: Counts | Learned) -> bytes:
    """Canonical: what was evolved alike has equal bytes."""
    return _ENCODER.encode(state)


def decode_counts(stored: bytes) -> Counts:
    """Raises msgspec.DecodeError: a bug, or tampering."""
    return _COUNTS.decode(stored)


def decode_learned(stored: bytes) -> Learned:
    """Raises msgspec.DecodeError: a bug, or tampering."""
    return _LEARNED.decode(stored)


def _by_scope(values: Values, currency: str) -> dict[str, Values]:
    sums = {position: value for position, value in values.items() if position in SUMS}
    return {COUNTS: {position: value for position, value in values.items() if position not in SUMS}, currency: sums}


def _newest(by_currency: dict[str, Kept], currency: str, value: Kept) -> dict[str, Kept]:
    """With this one at the end. The counts are always kept, and the currencies used last."""
    kept = {scope: known for scope, known in by_currency.items() if scope != currency}
    kept[currency] = value
    while len(kept) - (COUNTS in kept) > MAX_CURRENCIES:
        del kept[next(scope for scope in kept if scope != COUNTS)]
    return kept


_ENCODER = msgspec.msgpack.Encoder()
_COUNTS = msgspec.msgpack.Decoder(Counts)
_LEARNED = msgspec.msgpack.Decoder(Learned)

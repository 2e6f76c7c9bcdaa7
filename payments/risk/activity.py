"""The activity of one key: an account, a payee, a card token, a device or an IP address.

An account's own activity is part of its state, at its partition. Those of the other keys span accounts: an agent keyed
by the key evolves the same `Activity` from the same attempts and publishes what it holds (features.published); the
deciding agent uses the values last published to it, and the verdict records them.
"""

from enum import IntEnum
from typing import NamedTuple

from payments.risk.distinct import see
from payments.risk.windows import SPANS, add


class Key(IntEnum):
    """What a payment is counted by. The value is the place in `Attempted.keys` and in stored state: append only."""

    ACCOUNT = 0
    """The paying account."""

    PAYEE = 1
    CARD = 2
    DEVICE = 3
    IP = 4


Keys = tuple[bytes, ...]
"""By `Key`: eight bytes, or empty where it is not known. That of a card token, a device or an address is a keyed hash,
made where the payment is taken in: a hash without a secret is as good as the address.
"""


class Attempted(NamedTuple):
    """What the ledger says of one payment that was assessed."""

    time_us: int
    """Broker time, microseconds since 1970 (UTC)."""

    amount_minor: int
    keys: Keys
    approved: bool
    """Its money was reserved, be it for a review."""

    just_under_threshold: bool = False
    """Just under the reporting threshold of the rule set that was in force."""


class Activity(NamedTuple):
    """At most 4 windows × 364 bytes + 4 kinds of keys × 396 bytes = 3,040 bytes."""

    windows: tuple[bytes, ...] = (b"",) * len(SPANS)
    """By place in SPANS."""

    seen: Keys = (b"",) * len(Key)
    """The other keys that occurred with this one in the last 24 hours, by `Key`."""


NO_ACTIVITY = Activity()


def key_of_account(account_id: bytes) -> bytes:
    """The eight bytes that stand for an account: the random half of a UUID, the code of a system account."""
    return account_id[8:]


def observe(activity: Activity, of: Key, attempted: Attempted) -> Activity:
    """The activity of this kind of key after one attempt."""
    time_us, amount_minor, keys, approved, _ = attempted
    windows = zip(activity.windows, SPANS, strict=True)
    return Activity(
        tuple([add(window, span, time_us, amount_minor, approved=approved) for window, span in windows]),
        tuple([see(activity.seen[kind], keys[kind], time_us) if kind != of else b"" for kind in Key]),
    )

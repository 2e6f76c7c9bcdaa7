"""What is kept of one account, evolved from what its ledger entries record and from nothing else.

`encode` and `decode` are for the disk and for snapshots: a version byte, then MessagePack of the fields in order. Size:
activity 3,040 + habits 903 + usage 22 + limits 27 + headers, below MAX_STATE_BYTES; an account with a payment a day
takes about 750 (1,350 in memory).
"""

from typing import NamedTuple

import msgspec

from payments.errors import UndecodableRecord
from payments.risk.activity import NO_ACTIVITY, Activity, Attempted, Key, observe
from payments.risk.limits import UNLIMITED, UNUSED, Limits, Tier, Usage, spend
from payments.risk.signals import NO_HABITS, Habits, learn
from payments.risk.windows import SPANS

MAX_STATE_BYTES = 4_096

_VERSION = b"\x01"


class RiskState(NamedTuple):
    """Of one paying account."""

    activity: Activity = NO_ACTIVITY
    habits: Habits = NO_HABITS
    usage: Usage = UNUSED
    limits: Limits = UNLIMITED
    """The account's own."""

    tier: Tier = Tier.UNVERIFIED


class LimitsSet(NamedTuple):
    """The account has these limits of its own from now on."""

    limits: Limits


class TierSet(NamedTuple):
    """The customer was verified to this tier, or is no longer."""

    tier: Tier


Fact = Attempted | LimitsSet | TierSet
"""What a ledger entry records."""

NEW = RiskState()
"""Of an account of which nothing is recorded."""


def evolve(state: RiskState, fact: Fact) -> RiskState:
    """The state after a recorded fact: the only way it changes, live and on replay alike.

    For an account time never runs backwards: what comes late counts at the newest time.
    """
    if isinstance(fact, LimitsSet):
        return state._replace(limits=fact.limits)
    if isinstance(fact, TierSet):
        return state._replace(tier=fact.tier)
    if fact.time_us < state.habits.last_attempt_us:
        fact = fact._replace(time_us=state.habits.last_attempt_us)
    return RiskState(
        observe(state.activity, Key.ACCOUNT, fact),
        learn(state.habits, fact),
        spend(state.usage, fact.time_us, fact.amount_minor) if fact.approved else state.usage,
        state.limits,
        state.tier,
    )


def encode(state: RiskState) -> bytes:
    """Canonical: equal states give equal bytes."""
    return _VERSION + _ENCODER.encode(state)


def decode(stored: bytes) -> RiskState:
    """Raises UndecodableRecord: a bug or tampering."""
    if stored[:1] != _VERSION:
        raise UndecodableRecord(f"risk state of version {stored[:1].hex() or 'none'}, not {_VERSION.hex()}")
    try:
        state: RiskState = _DECODER.decode(memoryview(stored)[1:])
    except msgspec.DecodeError as error:
        raise UndecodableRecord(f"risk state: {error}") from error
    if len(state.activity.windows) != len(SPANS) or len(state.activity.seen) != len(Key):
        raise UndecodableRecord("risk state: another number of windows or keys than this version keeps")
    return state


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(RiskState)

"""The verdict on one payment: allow, review or deny, why, by which rules, and on which values of features.

It is what the ledger records of risk beside the entry: enough to explain the decision without the state it met, to
decide it again from the recorded values, and to evolve the state. `encode` is canonical: equal verdicts, equal bytes.

Size: 40 bytes for a payment that no rule hit and whose rules read five features; at most MAX_VERDICT_BYTES.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

import msgspec

from payments.errors import UndecodableRecord
from payments.risk.activity import Attempted, Key, Keys
from payments.risk.features import AT_POSITION, FEATURES, Value
from payments.risk.limits import RiskReason

MAX_VERDICT_BYTES = 8_192
"""64 hits × (40 characters of a rule's id + 5) + 141 features × 12 + 64: 4,636 bytes, with room for another family."""

_VERSION = b"\x01"
_REASONS = tuple(RiskReason)
_NO_TOKENS = (b"",) * (len(Key) - Key.CARD)
"""Card, device and IP address; the keys of the two accounts follow from the ledger entry."""


class Outcome(IntEnum):
    """The strongest wins. The value is the wire value: append only."""

    ALLOW = 0
    REVIEW = 1
    DENY = 2


class Effect(IntEnum):
    """What became of a rule that hit. The value is the wire value: append only."""

    ACTIVE = 0
    SHADOW = 1
    """Recorded without effect."""

    EXEMPTED = 2
    """A review that an allow rule has set aside."""


class Hit(NamedTuple):
    """A rule whose condition held, or that failed: then it asks for a review, whatever its verdict was."""

    rule: str
    outcome: Outcome
    effect: Effect = Effect.ACTIVE
    failed: bool = False


class Verdict(NamedTuple):
    """Of `assess`."""

    outcome: Outcome
    reasons: tuple[RiskReason, ...] = ()
    """Why it is held or denied, the one to answer with first; none where it is allowed."""

    rule_set: int = 0
    """Version of the rule set; 0 where there was none."""

    hits: tuple[Hit, ...] = ()
    """In the order of the rule set."""

    features: Mapping[str, Value] = {}
    """Values that the rules and limits read; a feature that was 0, false or empty is left out."""

    tokens: tuple[bytes, ...] = ()
    """Keys of card, device and IP address; none where none is known."""

    just_under_threshold: bool = False
    is_watched: bool = True
    """False where there was no rule set and no limit: then nothing is recorded, and no state is kept."""

    @property
    def reason(self) -> RiskReason | None:
        """The one to answer with."""
        return self.reasons[0] if self.reasons else None


UNWATCHED = Verdict(Outcome.ALLOW, is_watched=False)


def tokens_of(keys: Keys) -> tuple[bytes, ...]:
    """The keys that the verdict has to record."""
    tokens = keys[Key.CARD :]
    return tokens if any(tokens) else ()


def attempted(
    verdict: Verdict, *, time_us: int, amount_minor: int, payer: bytes, payee: bytes, approved: bool
) -> Attempted:
    """The fact to evolve from, of a verdict that is watched and its ledger entry; `payer` and `payee` are keys."""
    keys = (payer, payee, *(verdict.tokens or _NO_TOKENS))
    return Attempted(time_us, amount_minor, keys, approved, verdict.just_under_threshold)


def encode(verdict: Verdict) -> bytes:
    """For the ledger: a version byte, then MessagePack; nothing at all where it is not watched."""
    if not verdict.is_watched:
        return b""
    reasons = [_REASONS.index(reason) for reason in verdict.reasons]
    features = sorted((FEATURES[name].position, value) for name, value in verdict.features.items())
    packed = verdict.outcome, reasons, verdict.rule_set, verdict.hits, features, verdict.tokens
    return _VERSION + _ENCODER.encode((*packed, verdict.just_under_threshold))


def decode(recorded: bytes) -> Verdict:
    """Raises UndecodableRecord: a bug or tampering."""
    if not recorded:
        return UNWATCHED
    if recorded[:1] != _VERSION:
        raise UndecodableRecord(f"verdict of version {recorded[:1].hex()}, not {_VERSION.hex()}")
    try:
        outcome, reasons, rule_set, hits, features, tokens, just_under = _DECODER.decode(memoryview(recorded)[1:])
        values = {AT_POSITION[position].name: value for position, value in features}
        named = tuple(_REASONS[place] for place in reasons)
    except (msgspec.DecodeError, LookupError) as error:
        raise UndecodableRecord(f"verdict: {error}") from error
    return Verdict(outcome, named, rule_set, hits, values, tokens, just_under)


_Packed = tuple[Outcome, tuple[int, ...], int, tuple[Hit, ...], tuple[tuple[int, Value], ...], tuple[bytes, ...], bool]
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Packed)

"""Records between shards: what each shard must have sent, beside what lies on the topic of the receiver.

Keeps sixteen bytes of digest per packed record on either side. Guarantees that every record on a lane is the one that
its origin's decisions make, byte for byte, that none is missing, and that none came from elsewhere.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import Message

from millrace.audit.report import Differs, Invariant
from payments.entries import Credit
from schemas.codec.credits import CreditBatch, encode_credits
from schemas.codec.ledger import Lane

SENT_OF = {Lane.CREDITS_RECEIVED: Lane.CREDITS_SENT, Lane.RETURNS_RECEIVED: Lane.RETURNS_SENT}


class LaneKey(NamedTuple):
    """A lane by its sending end."""

    lane: Lane
    origin: int
    destination: int


class LaneLog:
    """Both ends of every lane between the shards."""

    def __init__(self) -> None:
        self._sent: defaultdict[LaneKey, dict[int, bytes]] = defaultdict(dict)
        self._unknown: defaultdict[LaneKey, int] = defaultdict(int)
        self._found: defaultdict[LaneKey, dict[int, tuple[bytes, str]]] = defaultdict(dict)
        self._kept_from_start: dict[tuple[Lane, int], bool] = {}
        self.records = 0

    def send(self, key: LaneKey, sequence: int, credits: list[Credit]) -> None:
        """The origin's decisions make this record."""
        value = encode_credits(CreditBatch(key.origin, sequence, credits))
        self._sent[key][sequence] = _digest(value)

    def sent_unseen(self, key: LaneKey, following: int) -> None:
        """The origin counted up to here, but its inputs are no longer kept, so the content is not known."""
        self._unknown[key] = following

    def receive(self, lane: Lane, destination: int, batch: CreditBatch, message: Message) -> None:
        """This record lies on the receiver's partition. Raises Differs where its number came before."""
        key = LaneKey(SENT_OF[lane], batch.origin, destination)
        place = f"{message.topic()}[{destination}] offset {message.offset()}"
        if batch.sequence in self._found[key]:
            earlier = self._found[key][batch.sequence][1]
            raise Differs(Invariant.TRACE, place, "the next record of its lane", f"a repeat of {earlier}")
        self._found[key][batch.sequence] = _digest(message.value()), place
        self.records += 1

    def kept_from_start(self, lane: Lane, destination: int, complete: bool) -> None:
        """Whether retention has left the receiver's partition whole."""
        self._kept_from_start[SENT_OF[lane], destination] = complete

    def compare(self) -> None:
        """Raises Differs at the first record that was not sent as it is found, or was sent and is nowhere."""
        for key in sorted({*self._sent, *self._found}):
            _require_equal(key, self._sent[key], self._found[key], self._unknown[key])
            if self._kept_from_start.get((key.lane, key.destination), True):
                _require_present(key, self._sent[key], self._found[key])


def _require_equal(key: LaneKey, sent: dict[int, bytes], found: dict[int, tuple[bytes, str]], known_from: int) -> None:
    for sequence, (digest, place) in sorted(found.items()):
        if sequence >= known_from and sent.get(sequence) != digest:
            expected = f"record {sequence} of {key.lane.name} as the decisions of shard {key.origin} make it"
            raise Differs(Invariant.TRACE, place, expected, "another" if sequence in sent else "one never sent")


def _require_present(key: LaneKey, sent: Iterable[int], found: dict[int, tuple[bytes, str]]) -> None:
    for sequence in sorted(sent):
        if sequence not in found:
            place = f"{key.lane.name} from shard {key.origin} to shard {key.destination}"
            raise Differs(Invariant.ONE_OUTCOME, place, f"record {sequence}", "no such record on the topic")


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()

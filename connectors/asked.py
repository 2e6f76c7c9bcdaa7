"""What the ledger has asked a provider, word for word, out of the entry that did so.

Reads single records of ledger.entries; keeps nothing. The tables show no tokens, so whoever asks again takes the
request from where it was made.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

import psycopg
from confluent_kafka import KafkaException, Message

from payments.errors import UndecodableRecord
from payments.movements.deciding import requests_of
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_reader import AssignedReader, PositionLost
from schemas.codec.connectors import ConnectorRequest
from schemas.codec.ledger import decode_ledger_record
from schemas.topics import LEDGER

LOOK_S: Final = 1.0
AT_ONCE: Final = 5
"""Of what reconciliation asks for, a look: five a second, of the 20 searches and 100 reads a second that Stripe allows
an account, which payers need more.
"""

TROUBLES: Final = (psycopg.Error, KafkaException, AccessRefused, TimeoutError)
"""What a look may end with that another one may not."""

ANSWER_S: Final = 10.0
"""A record is read in some ms; a broker that restarts answers within seconds."""


class NotAsked(Exception):
    """The ledger does not ask a provider there. `str()` says where."""


class LedgerPlace(NamedTuple):
    """An entry of the ledger."""

    shard: int
    offset: int
    entry_index: int


class OwnedRequest(NamedTuple):
    """A first attempt, its record key, and when the ledger asked for it."""

    owner: bytes
    request: ConnectorRequest
    asked_at_us: int


class LedgerRequests:
    """Use `reading`."""

    def __init__(self, reader: AssignedReader) -> None:
        self._reader = reader

    @classmethod
    @contextmanager
    def reading(cls, brokers: Brokers, group: str) -> Iterator["LedgerRequests"]:
        """`group` names the reader to the brokers; nothing is committed."""
        with closing(AssignedReader(brokers, LEDGER.name, group)) as reader:
            yield cls(reader)

    def at(self, place: LedgerPlace, request_id: bytes) -> OwnedRequest:
        """Raises NotAsked, TimeoutError, AccessRefused, KafkaException."""
        named = f"{LEDGER.name}[{place.shard}] offset {place.offset} entry {place.entry_index}"
        try:
            entries = dict(decode_ledger_record(self._record(place).value() or b"").detailed())
        except (UndecodableRecord, PositionLost) as error:
            raise NotAsked(f"{named}: {error}") from error
        entry = entries.get(place.entry_index)
        if entry is not None:
            for owner, request in requests_of(entry):
                if request.request_id == request_id:
                    return OwnedRequest(owner, request, entry.decided_at_us)
        raise NotAsked(f"{named} does not ask a provider for {request_id.hex()}")

    def _record(self, place: LedgerPlace) -> Message:
        self._reader.start({place.shard: place.offset})
        give_up_at_s = time.monotonic() + ANSWER_S
        while time.monotonic() < give_up_at_s:
            record = self._reader.next_record(1.0)
            if record is not None and record.offset() == place.offset:
                return record
            if record is not None:
                raise NotAsked(f"{LEDGER.name}[{place.shard}] has no record at {place.offset}")
        raise TimeoutError(f"{LEDGER.name}[{place.shard}] did not answer for {ANSWER_S:.0f} s")

"""A ledger record → the public events of its entries, with their ids."""

from collections.abc import Iterator

from payments.errors import InvariantViolation, UndecodableRecord
from payments.events.changes import events_of
from payments.events.event import Event
from schemas.codec.ledger import PackedLedgerRecord
from schemas.events.codec import EventId


def told_of(record: PackedLedgerRecord) -> Iterator[tuple[EventId, Event]]:
    """In the order of the entries. Raises InvariantViolation: only our own agents write these records."""
    shard, sequence = record.header.shard, record.header.sequence
    try:
        for index, entry in enumerate(record.entries()):
            for number, event in enumerate(events_of(entry)):
                yield EventId(shard, sequence, index, number), event
    except UndecodableRecord as error:
        raise InvariantViolation(f"ledger record {sequence} of shard {shard}: {error}") from error

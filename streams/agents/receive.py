"""receive: takes the packed records of a lane between two shards, in turn, and hands over each credit in them.

A packed record was written by our own agents: one that does not decode, or is out of turn, is a bug and stops the
shard, because skipping a credit would strand money.
"""

from payments.entries import Source
from runtime.exactly_once.contract import Chunk
from schemas.codec.credits import decode_credits
from schemas.codec.ledger import Lane
from streams.agents.settle import settle_message
from streams.broker_time import broker_time_us
from streams.outbox import Outbox
from streams.shard import Shard


def receive(shard: Shard, chunk: Chunk, lane: Lane) -> None:
    """Settle every credit of one chunk. Raises UndecodableRecord and InvariantViolation."""
    outbox = Outbox(shard, chunk)
    for message in chunk.records:
        offset, time_us = message.offset(), broker_time_us(message)
        batch = decode_credits(message.value())
        outbox.received(shard.receive(lane, batch.origin, batch.sequence))
        for item, credit in enumerate(batch.credits):
            settle_message(shard, outbox, credit, Source(offset, item, time_us))
        outbox.cut_if_full(offset + 1)
    outbox.cut(chunk.next_offset)

"""conclude: takes a provider's answer to the journal that waits for it, which is posted, cancelled or waits on.

Reads connectors.results. Keeps the shard's book. Writes ledger.entries, payments.credits, replies. A result was written
by our own connectors: one that does not decode is a bug and stops the shard, because whoever skips it leaves money
unposted that has moved outside.
"""

from payments.entries import Source
from payments.movements import deciding
from runtime.exactly_once.contract import Chunk
from schemas.codec.connectors import decode_result
from streams.agents.settle import settle
from streams.broker_time import broker_time_us
from streams.outbox import Outbox
from streams.shard import Shard


def conclude(shard: Shard, chunk: Chunk) -> None:
    """Settle the results of one chunk. Raises UndecodableRecord and InvariantViolation."""
    outbox = Outbox(shard, chunk)
    for message in chunk.records:
        source = Source(message.offset(), 0, broker_time_us(message))
        result = decode_result(message.value() or b"")
        entry, reply_to = deciding.conclude(shard.book, message.key() or b"", result, source)
        settle(shard, outbox, entry, source, reply_to)
        outbox.cut_if_full(source.offset + 1)
    outbox.cut(chunk.next_offset)

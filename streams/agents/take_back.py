"""take_back: restores a refused credit to its payer, always, even to an account frozen or closed meanwhile.

Reads payments.returns. Keeps the shard's book. Writes ledger.entries, replies.
"""

from payments.book import evolve
from payments.entries import Credit, Source
from payments.lifecycle import take_back as decide_take_back
from runtime.exactly_once.contract import Chunk
from schemas.codec.credits import decode_credits
from schemas.codec.ledger import Lane
from streams.outbox import Outbox
from streams.tables import Shard


def take_back(shard: Shard, chunk: Chunk) -> None:
    """Take back the returns of one chunk."""
    outbox = Outbox(shard, chunk)
    for message in chunk.records:
        offset, time_us = message.offset(), message.timestamp()[1] * 1_000
        batch = decode_credits(message.value())
        outbox.received(shard.receive(Lane.RETURNS_RECEIVED, batch.origin, batch.sequence))
        for item, credit in enumerate(batch.credits):
            take_back_here(shard, outbox, credit, Source(offset, item, time_us))
        outbox.cut_if_full(offset + 1)
    outbox.cut(chunk.next_offset)


def take_back_here(shard: Shard, outbox: Outbox, credit: Credit, source: Source) -> None:
    """Restore one reserved amount to a payer of this shard."""
    entry = decide_take_back(shard.book, credit, source)
    outbox.add(entry, credit.reply_to)
    evolve(shard.book, entry)

"""post: writes the one double-entry journal entry at the partition of the receiving account.

Reads payments.credits. Keeps the shard's book. Writes ledger.entries, payments.returns, replies.
Guarantees: credits commute, so they can't conflict; one that can't be taken goes back to its payer, always.
"""

from payments.book import evolve
from payments.entries import Credit, EntryKind, Source
from payments.lifecycle import post as decide_post
from runtime.exactly_once.contract import Chunk
from schemas.codec.credits import decode_credits
from schemas.codec.ledger import Lane
from schemas.partitioning import shard_of
from streams.agents.take_back import take_back_here
from streams.outbox import Outbox
from streams.tables import Shard


def post(shard: Shard, chunk: Chunk) -> None:
    """Post the credits of one chunk. A packed record that does not decode, or is out of turn, stops the shard."""
    outbox = Outbox(shard, chunk)
    for message in chunk.records:
        offset, time_us = message.offset(), message.timestamp()[1] * 1_000
        batch = decode_credits(message.value())
        outbox.received(shard.receive(Lane.CREDITS_RECEIVED, batch.origin, batch.sequence))
        for item, credit in enumerate(batch.credits):
            credit_here(shard, outbox, credit, Source(offset, item, time_us))
        outbox.cut_if_full(offset + 1)
    outbox.cut(chunk.next_offset)


def credit_here(shard: Shard, outbox: Outbox, credit: Credit, source: Source) -> None:
    """Post one credit to an account of this shard, or send it back."""
    entry = decide_post(shard.book, credit, source)
    outbox.add(entry, credit.reply_to)
    evolve(shard.book, entry)
    if entry.kind is not EntryKind.REFUSED:
        return
    refused = credit._replace(reason=entry.reason)
    if shard_of(credit.payer, shard.shards) == shard.number:
        take_back_here(shard, outbox, refused, source)
    else:
        outbox.send_return(refused)

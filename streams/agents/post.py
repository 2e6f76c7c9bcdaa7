"""post: writes the one double-entry journal entry at the partition of the receiving account.

Reads payments.credits. Keeps the shard's book. Writes ledger.entries, payments.returns, replies.
Guarantees: credits commute, so they can't conflict; one that can't be taken goes back to its payer, always.
"""

from payments.entries import Credit, EntryKind, Source
from payments.lifecycle import post as decide_post
from runtime.exactly_once.contract import Chunk
from schemas.codec.ledger import Lane
from schemas.partitioning import shard_of
from streams.agents.receive import receive
from streams.agents.take_back import take_back_credit
from streams.outbox import Outbox
from streams.shard import Shard


def post(shard: Shard, chunk: Chunk) -> None:
    """Post the credits of one chunk."""
    receive(shard, chunk, Lane.CREDITS_RECEIVED, post_credit)


def post_credit(shard: Shard, outbox: Outbox, credit: Credit, source: Source) -> None:
    """Post one credit to an account of this shard, or send it back."""
    entry = decide_post(shard.book, credit, source)
    outbox.add(entry, credit.reply_to)
    shard.evolve(entry)
    if entry.kind is not EntryKind.REFUSED:
        return
    refused = credit._replace(reason=entry.reason)
    if shard_of(credit.payer, shard.shards) == shard.number:
        take_back_credit(shard, outbox, refused, source)
    else:
        outbox.send_return(refused)

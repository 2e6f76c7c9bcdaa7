"""take_back: restores a refused credit to its payer, always, even to an account frozen or closed meanwhile.

Reads payments.returns. Keeps the shard's book. Writes ledger.entries, replies.
"""

from payments.entries import Credit, Source
from payments.lifecycle import take_back as decide_take_back
from runtime.exactly_once.contract import Chunk
from schemas.codec.ledger import Lane
from streams.agents.receive import receive
from streams.outbox import Outbox
from streams.shard import Shard


def take_back(shard: Shard, chunk: Chunk) -> None:
    """Take back the returns of one chunk."""
    receive(shard, chunk, Lane.RETURNS_RECEIVED, take_back_credit)


def take_back_credit(shard: Shard, outbox: Outbox, credit: Credit, source: Source) -> None:
    """Restore one reserved amount to a payer of this shard."""
    entry = decide_take_back(shard.book, credit, source)
    outbox.add(entry, credit.reply_to)
    shard.evolve(entry)

"""take_back: restores a refused credit to its payer, always, even to an account frozen or closed meanwhile; counts the
answers of a journal's legs.

Reads payments.returns. Keeps the shard's book. Writes ledger.entries, payments.credits, replies.
"""

from runtime.exactly_once.contract import Chunk
from schemas.codec.ledger import Lane
from streams.agents.receive import receive
from streams.shard import Shard


def take_back(shard: Shard, chunk: Chunk) -> None:
    """Settle the returns and answers of one chunk."""
    receive(shard, chunk, Lane.RETURNS_RECEIVED)

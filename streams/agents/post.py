"""post: writes the one double-entry journal entry at the partition of the receiving account, and answers journals.

Reads payments.credits. Keeps the shard's book. Writes ledger.entries, payments.returns, replies.
Guarantees: credits commute, so they can't conflict; one that can't be taken goes back to its payer, always.
"""

from runtime.exactly_once.contract import Chunk
from schemas.codec.ledger import Lane
from streams.agents.receive import receive
from streams.shard import Shard


def post(shard: Shard, chunk: Chunk) -> None:
    """Settle the credits of one chunk."""
    receive(shard, chunk, Lane.CREDITS_RECEIVED)

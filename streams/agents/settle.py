"""settle: records one entry and everything that follows from it, in this shard at once and in others by a message.

Writes (through the outbox) ledger.entries, payments.credits, payments.returns, connectors.requests, replies. Guarantees
that each entry is applied before the next is decided, and that nothing which follows from an entry is left out of its
transaction.
"""

from payments.commands import NO_REPLY
from payments.entries import Credit, Entry, Source
from payments.identifiers import is_system
from payments.movements.deciding import arrive, following, is_answer, observations, requests_of
from schemas.partitioning import shard_of
from streams.outbox import Outbox
from streams.shard import Shard


def settle(
    shard: Shard, outbox: Outbox, entry: Entry, source: Source, reply_to: bytes = NO_REPLY, description: str = ""
) -> None:
    """Record an entry of this shard and send or settle what follows. Recursion ends: a journal of legs in one shard is
    the deepest, with five levels.
    """
    outbox.add(entry, reply_to, description)
    shard.evolve(entry)
    for owner, request in requests_of(entry):
        outbox.ask_provider(owner, request)
    for message in (*following(entry, reply_to), *observations(shard.book, entry)):
        _forward(shard, outbox, message, source)


def settle_message(shard: Shard, outbox: Outbox, message: Credit, source: Source) -> None:
    """What a message does at this shard."""
    entry, answer = arrive(shard.book, message, source)
    if entry is not None:
        settle(shard, outbox, entry, source, message.reply_to)
    if answer is not None:
        _forward(shard, outbox, answer, source)


def _forward(shard: Shard, outbox: Outbox, message: Credit, source: Source) -> None:
    back = is_answer(message)
    account = message.payer if back else message.payee
    if shard_of(account, shard.shards) == shard.number or (is_system(account) and not back):
        settle_message(shard, outbox, message, source)
    elif back:
        outbox.send_return(message)
    else:
        outbox.send_credit(message)

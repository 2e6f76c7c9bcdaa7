"""authorise: decides every command at the partition of its authority account, and reserves what a payment needs.

Reads payments.commands. Keeps the shard's book. Writes (through the outbox) ledger.entries, payments.credits, replies.
Guarantees: every refusal stands before the reservation; each command leaves one decision in the ledger, in log order.
"""

from confluent_kafka import Message

from payments.commands import Command
from payments.entries import Credit, EntryKind, Source
from payments.errors import UndecodableRecord
from payments.identifiers import derive_operation_id, is_system
from payments.lifecycle import decide
from payments.rejections import Reason
from runtime.exactly_once.contract import Chunk
from schemas.codec.commands import decode_body, form_refusal, items
from schemas.partitioning import shard_of
from streams.agents.post import post_credit
from streams.agents.quarantine import quarantine
from streams.broker_time import broker_time_us
from streams.outbox import Outbox
from streams.shard import Shard


def authorise(shard: Shard, chunk: Chunk) -> None:
    """Decide the commands of one chunk."""
    outbox = Outbox(shard, chunk)
    for message in chunk.records:
        outbox.make_room(message.offset(), len(message.value() or b""))
        _authorise_record(shard, outbox, message)
        outbox.cut_if_full(message.offset() + 1)
    outbox.cut(chunk.next_offset)


def _authorise_record(shard: Shard, outbox: Outbox, message: Message) -> None:
    offset, time_us = message.offset(), broker_time_us(message)
    value = message.value() or b""
    try:
        for item, body in enumerate(items(value)):
            _authorise_item(shard, outbox, message, Source(offset, item, time_us), body)
    except UndecodableRecord as error:
        quarantine(outbox, message, Source(offset, 0, time_us), value, Reason.MALFORMED, str(error))


def _authorise_item(shard: Shard, outbox: Outbox, message: Message, source: Source, body: bytes) -> None:
    try:
        command = decode_body(body)
    except UndecodableRecord as error:
        quarantine(outbox, message, source, body, Reason.MALFORMED, str(error))
        return
    refusal = form_refusal(command)
    if shard_of(command.authority, shard.shards) != shard.number:
        refusal = Reason.WRONG_PARTITION
    if refusal is not None:
        quarantine(outbox, message, source, body, refusal, "see the reason")
        return
    _authorise_command(shard, outbox, command, source)


def _authorise_command(shard: Shard, outbox: Outbox, command: Command, source: Source) -> None:
    operation_id = derive_operation_id(command.authority, command.idempotency_key, shard.number)
    entry = decide(shard.book, operation_id, command, source)
    outbox.add(entry, command.reply_to, command.description)
    shard.evolve(entry)
    if entry.kind is not EntryKind.RESERVED:
        return
    credit = Credit(
        operation_id, command.payer, command.payee, command.amount_minor, command.currency, command.reply_to
    )
    if is_system(credit.payee) or shard_of(credit.payee, shard.shards) == shard.number:
        post_credit(shard, outbox, credit, source)
    else:
        outbox.send_credit(credit)

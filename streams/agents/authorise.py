"""authorise: decides every command and instruction at the partition of its authority account, and reserves its money.
Ticks end what time ends.

Reads payments.commands. Keeps the shard's book. Writes (through the outbox) ledger.entries, payments.credits, replies.
Guarantees: every refusal stands before the reservation; each command leaves one decision in the ledger, in log order.
"""

from confluent_kafka import Message

from payments.commands import Command
from payments.entries import Source
from payments.errors import UndecodableRecord
from payments.expiry import expire
from payments.identifiers import derive_operation_id
from payments.lifecycle import decide
from payments.movements import deciding
from payments.movements.instructions import Instruction, SetRules
from payments.rejections import Reason
from runtime.exactly_once.contract import Chunk
from schemas.codec.commands import decode_body, form_refusal, items, reason_of
from schemas.codec.instructions import (
    decode_instruction,
    decode_tick,
    instruction_refusal,
    is_instruction,
    is_tick,
)
from schemas.partitioning import shard_of
from streams.agents.quarantine import quarantine
from streams.agents.settle import settle
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
    source = Source(message.offset(), 0, broker_time_us(message))
    value = message.value() or b""
    try:
        if is_tick(value):
            _expire(shard, outbox, message, source, value)
            return
        if is_instruction(value):
            _authorise_instruction(shard, outbox, message, source, value)
            return
        for item, body in enumerate(items(value)):
            _authorise_item(shard, outbox, message, source._replace(item=item), body)
    except UndecodableRecord as error:
        quarantine(outbox, message, source, value, reason_of(error), str(error))


def _expire(shard: Shard, outbox: Outbox, message: Message, source: Source, value: bytes) -> None:
    if decode_tick(value) != shard.number:
        quarantine(outbox, message, source, value, Reason.WRONG_PARTITION, "a tick of another shard")
        return
    for entry in expire(shard.book, source):
        settle(shard, outbox, entry, source)


def _authorise_instruction(shard: Shard, outbox: Outbox, message: Message, source: Source, value: bytes) -> None:
    asked = decode_instruction(value)
    refusal = _misplaced(shard, asked) or instruction_refusal(asked)
    if refusal is not None:
        quarantine(outbox, message, source, value, refusal, "see the reason")
        return
    envelope = asked.envelope
    operation_id = derive_operation_id(asked.authority, envelope.idempotency_key, shard.number)
    entry = deciding.decide(shard.book, operation_id, asked, source)
    settle(shard, outbox, entry, source, envelope.reply_to, envelope.description)


def _authorise_item(shard: Shard, outbox: Outbox, message: Message, source: Source, body: bytes) -> None:
    try:
        command = decode_body(body)
    except UndecodableRecord as error:
        quarantine(outbox, message, source, body, Reason.MALFORMED, str(error))
        return
    refusal = _misplaced(shard, command) or form_refusal(command)
    if refusal is not None:
        quarantine(outbox, message, source, body, refusal, "see the reason")
        return
    operation_id = derive_operation_id(command.authority, command.idempotency_key, shard.number)
    entry = decide(shard.book, operation_id, command, source)
    settle(shard, outbox, entry, source, command.reply_to, command.description)


def _misplaced(shard: Shard, asked: Command | Instruction) -> Reason | None:
    if isinstance(asked, SetRules):
        return None if asked.shard == shard.number else Reason.WRONG_PARTITION
    return Reason.WRONG_PARTITION if shard_of(asked.authority, shard.shards) != shard.number else None

"""Decides one run of recorded inputs again, with nothing but the core and the codec.

Reads messages of the deciding stage's inputs in the order that a ledger record names them. Changes the book that it is
given. Keeps what the deciding stage must have written: entries, descriptions, credits and returns per shard, and what
went to quarantine.
"""

from collections import defaultdict
from typing import NamedTuple

from confluent_kafka import Message

from payments.book import Book, evolve
from payments.commands import NO_REPLY, Command
from payments.entries import Credit, Entry, Source, quarantined
from payments.errors import UndecodableRecord
from payments.expiry import expire
from payments.identifiers import derive_operation_id, is_system
from payments.lifecycle import decide
from payments.movements import deciding
from payments.movements.instructions import Instruction, SetRules
from payments.rejections import Reason
from schemas.codec.commands import decode_body, form_refusal, items, reason_of
from schemas.codec.connectors import decode_result
from schemas.codec.instructions import decode_instruction, decode_tick, instruction_refusal, is_instruction, is_tick
from schemas.codec.quarantine import kept_key, kept_value
from schemas.partitioning import shard_of


class SetAside(NamedTuple):
    """One item that could not be decided, as it must lie in quarantine."""

    reason: str
    partition: int
    offset: int
    item: int
    key: bytes | None
    value: bytes
    received_at_us: int


class Decisions:
    """What one run of inputs of one shard comes to."""

    def __init__(self, book: Book, shard: int, shards: int) -> None:
        self.entries: list[Entry] = []
        self.descriptions: dict[int, str] = {}
        self.credits: defaultdict[int, list[Credit]] = defaultdict(list)
        self.returns: defaultdict[int, list[Credit]] = defaultdict(list)
        self.set_aside: list[SetAside] = []
        self._book = book
        self._shard = shard
        self._shards = shards

    def command_record(self, message: Message) -> None:
        """A tick, an instruction, or every command of one record, packed or not."""
        value = message.value() or b""
        source = source_of(message, 0)
        try:
            if is_tick(value):
                self._tick(message, source, value)
            elif is_instruction(value):
                self._instruction(message, source, value)
            else:
                for item, body in enumerate(list(items(value))):
                    self._command_body(message, source._replace(item=item), body)
        except UndecodableRecord as error:
            self._set_aside(reason_of(error), message, source, value)

    def credit_record(self, message: Message, credits: list[Credit]) -> None:
        """Every message of one packed record between two shards."""
        for item, credit in enumerate(credits):
            self._arrive(credit, source_of(message, item))

    def result_record(self, message: Message) -> None:
        """What a provider answered."""
        source, result = source_of(message, 0), decode_result(message.value() or b"")
        entry, reply_to = deciding.conclude(self._book, message.key() or b"", result, source)
        self._settle(entry, source, reply_to)

    def _tick(self, message: Message, source: Source, value: bytes) -> None:
        if decode_tick(value) != self._shard:
            self._set_aside(Reason.WRONG_PARTITION, message, source, value)
            return
        for entry in expire(self._book, source):
            self._settle(entry, source)

    def _instruction(self, message: Message, source: Source, value: bytes) -> None:
        asked = decode_instruction(value)
        refusal = self._misplaced(asked) or instruction_refusal(asked)
        if refusal is not None:
            self._set_aside(refusal, message, source, value)
            return
        envelope = asked.envelope
        entry = deciding.decide(self._book, self._operation(asked, envelope.idempotency_key), asked, source)
        self._settle(entry, source, envelope.reply_to, envelope.description)

    def _command_body(self, message: Message, source: Source, body: bytes) -> None:
        try:
            command = decode_body(body)
        except UndecodableRecord:
            self._set_aside(Reason.MALFORMED, message, source, body)
            return
        refusal = self._misplaced(command) or form_refusal(command)
        if refusal is not None:
            self._set_aside(refusal, message, source, body)
            return
        entry = decide(self._book, self._operation(command, command.idempotency_key), command, source)
        self._settle(entry, source, command.reply_to, command.description)

    def _operation(self, asked: Command | Instruction, key: str) -> bytes:
        return derive_operation_id(asked.authority, key, self._shard)

    def _misplaced(self, asked: Command | Instruction) -> Reason | None:
        meant = asked.shard if isinstance(asked, SetRules) else shard_of(asked.authority, self._shards)
        return None if meant == self._shard else Reason.WRONG_PARTITION

    def _settle(self, entry: Entry, source: Source, reply_to: bytes = NO_REPLY, description: str = "") -> None:
        """An entry and all that follows from it: in this shard at once, elsewhere by a message."""
        if description:
            self.descriptions[len(self.entries)] = description
        self._add(entry)
        for message in (*deciding.following(entry, reply_to), *deciding.observations(self._book, entry)):
            self._forward(message, source)

    def _arrive(self, message: Credit, source: Source) -> None:
        entry, answer = deciding.arrive(self._book, message, source)
        if entry is not None:
            self._settle(entry, source, message.reply_to)
        if answer is not None:
            self._forward(answer, source)

    def _forward(self, message: Credit, source: Source) -> None:
        if deciding.is_answer(message):
            destination, outgoing = shard_of(message.payer, self._shards), self.returns
        else:
            # Accounts of the operator belong to no shard: whoever pays them posts it.
            is_operators = is_system(message.payee)
            destination = self._shard if is_operators else shard_of(message.payee, self._shards)
            outgoing = self.credits
        if destination == self._shard:
            self._arrive(message, source)
        else:
            outgoing[destination].append(message)

    def _add(self, entry: Entry) -> None:
        evolve(self._book, entry)
        self.entries.append(entry)

    def _set_aside(self, reason: Reason, message: Message, source: Source, value: bytes) -> None:
        self._add(quarantined(reason, source))
        key, kept = kept_key(message.key()), kept_value(value)
        self.set_aside.append(
            SetAside(reason.value, self._shard, source.offset, source.item, key, kept, source.time_us)
        )


def source_of(message: Message, item: int) -> Source:
    """Place and broker time of an input item."""
    return Source(message.offset(), item, message.timestamp()[1] * 1_000)

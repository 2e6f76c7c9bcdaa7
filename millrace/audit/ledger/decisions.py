"""Decides one run of recorded inputs again, with nothing but the core and the codec.

Reads messages of payments.commands, payments.credits or payments.returns in the order that a ledger record names them.
Changes the book that it is given. Keeps what the deciding stage must have written: entries, descriptions, credits and
returns per shard, and what went to quarantine.
"""

from collections import defaultdict
from typing import NamedTuple

from confluent_kafka import Message

from payments.book import Book, evolve
from payments.commands import Command
from payments.entries import Credit, Entry, EntryKind, Source, quarantined
from payments.errors import UndecodableRecord
from payments.identifiers import derive_operation_id, is_system
from payments.lifecycle import decide, post, take_back
from payments.rejections import Reason
from schemas.codec.commands import decode_body, form_refusal, items
from schemas.codec.ledger import SourceTopic
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
        """Every command of one record, packed or not."""
        value = message.value() or b""
        source = source_of(message, 0)
        try:
            bodies = list(items(value))
        except UndecodableRecord:
            self._set_aside(Reason.MALFORMED, message, source, value)
            return
        for item, body in enumerate(bodies):
            self._command_body(message, source._replace(item=item), body)

    def credit_record(self, source_topic: SourceTopic, message: Message, credits: list[Credit]) -> None:
        """Every credit of one packed record, which is a return where it comes from payments.returns."""
        settle = self._post if source_topic is SourceTopic.CREDITS else self._take_back
        for item, credit in enumerate(credits):
            settle(credit, source_of(message, item))

    def _command_body(self, message: Message, source: Source, body: bytes) -> None:
        try:
            command = decode_body(body)
        except UndecodableRecord:
            self._set_aside(Reason.MALFORMED, message, source, body)
            return
        refusal = form_refusal(command)
        if shard_of(command.authority, self._shards) != self._shard:
            refusal = Reason.WRONG_PARTITION
        if refusal is not None:
            self._set_aside(refusal, message, source, body)
        else:
            self._decide(command, source)

    def _decide(self, command: Command, source: Source) -> None:
        operation_id = derive_operation_id(command.authority, command.idempotency_key, self._shard)
        entry = decide(self._book, operation_id, command, source)
        if command.description:
            self.descriptions[len(self.entries)] = command.description
        self._add(entry)
        if entry.kind is not EntryKind.RESERVED:
            return
        _, payer, payee, amount_minor, currency, reply_to, _, _ = command
        credit = Credit(operation_id, payer, payee, amount_minor, currency, reply_to)
        destination = self._shard if is_system(payee) else shard_of(payee, self._shards)
        if destination == self._shard:
            self._post(credit, source)
        else:
            self.credits[destination].append(credit)

    def _post(self, credit: Credit, source: Source) -> None:
        entry = post(self._book, credit, source)
        self._add(entry)
        if entry.kind is not EntryKind.REFUSED:
            return
        refused = credit._replace(reason=entry.reason)
        destination = shard_of(credit.payer, self._shards)
        if destination == self._shard:
            self._take_back(refused, source)
        else:
            self.returns[destination].append(refused)

    def _take_back(self, credit: Credit, source: Source) -> None:
        self._add(take_back(self._book, credit, source))

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

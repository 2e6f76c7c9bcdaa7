"""Balances added up entry by entry in plain Python, for comparison: shares nothing with millrace.replay."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from confluent_kafka import Message

from payments.entries import EntryKind
from payments.identifiers import is_system
from schemas.codec.ledger import decode_ledger_record
from tests.audit.pipeline import Pipeline, records_of


class LedgerPlace(NamedTuple):
    """Where a ledger record lies, and when the broker took it in."""

    shard: int
    offset: int
    time_ms: int


def places(pipeline: Pipeline) -> list[LedgerPlace]:
    """Every ledger record, shard after shard."""
    return [place for place, _ in _records(pipeline)]


def balances_up_to(pipeline: Pipeline, next_offsets: Mapping[int, int]) -> dict[bytes, tuple[int, int]]:
    """Posted and available by account."""
    posted: defaultdict[bytes, int] = defaultdict(int)
    available: defaultdict[bytes, int] = defaultdict(int)
    for place, message in _records(pipeline):
        if place.offset >= next_offsets[place.shard]:
            continue
        for entry in decode_ledger_record(message.value() or b"").entries():
            amount = entry.amount_minor
            if entry.kind is EntryKind.POSTED:
                posted[entry.debit_account] -= amount
                posted[entry.credit_account] += amount
                available[entry.credit_account] += amount
                available[entry.debit_account] -= amount if is_system(entry.debit_account) else 0
            elif entry.kind in (EntryKind.RESERVED, EntryKind.RETURNED):
                available[entry.debit_account] += amount if entry.kind is EntryKind.RETURNED else -amount
            elif entry.kind is EntryKind.ACCOUNT_OPENED:
                available[entry.debit_account] += 0
    return {account: (posted[account], available[account]) for account in posted.keys() | available.keys()}


def _records(pipeline: Pipeline) -> Iterator[tuple[LedgerPlace, Message]]:
    for message in records_of(pipeline.bootstrap, pipeline.topics.ledger):
        shard, offset = message.partition(), message.offset()
        assert shard is not None
        assert offset is not None
        yield LedgerPlace(shard, offset, message.timestamp()[1]), message

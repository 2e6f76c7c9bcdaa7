"""Balances by the core's own books, shard by shard, for comparison: shares nothing with millrace.replay."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from confluent_kafka import Message

from payments.book import Book, evolve
from payments.identifiers import is_system
from payments.postings import postings
from schemas.codec.ledger import decode_ledger_record
from tests.audit.pipeline import SHARDS, Pipeline, records_of


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
    posted: Counter[bytes] = Counter()
    books = [Book() for _ in range(SHARDS)]
    named: set[bytes] = set()
    for place, message in _records(pipeline):
        if place.offset >= next_offsets[place.shard]:
            continue
        for entry in decode_ledger_record(message.value() or b"").entries():
            evolve(books[place.shard], entry)
            named |= {entry.debit_account} if entry.debit_account in books[place.shard].accounts else set()
            for leg in postings(entry):
                posted[leg.account] += leg.amount_minor
    return {account: (posted[account], _available(account, posted, books)) for account in named | posted.keys()}


def _available(account: bytes, posted: Counter[bytes], books: list[Book]) -> int:
    """Of an account that no shard has opened yet, nothing."""
    if is_system(account):
        return posted[account]
    return sum(state.available_minor for book in books if (state := book.accounts.get(account)) is not None)


def _records(pipeline: Pipeline) -> Iterator[tuple[LedgerPlace, Message]]:
    for message in records_of(pipeline.bootstrap, pipeline.topics.ledger):
        shard, offset = message.partition(), message.offset()
        assert shard is not None
        assert offset is not None
        yield LedgerPlace(shard, offset, message.timestamp()[1]), message

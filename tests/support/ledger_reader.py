"""What the ledger says so far, to a test that watches it: a committed reader that runs all the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from millrace.environment import LocalEnvironment
from payments.entries import Entry
from payments.items.details import OpenItem
from schemas.codec.ledger import PackedLedgerRecord, decode_ledger_record
from tests.faults.tail import Tail

Item = TypeVar("Item", bound=OpenItem)


class LedgerReader:
    """Use `of`."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    @classmethod
    @contextmanager
    def of(cls, env: LocalEnvironment) -> Iterator[Self]:
        """Reads until the block ends."""
        tail = Tail(env)
        tail.start()
        try:
            yield cls(tail)
        finally:
            tail.finish()

    def entries(self) -> Iterator[Entry]:
        for record in self._records():
            yield from record.entries()

    def items(self, kind: type[Item]) -> list[Item]:
        """Every item of this kind, as its newest entry states it."""
        found: dict[bytes, Item] = {}
        for record in self._records():
            for _, entry in record.detailed():
                found.update((detail.item_id, detail) for detail in entry.details if isinstance(detail, kind))
        return [*found.values()]

    def _records(self) -> Iterator[PackedLedgerRecord]:
        for seen in [*self._tail.seen.values()]:
            for _, value in [*seen]:
                yield decode_ledger_record(value)

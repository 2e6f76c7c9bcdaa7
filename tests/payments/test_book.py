"""The state of a shard: what it remembers, for how long, and that a replay of its entries is the same book."""

from hypothesis import given
from hypothesis import strategies as st

from payments.accounts import Account
from payments.book import HOUR_US, IDEMPOTENCY_WINDOW_HOURS, Book, OperationsInMemory, evolve
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import EntryKind, Source
from payments.identifiers import derive_operation_id
from payments.lifecycle import decide
from payments.postings import clearing_account

ALICE = b"A" * 16


def number(value: int) -> bytes:
    return value.to_bytes(16, "big")


def test_a_key_is_forgotten_with_its_hour_and_never_before_the_window_ends() -> None:
    operations = OperationsInMemory()
    for key, hour in ((1, 0), (2, 0), (3, 1), (4, IDEMPOTENCY_WINDOW_HOURS)):
        operations.remember(number(key), b"f", hour)
    assert [operations.fingerprint_of(number(key)) for key in (1, 2, 3)] == [b"f", b"f", b"f"]
    operations.remember(number(5), b"f", IDEMPOTENCY_WINDOW_HOURS + 1)
    assert [operations.fingerprint_of(number(key)) for key in (1, 2, 3)] == [None, None, b"f"]
    operations.remember(number(6), b"f", IDEMPOTENCY_WINDOW_HOURS + 2)
    assert operations.fingerprint_of(number(3)) is None
    assert len(operations) == 3


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_exactly_the_hours_of_the_window_are_kept(hours: list[int]) -> None:
    operations = OperationsInMemory()
    for index, hour in enumerate(sorted(hours)):
        operations.remember(number(index), number(index)[8:], hour)
    for index, hour in enumerate(sorted(hours)):
        kept = max(hours) - hour <= IDEMPOTENCY_WINDOW_HOURS
        assert operations.fingerprint_of(number(index)) == (number(index)[8:] if kept else None)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_a_clock_that_steps_back_forgets_nothing_early(hours: list[int]) -> None:
    operations = OperationsInMemory()
    for index, hour in enumerate(hours):
        assert operations.remember(number(index), b"f", hour) == max(hours[: index + 1])
        assert operations.fingerprint_of(number(index)) == b"f"
    for index, hour in enumerate(hours):
        if max(hours) - hour <= IDEMPOTENCY_WINDOW_HOURS:
            assert operations.fingerprint_of(number(index)) == b"f"


def test_a_key_may_be_used_again_after_the_window() -> None:
    book = Book()
    book.accounts[ALICE] = Account("EUR", 0)
    deposit = Command(CommandKind.DEPOSIT, clearing_account("EUR"), ALICE, 5, "EUR", NO_REPLY, "monthly")
    other = deposit._replace(idempotency_key="tick")
    late_us = (IDEMPOTENCY_WINDOW_HOURS + 1) * HOUR_US
    kinds = []
    for command, time_us in ((deposit, 0), (deposit, late_us - 1), (other, late_us), (deposit, late_us)):
        operation_id = derive_operation_id(ALICE, command.idempotency_key, 0)
        entry = decide(book, operation_id, command, Source(0, 0, time_us))
        evolve(book, entry)
        kinds.append(entry.kind)
    assert kinds == [EntryKind.POSTED, EntryKind.REPLAYED, EntryKind.POSTED, EntryKind.POSTED]

"""Goal: the disk remembers and forgets exactly what the memory does, wherever it was written and opened again."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.accounts import Account, AccountStatus
from payments.book import IDEMPOTENCY_WINDOW_HOURS, OperationsInMemory
from streams.disk import accounts as accounts_on_disk
from streams.disk.accounts import AccountsOnDisk
from streams.disk.checkpoint import Remembered
from streams.disk.database import Database, Storage
from streams.disk.operations import OPERATIONS, RECEIPTS, OperationsOnDisk, Window

STEPS = st.lists(
    st.tuples(
        st.integers(0, 25),
        st.integers(0, 40) | st.sampled_from([70, 71, 72, 73, 74, 143, 144, 145, 400]),
        st.sampled_from(["", "", "written", "opened again"]),
    ),
    max_size=60,
)
"""Which key comes, so many hours after the last one, and what happens to the disk then."""


def number(value: int) -> bytes:
    return value.to_bytes(16, "big")


class OnDisk:
    """Operations that are written and opened again as a worker would."""

    def __init__(self, folder: Path, window: Window = OPERATIONS) -> None:
        self._storage = Storage(folder)
        self._window = window
        self._open(Remembered())

    def _open(self, reached: Remembered) -> None:
        self._database: Database = self._storage.open(0)
        self.operations = OperationsOnDisk(self._database, self._window, reached)

    def write(self) -> None:
        self._database.write()
        self.operations.written()

    def open_again(self) -> None:
        reached = self.operations.reached
        self.write()
        self._database.close()
        self._open(reached)

    def families(self) -> list[str]:
        return [name for name in self._database.names() if name.startswith(f"{self._window.name}-")]

    def close(self) -> None:
        self._database.close()


@settings(max_examples=60)
@given(window=st.sampled_from([OPERATIONS, RECEIPTS]), steps=STEPS)
def test_the_disk_answers_as_the_memory_does(window: Window, steps: list[tuple[int, int, str]]) -> None:
    """Property, over any order of keys and hours; a key is remembered where it is not known, as `decide` does."""
    with tempfile.TemporaryDirectory() as folder:
        stored, memory, hour = OnDisk(Path(folder), window), OperationsInMemory(window.hours), 490_000
        for key, later, then in steps:
            hour += later * window.hours // IDEMPOTENCY_WINDOW_HOURS
            known = memory.fingerprint_of(number(key))
            assert stored.operations.fingerprint_of(number(key)) == known
            if known is None:
                fingerprint = (hour + key).to_bytes(8, "big")
                remembered = memory.remember(number(key), fingerprint, hour)
                assert stored.operations.remember(number(key), fingerprint, hour) == remembered
            if then == "written":
                stored.write()
            elif then == "opened again":
                stored.open_again()
        for key in range(26):
            assert stored.operations.fingerprint_of(number(key)) == memory.fingerprint_of(number(key))
        stored.write()
        assert len(stored.families()) <= window.hours // window.generation_hours + 1
        stored.close()


def test_an_hour_that_comes_late_counts_as_the_newest(tmp_path: Path) -> None:
    stored = OnDisk(tmp_path)
    assert stored.operations.remember(number(1), b"first...", 500) == 500
    assert stored.operations.remember(number(2), b"second..", 300) == 500
    assert [hour for hour, *_ in stored.operations.unsaved] == [500, 500]
    stored.close()


def test_a_generation_that_nobody_may_ask_for_is_dropped_whole(tmp_path: Path) -> None:
    stored = OnDisk(tmp_path)
    for hour in range(0, 6 * IDEMPOTENCY_WINDOW_HOURS, 12):
        stored.operations.remember(number(hour), bytes(8), hour)
        stored.write()
    assert stored.families() == ["operations-4", "operations-5"]
    assert stored.operations.fingerprint_of(number(5 * IDEMPOTENCY_WINDOW_HOURS)) == bytes(8)
    stored.close()


def test_operations_of_a_snapshot_are_taken_over_in_any_order_of_their_hours(tmp_path: Path) -> None:
    stored = OnDisk(tmp_path)
    for first, hour in enumerate((500, 420, 499, 428, 100)):
        stored.operations.load(first, hour, [(number(hour), hour.to_bytes(8, "big"))])
    stored.open_again()
    assert stored.operations.count == 5
    known = [hour for hour in (500, 499, 428, 420, 100) if stored.operations.fingerprint_of(number(hour)) is not None]
    assert known == [500, 499, 428]
    stored.close()


def test_accounts_beyond_the_cache_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts_on_disk, "CACHED_ACCOUNTS", 10)
    database = Storage(tmp_path).open(0)
    accounts, held = AccountsOnDisk(database), {}
    for value in range(500):
        account = Account("EUR", value - 250, value, AccountStatus(value % 3))
        accounts[number(value)] = held[number(value)] = account
        if value % 7 == 0:
            accounts.write()
            database.write()
            accounts.shrink()
    assert {account_id: accounts[account_id] for account_id in held} == held
    assert len(accounts._cached) <= 510
    assert accounts.get(number(500)) is None
    assert number(500) not in accounts
    with pytest.raises(KeyError):
        accounts[number(500)]
    database.close()

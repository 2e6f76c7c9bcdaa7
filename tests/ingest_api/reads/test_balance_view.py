"""Goal: a balance from memory is the one that Postgres has, or a newer one, and none ever goes back.

The real agents decide every kind of movement; the sink writes their records, and the view takes them.
"""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from ingest_api.reads.accounts import find_placed_balance
from ingest_api.reads.balances.following import Reading
from ingest_api.reads.balances.ledger_moves import Told, told_by
from ingest_api.reads.balances.view import BalanceView, Held
from ingest_api.reads.database import Database
from payments.entries import EntryKind
from runtime.exactly_once.failpoints import Failpoints
from runtime.postgres import connect
from runtime.settings import Settings
from schemas.codec.ledger import decode_ledger_record
from sinks.balances import prepare_session
from sinks.ledger_batch import LedgerBatch
from sinks.loop import flush_batch
from sinks.progress import load_progress
from tests.sinks.every_kind import SHARDS, EveryKind
from tests.sinks.shards_in_memory import ShardsInMemory

Records = list[tuple[int, int, bytes]]
"""Shard, offset and value."""


@pytest.fixture(scope="module")
def records() -> Records:
    """What the shards have decided, as it came about: each shard's in order."""
    shards = ShardsInMemory(SHARDS)
    EveryKind(shards).run()
    found = [(shard, at, value) for shard in range(SHARDS) for at, value in enumerate(shards.ledger(shard))]
    return sorted(found, key=lambda one: one[1])


@pytest.fixture
def accounts(records: Records) -> list[bytes]:
    entries = (entry for *_, value in records for entry in decode_ledger_record(value).entries())
    return [entry.debit_account for entry in entries if entry.kind is EntryKind.ACCOUNT_OPENED]


async def test_a_batch_that_cannot_be_taken_ends_the_reading() -> None:
    """The thread waited for ever and was taken for alive, so that the view never began anew."""

    def broken(_: list[Told]) -> None:
        raise KeyError("nobody has thought of it")

    reading = Reading(Settings(), {}, asyncio.get_running_loop(), broken)
    with pytest.raises(KeyError, match="nobody has thought of it"):
        await asyncio.wait_for(asyncio.to_thread(reading.hand_over, []), 5)


@pytest.fixture
def sink(migrated: str) -> Iterator["Sink"]:
    with connect(migrated, "sink") as connection:
        prepare_session(connection)
        yield Sink(connection)


class Sink:
    """Applies records one by one."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._progress = load_progress(connection, range(SHARDS))

    def apply(self, records: Records) -> None:
        for record in records:
            batch = LedgerBatch(self._progress)
            batch.add(*record)
            flush_batch(self._connection, batch, lambda _: None, Failpoints(""))
            self._progress.update(batch.after)


def begun(accounts_max: int = 100, recent_bytes: int = 1_000_000) -> BalanceView:
    view = BalanceView(accounts_max, recent_bytes)
    view.begin(dict.fromkeys(range(SHARDS), 0), {}, {})
    return view


async def test_memory_and_postgres_agree_after_every_record(
    migrated: str, sink: Sink, records: Records, accounts: list[bytes]
) -> None:
    database, view, from_memory = Database(migrated, 1, 1), begun(), 0
    await database.open()
    for record in records:
        sink.apply([record])
        view.take(told_by(*record[1:]))
        for account in accounts:
            if not await database.row("SELECT account_id FROM accounts WHERE account_id = %s", (UUID(bytes=account),)):
                continue
            held, at = await find_placed_balance(database, account)
            known = view.get(account)
            from_memory += known is not None
            assert (known or held) == held
            assert view.lifted(account, held, at) == held
    await database.close()
    assert from_memory > len(records), "most records are about other accounts"


async def test_a_row_that_is_behind_is_brought_forward(
    migrated: str, sink: Sink, records: Records, accounts: list[bytes]
) -> None:
    """Whatever Postgres lacks: the row is what it will be, or what it was before something that only Postgres knows."""
    database = Database(migrated, 1, 1)
    await database.open()
    half = len(records) // 2
    sink.apply(records[:half])
    rows = {}
    for account in accounts:
        if await database.row("SELECT account_id FROM accounts WHERE account_id = %s", (UUID(bytes=account),)):
            rows[account] = await find_placed_balance(database, account)
    sink.apply(records[half:])
    view = begun()
    for _, offset, value in records:
        view.take(told_by(offset, value))
    for account, (held, at) in rows.items():
        brought = view.lifted(account, held, at)
        assert brought is not None
        if view.get(account) is not None:
            assert brought == (await find_placed_balance(database, account))[0]
    await database.close()
    assert 0 < len(view) < len(rows), "some are followed again, others were disturbed"


def told(offset: int, shard: int = 0, disturbed: frozenset[bytes] = frozenset()) -> Told:
    return Told(shard, offset, b"", disturbed, None, ())


ROW = Held("EUR", 1, 1, 0, 0, 0)
"""An account that nothing moves."""


def test_an_account_that_was_let_go_is_not_answered_from_an_older_row() -> None:
    view = begun(accounts_max=1, recent_bytes=0)
    assert view.lifted(b"a" * 16, ROW, {0: 0}) == ROW
    for offset in range(3):
        view.take(told(offset))
    view.lifted(b"b" * 16, ROW, {0: 3})
    assert view.get(b"a" * 16) is None, "one account has room"
    view._recent[0].since = 3  # the records before are gone
    assert view.lifted(b"a" * 16, ROW, {0: 2}) is None
    assert view.lifted(b"a" * 16, ROW, {0: 3}) == ROW


def test_a_disturbed_account_is_followed_again_once_postgres_has_passed_it() -> None:
    view, account = begun(), b"a" * 16
    view.lifted(account, ROW, {0: 0})
    view.take(told(0, disturbed=frozenset({account})))
    assert view.get(account) is None
    assert view.lifted(account, ROW, {0: 0}) == ROW, "what was answered before"
    assert view.get(account) is None
    view.lifted(account, ROW._replace(held_minor=1), {0: 1})
    assert view.get(account) == ROW._replace(held_minor=1)


def test_a_row_ahead_of_the_view_is_answered_and_not_kept() -> None:
    view, account = begun(), b"a" * 16
    assert view.lifted(account, ROW, {0: 1}) == ROW
    assert view.get(account) is None


def test_memory_is_bounded_by_what_was_asked_for_last() -> None:
    view = begun(accounts_max=3)
    names = [bytes([number]) * 16 for number in range(10)]
    for name in names[:3]:
        view.lifted(name, ROW, {})
    view.get(names[0])
    view.lifted(names[3], ROW, {})
    assert [name for name in names if view.get(name)] == [names[0], names[2], names[3]]
    assert len(view) == 3

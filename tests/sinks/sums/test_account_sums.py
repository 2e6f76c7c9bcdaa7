"""Goal: spans have all legs of their time, whenever they were made and whichever leg came late."""

import time
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from psycopg import Connection

from millrace.audit.postgres.sums import WRONG_SPANS
from runtime.exactly_once.failpoints import Failpoints
from runtime.postgres import connect
from sinks.account_sums import AccountSums
from sinks.balances import prepare_session
from sinks.ledger_batch import LedgerBatch
from sinks.loop import flush_batch
from sinks.progress import Fenced, ShardProgress, load_progress
from tests.sinks.every_kind import SHARDS
from tests.sinks.test_every_kind import Played
from tests.sinks.test_every_kind import apply as apply_all

SPAN_LEGS = 2

Record = tuple[int, int, bytes]


@pytest.fixture(scope="module")
def played() -> Played:
    return Played()


@pytest.fixture
def connection(migrated: str) -> Iterator[Connection]:
    with connect(migrated, "test") as connection:
        prepare_session(connection)
        yield connection


def spans(connection: Connection) -> int:
    found = connection.execute("SELECT count(*) FROM account_sums").fetchone()
    assert found is not None
    count: int = found[0]
    return count


class Writer:
    """Applies records one by one, and does what there is to do after one in `every` (0: only when it is told to)."""

    def __init__(self, connection: Connection, every: int = 1) -> None:
        self._connection = connection
        self.progress: dict[int, ShardProgress] = load_progress(connection, range(SHARDS))
        self._sums = AccountSums(connection, SPAN_LEGS, lag_us=0)
        self._every = every

    def apply(self, records: list[Record]) -> None:
        for number, record in enumerate(records):
            batch = LedgerBatch(self.progress)
            batch.add(*record)
            flush_batch(self._connection, batch, lambda _: None, Failpoints(""))
            self.progress.update(batch.after)
            self._sums.look(batch)
            if self._every and number % self._every == 0:
                self.rest(is_idle=False)

    def rest(self, *, is_idle: bool) -> None:
        """All that there is to do."""
        for _ in range(200):
            self.progress.update(self._sums.go_on(self.progress, is_idle=is_idle))


def in_turn(played: Played) -> list[Record]:
    found = [(shard, at, value) for shard, values in played.ledgers.items() for at, value in enumerate(values)]
    return sorted(found, key=lambda record: record[1])


def shard_by_shard(played: Played) -> list[Record]:
    """So every leg of the second and third one comes later than what was summed up."""
    return sorted(in_turn(played), key=lambda record: record[0])


@pytest.mark.parametrize("order", [in_turn, shard_by_shard])
@pytest.mark.parametrize("every", [1, 7])
def test_spans_have_all_legs_of_their_time(
    played: Played,
    connection: Connection,
    order: Callable[[Played], list[Record]],
    every: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sinks.account_sums._drawn", lambda batch, _: set(_accounts(batch)))
    writer = Writer(connection, every)
    records = order(played)
    for number in range(0, len(records), 20):
        writer.apply(records[number : number + 20])
        assert connection.execute(WRONG_SPANS).fetchall() == []
    writer.rest(is_idle=True)
    assert connection.execute(WRONG_SPANS).fetchall() == []
    assert spans(connection) > 20
    assert set(writer.progress.values()) == set(load_progress(connection, range(SHARDS)).values())


def _accounts(batch: LedgerBatch) -> Iterator[bytes]:
    for entry in batch.entries:
        yield bytes(entry["debit_account"])
        yield bytes(entry["credit_account"])


def test_accounts_of_before_are_walked_through_once(played: Played, connection: Connection) -> None:
    apply_all(connection, played.ledgers)
    assert spans(connection) == 0
    Writer(connection).rest(is_idle=True)
    made = spans(connection)
    assert made > 20
    assert connection.execute(WRONG_SPANS).fetchall() == []
    assert connection.execute("SELECT FROM account_sums_walk").rowcount == 0
    Writer(connection).rest(is_idle=True)
    assert spans(connection) == made


def test_entries_of_the_last_minute_have_no_span_yet(played: Played, connection: Connection) -> None:
    """They may come from another shard at any moment."""
    apply_all(connection, played.ledgers)
    sums, progress = AccountSums(connection, SPAN_LEGS), load_progress(connection, range(SHARDS))
    for _ in range(200):
        sums.go_on(progress, is_idle=False)  # nothing was applied by this one: it knows of no time
    assert spans(connection) == 0


def test_one_in_so_many_entries_is_drawn(played: Played, connection: Connection) -> None:
    writer = Writer(connection)
    writer.apply(in_turn(played))
    assert spans(connection) > 5  # of every second entry the parties
    assert connection.execute(WRONG_SPANS).fetchall() == []


def test_a_writer_that_does_not_know_of_new_spans_is_fenced(played: Played, connection: Connection) -> None:
    """It would bring a leg of their time, and leave it out of them."""
    records = in_turn(played)
    half = len(records) // 2
    before = Writer(connection, every=0)
    before.apply(records[:half])
    after = Writer(connection)
    before.rest(is_idle=True)
    assert spans(connection) > 5
    with pytest.raises(Fenced):
        after.apply(records[half:])


def test_a_writer_that_was_overtaken_makes_no_spans(played: Played, connection: Connection) -> None:
    records = in_turn(played)
    half = len(records) // 2
    before = Writer(connection, every=0)
    before.apply(records[:half])
    Writer(connection, every=0).apply(records[half:])
    with pytest.raises(Fenced):
        before.rest(is_idle=True)
    connection.rollback()
    assert spans(connection) == 0


def test_many_entries_of_one_moment_share_a_span(connection: Connection) -> None:
    """Entries of one record have one time."""
    account = UUID(int=1 << 120 | 0x1 << 76)
    _post(connection, account, [0] * 5 + [1, 2, 3, 3, 3, 4])
    sums = AccountSums(connection, SPAN_LEGS, lag_us=0)
    progress = load_progress(connection, range(SHARDS))
    for _ in range(20):
        progress = dict(sums.go_on(progress, is_idle=True))
    shown = connection.execute("SELECT posted_minor FROM account_sums ORDER BY until").fetchall()
    assert [int(posted) for (posted,) in shown] == [5, 1, 4]
    assert connection.execute(WRONG_SPANS).fetchall() == []


def _post(connection: Connection, account: UUID, seconds: list[int]) -> None:
    """A unit for each, so long after an hour ago."""
    hour_ago = time.time() - 3_600
    for number, second in enumerate(seconds):
        connection.execute(
            "INSERT INTO journal_entries VALUES"
            " (%(id)s, %(id)s, %(other)s, %(account)s, 1, 'EUR', to_timestamp(%(at)s), 0, %(n)s, 0, 0, 0, 0, 0)",
            {
                "id": UUID(int=number),
                "other": UUID(int=7 << 100),
                "account": account,
                "n": number,
                "at": hour_ago + second,
            },
        )
    connection.execute("INSERT INTO balances VALUES (%s, 'EUR', %s, %s, now())", (account, len(seconds), len(seconds)))
    connection.commit()

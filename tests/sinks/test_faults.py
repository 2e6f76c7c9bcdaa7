"""Killed, cut off or doubled at every step: the tables are those of a run without faults."""

import signal
import subprocess
import threading
import time

import psycopg
import pytest

from runtime import migrate
from runtime.exactly_once.failpoints import Failpoints
from runtime.kafka_client import Brokers
from runtime.kafka_reader import AssignedReader
from runtime.postgres import connect
from runtime.settings import Settings
from sinks import service
from sinks.balances import prepare_session
from sinks.ledger_batch import LedgerBatch
from sinks.loop import flush_batch, next_batch
from sinks.progress import Fenced, load_progress
from sinks.topic_sink import EXIT_INVARIANT
from tests.sinks import sink_process
from tests.sinks.conftest import SHARDS
from tests.sinks.ledger_script import LedgerScript
from tests.sinks.ledger_topic import LedgerTopic
from tests.sinks.shown import (
    DEADLINE_S,
    SinkThread,
    apply_all,
    assert_shows,
    await_applied,
    dump,
    progress_of,
    running_sink,
)


@pytest.fixture
def script(ledger_topic: LedgerTopic) -> LedgerScript:
    """A ledger that is published and waits for a sink."""
    script = LedgerScript(SHARDS, seed=11)
    script.open_accounts()
    script.play(rounds=3)
    ledger_topic.publish(script)
    return script


@pytest.mark.parametrize("failpoint", ["sink_before_commit:1", "sink_after_commit:1"])
def test_killed_at_a_failpoint(
    sink_settings: Settings, ledger_topic: LedgerTopic, script: LedgerScript, other_database: str, failpoint: str
) -> None:
    with sink_process.start(sink_settings, ledger_topic.name, failpoint) as killed:
        _, log = killed.communicate(timeout=DEADLINE_S)
    assert killed.returncode == -signal.SIGKILL
    assert failpoint.partition(":")[0] in log
    applied = sum(sequence for _, sequence in progress_of(sink_settings.database_url))
    assert (applied > 0) == failpoint.startswith("sink_after")
    apply_all(sink_settings, ledger_topic, script)
    assert_shows(sink_settings.database_url, script)
    apply_all(sink_settings.model_copy(update={"database_url": other_database}), ledger_topic, script)
    assert dump(sink_settings.database_url) == dump(other_database)


def test_sigterm_ends_it_with_0_and_nothing_lost(
    sink_settings: Settings, ledger_topic: LedgerTopic, script: LedgerScript
) -> None:
    with sink_process.start(sink_settings, ledger_topic.name) as child:
        await_applied(sink_settings.database_url, script)
        child.send_signal(signal.SIGTERM)
        _, log = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == 0
    assert "stopped" in log
    script.play(rounds=1)
    ledger_topic.publish(script)
    apply_all(sink_settings, ledger_topic, script)
    assert_shows(sink_settings.database_url, script)


class CutConnection(Failpoints):
    """Ends every other session of the database the first time a step is reached."""

    def __init__(self, database: str, step: str) -> None:
        super().__init__("")
        self._database = database
        self._step = step
        self.cuts = 0

    def reach(self, name: str, delay_s: float = 0.0) -> None:
        if name != self._step or self.cuts:
            return
        self.cuts += 1
        cut_sessions(self._database)
        if name == "sink_after_commit":  # the answer to COMMIT is lost as well
            raise psycopg.OperationalError("server closed the connection unexpectedly")


def cut_sessions(database: str) -> None:
    """Those of services, which have a name: this test's own look at what is applied meanwhile."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name <> ''"
        )


@pytest.mark.parametrize("step", ["sink_before_commit", "sink_after_commit"])
def test_connection_cut_around_commit(
    sink_settings: Settings,
    ledger_topic: LedgerTopic,
    script: LedgerScript,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut = CutConnection(sink_settings.database_url, step)
    monkeypatch.setattr(service, "Failpoints", lambda _armed: cut)
    apply_all(sink_settings, ledger_topic, script)
    assert cut.cuts == 1
    assert_shows(sink_settings.database_url, script)


def test_connection_cut_while_idle(sink_settings: Settings, ledger_topic: LedgerTopic, script: LedgerScript) -> None:
    with running_sink(sink_settings, ledger_topic) as thread:
        await_applied(sink_settings.database_url, script, thread)
        cut_sessions(sink_settings.database_url)
        script.play(rounds=2)
        ledger_topic.publish(script)
        await_applied(sink_settings.database_url, script, thread)
    assert_shows(sink_settings.database_url, script)


def test_reconnects_are_bounded(
    sink_settings: Settings, ledger_topic: LedgerTopic, script: LedgerScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AlwaysCut(Failpoints):
        def reach(self, name: str, delay_s: float = 0.0) -> None:
            if name == "sink_before_commit":
                raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(service, "Failpoints", lambda _armed: AlwaysCut(""))
    with running_sink(sink_settings, ledger_topic) as thread:
        assert isinstance(thread.ended(), psycopg.OperationalError)
    assert sum(sequence for _, sequence in progress_of(sink_settings.database_url)) == 0


class Writer:
    """One writer, step by step."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self.connection = connect(settings.database_url, "writer")
        prepare_session(self.connection)
        self.progress = load_progress(self.connection, range(SHARDS))
        self.reader = AssignedReader(Brokers.of(settings), topic, "writer")
        self.reader.start({shard: row.ledger_next_offset for shard, row in self.progress.items()})

    def batch(self) -> LedgerBatch:
        give_up_at = time.monotonic() + DEADLINE_S
        while time.monotonic() < give_up_at:
            batch = next_batch(self.reader, self.progress)
            if len(batch):
                return batch
        raise TimeoutError("no record")

    def flush(self, batch: LedgerBatch, failpoints: Failpoints | None = None) -> None:
        flush_batch(self.connection, batch, lambda _offsets: None, failpoints or Failpoints(""))

    def close(self) -> None:
        self.reader.close()
        self.connection.close()


@pytest.fixture
def twins(sink_settings: Settings, ledger_topic: LedgerTopic, script: LedgerScript) -> list[Writer]:
    """Two writers that both believe to be the only one. (They need the published script.)"""
    migrate.up(sink_settings.database_url, "sinks")
    return [Writer(sink_settings, ledger_topic.name) for _ in range(2)]


def test_of_two_writers_the_late_one_is_fenced(sink_settings: Settings, twins: list[Writer]) -> None:
    first, second = twins
    batch, same_batch = first.batch(), second.batch()
    first.flush(batch)
    shown = dump(sink_settings.database_url)
    with pytest.raises(Fenced, match="one writer per shard"):
        second.flush(same_batch)
    second.connection.rollback()
    assert dump(sink_settings.database_url) == shown
    first.close()
    second.close()


def test_a_second_writer_waits_for_an_open_batch_and_is_then_fenced(
    sink_settings: Settings, twins: list[Writer]
) -> None:
    first, second = twins
    batch, same_batch = first.batch(), second.batch()
    outcome: list[BaseException] = []

    def flush_second() -> None:
        try:
            second.flush(same_batch)
        except Fenced as error:
            outcome.append(error)

    racing = threading.Thread(target=flush_second)

    class Race(Failpoints):
        def reach(self, name: str, delay_s: float = 0.0) -> None:
            if name == "sink_before_commit":
                racing.start()
                await_lock_wait(sink_settings.database_url)

    first.flush(batch, Race(""))
    racing.join(DEADLINE_S)
    assert [type(error) for error in outcome] == [Fenced]
    first.close()
    second.close()


def await_lock_wait(database: str) -> None:
    give_up_at = time.monotonic() + DEADLINE_S
    with psycopg.connect(database, autocommit=True) as connection:
        while time.monotonic() < give_up_at:
            waiting = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if waiting != (0,):
                return
            time.sleep(0.01)
    raise TimeoutError("nobody waits")


def test_two_sinks_at_once_end_with_one_and_right_tables(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script = LedgerScript(SHARDS, seed=12)
    script.open_accounts()
    with running_sink(sink_settings, ledger_topic) as one, running_sink(sink_settings, ledger_topic) as other:
        await_sessions(sink_settings.database_url, 2)
        for value in script.records[0]:
            ledger_topic.publish_value(0, value)
        fenced = await_end_of_either(one, other)
        assert isinstance(fenced, Fenced)
    assert progress_of(sink_settings.database_url) == [(0, len(script.records[0])), (1, 0), (2, 0)]


def await_sessions(database: str, count: int) -> None:
    """Until so many sinks have read their positions."""
    give_up_at = time.monotonic() + DEADLINE_S
    with psycopg.connect(database, autocommit=True) as connection:
        while time.monotonic() < give_up_at:
            ready = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'millrace sink' AND state = 'idle' AND query LIKE 'COMMIT%%'"
            ).fetchone()
            if ready == (count,):
                time.sleep(0.5)  # from the last statement at start to the assignment
                return
            time.sleep(0.02)
    raise TimeoutError("the sinks did not start")


def await_end_of_either(one: SinkThread, other: SinkThread) -> BaseException | None:
    give_up_at = time.monotonic() + DEADLINE_S
    while time.monotonic() < give_up_at:
        if one.error is not None or other.error is not None:
            return one.error or other.error
        time.sleep(0.02)
    return None


def test_the_reason_and_the_exit_code_reach_the_supervisor(
    sink_settings: Settings, ledger_topic: LedgerTopic, script: LedgerScript
) -> None:
    ledger_topic.publish_value(1, b"torn")
    code, log = run_to_end(sink_settings, ledger_topic.name)
    assert code == EXIT_INVARIANT
    assert "ledger.entries[1] offset" in log
    assert "no Confluent frame" in log


def test_a_ledger_cut_by_retention_is_refused(
    sink_settings: Settings, ledger_topic: LedgerTopic, script: LedgerScript
) -> None:
    ledger_topic.delete_before(2, 3)
    code, log = run_to_end(sink_settings, ledger_topic.name)
    assert code == EXIT_INVARIANT
    assert "does not hold the next record to apply" in log


def test_another_number_of_shards_is_refused(
    sink_settings: Settings, ledger_topic: LedgerTopic, script: LedgerScript
) -> None:
    code, log = run_to_end(sink_settings.model_copy(update={"shards": SHARDS + 1}), ledger_topic.name)
    assert code == EXIT_INVARIANT
    assert "MILLRACE_SHARDS" in log


def run_to_end(settings: Settings, topic: str) -> tuple[int, str]:
    with sink_process.start(settings, topic) as child:
        try:
            _, log = child.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
    return child.returncode, log

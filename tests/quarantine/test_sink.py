"""payments.quarantine → Postgres: applied once whatever is killed, fenced, rebuilt from the topic; resolutions stay."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from ingest_api.quarantine import cases
from ingest_api.quarantine.redrive import discard
from payments.errors import InvariantViolation
from runtime import migrate
from runtime.exactly_once.failpoints import Failpoints
from runtime.kafka_reader import PositionLost
from runtime.postgres import connect
from runtime.settings import Settings
from schemas.codec import reference
from schemas.codec.commands import encode_batch
from schemas.origin import Origin
from schemas.topics import COMMANDS
from sinks.progress import Fenced
from sinks.quarantine import loop
from sinks.quarantine.service import QuarantineSink
from sinks.topic_sink import RecordBatch, load_positions
from tests.sinks.ledger_topic import LedgerTopic
from tests.sinks.sink_process import ROOT, environment_of
from tests.support.environment import fresh_database

SHARDS = 3
DEADLINE_S = 30


@pytest.fixture
def topic(broker: str, topic_name: Callable[[str], str]) -> LedgerTopic:
    """A topic of this test's own in the place of payments.quarantine."""
    return LedgerTopic(broker, topic_name("quarantine"), SHARDS)


@pytest.fixture
def own(broker: str, postgres: str, tmp_path: Path) -> Iterator[Settings]:
    with fresh_database(postgres) as database:
        yield Settings(home=tmp_path, kafka_bootstrap=broker, database_url=database, shards=SHARDS)


def record_of(origin: Origin, value: bytes = b"bad") -> bytes:
    fields = {"reason": "malformed", "detail": "a test", "key": None, "value": value, "received_at_us": 1_700 * 10**12}
    return reference.encode("QuarantinedRecord", {**origin._asdict(), **fields})


def publish(topic: LedgerTopic, count: int, start: int = 0) -> list[Origin]:
    origins = [Origin(COMMANDS.name, number % SHARDS, number, 0) for number in range(start, start + count)]
    for origin in origins:
        topic.publish_value(origin.partition, record_of(origin, b"bad %d" % origin.offset))
    return origins


def rows_of(settings: Settings) -> list[tuple[Origin, bytes]]:
    with psycopg.connect(settings.database_url) as connection:
        try:
            rows = connection.execute(
                "SELECT origin_topic, origin_partition, origin_offset, origin_item, value FROM quarantine ORDER BY 3"
            ).fetchall()
        except psycopg.errors.UndefinedTable:
            return []
    return [(Origin(*row[:4]), row[4]) for row in rows]


@contextmanager
def running(settings: Settings, topic: LedgerTopic) -> Iterator[threading.Thread]:
    sink = QuarantineSink(settings, topic=topic.name)
    thread = threading.Thread(target=sink.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        sink.stop()
        thread.join(DEADLINE_S)


def apply_all(settings: Settings, topic: LedgerTopic, origins: list[Origin]) -> None:
    """Run a sink until these are there, and nothing else."""
    expected = [(origin, b"bad %d" % origin.offset) for origin in sorted(origins, key=lambda one: one.offset)]
    with running(settings, topic):
        give_up_at = time.monotonic() + DEADLINE_S
        while rows_of(settings) != expected:
            assert time.monotonic() < give_up_at, rows_of(settings)
            time.sleep(0.05)


@pytest.mark.parametrize("failpoint", ["sink_before_commit:1", "sink_after_commit:1"])
def test_killed_around_the_commit(own: Settings, topic: LedgerTopic, failpoint: str) -> None:
    origins = publish(topic, 7)
    code = "import sys; from runtime.settings import Settings; from sinks.quarantine.service import run;"
    command = [sys.executable, "-c", f"{code} sys.exit(run(Settings(), topic={topic.name!r}))"]
    killed = subprocess.run(command, cwd=ROOT, env=environment_of(own, failpoint), timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert bool(rows_of(own)) == failpoint.startswith("sink_after")
    apply_all(own, topic, origins + publish(topic, 2, start=7))


def test_a_rebuild_from_the_topic_keeps_the_resolutions(own: Settings, topic: LedgerTopic) -> None:
    origins = publish(topic, 5)
    apply_all(own, topic, origins)
    with cases.open_desk(own) as connection:
        assert discard(connection, origins[2], "otto", "a test").refusal is None
        connection.execute("TRUNCATE quarantine, quarantine_progress")
    apply_all(own, topic, origins)
    with cases.open_desk(own) as connection:
        assert cases.count_unresolved(connection) == 4
        case = cases.find_case(connection, origins[2])
    assert case is not None
    assert case.resolution is not None
    assert (case.status, case.resolution.resolved_by, case.resolution.because) == ("discarded", "otto", "a test")


def test_a_rebuild_starts_at_what_the_topic_still_holds_and_a_gap_stops(own: Settings, topic: LedgerTopic) -> None:
    origins = publish(topic, 9)
    topic.delete_before(0, 2)  # one record and its marker
    apply_all(own, topic, origins[1:])
    publish(topic, 3, start=9)
    topic.delete_before(0, 8)
    with pytest.raises(PositionLost):
        QuarantineSink(own, topic=topic.name).run()


def test_a_second_writer_is_fenced(own: Settings, topic: LedgerTopic) -> None:
    apply_all(own, topic, publish(topic, 1))
    with connect(own.database_url, "test") as first, connect(own.database_url, "test") as second:
        positions = load_positions(first, loop.POSITIONS, range(SHARDS), lambda _: 0)
        rows = [(COMMANDS.name, 1, 900 + n, 0, "r", "d", None, b"v", "2026-11-21Z", 1, 50 + n) for n in range(2)]
        after = {1: positions[1] + 2}
        batches = [RecordBatch([row], {1: positions[1]}, after) for row in rows]
        loop.flush_batch(first, batches[0], lambda _: None, Failpoints(""))
        with pytest.raises(Fenced):
            loop.flush_batch(second, batches[1], lambda _: None, Failpoints(""))
        second.rollback()
    assert len(rows_of(own)) == 2


@pytest.mark.parametrize("value", [b"no record", encode_batch([])], ids=["noise", "another record"])
def test_what_no_agent_of_ours_wrote_stops_the_sink(own: Settings, topic: LedgerTopic, value: bytes) -> None:
    topic.publish_value(1, value)
    with pytest.raises(InvariantViolation, match=r"\[1\] offset 0"):
        QuarantineSink(own, topic=topic.name).run()


def test_an_item_set_aside_twice_stops_the_sink(own: Settings, topic: LedgerTopic) -> None:
    origin = Origin(COMMANDS.name, 1, 4, 0)
    topic.publish_value(1, record_of(origin))
    topic.publish_value(1, record_of(origin))
    with pytest.raises(InvariantViolation, match="already exists"):
        QuarantineSink(own, topic=topic.name).run()


@pytest.mark.parametrize(
    "text", ["", "a-1-2", "a-1-2-3-", "a--1-2-3", "payments.commands-1-2-x", f"t-{10**10}-1-1", f"t-1-{10**19}-1"]
)
def test_a_text_that_is_no_origin(text: str) -> None:
    assert Origin.parse(text) != Origin("a", 1, 2, 3)
    assert Origin.parse(text) is None or str(Origin.parse(text)) == text


def test_an_origin_is_its_text() -> None:
    origin = Origin("some-topic-7.v1", 3, 10**15, 999)
    assert Origin.parse(str(origin)) == origin


def test_a_row_that_postgres_refuses_is_never_quoted(own: Settings) -> None:
    """Whatever a sender has put into a record, a card number too, may stand in its bytes."""
    migrate.up(own.database_url, "sinks")
    row = ("t", 0, 0, 0, None, "its detail", b"key", b"4111 1111 1111 1111", datetime.now(UTC), 0, 0)
    with connect(own.database_url, "test") as connection:
        load_positions(connection, loop.POSITIONS, [0], lambda _: 0)
        with pytest.raises(InvariantViolation) as refused:
            loop.flush_batch(connection, RecordBatch([row], {0: 0}, {0: 1}), lambda _: None, Failpoints(""))
    assert isinstance(refused.value.__cause__, psycopg.errors.NotNullViolation)
    assert b"4111".hex() not in str(refused.value)
    assert "its detail" not in str(refused.value)

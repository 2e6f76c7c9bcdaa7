"""Goal: an alarm is raised once, for something that is wrong, in words that say what to do; quiet means an empty file.

Method: the real watch over brokers that are scripted answer by answer.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaError, KafkaException

from millrace import watch as under_test
from millrace.environment.layout import Home
from millrace.watch import Watch, describe, read_alarms
from runtime.exactly_once.broker.transaction_admin import IncompleteView, OpenProducer
from runtime.settings import Settings
from schemas.topics import CATALOGUE, LEDGER, partitions

UNREACHABLE = KafkaException(KafkaError(KafkaError._TRANSPORT, "all brokers\nare down"))


class Stalled(NamedTuple):
    """What StableOffsetWatch says of a partition whose readers stand still."""

    partition: tuple[str, int]


class Brokers:
    """Answers of the brokers: a list is what stands still, an exception is raised."""

    def __init__(self) -> None:
        self.answers: list[list[Stalled] | Exception] = []
        self.hanging: list[OpenProducer] = []
        self.scans = 0
        self.watched: list[tuple[str, int]] = []
        self.closed = False

    def observing(self, _bootstrap: str, watched: list[tuple[str, int]], _timeout_ms: int) -> "Brokers":
        self.watched = watched
        return self

    def observe(self) -> list[Stalled]:
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer

    def scan(self, _bootstrap: str, _timeout_ms: int) -> list[OpenProducer]:
        self.scans += 1
        return self.hanging

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    made = Brokers()
    monkeypatch.setattr(under_test, "StableOffsetWatch", made.observing)
    monkeypatch.setattr(under_test, "find_hanging", made.scan)
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


Make = Callable[..., Watch]


@pytest.fixture
def make(brokers: Brokers, home: Home) -> Make:
    def made(**options: Any) -> Watch:
        return Watch(Settings(shards=2), home, **options)

    return made


def texts(watch: Watch) -> list[str]:
    return [alarm.text for alarm in watch.look()]


def open_producer(producer_id: int = 7) -> OpenProducer:
    fields: dict[str, Any] = dict.fromkeys(OpenProducer.__annotations__, 0)
    fields |= {"partition": (LEDGER.name, 1), "producer_id": producer_id}
    return OpenProducer(**fields)


def test_every_partition_of_every_topic_is_watched(make: Make, brokers: Brokers) -> None:
    make()
    assert len(brokers.watched) == len(set(brokers.watched))
    assert set(brokers.watched) == {(t.name, shard) for t in CATALOGUE for shard in range(partitions(t, 2))}


def test_a_quiet_look_leaves_an_empty_list_and_no_line_in_the_log(
    make: Make, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is not there means that nobody looks; an empty list, that somebody did."""
    assert read_alarms(home) == []
    assert not home.alarms.exists()
    with caplog.at_level(logging.INFO):
        assert texts(make()) == []
    assert home.alarms.read_bytes() == b"[]"
    assert caplog.records == []


def test_readers_that_stand_still_are_named_by_topic_and_partition(make: Make, brokers: Brokers, home: Home) -> None:
    brokers.answers = [[Stalled((LEDGER.name, 1))]]
    assert texts(make()) == [f"{LEDGER.name}[1]: readers stand still"]
    assert read_alarms(home) == [f"{LEDGER.name}[1]: readers stand still"]


def test_an_alarm_is_logged_once_while_it_lasts_and_its_end_is_said(
    make: Make, brokers: Brokers, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    still = [Stalled((LEDGER.name, 0))]
    brokers.answers = [still, still, still, [], []]
    watch = make()
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            watch.look()
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said == [
        ("ERROR", f"ALARM {LEDGER.name}[0]: readers stand still"),
        ("INFO", "all alarms are over"),
    ]
    assert read_alarms(home) == []


@pytest.mark.parametrize(
    "failure", [UNREACHABLE, IncompleteView("broker 2 did not answer"), ConnectionRefusedError("refused")]
)
def test_brokers_out_of_reach_are_an_alarm_from_the_second_time_on(
    make: Make, brokers: Brokers, failure: Exception
) -> None:
    """A leader that moves is out of reach for a look, and nobody has to get up for it."""
    brokers.answers = [failure, failure, failure, []]
    watch = make()
    assert texts(watch) == []
    [second] = texts(watch)
    assert second.startswith("the brokers can't be asked: ")
    assert "\n" not in second, "an alarm is one line"
    assert texts(watch) == [second]
    assert texts(watch) == []


def test_what_was_wrong_before_stays_an_alarm_while_the_brokers_cannot_be_asked_once(
    make: Make, brokers: Brokers
) -> None:
    brokers.answers = [[Stalled((LEDGER.name, 0))], UNREACHABLE, UNREACHABLE]
    watch = make()
    first = texts(watch)
    assert texts(watch) == first
    [then] = texts(watch)
    assert "can't be asked" in then


def test_failures_are_counted_in_a_row(make: Make, brokers: Brokers) -> None:
    brokers.answers = [UNREACHABLE, [], UNREACHABLE, []]
    watch = make()
    assert [texts(watch) for _ in range(4)] == [[], [], [], []]


def test_an_error_that_nobody_expects_is_not_taken_for_a_broker_that_is_down(make: Make, brokers: Brokers) -> None:
    brokers.answers = [ZeroDivisionError("a bug")]
    with pytest.raises(ZeroDivisionError):
        make().look()


def test_a_scan_is_made_at_its_own_interval_and_its_finding_stays_in_between(
    make: Make, brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1_000.0]
    monkeypatch.setattr("millrace.watch.time.monotonic", lambda: now_s[0])
    brokers.hanging = [open_producer()]
    watch = make(scan_every_s=30.0)
    assert texts(watch) == []
    assert brokers.scans == 0, "a transaction that hangs is older than one interval"
    now_s[0] += 30
    [alarm] = texts(watch)
    assert alarm == f"transaction of producer 7 on {LEDGER.name}[1] hangs: millrace transactions hanging"
    now_s[0] += 29
    assert texts(watch) == [alarm]
    assert brokers.scans == 1
    brokers.hanging = []
    now_s[0] += 1
    assert texts(watch) == []
    assert brokers.scans == 2


def test_alarms_of_other_watchers_stand_behind_those_of_the_brokers(make: Make, brokers: Brokers, home: Home) -> None:
    drifting: list[str] = ["drift: 3 minor units"]
    watch = make(other_alarms=(lambda: drifting, lambda: ["2 records in quarantine"]))
    brokers.answers = [[Stalled((LEDGER.name, 0))]]
    assert texts(watch) == [f"{LEDGER.name}[0]: readers stand still", "drift: 3 minor units", "2 records in quarantine"]
    drifting.clear()
    assert texts(watch) == ["2 records in quarantine"]
    assert read_alarms(home) == ["2 records in quarantine"]


def test_other_watchers_are_asked_also_while_the_brokers_are_down(make: Make, brokers: Brokers) -> None:
    brokers.answers = [UNREACHABLE, UNREACHABLE]
    watch = make(other_alarms=(lambda: ["drift"],))
    assert texts(watch) == ["drift"]
    assert texts(watch)[1:] == ["drift"]


def test_the_same_transaction_is_told_apart_by_producer_and_partition() -> None:
    assert describe(open_producer(7)) != describe(open_producer(8))
    assert describe(open_producer(7)) == f"transaction of producer 7 on {LEDGER.name}[1]"


def test_a_closed_watch_lets_its_consumer_go(make: Make, brokers: Brokers) -> None:
    make().close()
    assert brokers.closed


def test_a_run_looks_until_it_is_stopped_and_closes_what_it_opened(
    brokers: Brokers, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, events = threading.Event(), []

    class Drift:
        def __init__(self, *_: object) -> None: ...

        def alarms(self) -> list[str]:
            events.append("asked")
            if events.count("asked") == 3:
                stop.set()
            return []

        def start(self) -> None:
            events.append("started")

        def stop(self) -> None:
            events.append("stopped")

    class Quarantine(Drift):
        def alarms(self) -> list[str]:
            return []

    monkeypatch.setattr(under_test, "DriftWatch", Drift)
    monkeypatch.setattr(under_test, "DriftAlarm", Drift)
    monkeypatch.setattr(under_test, "QuarantineAlarm", Quarantine)
    monkeypatch.setattr(under_test, "OBSERVE_EVERY_S", 0.001)
    under_test.run(Settings(shards=1), home, stop)
    assert events == ["started", "asked", "asked", "asked", "stopped"]
    assert brokers.closed

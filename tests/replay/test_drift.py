"""The drift watcher: silent beside a sink at work, loud within one period after a row was changed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import Differs
from millrace.environment.layout import Home
from millrace.replay.balances import Balance
from millrace.replay.drift import Drift, DriftWatch
from millrace.replay.drift_alarm import DriftAlarm
from payments.identifiers import ACCOUNT, format_id
from runtime import migrate
from runtime.settings import Settings
from sinks.service import Sink
from tests.audit.forgery import forged
from tests.audit.pipeline import ACCOUNTS, Pipeline, apply_ledger, pay_until, payments_of_every_kind
from tests.support.waiting import eventually

CHANGE = "UPDATE balances SET available_minor = available_minor + %s WHERE account_id = %s"


def change(settings: Settings, amount_minor: int) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(CHANGE, (amount_minor, ACCOUNTS[3].hex()))


def looked(watch: DriftWatch) -> Drift:
    drift = watch.look()
    assert drift is not None
    return drift


def end_of(drift: Drift) -> int:
    return sum(drift.next_offsets.values())


def test_equal_tables_have_no_drift(pipeline: Pipeline, applied: Settings) -> None:
    drift = looked(DriftWatch(applied, pipeline.topics))
    assert drift.ok
    assert drift.comparison.accounts >= len(ACCOUNTS) - 1
    assert drift.trusted_offsets == {}
    assert 0 <= drift.offsets_behind <= len(drift.next_offsets)
    assert drift.to_json()["ok"] is True


def test_a_changed_row_is_drift_at_the_next_look_and_gone_when_it_is_put_right(
    pipeline: Pipeline, changeable: Settings
) -> None:
    watch = DriftWatch(changeable, pipeline.topics)
    assert looked(watch).ok
    change(changeable, 11)
    drift = looked(watch)
    assert (drift.comparison.differing_accounts, drift.comparison.drift_minor) == (1, 11)
    [one] = drift.comparison.first
    assert one.account == format_id(ACCOUNT, ACCOUNTS[3])
    assert one.ledger is not None
    assert one.postgres == Balance("EUR", one.ledger.posted_minor, one.ledger.available_minor + 11)
    change(changeable, -11)
    assert looked(watch).ok


def test_a_sink_at_work_is_compared_where_it_is(broker: str, database: str, settings: Settings) -> None:
    at_work, at_database = Pipeline(broker), settings.model_copy(update={"database_url": database})
    payments_of_every_kind(at_work, seed=21)
    migrate.up(database, "sinks")
    watch = DriftWatch(at_database, at_work.topics)
    drifts = [looked(watch)]
    assert (drifts[0].comparison.accounts, drifts[0].offsets_behind > 3) == (0, True)
    sink, seen = Sink(at_database, topic=at_work.topics.ledger), threading.Event()
    with ThreadPoolExecutor(2) as threads:
        sinking, working = threads.submit(sink.run), threads.submit(pay_until, seen, at_work)
        try:
            while len({end_of(drift) for drift in drifts}) < 5:
                drifts.append(looked(watch))
        finally:
            seen.set()
            working.result(30)
            sink.stop()
        sinking.result(30)
    drifts.append(looked(watch))
    assert [drift.comparison for drift in drifts if not drift.ok] == []
    ends = [end_of(drift) for drift in drifts]
    assert ends == sorted(ends)


def test_tables_that_are_brought_back_are_followed_from_there(
    pipeline: Pipeline, changeable: Settings, database: str
) -> None:
    watch = DriftWatch(changeable, pipeline.topics)
    before = looked(watch)
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("TRUNCATE sink_progress, balances")
    fresh = looked(watch)
    assert (fresh.ok, fresh.comparison.accounts, sum(fresh.next_offsets.values())) == (True, 0, 0)
    assert before.comparison.accounts > 0


def test_without_the_ledgers_beginning_the_tables_are_taken_over_and_watched_from_there(
    pipeline: Pipeline, changeable: Settings
) -> None:
    topics = forged(pipeline, "ledger", lambda _: None)
    admin = AdminClient({"bootstrap.servers": pipeline.bootstrap})
    for future in admin.delete_records([TopicPartition(topics.ledger, 2, 3)]).values():
        future.result(30)
    watch = DriftWatch(changeable, topics)
    drift = looked(watch)
    assert drift.ok
    assert drift.trusted_offsets == drift.next_offsets
    change(changeable, 1)
    assert looked(watch).comparison.drift_minor == 1


def test_tables_of_another_ledger_are_said_each_time(pipeline: Pipeline, applied: Settings) -> None:
    topics = forged(pipeline, "ledger", lambda partitions: partitions.__setitem__(1, []))
    watch = DriftWatch(applied, topics)
    for _ in range(2):
        with pytest.raises(Differs, match="table sink_progress, shard 1: expected at most"):
            watch.look()


def test_a_database_without_tables_cannot_be_looked_at(pipeline: Pipeline, database: str, settings: Settings) -> None:
    watch = DriftWatch(settings.model_copy(update={"database_url": database}), pipeline.topics)
    with pytest.raises(AuditImpossible, match="no table sink_progress"):
        watch.look()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def alarm(pipeline: Pipeline, changeable: Settings, home: Home) -> Iterator[DriftAlarm]:
    """Looking twenty times a second, as far as the rule about its share of the time lets it."""
    made = DriftAlarm(DriftWatch(changeable, pipeline.topics), home, every_s=0.05)
    made.start()
    yield made
    made.stop()


def test_the_alarm_comes_within_a_period_and_goes_again(alarm: DriftAlarm, changeable: Settings, home: Home) -> None:
    eventually(lambda: "millrace_drift_minor 0\n" in metrics(home))
    assert alarm.alarms() == []
    change(changeable, 5)
    eventually(lambda: "millrace_drift_minor 5\nmillrace_drift_accounts 1\n" in values(home))
    [text] = alarm.alarms()
    assert text == (
        "drift: Postgres differs from the ledger by 5 minor units on 1 accounts,"
        f" first {format_id(ACCOUNT, ACCOUNTS[3])}: millrace drift --once"
    )
    change(changeable, -5)
    eventually(lambda: alarm.alarms() == [])


def test_what_cannot_be_checked_is_an_alarm_from_the_second_time_on(
    pipeline: Pipeline, database: str, settings: Settings, home: Home
) -> None:
    missing = settings.model_copy(update={"database_url": database})
    alarm = DriftAlarm(DriftWatch(missing, pipeline.topics), home)
    assert alarm.look() is None
    assert alarm.alarms() == []
    assert alarm.look() is None
    assert "drift can't be checked: this database has no table sink_progress" in alarm.alarms()[0]
    apply_ledger(pipeline.bootstrap, pipeline.topics.ledger, database, settings.home)
    assert alarm.look() is not None
    assert alarm.alarms() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watcher_that_ended_is_not_taken_for_a_quiet_one(pipeline: Pipeline, applied: Settings, home: Home) -> None:
    nowhere = Home(home.root / "missing")  # the metric cannot be written
    alarm = DriftAlarm(DriftWatch(applied, pipeline.topics), nowhere, every_s=0.01)
    alarm.start()
    with pytest.raises(RuntimeError, match="the drift watcher has ended"):
        eventually(lambda: alarm.alarms() != [])


def metrics(home: Home) -> str:
    return home.metrics.read_text() if home.metrics.exists() else ""


def values(home: Home) -> str:
    return "".join(f"{line}\n" for line in metrics(home).splitlines() if not line.startswith("#"))

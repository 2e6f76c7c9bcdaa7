"""A log and tables that are right: everything is proved, with the numbers that were sent."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from millrace.audit.ledger.partition_log import AuditedTopics, AuditImpossible
from millrace.audit.report import Invariant
from millrace.audit.verify import verify
from runtime import migrate
from runtime.settings import Settings
from sinks.service import Sink
from tests.audit.pipeline import Pipeline, apply_ledger, make_topics, pay_until, payments_of_every_kind


def test_a_right_log_is_proved_whole(pipeline: Pipeline, applied_tables: str, settings: Settings) -> None:
    report = verify(settings.model_copy(update={"database_url": applied_tables}), pipeline.topics)
    assert report.differences == []
    assert {invariant: proof.verdict for invariant, proof in report.proofs.items()} == dict.fromkeys(
        Invariant, "proved"
    )
    assert report.payments == report.posted + report.rejected + report.returned == 331
    assert min(report.posted, report.rejected, report.returned, report.holds, report.other_journals) > 0
    assert (report.replayed, report.key_reused, report.quarantined) == (14, 2, 6)
    assert (report.in_flight, report.undecided, report.unapplied_records) == (0, 0, 0)
    assert (report.postings_sum_minor, report.drift_minor, report.negative_accounts) == (0, 0, 0)


def test_counts_equal_those_of_the_tables(pipeline: Pipeline, applied_tables: str, settings: Settings) -> None:
    report = verify(settings.model_copy(update={"database_url": applied_tables}), pipeline.topics)
    with psycopg.connect(applied_tables) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM journal_entries), (SELECT count(*) FROM returns),"
            " (SELECT count(*) FROM decisions WHERE kind = 1), (SELECT count(*) FROM account_events)"
        ).fetchone()
    assert row == (
        report.posted + report.deposits + report.other_journals,
        report.returned,
        report.rejected + report.deposits_rejected,
        report.account_operations,
    )


def test_the_report_is_json_with_the_promised_names(
    pipeline: Pipeline, applied_tables: str, settings: Settings
) -> None:
    seen: list[tuple[int, int]] = []
    report = verify(
        settings.model_copy(update={"database_url": applied_tables}),
        pipeline.topics,
        lambda done, total: seen.append((done, total)),
    )
    answer = json.loads(json.dumps(report.to_json()))
    names = "ok payments posted rejected returned in_flight replayed quarantined postings_sum_minor drift_minor"
    assert {*names.split(), "negative_accounts", "invariants", "first_difference"} <= answer.keys()
    assert answer["ok"] is True
    assert answer["first_difference"] is None
    assert answer["invariants"]["I7"]["verdict"] == "proved"
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_a_sink_that_is_behind_is_compared_as_far_as_it_is(
    pipeline: Pipeline, database: str, settings: Settings
) -> None:
    migrate.up(database, "sinks")
    report = verify(settings.model_copy(update={"database_url": database}), pipeline.topics)
    assert report.differences == []
    assert report.unapplied_records == report.ledger_records > 0
    assert report.proofs[Invariant.TABLES].verdict == "not proved"
    assert report.proofs[Invariant.REPLAY].verdict == "proved"


def test_commands_that_nobody_decided_yet_are_counted(broker: str, database: str, settings: Settings) -> None:
    other = Pipeline(broker)
    payments_of_every_kind(other, seed=9)
    apply_ledger(broker, other.topics.ledger, database, settings.home)
    other.send_raw(0, b"anything")
    report = verify(settings.model_copy(update={"database_url": database}), other.topics)
    assert report.differences == []
    assert report.undecided == 1


def test_an_audit_of_a_system_at_work_finds_nothing(broker: str, database: str, settings: Settings) -> None:
    at_work, at_database = Pipeline(broker), settings.model_copy(update={"database_url": database})
    payments_of_every_kind(at_work, seed=1)
    apply_ledger(broker, at_work.topics.ledger, database, settings.home)
    sink, audited = Sink(at_database, topic=at_work.topics.ledger), threading.Event()
    with ThreadPoolExecutor(2) as threads:
        sinking = threads.submit(sink.run)
        working = threads.submit(pay_until, audited, at_work)
        try:
            reports = [verify(at_database, at_work.topics) for _ in range(3)]
        finally:
            audited.set()
            working.result(30)
            sink.stop()
        sinking.result(30)
    assert [report.differences for report in reports] == [[]] * 3
    assert reports[0].ledger_records < reports[-1].ledger_records


def test_a_missing_topic_or_table_is_said_before_anything_is_read(
    pipeline: Pipeline, database: str, settings: Settings
) -> None:
    at_database = settings.model_copy(update={"database_url": database})
    with pytest.raises(AuditImpossible, match="no table sink_progress"):
        verify(at_database, pipeline.topics)
    apply_ledger(pipeline.bootstrap, make_topics(pipeline.bootstrap).ledger, database, settings.home)
    nowhere = AuditedTopics(*(f"{name}.nowhere" for name in pipeline.topics))
    with pytest.raises(AuditImpossible, match="MILLRACE_SHARDS"):
        verify(at_database, nowhere)

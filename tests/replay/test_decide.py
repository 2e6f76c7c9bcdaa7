"""Decisions made again are the recorded ones, and another rule or another record is a difference with its place."""

from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from millrace.audit.ledger import decisions
from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.replay.decide import decide_again
from payments.entries import Entry, EntryKind
from payments.lifecycle import decide
from payments.rejections import Reason
from runtime.settings import Settings
from tests.audit.forgery import forged
from tests.audit.pipeline import Pipeline, records_of


def test_every_decision_is_made_again(pipeline: Pipeline, settings: Settings) -> None:
    seen: list[tuple[int, int]] = []
    done = decide_again(settings, pipeline.topics, lambda read, total: seen.append((read, total)))
    assert done.first_difference is None
    assert (
        done.identical_records == done.records == sum(1 for _ in records_of(pipeline.bootstrap, pipeline.topics.ledger))
    )
    crossing = (pipeline.topics.credits, pipeline.topics.returns)
    assert done.records_between_shards == sum(1 for topic in crossing for _ in records_of(pipeline.bootstrap, topic))
    assert (done.records_without_inputs, done.undecided_inputs, done.not_proved) == (0, 0, [])
    assert done.entries > 400
    assert seen == sorted(seen)
    assert done.to_json()["ok"] is True


def test_a_changed_rule_is_a_difference(
    pipeline: Pipeline, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stricter(*arguments: Any) -> Entry:
        entry = decide(*arguments)
        if entry.kind is EntryKind.RESERVED and entry.amount_minor > 600:
            return entry._replace(kind=EntryKind.REJECTED, reason=Reason.INSUFFICIENT_FUNDS)
        return entry

    monkeypatch.setattr(decisions, "decide", stricter)
    done = decide_again(settings, pipeline.topics)
    assert done.first_difference is not None
    assert done.first_difference.place.startswith(f"{pipeline.topics.ledger}[")
    assert "kind 1" in done.first_difference.expected
    assert "kind 0" in done.first_difference.found
    assert 0 < done.identical_records < sum(1 for _ in records_of(pipeline.bootstrap, pipeline.topics.ledger))
    answer = done.to_json()
    assert answer["ok"] is False
    assert answer["first_difference"]["place"] == done.first_difference.place


def test_a_changed_input_is_a_difference(pipeline: Pipeline, settings: Settings) -> None:
    topics = forged(pipeline, "commands", lambda partitions: partitions[1].pop())
    assert decide_again(settings, topics).first_difference is not None


def test_a_credit_that_nobody_sent_is_a_difference(pipeline: Pipeline, settings: Settings) -> None:
    topics = forged(pipeline, "credits", lambda partitions: partitions[0].append(partitions[0][-1]))
    done = decide_again(settings, topics)
    assert done.first_difference is not None
    assert done.first_difference.place.startswith(f"{topics.credits}[0] offset ")


def test_what_retention_has_deleted_is_said(pipeline: Pipeline, settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": pipeline.bootstrap})
    topics = forged(pipeline, "commands", lambda _: None)._replace(
        ledger=forged(pipeline, "ledger", lambda _: None).ledger
    )
    _delete(admin, TopicPartition(topics.commands, 1, 4))
    done = decide_again(settings, topics)
    assert done.first_difference is None
    assert 0 < done.records_without_inputs == done.records - done.identical_records
    assert f"{topics.commands}[1] begins at offset 4" in done.not_proved[0]
    _delete(admin, TopicPartition(topics.ledger, 0, 1))
    with pytest.raises(AuditImpossible, match="none can be made again"):
        decide_again(settings, topics)


def _delete(admin: AdminClient, before: TopicPartition) -> None:
    for future in admin.delete_records([before]).values():
        future.result(30)

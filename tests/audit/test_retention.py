"""Topics whose beginning is no longer kept: the audit says what it could not prove, and still proves the rest."""

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from millrace.audit.ledger.partition_log import AuditedTopics
from millrace.audit.report import Invariant
from millrace.audit.verify import verify
from runtime.settings import Settings
from tests.audit.forgery import ForgedRecord, forged, relinked
from tests.audit.pipeline import Pipeline


def shortened(pipeline: Pipeline, topic: str, partition: int) -> tuple[AuditedTopics, int]:
    """The pipeline's topics with one of them copied and its first records deleted, as retention would."""
    kept: list[ForgedRecord] = []
    topics = forged(pipeline, topic, lambda partitions: kept.extend(partitions[partition]))
    start = kept[len(kept) // 2].offset
    admin = AdminClient({"bootstrap.servers": pipeline.bootstrap})
    for future in admin.delete_records([TopicPartition(getattr(topics, topic), partition, start)]).values():
        future.result(30)
    return topics, start


@pytest.fixture
def audited(settings: Settings, applied_tables: str) -> Settings:
    return settings.model_copy(update={"database_url": applied_tables})


@pytest.mark.parametrize("topic", ["commands", "credits"])
def test_without_old_inputs_the_ledger_is_still_added_up(pipeline: Pipeline, audited: Settings, topic: str) -> None:
    topics, start = shortened(pipeline, topic, 1)
    report = verify(audited, topics)
    assert report.differences == []
    replay = report.proofs[Invariant.REPLAY]
    assert replay.verdict == "not proved"
    assert f"{getattr(topics, topic)}[1] begins at offset {start}" in replay.not_proved[0]
    assert "decided again" in replay.checked[0]
    proved = {invariant for invariant, proof in report.proofs.items() if proof.verdict == "proved"}
    expected = set(Invariant) - {Invariant.REPLAY}
    assert proved == (expected - {Invariant.QUARANTINE} if topic == "commands" else expected)


def test_without_the_ledgers_beginning_only_the_chain_is_left(pipeline: Pipeline, audited: Settings) -> None:
    topics, start = shortened(pipeline, "ledger", 2)
    report = verify(audited, topics)
    assert report.differences == []
    assert {proof.verdict for proof in report.proofs.values()} == {"not proved"}
    assert f"begins at offset {start}" in report.proofs[Invariant.CONSERVATION].not_proved[0]
    assert "still kept are linked" in report.proofs[Invariant.TRACE].checked[0]


def test_a_broken_link_is_found_in_what_is_left(pipeline: Pipeline, audited: Settings) -> None:
    topics = forged(pipeline, "ledger", lambda partitions: relinked(partitions[2][-2:]))
    admin = AdminClient({"bootstrap.servers": pipeline.bootstrap})
    for future in admin.delete_records([TopicPartition(topics.ledger, 0, 1)]).values():
        future.result(30)
    report = verify(audited, topics)
    assert report.differences[0].invariant is Invariant.TRACE
    assert report.differences[0].place.startswith(f"{topics.ledger}[2] offset ")

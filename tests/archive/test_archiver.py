"""The archiver holds every committed record once, byte for byte, in segments that it never changes.

Method: the archive is read back with the Avro library alone and compared with what a consumer of the topics sees.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from millrace.archive.verify import verify_archive
from millrace.audit.ledger.partition_log import PartitionLog, extents
from payments.errors import InvariantViolation
from runtime.archive.objects import ArchiveInUse, ObjectFolder
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.topics import COMMANDS, Topic
from sinks.archive.service import Archiver, StoppedEarly
from tests.archive.conftest import SEGMENT_BYTES, archiving, beside, delete_before, topics_of
from tests.audit.pipeline import SHARDS, Pipeline

_CONFIG = {"message.timestamp.type": "LogAppendTime"}


def archived(folder: Path, topic: str, partition: int) -> Iterator[dict[str, Any]]:
    """The archived records, read as anybody with an Avro library would."""
    for path in sorted((folder / topic / str(partition)).glob("*.avro")):
        with path.open("rb") as file:
            for record in fastavro.reader(file):
                assert isinstance(record, dict)
                yield record


def consumed(bootstrap: str, topic: str, partition: int) -> list[Message]:
    brokers = Brokers(bootstrap)
    extent = extents(brokers, (topic,), len_of(bootstrap, topic))[topic, partition]
    return list(PartitionLog(brokers, topic, partition, extent, lambda _: None))


def len_of(bootstrap: str, topic: str) -> int:
    return len(AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, 30).topics[topic].partitions)


def links(folder: Path, topic: str, partition: int) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted((folder / topic / str(partition)).glob("*.json"))]


def test_every_record_is_archived_as_the_broker_has_it(pipeline: Pipeline, archived_once: Path) -> None:
    total = 0
    for topic in pipeline.topics:
        for partition in range(SHARDS):
            found = list(archived(archived_once, topic, partition))
            expected = consumed(pipeline.bootstrap, topic, partition)
            assert [(r["offset"], r["timestamp_ms"], r["key"], r["value"]) for r in found] == [
                (m.offset(), m.timestamp()[1], m.key(), m.value()) for m in expected
            ]
            headers = [[(h["name"], h["value"]) for h in r["headers"]] or None for r in found]
            assert headers == [m.headers() for m in expected]
            total += len(found)
    assert total > 150
    assert verify_archive(archived_once, beside(pipeline)).compared_records == total


def test_links_name_what_lies_there_and_cover_every_offset(pipeline: Pipeline, archived_once: Path) -> None:
    ends = extents(Brokers(pipeline.bootstrap), pipeline.topics, SHARDS)
    for topic in pipeline.topics:
        for partition in range(SHARDS):
            folder = archived_once / topic / str(partition)
            position, previous = 0, "0" * 64
            for path in sorted(folder.glob("*.json")):
                link = json.loads(path.read_bytes())
                segment = folder / f"{link['first_offset']:020d}-{link['next_offset']:020d}.avro"
                assert link["first_offset"] == position
                assert link["previous_sha256"] == previous
                assert link["sha256"] == hashlib.sha256(segment.read_bytes()).hexdigest()
                assert link["size_bytes"] == segment.stat().st_size
                position, previous = link["next_offset"], hashlib.sha256(path.read_bytes()).hexdigest()
            assert position == ends[topic, partition].end, "markers at the end are covered too"


def test_segments_close_at_their_size(pipeline: Pipeline, archived_once: Path) -> None:
    found = links(archived_once, pipeline.topics.ledger, 0)
    assert len(found) > 3
    largest = max(len(m.value()) for m in consumed(pipeline.bootstrap, pipeline.topics.ledger, 0))
    for link in found[:-1]:
        assert SEGMENT_BYTES <= link["value_bytes"] < SEGMENT_BYTES + largest


def test_a_second_pass_adds_nothing_and_a_second_archive_has_the_same_bytes(
    pipeline: Pipeline, folder: Path, tmp_path: Path
) -> None:
    before = contents(folder)
    assert Archiver(archiving(pipeline, folder), topics_of(pipeline)).run_once() == 0
    assert contents(folder) == before
    another = tmp_path / "another"
    Archiver(archiving(pipeline, another), topics_of(pipeline)).run_once()
    assert contents(another) == before


def test_a_pass_that_is_told_to_stop_stops(pipeline: Pipeline, tmp_path: Path) -> None:
    """It went on to the end, and without brokers for ever: SIGTERM and Ctrl-C were not looked at."""
    archiver = Archiver(archiving(pipeline, tmp_path), topics_of(pipeline))
    archiver.stop()
    with pytest.raises(StoppedEarly, match="archived by the next run"):
        archiver.run_once()
    assert contents(tmp_path) == {}


def contents(folder: Path) -> dict[str, bytes]:
    """Every object."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("[!.]*/*/*")}


def test_one_process_writes(pipeline: Pipeline, folder: Path) -> None:
    with ObjectFolder(folder).locked(), pytest.raises(ArchiveInUse, match="another process"):
        Archiver(archiving(pipeline, folder), topics_of(pipeline)).run_once()


@pytest.fixture
def lone(broker: str, topic_name: Any) -> Topic:
    """An empty topic with one partition."""
    name = topic_name("archived")
    _made(AdminClient({"bootstrap.servers": broker}), name)
    return COMMANDS._replace(name=name)


def one_shard(broker: str, folder: Path, age_ms: int = 3_600_000) -> Settings:
    return Settings(
        home=folder.parent, kafka_bootstrap=broker, shards=1, archive_dir=folder, archive_segment_age_ms=age_ms
    )


def transactional(broker: str, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": broker, "transactional.id": name})
    producer.init_transactions(30)
    return producer


def test_nothing_above_the_last_stable_offset_and_nothing_aborted(broker: str, lone: Topic, tmp_path: Path) -> None:
    settings, producer = one_shard(broker, tmp_path / "archive"), transactional(broker, f"{lone.name}.1")
    for end, value in ((producer.commit_transaction, b"kept"), (producer.abort_transaction, b"aborted")):
        producer.begin_transaction()
        producer.produce(lone.name, value, b"key", headers=[("a", b"1"), ("b", None)])
        producer.flush()
        end(30)
    plain = Producer({"bootstrap.servers": broker})
    producer.begin_transaction()
    producer.produce(lone.name, b"open")
    producer.flush()
    plain.produce(lone.name, None, b"behind the open one")
    plain.flush()
    assert Archiver(settings, [lone]).run_once() == 1
    assert settings.archive_dir is not None
    assert [r["value"] for r in archived(settings.archive_dir, lone.name, 0)] == [b"kept"]
    assert links(settings.archive_dir, lone.name, 0)[-1]["next_offset"] == 4, "the open transaction's first offset"
    producer.commit_transaction(30)
    Archiver(settings, [lone]).run_once()
    found = list(archived(settings.archive_dir, lone.name, 0))
    assert [r["value"] for r in found] == [b"kept", b"open", None]
    assert found[0]["headers"] == [{"name": "a", "value": b"1"}, {"name": "b", "value": None}]


def test_what_was_aborted_alone_moves_the_end_without_records(broker: str, lone: Topic, tmp_path: Path) -> None:
    """Else an archive would seem to have a gap where retention deletes offsets that never held a committed record."""
    settings, producer = one_shard(broker, tmp_path / "archive"), transactional(broker, f"{lone.name}.2")
    producer.begin_transaction()
    producer.produce(lone.name, b"aborted")
    producer.flush()
    producer.abort_transaction(30)
    assert Archiver(settings, [lone]).run_once() == 1
    assert settings.archive_dir is not None
    [link] = links(settings.archive_dir, lone.name, 0)
    assert (link["records"], link["next_offset"], link["first_timestamp_ms"]) == (0, 2, None)


def test_deleted_before_they_were_archived(pipeline: Pipeline, broker: str, lone: Topic, tmp_path: Path) -> None:
    """The archiver refuses to go on by itself, and the gap stays visible where it is told to."""
    settings, producer = one_shard(broker, tmp_path / "archive"), Producer({"bootstrap.servers": broker})
    for number in range(10):
        producer.produce(lone.name, str(number).encode())
        producer.flush()
        if number == 3:
            Archiver(settings, [lone]).run_once()
    delete_before(pipeline, lone.name, {0: 7})
    with pytest.raises(InvariantViolation, match=r"offsets 4 to 6 were deleted before they were archived"):
        Archiver(settings, [lone]).run_once()
    assert Archiver(settings, [lone], skip_deleted=True).run_once() == 1
    assert settings.archive_dir is not None
    assert [int(r["value"]) for r in archived(settings.archive_dir, lone.name, 0)] == [0, 1, 2, 3, 7, 8, 9]
    [difference] = verify_archive(settings.archive_dir, None).differences
    assert difference.place.endswith(f"{7:020d}.json")
    assert ("from offset 4 on" in difference.expected, "from 7 on" in difference.found) == (True, True)


def test_a_topic_made_anew_is_refused(
    broker: str, lone: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, producer = one_shard(broker, tmp_path / "archive"), Producer({"bootstrap.servers": broker})
    for _ in range(3):
        producer.produce(lone.name, b"a record")
    producer.flush()
    Archiver(settings, [lone]).run_once()
    monkeypatch.setattr("sinks.archive.tail.METADATA_DEADLINE_S", 3)
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.delete_topics([lone.name], operation_timeout=30).values():
        future.result(30)
    _made(admin, lone.name)
    with pytest.raises(InvariantViolation, match=r"ends at offset 0 and is archived up to 3.*use an empty archive"):
        Archiver(settings, [lone]).run_once()


def _made(admin: AdminClient, name: str) -> None:
    """A topic with one partition, also where one of this name was deleted a moment ago."""
    for _ in range(50):
        try:
            for future in admin.create_topics([NewTopic(name, 1, 1, config=_CONFIG)], operation_timeout=30).values():
                future.result(30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{name} is still being deleted")

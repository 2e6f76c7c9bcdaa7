"""The watch says when retention comes too near to what is not archived, whether or not an archiver runs."""

import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from millrace.archive.alarm import ArchiveAlarm
from runtime.settings import Settings
from schemas.topics import COMMANDS, Topic
from sinks.archive.service import Archiver
from tests.archive.conftest import delete_before
from tests.audit.pipeline import Pipeline

RETENTION_MS = 1_000_000


@pytest.fixture
def topic(broker: str, topic_name: Any) -> Topic:
    """One partition whose producers say how old their records are."""
    name = topic_name("aged")
    admin = AdminClient({"bootstrap.servers": broker})
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    for future in admin.create_topics([NewTopic(name, 1, 1, config=config)], operation_timeout=30).values():
        future.result(30)
    return COMMANDS._replace(name=name, retention_ms=RETENTION_MS)


@pytest.fixture
def settings(broker: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, kafka_bootstrap=broker, shards=1, archive_dir=tmp_path / "archive")


def written(broker: str, topic: Topic, *ages: int) -> None:
    """Records this many milliseconds old."""
    producer = Producer({"bootstrap.servers": broker})
    for age_ms in ages:
        producer.produce(topic.name, b"record", timestamp=time.time_ns() // 1_000_000 - age_ms)
    producer.flush()


def test_quiet_while_what_is_not_archived_is_young(broker: str, settings: Settings, topic: Topic) -> None:
    alarm = ArchiveAlarm(settings, [topic], every_s=0)
    assert alarm.alarms() == []
    written(broker, topic, RETENTION_MS // 2 - 100_000, 0)
    assert alarm.alarms() == []


@pytest.mark.parametrize("newer", [(), (0,)])
def test_half_of_the_retention_without_an_archive(
    broker: str, settings: Settings, topic: Topic, newer: tuple[int, ...]
) -> None:
    alarm = ArchiveAlarm(settings, [topic], every_s=0)
    written(broker, topic, RETENTION_MS // 2 + 100_000, *newer)
    [line] = alarm.alarms()
    assert line.startswith(f"{topic.name}[0]: offset 0 is not archived after")
    Archiver(settings, [topic]).run_once()
    assert alarm.alarms() == []


def test_what_is_kept_for_ever_is_never_due(broker: str, settings: Settings, topic: Topic) -> None:
    written(broker, topic, RETENTION_MS)
    assert ArchiveAlarm(settings, [topic._replace(retention_ms=-1)]).alarms() == []


def test_deleted_before_it_was_archived(broker: str, settings: Settings, topic: Topic, pipeline: Pipeline) -> None:
    written(broker, topic, 0, 0, 0)
    Archiver(settings, [topic]).run_once()
    written(broker, topic, 0, 0)
    delete_before(pipeline, topic.name, {0: 5})
    [line] = ArchiveAlarm(settings, [topic]).alarms()
    assert line == f"{topic.name}[0]: offsets 3 to 4 were deleted before they were archived"


def test_an_archive_that_cannot_be_read(broker: str, settings: Settings, topic: Topic) -> None:
    written(broker, topic, 0)
    Archiver(settings, [topic]).run_once()
    assert settings.archive_dir is not None
    next(settings.archive_dir.rglob("*.json")).write_bytes(b"?")
    [line] = ArchiveAlarm(settings, [topic]).alarms()
    assert line.startswith("the archive can't be read: archive ")


def test_brokers_that_do_not_answer_leave_the_last_answer(
    settings: Settings, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millrace.archive.alarm._TIMEOUT_S", 1)
    away = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    assert ArchiveAlarm(away, [topic]).alarms() == []


def test_no_archive_no_alarm(settings: Settings) -> None:
    assert ArchiveAlarm(settings.model_copy(update={"archive_dir": None})).alarms() == []

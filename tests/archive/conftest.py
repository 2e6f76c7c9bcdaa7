"""A decided log on the real broker whose topics an archive test may delete records of, and settings that archive it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from millrace.archive.verify import ToCompare
from millrace.audit.ledger.partition_log import AuditedTopics
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.topics import CATALOGUE, Topic
from sinks.archive.service import Archiver
from tests.audit.pipeline import SHARDS, Pipeline, apply_ledger, payments_of_every_kind
from tests.support.environment import fresh_database

SEGMENT_BYTES = 2_048
"""Up to ten segments a partition, from what a few hundred payments write."""


def topics_of(pipeline: Pipeline) -> tuple[Topic, ...]:
    """The pipeline's own topics as the catalogue describes theirs."""
    described = {topic.name: topic for topic in CATALOGUE}
    pairs = zip(AuditedTopics(), pipeline.topics, strict=True)
    return tuple(described[original]._replace(name=name) for original, name in pairs)


@pytest.fixture(scope="module")
def pipeline(broker: str) -> Pipeline:
    """Of this module's own: payments of every kind, all of them final."""
    pipeline = Pipeline(broker)
    payments_of_every_kind(pipeline, seed=7)
    return pipeline


@pytest.fixture(scope="module")
def archived_once(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole log as an archive. Tests may not write to it."""
    folder = tmp_path_factory.mktemp("archived") / "archive"
    settings = archiving(pipeline, folder)
    assert Archiver(settings, topics_of(pipeline)).run_once() > 3 * SHARDS
    return folder


@pytest.fixture
def folder(archived_once: Path, tmp_path: Path) -> Path:
    """A copy of the archive that the test may change."""
    return Path(shutil.copytree(archived_once, tmp_path / "archive"))


@pytest.fixture(scope="module")
def applied(pipeline: Pipeline, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database to which the sink has applied the log. Tests may not write to it."""
    with fresh_database(postgres) as url:
        apply_ledger(pipeline.bootstrap, pipeline.topics.ledger, url, tmp_path_factory.mktemp("sink"))
        yield url


def archiving(pipeline: Pipeline, folder: Path, database: str = "", age_ms: int = 3_600_000) -> Settings:
    """Settings for this log with this archive."""
    settings = Settings(
        home=folder.parent,
        kafka_bootstrap=pipeline.bootstrap,
        shards=SHARDS,
        archive_dir=folder,
        archive_segment_bytes=SEGMENT_BYTES,
        archive_segment_age_ms=age_ms,
    )
    return settings.model_copy(update={"database_url": database}) if database else settings


def beside(pipeline: Pipeline) -> ToCompare:
    """What `verify_archive` compares the archive of this log with."""
    return ToCompare(Brokers(pipeline.bootstrap), SHARDS, topics_of(pipeline))


def delete_before(pipeline: Pipeline, topic: str, offsets: dict[int, int]) -> None:
    """What retention does: records below these offsets are gone (-1: all of them)."""
    admin = AdminClient({"bootstrap.servers": pipeline.bootstrap})
    asked = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
    for future in admin.delete_records(asked).values():
        future.result(30)

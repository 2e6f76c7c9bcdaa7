"""Goal: what is missing is made as the catalogue says, what is there is never changed, what does not fit is refused."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from millrace import topics as under_test
from millrace.commands.services import run_topics
from millrace.topics import ensure_topics
from payments.errors import InvariantViolation
from runtime.settings import Settings
from schemas.topics import CATALOGUE, COMMANDS, LEDGER, REPLIES, configuration, partitions

SHARDS = 6


class Made:
    """The broker's answer about one topic."""

    def __init__(self, failure: KafkaException | None) -> None:
        self._failure = failure

    def result(self, timeout_s: float) -> None:
        assert timeout_s > 0, "a broker that does not answer is not waited for for ever"
        if self._failure is not None:
            raise self._failure


class Cluster:
    """Topics by name with their partition counts, and failures by topic."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.failures: dict[str, KafkaException] = {}
        self.asked: list[list[NewTopic]] = []
        self.bootstrap = ""

    def connected(self, configuration: dict[str, Any]) -> "Cluster":
        self.bootstrap = configuration["bootstrap.servers"]
        return self

    def list_topics(self, timeout: float) -> SimpleNamespace:
        topics = {name: SimpleNamespace(partitions=dict.fromkeys(range(n))) for name, n in self.counts.items()}
        return SimpleNamespace(topics=topics)

    def create_topics(self, topics: list[NewTopic], operation_timeout: float) -> dict[str, Made]:
        assert topics, "an empty request is an error of the client"
        self.asked.append(topics)
        return {topic.topic: Made(self.failures.get(topic.topic)) for topic in topics}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(under_test, "AdminClient", made.connected)
    return made


def whole() -> dict[str, int]:
    return {topic.name: partitions(topic, SHARDS) for topic in CATALOGUE}


def ensured(**changes: Any) -> list[str]:
    return ensure_topics(Settings(kafka_bootstrap="elsewhere:9092", shards=SHARDS, **changes))


def failure(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


@pytest.mark.parametrize("replication_factor", [1, 3])
def test_an_empty_cluster_gets_the_whole_catalogue(cluster: Cluster, replication_factor: int) -> None:
    assert ensured(replication_factor=replication_factor) == [topic.name for topic in CATALOGUE]
    [asked] = cluster.asked
    for topic, new in zip(CATALOGUE, asked, strict=True):
        assert (new.topic, new.num_partitions) == (topic.name, partitions(topic, SHARDS))
        assert new.replication_factor == replication_factor
        assert new.config == configuration(topic, replication_factor)
    assert cluster.bootstrap == "elsewhere:9092"


def test_a_whole_cluster_is_left_alone(cluster: Cluster) -> None:
    cluster.counts = whole()
    assert ensured() == []
    assert cluster.asked == []


def test_only_what_is_missing_is_made(cluster: Cluster) -> None:
    cluster.counts = whole()
    del cluster.counts[LEDGER.name], cluster.counts[REPLIES.name]
    assert ensured() == [LEDGER.name, REPLIES.name]
    assert [topic.topic for topic in cluster.asked[0]] == [LEDGER.name, REPLIES.name]


@pytest.mark.parametrize("found", [SHARDS - 1, SHARDS + 1])
@pytest.mark.parametrize("topic", CATALOGUE, ids=lambda topic: topic.name)
def test_another_partition_count_is_refused_before_anything_is_made(cluster: Cluster, topic: Any, found: int) -> None:
    """An account's partition follows from the count: with another one its commands would reach another shard."""
    cluster.counts = {topic.name: found if partitions(topic, SHARDS) == SHARDS else found + 10}
    count = cluster.counts[topic.name]
    with pytest.raises(InvariantViolation) as refused:
        ensured()
    assert str(refused.value).startswith(f"topic {topic.name} has {count} partitions, settings ask for ")
    assert "MILLRACE_SHARDS" in str(refused.value)
    assert cluster.asked == []


def test_topics_of_others_are_no_concern_of_ours(cluster: Cluster) -> None:
    cluster.counts = {**whole(), "somebody.elses": 1}
    assert ensured() == []


def test_a_topic_that_another_process_made_meanwhile_is_there(cluster: Cluster) -> None:
    cluster.failures = {COMMANDS.name: failure(KafkaError.TOPIC_ALREADY_EXISTS)}
    assert COMMANDS.name in ensured()


@pytest.mark.parametrize(
    "code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.INVALID_REPLICATION_FACTOR, KafkaError._TIMED_OUT]
)
def test_a_topic_that_could_not_be_made_is_an_error(cluster: Cluster, code: int) -> None:
    cluster.failures = {LEDGER.name: failure(code)}
    with pytest.raises(KafkaException) as raised:
        ensured()
    assert raised.value.args[0].code() == code


def test_the_command_says_what_it_made(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_SHARDS", str(SHARDS))
    cluster.counts = whole()
    del cluster.counts[LEDGER.name]
    run_topics()
    cluster.counts = whole()
    run_topics()
    assert capsys.readouterr().out == f"made {LEDGER.name}\nall topics are there\n"

"""Goal: real servers that come up, survive crashes and restarts without losing what was acknowledged, and end.

Method: one environment for the module, killed from outside; environments of their own where a start must fail.
"""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from millrace.environment import EnvironmentFault, LocalEnvironment, connected, ports
from millrace.environment.faults import EnvironmentBusy, NotRunning, PortTaken, StartFault
from runtime.settings import Settings
from tests.support.environment import running_environment, throw_away_settings
from tests.support.waiting import eventually

TopicName = Callable[[str], str]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEnvironment]:
    with running_environment(tmp_path_factory.mktemp("own")) as environment:
        yield environment


def _create_topic(bootstrap: str, name: str, *, partitions: int = 1, replication: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, partitions, replication)])[name].result(20)


def _produce(bootstrap: str, topic: str, values: list[str]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 1})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def _read(bootstrap: str, topic: str, count: int) -> list[str]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = consumer.consume(count, timeout=20)
    consumer.close()
    return [(message.value() or b"").decode() for message in messages]


def test_one_broker_is_a_cluster_of_one(environment: LocalEnvironment) -> None:
    admin = AdminClient({"bootstrap.servers": environment.kafka_bootstrap})
    cluster = admin.describe_cluster().result(10)
    assert [node.port for node in cluster.nodes] == [environment.settings.kafka_port]
    assert environment.addresses.brokers == 1


def test_a_topic_must_be_made_before_it_is_used(environment: LocalEnvironment, topic_name: TopicName) -> None:
    metadata = AdminClient({"bootstrap.servers": environment.kafka_bootstrap}).list_topics(topic_name("typo"), 10)
    assert all(topic.error is not None for topic in metadata.topics.values())


def test_transactions_and_the_new_group_protocol_work(environment: LocalEnvironment, topic_name: TopicName) -> None:
    """The pinned jars leave some of Kafka's dependencies out: both coordinators and a server-side assignor must run."""
    bootstrap, source, target = environment.kafka_bootstrap, topic_name("source"), topic_name("target")
    for name in (source, target):
        _create_topic(bootstrap, name)
    _produce(bootstrap, source, ["a", "b", "c"])
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic_name("group"),
            "group.protocol": "consumer",
            "group.remote.assignor": "range",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([source])
    messages = consumer.consume(3, timeout=20)
    assert [message.value() for message in messages] == [b"a", b"b", b"c"]
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic_name("writer")})
    producer.init_transactions(20)
    for outcome in ("aborted", "committed"):
        producer.begin_transaction()
        producer.produce(target, outcome)
        producer.send_offsets_to_transaction([TopicPartition(source, 0, 3)], consumer.consumer_group_metadata(), 20)
        producer.abort_transaction(20) if outcome == "aborted" else producer.commit_transaction(20)
    committed = consumer.committed([TopicPartition(source, 0)], 20)
    consumer.close()
    assert committed[0].offset == 3
    assert _read(bootstrap, target, 1) == ["committed"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_understood(environment: LocalEnvironment, topic_name: TopicName, codec: str) -> None:
    """The topic asks the broker to recompress, so its own libraries must load."""
    topic = topic_name(codec)
    admin = AdminClient({"bootstrap.servers": environment.kafka_bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config={"compression.type": codec})])[topic].result(20)
    _produce(environment.kafka_bootstrap, topic, ["x" * 1000])
    assert _read(environment.kafka_bootstrap, topic, 1) == ["x" * 1000]


def test_a_killed_broker_is_back_with_its_records(environment: LocalEnvironment, topic_name: TopicName) -> None:
    topic = topic_name("kept")
    _create_topic(environment.kafka_bootstrap, topic)
    _produce(environment.kafka_bootstrap, topic, ["before"])
    killed = environment.kill("broker")
    assert environment.wait_restarted("broker", killed) != killed
    _produce(environment.kafka_bootstrap, topic, ["after"])
    assert _read(environment.kafka_bootstrap, topic, 2) == ["before", "after"]


def test_a_killed_postgres_is_back_with_its_rows(environment: LocalEnvironment) -> None:
    with psycopg.connect(environment.database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    killed = environment.kill("postgres")
    environment.wait_restarted("postgres", killed)
    with psycopg.connect(environment.database_url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_the_books_are_kept_as_books_should_be(environment: LocalEnvironment) -> None:
    wanted = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on"}
    with psycopg.connect(environment.database_url) as connection:
        for setting, value in wanted.items():
            row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
            assert row == (value,), setting


def test_postgres_refuses_who_has_no_password(environment: LocalEnvironment) -> None:
    url = f"postgresql://millrace@127.0.0.1:{environment.settings.postgres_port}/millrace"
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(url, passfile="/dev/null")
    assert "password" not in environment.database_url


def test_a_second_environment_in_the_same_home_is_refused(environment: LocalEnvironment) -> None:
    with pytest.raises(EnvironmentBusy, match=r"already \(pid \d+\): `millrace down` stops it"):
        LocalEnvironment(environment.settings, pipeline=False).start()
    assert environment.status().phase == "ready"


def test_clients_find_the_environment_by_its_home(environment: LocalEnvironment) -> None:
    found = connected(Settings(home=environment.settings.home))
    assert (found.kafka_bootstrap, found.database_url) == (environment.kafka_bootstrap, environment.database_url)


def test_an_unknown_service_cannot_be_killed(environment: LocalEnvironment) -> None:
    with pytest.raises(EnvironmentFault, match="there are: broker, postgres"):
        environment.kill("sink-7")


def test_everything_binds_to_loopback(environment: LocalEnvironment) -> None:
    for service in environment.status().services:
        for connection in psutil.Process(service.pid).net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip.removeprefix("::ffff:") == "127.0.0.1", service.name


def test_nothing_is_lost_between_down_and_up_and_a_cluster_keeps_its_size(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path)
    with LocalEnvironment(settings, pipeline=False) as first:
        _create_topic(first.kafka_bootstrap, "kept")
        _produce(first.kafka_bootstrap, "kept", ["record"])
        with psycopg.connect(first.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        pids = [service.pid or 0 for service in first.status().services]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(NotRunning):
        first.status()
    with LocalEnvironment(settings, pipeline=False) as second:
        assert _read(second.kafka_bootstrap, "kept", 1) == ["record"]
        with psycopg.connect(second.database_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    with pytest.raises(EnvironmentFault, match=r"cluster of 1: start it with --brokers 1"):
        LocalEnvironment(settings, brokers=3, pipeline=False).start()


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path)
    with socket.create_server((ports.LOOPBACK, settings.kafka_port + 1)), pytest.raises(PortTaken, match="Kafka"):
        LocalEnvironment(settings, pipeline=False).start()
    assert not (tmp_path / "kafka").exists()


def test_a_full_disk_is_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100 << 20)
    monkeypatch.setattr("millrace.environment.layout.shutil.disk_usage", lambda _: usage)
    with pytest.raises(EnvironmentFault, match=r"100 MiB left .* need 1024 MiB"):
        LocalEnvironment(throw_away_settings(tmp_path), pipeline=False).start()


def test_a_broker_that_cannot_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path).model_copy(update={"broker_jvm_flags": "-XX:NoSuchFlag"})
    with pytest.raises(StartFault, match=r"broker does not stay up: .*log: .*broker\.log"):
        LocalEnvironment(settings, pipeline=False).start()
    with pytest.raises(NotRunning):
        LocalEnvironment(settings).status()


def test_servers_that_run_already_are_used(environment: LocalEnvironment, tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, kafka_bootstrap=environment.kafka_bootstrap, database_url=environment.database_url
    )
    with LocalEnvironment(settings, pipeline=False) as guest:
        assert guest.status().services == []
        assert guest.kafka_bootstrap == environment.kafka_bootstrap
        assert guest.database_url == environment.database_url
        assert guest.addresses.brokers == 0


def test_all_processes_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from millrace.environment import LocalEnvironment\n"
        "from runtime.settings import Settings\n"
        f"settings = Settings(home=Path({str(tmp_path)!r}), kafka_port={settings.kafka_port},"
        f" postgres_port={settings.postgres_port})\n"
        "LocalEnvironment(settings, pipeline=False).start(); print('ready', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        status = LocalEnvironment(settings).status()
        owner.send_signal(signal.SIGKILL)
    pids = [status.pid, *(service.pid or 0 for service in status.services)]
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), "all ended")


def test_a_killed_supervisor_takes_its_servers_along_and_the_next_start_finds_everything(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path)
    first = LocalEnvironment(settings, pipeline=False).start(detached=True)
    _create_topic(first.kafka_bootstrap, "kept")
    _produce(first.kafka_bootstrap, "kept", ["record"])
    status = first.status()
    psutil.Process(status.pid).kill()
    pids = [service.pid or 0 for service in status.services]
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), "servers ended")
    with pytest.raises(NotRunning):
        first.status()
    with LocalEnvironment(settings, pipeline=False) as second:
        assert _read(second.kafka_bootstrap, "kept", 1) == ["record"]
        psycopg.connect(second.database_url).close()


def test_a_detached_environment_outlives_its_starter_and_is_stopped_by_another(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path)
    starter = LocalEnvironment(settings, pipeline=False).start(detached=True)
    assert starter.status().phase == "ready"
    LocalEnvironment(settings, pipeline=False).stop()
    with pytest.raises(NotRunning):
        starter.status()
    starter.stop()


def test_a_supervisor_that_does_not_answer_is_not_taken_for_gone(tmp_path: Path) -> None:
    settings = throw_away_settings(tmp_path)
    with LocalEnvironment(settings, pipeline=False) as environment:
        status = environment.status()
        supervisor = psutil.Process(status.pid)
        supervisor.suspend()
        try:
            with pytest.raises(EnvironmentFault, match="runs but does not answer"):
                LocalEnvironment(settings, pipeline=False).stop()
            assert all(psutil.pid_exists(service.pid or 0) for service in status.services)
        finally:
            supervisor.resume()


def test_three_brokers_replicate_and_survive_the_loss_of_one(
    three_brokers: LocalEnvironment, topic_name: TopicName
) -> None:
    bootstrap, topic = three_brokers.kafka_bootstrap, topic_name("replicated")
    _create_topic(bootstrap, topic, replication=3)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    # a broker may not know a topic yet that another has just made
    eventually(lambda: 0 in admin.list_topics(topic, 10).topics[topic].partitions, "the topic is known")
    assert sorted(admin.list_topics(topic, 10).topics[topic].partitions[0].replicas) == [1, 2, 3]
    _produce(bootstrap, topic, ["all"])
    killed = three_brokers.kill("broker-2")
    _produce(bootstrap, topic, ["two of three"])
    three_brokers.wait_restarted("broker-2", killed, 60)
    assert _read(bootstrap, topic, 2) == ["all", "two of three"]
    assert three_brokers.settings.replication_factor == 3

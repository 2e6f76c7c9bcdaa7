"""The configuration of a local broker: what is set, and why it differs from Kafka's default."""

from collections.abc import Mapping
from pathlib import Path

from millrace.environment.ports import LOOPBACK

FIXED = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # A typo in a topic name is an error, not a new topic.
    "auto.create.topics.enable": "false",
    # Two cores for everything: 2 + 2 threads instead of 3 + 8.
    "num.network.threads": "2",
    "num.io.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
    # 16 MiB of the 512 MiB heap (default 128 MiB) still index 700,000 keys per cleaning.
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.segment.bytes": "67108864",
    "log.retention.hours": "168",
    # 50 partitions each would cost 50 files and 50 loads at every start.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    # A single broker that crashed comes back when its old session has ended: 9 s by default, and most of the stall.
    # 2 s leaves five heartbeats for a machine that is busy (kill -9 to ready: 4 s, with 3 s it was 5 s).
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "400",
    # Transactions of a dead worker are looked for every second (default 10 s).
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # No waiting for further members before the first assignment (default 3 s).
    "group.initial.rebalance.delay.ms": "0",
    # Fault tests use short sessions: the lower limits of both group protocols (defaults 6 s and 45 s).
    "group.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
}


def broker_properties(
    first_port: int, node_id: int, brokers: int, data: Path, secured: Mapping[str, object] | None = None
) -> str:
    """The text of server.properties for one broker of a cluster on loopback; `secured` comes on top."""
    port = first_port + 100 * (node_id - 1)
    replication = min(brokers, 3)
    in_sync = max(1, replication - 1)
    voters = ",".join(f"{index + 1}@{LOOPBACK}:{first_port + 100 * index + 1}" for index in range(brokers))
    listener = (secured or FIXED)["inter.broker.listener.name"]
    own = {
        "node.id": node_id,
        "controller.quorum.voters": voters,
        "listeners": f"{listener}://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{port + 1}",
        "advertised.listeners": f"{listener}://{LOOPBACK}:{port}",
        "log.dirs": data,
        "num.partitions": 4,
        "default.replication.factor": replication,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replication,
        "transaction.state.log.replication.factor": replication,
        "transaction.state.log.min.isr": in_sync,
    }
    return "".join(f"{key}={value}\n" for key, value in {**FIXED, **own, **(secured or {})}.items())


def log_configuration(log: Path) -> str:
    """log4j2.xml: one rolling file, 10 MiB × 4, with what the transaction coordinator decides."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <RollingFile name="file" fileName="{log}" filePattern="{log}.%i">
      <PatternLayout pattern="%d{{yyyy-MM-dd HH:mm:ss,SSS}} %p %m (%c)%n"/>
      <SizeBasedTriggeringPolicy size="10MB"/>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="file"/></Root>
    <Logger name="kafka.coordinator.transaction" level="INFO"/>
    <Logger name="org.apache.kafka.coordinator.group" level="INFO"/>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
    <Logger name="kafka.server.BrokerServer" level="INFO"/>
  </Loggers>
</Configuration>
"""

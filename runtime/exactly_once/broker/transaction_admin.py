"""KIP-664 calls that confluent-kafka 2.16 has no method for: open producers and transactions, markers.

Reads brokers over the wire protocol; writes only in `write_marker`. A view with a missing broker or leader is an
exception, never a shorter answer: a repair decided on half the picture could abort what was committed.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from confluent_kafka.admin import AdminClient

from runtime.exactly_once.broker import wire
from runtime.kafka_client import AccessRefused, Brokers

Partition = tuple[str, int]

DESCRIBE_PRODUCERS, DESCRIBE_TRANSACTIONS, LIST_TRANSACTIONS, WRITE_TXN_MARKERS = 61, 65, 66, 27

NOT_COORDINATOR = (14, 15, 16, 105)
"""Loading, unavailable, not coordinator, id not found: another broker answers for this id."""

NOT_AUTHORIZED = {29: "TOPIC_AUTHORIZATION_FAILED", 53: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"}
CLUSTER_NOT_AUTHORIZED = 31

METADATA_TIMEOUT_S = 10


class IncompleteView(Exception):
    """A broker or a leader is missing: no verdict about any transaction is possible now."""


class Cluster(NamedTuple):
    """Where every partition is led at one moment."""

    brokers: Mapping[int, wire.Address]
    leaders: Mapping[Partition, int]


class OpenProducer(NamedTuple):
    """A producer with an open transaction on one partition, as the partition's leader sees it."""

    partition: Partition
    producer_id: int
    epoch: int
    last_timestamp_ms: int
    coordinator_epoch: int
    start_offset: int


class Transaction(NamedTuple):
    """A transactional id as its coordinator sees it."""

    transactional_id: str
    state: str
    timeout_ms: int
    producer_id: int
    epoch: int
    partitions: frozenset[Partition]


def cluster(brokers: Brokers) -> Cluster:
    """A fresh client each time: one that outlives a broker restart answers with stale epochs."""
    client = AdminClient({**brokers.configuration(), "log_level": 2})
    metadata = client.list_topics(timeout=METADATA_TIMEOUT_S)
    addresses = {n: wire.Address(broker.host, broker.port, brokers.login) for n, broker in metadata.brokers.items()}
    leaders = {(t, p): found.leader for t, topic in metadata.topics.items() for p, found in topic.partitions.items()}
    leaderless = sorted(partition for partition, leader in leaders.items() if leader not in addresses)
    if leaderless:
        raise IncompleteView(f"{len(leaderless)} partitions without a leader, first {leaderless[0]}")
    return Cluster(addresses, leaders)


def open_producers(view: Cluster) -> list[OpenProducer]:
    """Every producer that has a transaction open on any partition."""
    led: dict[int, list[Partition]] = defaultdict(list)
    for partition, leader in view.leaders.items():
        led[leader].append(partition)
    found = [p for leader, partitions in led.items() for p in describe_producers(view.brokers[leader], partitions)]
    return [producer for producer in found if producer.start_offset >= 0]


def describe_producers(address: wire.Address, partitions: Iterable[Partition]) -> list[OpenProducer]:
    """Raises IncompleteView where the broker has no answer for a partition, AccessRefused where we may not ask."""
    answer = wire.ask(address, DESCRIBE_PRODUCERS, 0, wire.partitions(_by_topic(partitions)) + b"\0")
    answer.number("i")  # throttle
    found: list[OpenProducer] = []
    answer.array(lambda: _read_topic_producers(answer, address, found))
    return found


def transactions(view: Cluster) -> list[Transaction]:
    """Every transactional id known to any coordinator."""
    found = []
    for address in view.brokers.values():
        names = _list_transactions(address)
        found += [entry for entry in _describe(address, names) if isinstance(entry, Transaction)]
    return found


def transaction(view: Cluster, transactional_id: str) -> Transaction:
    """One id, asked at every broker. Raises IncompleteView while none of them coordinates it."""
    for address in view.brokers.values():
        for entry in _describe(address, [transactional_id]):
            if isinstance(entry, Transaction):
                return entry
    raise IncompleteView(f"no broker coordinates {transactional_id}")


def write_marker(view: Cluster, open_: OpenProducer, epoch: int, *, commit: bool) -> None:
    """Write the COMMIT or ABORT marker of one transaction to one partition. Raises RuntimeError when it is refused,
    AccessRefused when it is refused to us.
    """
    topic, number = open_.partition
    entry = struct.pack(">qhb", open_.producer_id, epoch, int(commit)) + wire.partitions({topic: [number]})
    body = wire.array([entry + wire.int32(max(0, open_.coordinator_epoch)) + b"\0"], lambda encoded: encoded) + b"\0"
    address = view.brokers[view.leaders[open_.partition]]
    answer = wire.ask(address, WRITE_TXN_MARKERS, 1, body)
    errors: list[int] = []
    answer.array(lambda: _read_marker(answer, errors))
    if CLUSTER_NOT_AUTHORIZED in errors:
        raise AccessRefused(address.login.may_not(f"end the transaction on {topic}", "CLUSTER_AUTHORIZATION_FAILED"))
    if any(errors):
        raise RuntimeError(f"marker for {open_.partition} refused: error {errors}")


def _by_topic(partitions: Iterable[Partition]) -> dict[str, list[int]]:
    by_topic: dict[str, list[int]] = defaultdict(list)
    for topic, number in partitions:
        by_topic[topic].append(number)
    return by_topic


def _read_topic_producers(answer: wire.Reader, address: wire.Address, found: list[OpenProducer]) -> None:
    topic = answer.text()

    def read_partition() -> None:
        number, error, message = answer.number("i"), answer.number("h"), answer.string()
        _refuse_unauthorized(error, address, f"see who writes {topic}")
        if error:
            raise IncompleteView(f"{topic}[{number}]: error {error} {message or ''}")
        found.extend(answer.array(lambda: _read_producer(answer, (topic, number))))
        answer.tags()

    answer.array(read_partition)
    answer.tags()


def _read_producer(answer: wire.Reader, partition: Partition) -> OpenProducer:
    producer_id, epoch = answer.number("q"), answer.number("i")
    answer.number("i")  # last sequence
    last_timestamp_ms, coordinator_epoch, start_offset = answer.number("q"), answer.number("i"), answer.number("q")
    answer.tags()
    return OpenProducer(partition, producer_id, epoch, last_timestamp_ms, coordinator_epoch, start_offset)


def _list_transactions(address: wire.Address) -> list[str]:
    answer = wire.ask(address, LIST_TRANSACTIONS, 0, b"\1\1\0")
    answer.number("i")  # throttle
    error = answer.number("h")
    if error:
        raise IncompleteView(f"ListTransactions at {address}: error {error}")
    answer.array(answer.string)  # unknown state filters

    def read_name() -> str:
        name = answer.text()
        answer.number("q")
        answer.string()
        answer.tags()
        return name

    return answer.array(read_name)


def _describe(address: wire.Address, names: list[str]) -> list[Transaction | None]:
    """None for an id that another broker coordinates."""
    if not names:
        return []
    answer = wire.ask(address, DESCRIBE_TRANSACTIONS, 0, wire.array(names, wire.text) + b"\0")
    answer.number("i")  # throttle
    return answer.array(lambda: _read_transaction(answer, address))


def _read_transaction(answer: wire.Reader, address: wire.Address) -> Transaction | None:
    error, name, state = answer.number("h"), answer.text(), answer.text()
    timeout_ms = answer.number("i")
    answer.number("q")  # start time
    producer_id, epoch = answer.number("q"), answer.number("h")
    partitions: set[Partition] = set()
    answer.array(lambda: _read_topic_partitions(answer, partitions))
    answer.tags()
    if error in NOT_COORDINATOR:
        return None
    _refuse_unauthorized(error, address, f"see the transactional id {name}")
    if error:
        raise IncompleteView(f"DescribeTransactions {name}: error {error}")
    return Transaction(name, state, timeout_ms, producer_id, epoch, frozenset(partitions))


def _refuse_unauthorized(error: int, address: wire.Address, action: str) -> None:
    """Half a view that stays half: no waiting completes it."""
    if error in NOT_AUTHORIZED:
        raise AccessRefused(address.login.may_not(action, NOT_AUTHORIZED[error]))


def _read_topic_partitions(answer: wire.Reader, partitions: set[Partition]) -> None:
    topic = answer.text()
    partitions.update((topic, number) for number in answer.array(lambda: answer.number("i")))
    answer.tags()


def _read_marker(answer: wire.Reader, errors: list[int]) -> None:
    answer.number("q")  # producer id

    def read_partition() -> None:
        answer.number("i")
        errors.append(answer.number("h"))
        answer.tags()

    def read_topic() -> None:
        answer.string()
        answer.array(read_partition)
        answer.tags()

    answer.array(read_topic)
    answer.tags()

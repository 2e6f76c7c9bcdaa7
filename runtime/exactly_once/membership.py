"""Which partitions this worker owns, since when, and under which group generation.

Reads the group's committed offsets and, through the store, the changelog; keeps one epoch and one position per
partition. Guarantees: only whole shards are taken, every shard is restored before its first record is delivered, and
group metadata is read on the consuming thread alone. Every doubt ends the process.
"""

import struct
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from runtime.exactly_once.contract import ShardStore
from runtime.exactly_once.crash import crash
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.restore import Partition, RestoreConsumer, past_retention, restore_shards
from runtime.exactly_once.restoring import Restoring
from runtime.kafka_client import ANSWER_TIMEOUT_MS, AccessRefused, Brokers
from runtime.settings import Settings

COMMITTED_DEADLINE_S = 60.0
"""`committed` answers once pending transactional offsets are decided: one transaction timeout (10 s) at worst."""

COORDINATOR_MOVES = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
"""Answers for some 100 ms after a broker has started or failed; a worker that ended instead would need seconds."""

RESTORE_IN_CALLBACK_S = 5.0
"""A restore from the worker's disk takes less; a longer one goes on between polls, so that the group need not wait."""

METADATA_HEADER = b"CGMDv2:"


class Membership:
    """Owns the group consumer. All methods, and the rebalance callbacks inside `poll`, run on one thread."""

    def __init__(self, application: str, store: ShardStore, settings: Settings, failpoints: Failpoints) -> None:
        self.epochs: dict[Partition, int] = {}
        """Partition → the ownership epoch under which it is held; a new one each time it is assigned."""
        self.positions: dict[Partition, int] = {}
        """Partition → the next offset to deliver."""
        self.before_revoke: Callable[[], None] = lambda: None
        self.on_assigned: Callable[[Collection[Partition]], None] = lambda _: None
        self.on_revoked: Callable[[Collection[Partition]], None] = lambda _: None
        self._application = application
        self._store = store
        self._settings = settings
        self._failpoints = failpoints
        self._incremental = settings.group_protocol == "consumer"
        self._kept_at: dict[int, dict[str, int]] = {}
        self._unrestored: dict[int, dict[str, int | None]] = {}
        """Shards that were assigned and are being restored, with the group's offsets. Nothing of them is read yet."""
        self._parked: set[Partition] = set()
        """Those of them that the client holds, paused."""
        self._restoring: Restoring | None = None
        self._metadata = b""
        self._in_callback = False
        self._thread = 0
        self._consumer: Any = None
        self._epoch = 0

    def join(self) -> None:
        """Subscribe. After `init_transactions`: the previous incarnation is fenced before its offsets are fetched."""
        self._thread = threading.get_ident()
        self._consumer = Consumer(
            {**consumer_configuration(self._application, self._settings), "error_cb": self._on_error}
        )
        self._consumer.subscribe(
            list(self._store.input_topics),
            on_assign=self._guarded(self._assign),
            on_revoke=self._guarded(self._revoke),
            on_lost=self._lost,
        )

    def poll(self, timeout_s: float, records_max: int) -> list[Any]:
        """What is there now, at most `records_max`; waits only for the first.

        Not `consume(n, timeout)`: that waits out its whole timeout unless n records are there (50.1 ms measured for 4
        records with a timeout of 50 ms, against 0.1 ms for poll + consume(n, 0)).
        """
        self._take_restored(0)
        first = self._consumer.poll(timeout_s)
        if self._incremental:
            self._cache_metadata()  # KIP-848 bumps the member epoch without a callback
        if first is None:
            return []
        return [first, *self._consumer.consume(records_max - 1, 0)]

    def group_metadata(self) -> bytes:
        """The cached metadata, of a live membership: the broker takes a commit that names no member.

        Not read from the client for the classic protocol: `consumer_group_metadata()` blocks for ever while a rebalance
        callback runs on another thread, and an older generation is the safer one. KIP-848 bumps the member's epoch
        between polls and refuses any other, so it is read again there, on the consuming thread outside of callbacks.
        """
        if self._incremental and not self._in_callback and threading.get_ident() == self._thread:
            self._cache_metadata()
        generation, member = parse_group_metadata(self._metadata)
        if generation < 0 or not member:
            crash(f"not a member of group {self._application} (generation {generation}): refusing to commit")
        return self._metadata

    def committed_up_to(self, offsets: dict[Partition, int]) -> None:
        """Remember at which offsets the state in memory is exact: a shard back unchanged needs no restore."""
        for (topic, shard), offset in offsets.items():
            self._kept_at.setdefault(shard, {})[topic] = offset

    def leave(self) -> None:
        """End a restore under way, close the consumer. A static member stays in the group until its session ends or its
        slot is back.
        """
        self._cancel_restore()
        self._consumer.close()

    def _guarded(self, callback: Callable[[Any, list[Any]], None]) -> Callable[[Any, list[Any]], None]:
        """An exception in a rebalance callback would surface at some later poll, with the partitions half taken."""

        def run(consumer: Any, partitions: list[Any]) -> None:
            self._in_callback = True
            try:
                callback(consumer, partitions)
                self._in_callback = False
            except AccessRefused as refused:
                crash(str(refused))
            except KafkaException as failure:
                said = Brokers.of(self._settings).explained(failure.args[0], f"use group {self._application}")
                crash(f"{callback.__name__.strip('_')} of {_named(partitions)}: {said}")
            except Exception as failure:  # noqa: BLE001 - whatever it is, the assignment is in doubt
                crash(f"{callback.__name__.strip('_')} of {_named(partitions)}: {failure!r}")

        return run

    def _assign(self, consumer: Any, partitions: list[Any]) -> None:
        self._cancel_restore()
        if not self._incremental:
            self._unrestored.clear()  # the classic protocol names all that is ours, every time
        committed = self._committed(consumer, partitions)
        waiting = {(topic, shard) for shard, offsets in self._unrestored.items() for topic in offsets}
        self._refuse_torn_shards({*self.epochs, *waiting, *((p.topic, p.partition) for p in partitions)})
        self._unrestored.update(committed)
        self._restore_unrestored()
        if not self._take_restored(RESTORE_IN_CALLBACK_S):
            self._park(partitions)
            self._cache_metadata()

    def _restore_unrestored(self) -> None:
        committed = dict(self._unrestored)
        self._restoring = Restoring(lambda cancelled: self._restored(committed, cancelled))

    def _take_restored(self, timeout_s: float) -> bool:
        """Go on with the shards under way once they are restored. Raises what the restore raised."""
        if self._restoring is None or not self._restoring.ended(timeout_s):
            return self._restoring is None
        resumed = self._restoring.resumed()
        self._restoring = None
        self._unrestored.clear()
        assignment = [TopicPartition(t, shard, o) for shard, offsets in resumed.items() for t, o in offsets.items()]
        self._give(assignment)
        for partition in assignment:
            self._epoch += 1
            self.epochs[partition.topic, partition.partition] = self._epoch
            self.positions[partition.topic, partition.partition] = partition.offset
        self._cache_metadata()
        self.on_assigned(self.epochs.keys())
        return True

    def _park(self, partitions: list[Any]) -> None:
        """Accept an assignment of which nothing is read yet. KIP-848 takes away only what the client was given."""
        if not self._incremental:
            self._consumer.assign([])
            return
        parked = [TopicPartition(p.topic, p.partition, 0) for p in partitions]
        self._consumer.incremental_assign(parked)
        self._consumer.pause(parked)
        self._parked.update((p.topic, p.partition) for p in partitions)

    def _give(self, assignment: list[Any]) -> None:
        """To the consumer: under the classic protocol that is all it has, nothing was kept through the rebalance."""
        if not self._incremental:
            self._consumer.assign(assignment)
            return
        if self._parked:
            self._consumer.incremental_unassign([TopicPartition(*partition) for partition in self._parked])
            self._parked.clear()
        self._consumer.incremental_assign(assignment)

    def _cancel_restore(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
            self._restoring = None

    def _committed(self, consumer: Any, partitions: list[Any]) -> dict[int, dict[str, int | None]]:
        """The group's stable offsets; None where it has none. read_committed holds back pending ones."""
        offsets: dict[int, dict[str, int | None]] = {}
        if not partitions:
            return offsets
        asked = [TopicPartition(p.topic, p.partition) for p in partitions]
        for found in once_coordinated(lambda left_s: consumer.committed(asked, left_s), COMMITTED_DEADLINE_S):
            if found.error:
                raise KafkaException(found.error)
            offsets.setdefault(found.partition, {})[found.topic] = found.offset if found.offset >= 0 else None
        return offsets

    def _refuse_torn_shards(self, held: set[Partition]) -> None:
        shards = {shard for _, shard in held}
        torn = sorted(s for s in shards if any((topic, s) not in held for topic in self._store.input_topics))
        if torn:
            raise ValueError(
                f"shards {torn} are incomplete: all input topics need the same partition count and the assignor `range`"
            )

    def _restored(
        self, committed: dict[int, dict[str, int | None]], cancelled: threading.Event | None = None
    ) -> dict[int, dict[str, int]]:
        if not committed:
            return {}
        resumed = {s: self._kept_at[s] for s, offsets in committed.items() if self._kept_at.get(s) == offsets}
        stale = {shard: offsets for shard, offsets in committed.items() if shard not in resumed}
        with RestoreConsumer(self._application, self._settings, self._failpoints, cancelled) as consumer:
            resumed.update(restore_shards(stale, self._store, consumer))
            self._kept_at.update({shard: dict(offsets) for shard, offsets in resumed.items()})
            return past_retention(resumed, self._store, consumer)

    def _revoke(self, _: Any, partitions: list[Any]) -> None:
        """Commit what is decided inside the callback: the partitions are ours until it returns."""
        self.before_revoke()
        self._give_up_unrestored({p.partition for p in partitions})
        gone = [(p.topic, p.partition) for p in partitions if (p.topic, p.partition) in self.epochs]
        for partition in gone:
            self.epochs.pop(partition, None)
            self.positions.pop(partition, None)
        self.on_revoked(gone)

    def _give_up_unrestored(self, shards: set[int]) -> None:
        """Shards that leave before they were restored; those that stay begin anew."""
        if self._restoring is None or not shards & self._unrestored.keys():
            return
        self._cancel_restore()
        for shard in shards:
            self._unrestored.pop(shard, None)
        self._parked = {partition for partition in self._parked if partition[1] not in shards}
        if self._unrestored:
            self._restore_unrestored()

    def _lost(self, _: Any, partitions: list[Any]) -> None:
        crash(f"partitions lost, another worker may own them: {_named(partitions)}")

    def _cache_metadata(self) -> None:
        if threading.get_ident() != self._thread:
            crash("group metadata may be read on the consuming thread only: elsewhere the call blocks for ever")
        self._metadata = self._consumer.consumer_group_metadata()

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            crash(f"consumer of {self._application}: {error}")


def once_coordinated(call: Callable[[float], list[Any]], deadline_s: float) -> list[Any]:
    """Repeat while the group's coordinator moves or loads: the client gives up at the first such answer."""
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            return call(max(0.1, deadline - time.monotonic()))
        except KafkaException as failure:
            if failure.args[0].code() not in COORDINATOR_MOVES or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def parse_group_metadata(metadata: bytes) -> tuple[int, str]:
    """(generation or member epoch, member id) of librdkafka's serialised `CGMDv2:` group metadata."""
    if not metadata.startswith(METADATA_HEADER):
        return -1, ""
    body = metadata[len(METADATA_HEADER) :]
    generation: int = struct.unpack_from("=i", body)[0]
    _, member, _ = body[4:].split(b"\0", 2)
    return generation, member.decode()


def consumer_configuration(application: str, settings: Settings) -> dict[str, Any]:
    """librdkafka's settings. Raises ValueError for an assignor that may split a shard over two workers."""
    if settings.partition_assignor != "range":
        raise ValueError(
            f"partition_assignor={settings.partition_assignor!r} may give the topics of one shard to different workers"
            " (cooperative-sticky: 31,116 wrong records in its test); use `range`"
        )
    configuration: dict[str, Any] = {
        **Brokers.of(settings).configuration(),
        "client.id": f"{application}.{settings.slot}",
        "group.id": application,
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "max.poll.interval.ms": settings.max_poll_interval_ms,
        "socket.timeout.ms": ANSWER_TIMEOUT_MS,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 50,
        "fetch.queue.backoff.ms": 5,  # 1,000 by default: with 100,000 records queued from one topic the others starved
        "queued.min.messages": 20_000,
        "queued.max.messages.kbytes": 65_536,
        "socket.nagle.disable": True,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 2,
        **_protocol(settings),
    }
    if settings.static_membership:
        configuration["group.instance.id"] = f"{application}.{settings.slot}"
    return configuration


def _protocol(settings: Settings) -> dict[str, Any]:
    if settings.group_protocol == "consumer":
        return {"group.protocol": "consumer", "group.remote.assignor": "range"}
    return {
        "group.protocol": "classic",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": max(500, settings.session_timeout_ms // 5),
    }


def _named(partitions: Iterable[Any]) -> str:
    return " ".join(f"{p.topic}[{p.partition}]" for p in partitions)

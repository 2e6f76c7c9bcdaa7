"""Measures the engine with a packed pass-through stage: latency of two hops, cycle time, CPU per record.

    python -m tests.exactly_once.application.measure latency {plain|faust|uvloop} RATE SECONDS
    python -m tests.exactly_once.application.measure drain {plain|faust|uvloop} RECORDS

Needs KAFKA_BOOTSTRAP; prints one JSON object. Not collected by pytest: performance is measured, never asserted.
"""

import json
import os
import resource
import signal
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from runtime.exactly_once.contract import Chunk, Produce, ShardLog
from runtime.exactly_once.engine import run_plain
from runtime.settings import Settings

SHARDS = 4
ITEM = struct.Struct("<QQ64s")
"""Number, creation time in µs, and 64 bytes of what a payment carries besides: 80 bytes."""

PADDING = bytes(64)


class PassThrough:
    """Two hops: commands → one credits record per receiving shard → one ledger record per chunk. No state."""

    def __init__(self, run: str) -> None:
        self.commands, self.credits, self.ledger = f"{run}.commands", f"{run}.credits", f"{run}.ledger"
        self.input_topics = (self.commands, self.credits)
        self.numbered_topics: tuple[str, ...] = ()
        self.changelog_topics: tuple[str, ...] = ()
        self.cycles = 0

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        return {}

    def forget(self, shard: int) -> None:
        """Nothing is kept."""

    def before_commit(self, shards: Collection[int], produce: Produce) -> None:
        """No snapshot."""

    def after_commit(self, shards: Collection[int]) -> None:
        self.cycles += 1

    def decide(self, chunk: Chunk) -> None:
        if chunk.topic == self.credits:
            values = b"".join(record.value() or b"" for record in chunk.records)
            chunk.produce(self.ledger, b"C" + values, partition=chunk.shard)
            return
        outgoing: dict[int, list[bytes]] = defaultdict(list)
        for record in chunk.records:
            value = record.value() or b""
            number, _, _ = ITEM.unpack(value)
            outgoing[number * 7 % SHARDS].append(value)
        for shard, items in outgoing.items():
            chunk.produce(self.credits, b"".join(items), partition=shard)
        chunk.produce(
            self.ledger, b"D" + b"".join(b"".join(items) for items in outgoing.values()), partition=chunk.shard
        )


def work(run: str, mode: str) -> None:
    """The worker process; prints its cycles and CPU seconds when it is stopped."""
    store = PassThrough(run)
    if mode == "plain":
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        run_plain(run, store, Settings(), store.decide, stop)
        _report_work(store)
    else:
        _work_in_faust(run, store, uvloop=mode == "uvloop")


def _work_in_faust(run: str, store: PassThrough, *, uvloop: bool) -> None:
    if uvloop:
        import uvloop as loops

        loops.install()
    import faust

    from runtime.faust_app import app_options, bind, chunk_topic, run_worker

    settings = Settings()
    app = faust.App(run, **app_options(settings))
    bind(app, store, settings)

    async def decide(chunks: Any) -> None:
        async for chunk in chunks:
            store.decide(chunk)

    for topic in store.input_topics:
        app.agent(chunk_topic(app, topic), name=topic)(decide)
    try:
        run_worker(app)
    finally:
        _report_work(store)


def _report_work(store: PassThrough) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    sys.__stdout__.write(json.dumps({"cycles": store.cycles, "cpu_s": used.ru_utime + used.ru_stime}) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


class LedgerTail:
    """Reads the ledger as a sink would: committed records as soon as they can be seen."""

    def __init__(self, broker: str, ledger: str) -> None:
        self.latencies_ms: list[float] = []
        self.credited = 0
        self._consumer: Any = Consumer(
            {"bootstrap.servers": broker, "group.id": "measure", "isolation.level": "read_committed", "log_level": 2}
        )
        self._consumer.assign([TopicPartition(ledger, p, OFFSET_END) for p in range(SHARDS)])
        self._consumer.consume(1, 1.0)

    def read(self, wait_s: float) -> None:
        first = self._consumer.poll(wait_s)
        if first is None:
            return
        for record in [first, *self._consumer.consume(10_000, 0)]:
            now_us = time.time_ns() // 1000
            if record.error() is None and record.value()[:1] == b"C":
                for _, created_us, _ in ITEM.iter_unpack(record.value()[1:]):
                    self.credited += 1
                    self.latencies_ms.append((now_us - created_us) / 1000)


def produce(broker: str, topic: str, count: int, rate_per_s: float) -> None:
    """Open loop: each record carries the time it was due, so waiting counts as latency."""
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 2, "queue.buffering.max.messages": 1_000_000})
    begun_ns = time.time_ns()
    for number in range(count):
        due_ns = begun_ns + int(number * 1e9 / rate_per_s) if rate_per_s else begun_ns
        while (left_s := (due_ns - time.time_ns()) / 1e9) > 0:
            producer.poll(min(left_s, 0.05))
        producer.produce(topic, ITEM.pack(number, due_ns // 1000, PADDING), partition=number % SHARDS)
    producer.flush()


def measure(kind: str, mode: str, *, count: int, rate_per_s: float) -> dict[str, Any]:
    broker = Settings().kafka_bootstrap
    run = f"measure-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": broker})
    for made in admin.create_topics(
        [NewTopic(f"{run}.{t}", SHARDS, 1) for t in ("commands", "credits", "ledger")]
    ).values():
        made.result(10)
    time.sleep(0.5)
    tail = LedgerTail(broker, f"{run}.ledger")
    if kind == "drain":
        produce(broker, f"{run}.commands", count, 0)
    command = [sys.executable, "-m", "tests.exactly_once.application.measure", "work", run, mode]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    begun_s = time.monotonic()
    if kind == "latency":
        time.sleep(5)
        begun_s = time.monotonic()
        threading.Thread(target=produce, args=(broker, f"{run}.commands", count, rate_per_s)).start()
    first_s = 0.0
    while tail.credited < count and time.monotonic() - begun_s < 120:
        tail.read(0.1)
        first_s = first_s or (time.monotonic() if tail.credited else 0.0)
    wall_s = time.monotonic() - (first_s if kind == "drain" else begun_s)
    worker.terminate()
    reported = json.loads(worker.communicate(timeout=30)[0].strip().splitlines()[-1])
    return _result(mode, count, tail, wall_s, reported)


def _result(mode: str, count: int, tail: LedgerTail, wall_s: float, reported: dict[str, Any]) -> dict[str, Any]:
    settled = tail.latencies_ms[len(tail.latencies_ms) // 10 :]  # the first tenth warms the broker up
    cuts = statistics.quantiles(settled, n=100)
    return {
        "mode": mode,
        "records": tail.credited,
        "expected": count,
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
        "wall_s": round(wall_s, 2),
        "records_per_s": round(tail.credited / wall_s),
        "cycles": reported["cycles"],
        "cycle_ms": round(1000 * wall_s / reported["cycles"], 1),
        "worker_cpu_us_per_record": round(1e6 * reported["cpu_s"] / count, 2),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    }


def main(kind: str, mode: str, amount: str, seconds: str = "0") -> None:
    if kind == "work":  # RUN MODE
        work(mode, amount)
        return
    rate = float(amount) if kind == "latency" else 0.0
    count = int(rate * float(seconds)) if kind == "latency" else int(amount)
    sys.stdout.write(json.dumps(measure(kind, mode, count=count, rate_per_s=rate)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

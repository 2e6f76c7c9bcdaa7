"""`python -m benchmarks.events [--payments N]`: the publisher, in CPU per payment and events per second, on a broker.

A ledger of transfers between shards (two events each) is written first; then `millrace publisher` tells all of it with
nothing else at work. Its memory and the latency of a single payment are not measured here.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.machine import machine
from benchmarks.processes import cpu_us
from millrace.environment import LocalEnvironment
from millrace.topics import ensure_topics
from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.identifiers import derive_account_id, derive_operation_id
from payments.rejections import Reason
from runtime.kafka_client import Brokers
from runtime.kafka_reader import AssignedReader
from runtime.settings import Settings
from schemas.access import PUBLISHER
from schemas.codec.ledger import Counter, Lane, LedgerHeader, SourceTopic, encode_ledger_record, record_hash
from schemas.topics import LEDGER

ENTRIES_A_RECORD = 500
RECORDS_A_TRANSACTION = 4
EVENTS_A_PAYMENT = 2
START_US = 1_790_000_000_000_000
TIMEOUT_S = 600


class Results(msgspec.Struct, frozen=True):
    """What is printed."""

    payments: int
    wall_s: float
    events_per_s: int
    publisher_cpu_us_per_payment: float
    broker_cpu_us_per_payment: float
    machine: dict[str, str]


class LedgerWriter:
    """Transfers of each shard to the next one: reserved here, posted there."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._sequences = [0] * shards
        self._hashes = [bytes(32)] * shards
        self._accounts = [derive_account_id("bench", str(number)) for number in range(2_000)]
        self._sent = [0] * shards

    def write(self, producer: Producer, payments: int) -> None:
        """All of them, in transactions as the workers write them."""
        for first in range(0, payments, ENTRIES_A_RECORD * RECORDS_A_TRANSACTION):
            producer.begin_transaction()
            for start in range(
                first, min(payments, first + ENTRIES_A_RECORD * RECORDS_A_TRANSACTION), ENTRIES_A_RECORD
            ):
                self._write_both(producer, range(start, min(payments, start + ENTRIES_A_RECORD)))
            producer.commit_transaction(30)

    def _write_both(self, producer: Producer, numbers: range) -> None:
        payer = numbers.start // ENTRIES_A_RECORD % self._shards
        payee = (payer + 1) % self._shards
        self._sent[payer] += 1
        sent = Counter(Lane.CREDITS_SENT, payee, self._sent[payer])
        received = Counter(Lane.CREDITS_RECEIVED, payer, self._sent[payer])
        self._append(producer, payer, sent, [self._entry(EntryKind.RESERVED, payer, number) for number in numbers])
        self._append(producer, payee, received, [self._entry(EntryKind.POSTED, payer, number) for number in numbers])

    def _entry(self, kind: EntryKind, shard: int, number: int) -> Entry:
        payer, payee = (self._accounts[(number + at) % len(self._accounts)] for at in (0, 1))
        id_ = derive_operation_id(payer, str(number), shard)
        at_us = START_US + number * 100
        return Entry(kind, Reason.NONE, id_, payer, payee, 1_050, "EUR", 0, at_us, NO_FINGERPRINT, number, 0)

    def _append(self, producer: Producer, shard: int, counter: Counter, entries: list[Entry]) -> None:
        sequence, previous = self._sequences[shard], self._hashes[shard]
        header = LedgerHeader(shard, sequence, previous, SourceTopic.COMMANDS, sequence, sequence + 1, (counter,))
        value = encode_ledger_record(header, entries, {})
        self._sequences[shard], self._hashes[shard] = sequence + 1, record_hash(value)
        producer.produce(LEDGER.name, value, partition=shard)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--payments", type=int, default=100_000)
    payments = parser.parse_args().payments
    before = machine()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as home:
        settings = Settings(home=Path(home), kafka_port=26_110, postgres_port=26_120)
        with LocalEnvironment(settings, pipeline=False) as env:
            ensure_topics(env.settings)
            producer = Producer({**Brokers.of(env.settings).configuration(), "transactional.id": "bench"})
            producer.init_transactions(30)
            LedgerWriter(settings.shards).write(producer, payments)
            wall_s, publisher_us, broker_us = _told(env, payments)
    results = Results(
        payments,
        round(wall_s, 1),
        round(EVENTS_A_PAYMENT * payments / wall_s),
        round(publisher_us / payments, 1),
        round(broker_us / payments, 1),
        before,
    )
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(results), indent=2).decode() + "\n")


def _told(env: LocalEnvironment, payments: int) -> tuple[float, int, int]:
    """Seconds from the first commit to the last, CPU of the publisher since its start, CPU of the broker."""
    reader = AssignedReader(Brokers.of(env.settings), LEDGER.name, PUBLISHER)
    consumer = Consumer({**Brokers.of(env.settings).configuration(), "group.id": "bench"})
    shards = range(env.settings.shards)
    # the last record stands in front of the marker of its transaction
    ends = {shard: consumer.get_watermark_offsets(TopicPartition(LEDGER.name, shard), 30)[1] - 1 for shard in shards}
    consumer.close()
    child = {"KAFKA_BOOTSTRAP": env.kafka_bootstrap, "DATABASE_URL": env.database_url}
    broker_before_us = cpu_us(env)["broker"]
    process = subprocess.Popen([sys.executable, "-m", "millrace", "publisher"], env=os.environ | child)
    try:
        began_s, give_up_at_s = time.monotonic(), time.monotonic() + TIMEOUT_S
        while not _is_told(reader, ends):
            if time.monotonic() > give_up_at_s or process.poll() is not None:
                raise SystemExit("the publisher did not tell all of it")
            time.sleep(0.1)
        wall_s = time.monotonic() - began_s
        times = psutil.Process(process.pid).cpu_times()
        return wall_s, round((times.user + times.system) * 1_000_000), cpu_us(env)["broker"] - broker_before_us
    finally:
        process.terminate()
        process.wait(30)


def _is_told(reader: AssignedReader, ends: dict[int, int]) -> bool:
    told = reader.committed(ends)
    return all(shard in told and told[shard].offset >= end for shard, end in ends.items())


if __name__ == "__main__":
    main()

"""Recomputes a run from its command topic and compares every record the application has committed.

Shares nothing with the application but the record layout. Any loss, duplicate, torn transaction or wrong balance is a
difference, named in words.
"""

import json
import time
from collections import Counter, defaultdict
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from runtime.exactly_once.membership import once_coordinated
from tests.exactly_once.application.account_sums import SHARDS, Topics

READ_DEADLINE_S = 30.0

Record = tuple[int, Any]
"""(offset, decoded value)"""


def read_committed(broker: str, topic: str) -> dict[int, list[tuple[int, bytes]]]:
    """All committed records per partition, up to the high watermark. Raises TimeoutError while any stay hidden."""
    configuration = {"bootstrap.servers": broker, "group.id": "verifier", "enable.auto.commit": False}
    ends = Consumer({**configuration, "isolation.level": "read_uncommitted"})
    high = {p: ends.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(SHARDS)}
    ends.close()
    reader: Any = Consumer(
        {
            **configuration,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    left = {p for p, end in high.items() if end}
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in left])
    found: dict[int, list[tuple[int, bytes]]] = {p: [] for p in range(SHARDS)}
    deadline = time.monotonic() + READ_DEADLINE_S
    while left:
        for event in reader.consume(1000, 0.05):
            if event.error() is None:
                found[event.partition()].append((event.offset(), event.value()))
            elif event.offset() >= high[event.partition()]:
                left.discard(event.partition())
        if time.monotonic() > deadline:
            reader.close()
            raise TimeoutError(f"{topic}: records of partitions {sorted(left)} stay hidden")
    reader.close()
    return found


def committed_offsets(broker: str, group: str, topics: tuple[str, ...]) -> dict[tuple[str, int], int]:
    """The group's stable offsets."""
    consumer: Any = Consumer({"bootstrap.servers": broker, "group.id": group, "enable.auto.commit": False})
    asked = [TopicPartition(topic, p) for topic in topics for p in range(SHARDS)]
    found = {(x.topic, x.partition): x.offset for x in once_coordinated(lambda s: consumer.committed(asked, s), 30)}
    consumer.close()
    return found


def is_drained(broker: str, group: str, topics: Topics) -> bool:
    """Every input record is below the group's committed offset."""
    for topic in (topics.commands, topics.credits):
        offsets = committed_offsets(broker, group, (topic,))
        for shard, records in read_committed(broker, topic).items():
            if records and offsets[topic, shard] <= records[-1][0]:
                return False
    return True


def differences(broker: str, group: str, topics: Topics) -> list[str]:
    """Everything that is not as a recomputation says. Empty for a right run."""
    inputs = {t: read_committed(broker, t) for t in (topics.commands, topics.credits)}
    ledger = read_committed(broker, topics.ledger)
    totals = read_committed(broker, topics.totals)
    offsets = committed_offsets(broker, group, (topics.commands, topics.credits))
    found: list[str] = []
    debits: Counter[str] = Counter()
    credits: Counter[str] = Counter()
    total = funded = 0
    for shard in range(SHARDS):
        replay = _Replay(shard, topics, {t: dict(records[shard]) for t, records in inputs.items()})
        for _, value in ledger[shard]:
            replay.apply(json.loads(value))
        found += replay.finish({topic: offsets[topic, shard] for topic in inputs})
        found += _wrong_total(totals[shard], shard, replay)
        debits += replay.debits
        credits += replay.credits
        total += sum(replay.balances.values())
        funded += replay.funded
    found += [f"{name} debited {n} times, credited {credits[name]}" for name, n in debits.items() if credits[name] != n]
    found += [f"{name} credited and never debited" for name in credits if name not in debits]
    found += [f"{name} debited {n} times" for name, n in debits.items() if n > 1]
    if total != funded:
        found.append(f"balances sum to {total}, funded {funded}")
    return found + _wrong_quarantine(broker, topics, inputs[topics.commands])


class _Replay:
    """One shard: its ledger, record by record, against its inputs."""

    def __init__(self, shard: int, topics: Topics, inputs: dict[str, dict[int, bytes]]) -> None:
        self.shard, self.topics, self.inputs = shard, topics, inputs
        self.balances: dict[int, int] = defaultdict(int)
        self.next: dict[str, int] = dict.fromkeys(inputs, 0)
        self.debits: Counter[str] = Counter()
        self.credits: Counter[str] = Counter()
        self.funded = 0
        self.wrong: list[str] = []

    def apply(self, written: dict[str, Any]) -> None:
        topic, first, end = written["topic"], written["first"], written["next"]
        if first < self.next[topic]:
            self.wrong.append(f"shard {self.shard}: {topic}@{first} decided again (was at {self.next[topic]})")
        skipped = [o for o in self.inputs[topic] if self.next[topic] <= o < first]
        if skipped:
            self.wrong.append(f"shard {self.shard}: {topic}@{skipped[:3]} never decided")
        self.next[topic] = end
        values = [
            json.loads(v) if _is_json(v) else v for o, v in sorted(self.inputs[topic].items()) if first <= o < end
        ]
        expected = self._credits(values) if topic == self.topics.credits else self._commands(values, topic, first, end)
        if expected != written["entries"]:
            self.wrong.append(
                f"shard {self.shard}: {topic}@{first}: {written['entries'][:2]} instead of {expected[:2]}"
            )

    def finish(self, committed: dict[str, int]) -> list[str]:
        for topic, records in self.inputs.items():
            last = max(records, default=-1)
            if self.next[topic] <= last:
                self.wrong.append(f"shard {self.shard}: {topic} decided up to {self.next[topic]}, has {last}")
            if max(committed[topic], 0) != self.next[topic]:
                self.wrong.append(
                    f"shard {self.shard}: {topic} committed {committed[topic]}, ledger {self.next[topic]}"
                )
        return self.wrong

    def _credits(self, values: list[Any]) -> list[dict[str, Any]]:
        entries = []
        for credit in (credit for packed in values for credit in packed):
            self.credits[credit["id"]] += 1
            self.balances[credit["to"]] += credit["amount"]
            entries.append(_line("credit", credit["id"], credit["to"], self.balances[credit["to"]]))
        return entries

    def _commands(self, values: list[Any], topic: str, first: int, end: int) -> list[dict[str, Any]]:
        offsets = [o for o in sorted(self.inputs[topic]) if first <= o < end]
        return [self._command(offset, value) for offset, value in zip(offsets, values, strict=True)]

    def _command(self, offset: int, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {"kind": "quarantined", "offset": offset}
        payer, payee, amount, name = value["from"], value["to"], value["amount"], value["id"]
        if payer is None:
            self.funded += amount
            self.balances[payee] += amount
            return _line("fund", name, payee, self.balances[payee])
        if self.balances[payer] < amount:
            return _line("reject", name, payer, self.balances[payer])
        self.debits[name] += 1
        self.balances[payer] -= amount
        return _line("debit", name, payer, self.balances[payer])


def _line(kind: str, name: str, account: int, balance: int) -> dict[str, Any]:
    return {"kind": kind, "id": name, "account": account, "balance": balance}


def _is_json(value: bytes) -> bool:
    return value[:1] in (b"{", b"[")


def _wrong_total(totals: list[tuple[int, bytes]], shard: int, replay: _Replay) -> list[str]:
    """The store's last write of the last cycle is part of that cycle."""
    expected = sum(replay.balances.values())
    if totals and int(totals[-1][1]) != expected:
        return [f"shard {shard}: last total {totals[-1][1]!r}, balances {expected}"]
    return []


def _wrong_quarantine(broker: str, topics: Topics, commands: dict[int, list[tuple[int, bytes]]]) -> list[str]:
    poison = Counter(value for records in commands.values() for _, value in records if not _is_json(value))
    kept = Counter(value for records in read_committed(broker, topics.quarantine).values() for _, value in records)
    return [] if kept == poison else [f"quarantine differs: {list((kept - poison) + (poison - kept))[:3]}"]

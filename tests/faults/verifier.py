"""Recomputes everything from what was sent and what the log holds, with a decoder and a fold of its own.

Imports nothing of payments, streams, sinks or the audit but the names of topics: records are decoded by fastavro from
the schema files, balances are added up in plain dicts. Any difference is a sentence in `Verdict.findings`.
"""

import io
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import psycopg
from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from tests.faults.load import Load
from tests.faults.tail import Tail

SCHEMAS = Path(__file__).parents[2] / "schemas" / "avro"
LEDGER_SCHEMA = fastavro.parse_schema(json.loads((SCHEMAS / "LedgerRecord" / "1.avsc").read_text()))
FINDINGS_MAX = 20
READ_TIMEOUT_S = 60
INPUTS = {
    "commands": topics.COMMANDS.name,
    "credits": topics.CREDITS.name,
    "returns": topics.RETURNS.name,
}


@dataclass
class Verdict:
    """What the run did to the books."""

    payments: int = 0
    lost: int = 0
    duplicates: int = 0
    overdrawn: int = 0
    drift_minor: int = 0
    findings: list[str] = field(default_factory=list)

    def finding(self, text: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(text)


class Verifier:
    """One pass over one installation that has come to rest."""

    def __init__(self, bootstrap: str, database_url: str, shards: int, group: str) -> None:
        self._bootstrap = bootstrap
        self._database_url = database_url
        self._shards = shards
        self._group = group
        self._verdict = Verdict()
        self._decided: Counter[str] = Counter()
        self._finals: Counter[str] = Counter()
        self._available: dict[str, int] = {}
        self._posted: Counter[str] = Counter()

    def verify(self, load: Load, tail: Tail) -> Verdict:
        """Everything at once; the findings are empty where all is well."""
        ledger = {shard: self._read(topics.LEDGER.name, shard) for shard in range(self._shards)}
        self._check_tail(ledger, tail)
        for shard, records in ledger.items():
            self._fold_shard(shard, records)
        self._check_payments(load)
        self._check_conservation()
        self._check_offsets(ledger)
        self._check_postgres()
        return self._verdict

    def _read(self, topic: str, shard: int) -> list[tuple[int, bytes]]:
        """All committed records; a finding where some stay hidden behind an open transaction."""
        settings = {"bootstrap.servers": self._bootstrap, "group.id": "faults.verify", "log_level": 0}
        ends = Consumer({**settings, "isolation.level": "read_uncommitted"})
        end = ends.get_watermark_offsets(TopicPartition(topic, shard), 20)[1]
        ends.close()
        reader = Consumer({**settings, "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
        reader.assign([TopicPartition(topic, shard, 0)])
        found: list[tuple[int, bytes]] = []
        deadline_s = time.monotonic() + READ_TIMEOUT_S
        while reader.position([TopicPartition(topic, shard)])[0].offset < end and end:
            found += [(m.offset() or 0, m.value() or b"") for m in reader.consume(500, 0.2) if m.error() is None]
            if time.monotonic() > deadline_s:
                self._verdict.finding(f"{topic}[{shard}]: records below {end} stay hidden: a hanging transaction")
                break
        reader.close()
        return found

    def _check_tail(self, ledger: dict[int, list[tuple[int, bytes]]], tail: Tail) -> None:
        for shard, records in ledger.items():
            if tail.seen[shard] != records:
                self._verdict.finding(f"ledger shard {shard}: a reader during the faults saw other records")

    def _fold_shard(self, shard: int, records: list[tuple[int, bytes]]) -> None:
        next_offsets: dict[str, int] = {}
        for sequence, (offset, value) in enumerate(records):
            record = _decoded(value)
            if (record["shard"], record["sequence"]) != (shard, sequence):
                self._verdict.finding(f"ledger shard {shard} offset {offset}: not record {sequence}")
            source, first = record["source"], record["first_offset"]
            if first < next_offsets.get(source, 0):
                self._verdict.finding(f"ledger shard {shard} record {sequence}: {source} {first} decided twice")
            next_offsets[source] = record["next_offset"]
            for entry in record["entries"]:
                self._fold(entry)

    def _fold(self, entry: dict[str, Any]) -> None:
        kind, payment, amount = entry["kind"], entry["operation_id"].hex(), int(entry["amount_minor"])
        debit, credit = entry["debit_account"].hex(), entry["credit_account"].hex()
        if kind == "account_opened":
            self._available[debit] = 0
        if kind in ("reserved", "rejected"):
            self._decided[payment] += 1
        if kind in ("posted", "returned") or (kind == "rejected" and credit != "0" * 32):
            self._finals[payment] += 1
        if kind == "posted":
            self._posted[debit] -= amount
            self._posted[credit] += amount
            self._change(credit, amount, entry)
        elif kind in ("reserved", "returned"):
            self._change(debit, -amount if kind == "reserved" else amount, entry)

    def _change(self, account: str, amount: int, entry: dict[str, Any]) -> None:
        if account not in self._available:
            self._verdict.finding(f"{entry['kind']} for an account that was never opened: {account}")
            return
        self._available[account] += amount
        if self._available[account] != int(entry["available_after_minor"]):
            self._verdict.finding(f"{entry['kind']} states another balance than the sum for {account}")
        if self._available[account] < 0:
            self._verdict.overdrawn += 1
            self._verdict.finding(f"{account} is overdrawn")

    def _check_payments(self, load: Load) -> None:
        """Payments in = outcomes out. Ids are not derived again: the decisions in Postgres name payer and amount."""
        with psycopg.connect(self._database_url) as database:
            rows = database.execute("SELECT payer, payee, amount_minor, state FROM payments").fetchall()
        shown = Counter((payer.hex, payee.hex, amount) for payer, payee, amount, _ in rows)
        sent = Counter((s.payer.hex(), s.payee.hex(), s.amount_minor) for s in load.sent.values())
        unsure = Counter(
            (s.payer.hex(), s.payee.hex(), s.amount_minor) for s in load.sent.values() if s.key in load.unacknowledged
        )
        self._verdict.payments = len(load.sent)
        self._verdict.lost = sum((sent - unsure - shown).values())
        surplus = Counter({k: v for k, v in (shown - sent).items() if not k[0].startswith("0" * 12)})
        twice = sum(count - 1 for count in (self._finals | self._decided).values() if count > 1)
        self._verdict.duplicates = sum(surplus.values()) + twice
        unfinished = sum(1 for *_, state in rows if state == 0)
        if unfinished or self._verdict.lost or self._verdict.duplicates:
            self._verdict.finding(
                f"lost {self._verdict.lost}, duplicates {self._verdict.duplicates}, not final {unfinished}"
            )

    def _check_conservation(self) -> None:
        total = sum(self._posted.values())
        if total:
            self._verdict.finding(f"the postings sum to {total}")

    def _check_offsets(self, ledger: dict[int, list[tuple[int, bytes]]]) -> None:
        """The group's offsets are those of the last inputs that the ledger says are decided: no gap, nothing above."""
        reader = Consumer({"bootstrap.servers": self._bootstrap, "group.id": self._group, "log_level": 0})
        for shard, records in ledger.items():
            decided: dict[str, int] = {}
            for _, value in records:
                record = _decoded(value)
                decided[record["source"]] = record["next_offset"]
            for source, topic in INPUTS.items():
                committed = reader.committed([TopicPartition(topic, shard)], 20)[0].offset
                if max(committed, 0) != decided.get(source, 0):
                    self._verdict.finding(f"{topic}[{shard}]: committed {committed}, decided {decided.get(source, 0)}")
        reader.close()

    def _check_postgres(self) -> None:
        with psycopg.connect(self._database_url) as database:
            rows = database.execute("SELECT account_id, posted_minor, available_minor FROM balances").fetchall()
        shown = {account.hex: (posted, available) for account, posted, available in rows}
        for account in {*shown, *self._posted, *self._available}:
            posted, available = shown.get(account, (0, 0))
            drift = abs(posted - self._posted[account])
            if account in self._available:
                drift += abs(available - self._available[account])
            if drift:
                self._verdict.drift_minor += drift
                self._verdict.finding(f"balance of {account} differs from the ledger by {drift}")


def _decoded(value: bytes) -> dict[str, Any]:
    """By fastavro; behind the five bytes of the frame."""
    record = fastavro.schemaless_reader(io.BytesIO(value[5:]), LEDGER_SCHEMA, None)
    assert isinstance(record, dict)
    return record

"""Recomputes everything from what was sent and what the log holds, with a decoder and a fold of its own.

Imports nothing of payments, streams, sinks or the audit but the names of topics: records are decoded by fastavro from
the schema files, balances are added up in plain dicts. Any difference is a sentence in `Verdict.findings`.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from tests.faults.inputs.decisions import Decisions
from tests.faults.inputs.decoding import decoded
from tests.faults.inputs.ranges import DecidedRanges
from tests.faults.load import Load
from tests.faults.tail import Tail

NOBODY = "0" * 32
VERSION_NIBBLE = 12
FINDINGS_MAX = 20
READ_TIMEOUT_S = 60
TAIL_BEHIND_S = 10.0
Movement = tuple[str, str, int]
"""Payer, payee and amount of a payment."""

TRANSACTIONAL = tuple(topic.name for topic in topics.CATALOGUE)
CONSUMER_OFFSETS = "__consumer_offsets"
COMMANDS = "commands"
INPUTS = {
    COMMANDS: topics.COMMANDS.name,
    "credits": topics.CREDITS.name,
    "returns": topics.RETURNS.name,
    "connector_results": topics.CONNECTOR_RESULTS.name,
}
ARRIVED = frozenset({"posted", "received", "returned"})
LEG_KINDS = frozenset({"leg_reserved", "leg_settled", "leg_released"})


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
    """Verifies an installation that has come to rest; again and again, where the books of one go on."""

    def __init__(self, bootstrap: str, database_url: str, shards: int, group: str, transaction_timeout_ms: int) -> None:
        self._bootstrap = bootstrap
        self._database_url = database_url
        self._shards = shards
        self._group = group
        self._open_s = 2 * transaction_timeout_ms / 1_000
        self._verdict = Verdict()
        self._sent: Counter[Movement] = Counter()
        self._unsure: Counter[Movement] = Counter()
        self._ledger: dict[int, list[tuple[int, bytes]]] = {shard: [] for shard in range(shards)}
        self._ranges = DecidedRanges()
        self._decided: Counter[str] = Counter()
        self._finals: Counter[str] = Counter()
        self._available: dict[str, int] = {}
        self._decisions = Decisions(self._available, lambda text: self._verdict.finding(text))
        self._reserved: dict[str, Movement] = {}
        self._arrived: dict[str, Movement] = {}
        self._posted: Counter[str] = Counter()
        self._poisoned = 0

    def verify(self, load: Load, tail: Tail) -> Verdict:
        """Everything at once; the findings are empty where all is well. Called with each load of an installation, it
        reads the whole ledger each time and folds what is new."""
        self._verdict = Verdict(payments=len(load.sent))
        self._check_nothing_open()
        ledger = self._read_all(topics.LEDGER.name)
        for shard, commands in self._read_all(topics.COMMANDS.name, self._ends_of(COMMANDS)).items():
            self._decisions.read(shard, commands)
        self._check_tail(ledger, tail)
        for shard, records in ledger.items():
            known = len(self._ledger[shard])
            if records[:known] != self._ledger[shard]:
                self._verdict.finding(f"ledger shard {shard}: records of an earlier run have changed")
            self._fold_shard(shard, known, records[known:])
        self._ledger = ledger
        self._check_lanes()
        self._check_arrivals()
        self._check_payments(load)
        self._check_quarantine(load)
        self._check_conservation()
        self._check_offsets()
        self._check_postgres()
        return self._verdict

    def _check_nothing_open(self) -> None:
        """The last stable offset is the end, everywhere, within twice the transaction timeout: nothing hangs."""
        stable, end = (self._reader(level) for level in ("read_committed", "read_uncommitted"))
        names = stable.list_topics(timeout=20).topics
        left = {
            (name, shard)
            for name in (*TRANSACTIONAL, CONSUMER_OFFSETS)
            if name in names
            for shard in names[name].partitions
        }
        deadline_s = time.monotonic() + self._open_s
        while left:
            left = {place for place in left if _end(stable, *place) < _end(end, *place)}
            if left and time.monotonic() > deadline_s:
                self._verdict.finding(f"readers stand still before the end of {sorted(left)}: a hanging transaction")
                break
        stable.close()
        end.close()

    def _ends_of(self, source: str) -> dict[int, int]:
        return {shard: self._ranges.end((shard, source)) for shard in range(self._shards)}

    def _read_all(self, name: str, since: Mapping[int, int] | None = None) -> dict[int, list[tuple[int, bytes]]]:
        """All committed records of every shard, from these offsets on; a finding where some stay hidden behind an open
        transaction."""
        since = since or {}
        end = self._reader("read_uncommitted")
        left = {s: last for s in range(self._shards) if (last := _end(end, name, s)) > since.get(s, 0)}
        end.close()
        reader = self._reader("read_committed")
        reader.assign([TopicPartition(name, shard, since.get(shard, 0)) for shard in left])
        found: dict[int, list[tuple[int, bytes]]] = {shard: [] for shard in range(self._shards)}
        deadline_s = time.monotonic() + READ_TIMEOUT_S
        while left and time.monotonic() < deadline_s:
            for message in reader.consume(500, 0.1):
                if message.error() is None:
                    found[message.partition() or 0].append((message.offset() or 0, message.value() or b""))
            for place in reader.position([TopicPartition(name, shard) for shard in left]):
                if place.offset >= left[place.partition]:
                    del left[place.partition]
        for shard, last in left.items():
            self._verdict.finding(f"{name}[{shard}]: records below {last} stay hidden: a hanging transaction")
        reader.close()
        return found

    def _reader(self, isolation_level: str, group: str = "faults.verify") -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": group,
                "isolation.level": isolation_level,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )

    def _check_tail(self, ledger: dict[int, list[tuple[int, bytes]]], tail: Tail) -> None:
        deadline_s = time.monotonic() + TAIL_BEHIND_S
        for shard, records in ledger.items():
            while len(tail.seen[shard]) < len(records) and time.monotonic() < deadline_s:
                time.sleep(0.02)
            if tail.seen[shard] != records:
                self._verdict.finding(f"ledger shard {shard}: a reader during the faults saw other records")

    def _fold_shard(self, shard: int, known: int, records: list[tuple[int, bytes]]) -> None:
        for sequence, (offset, value) in enumerate(records, known):
            record = decoded(value)
            if (record["shard"], record["sequence"]) != (shard, sequence):
                self._verdict.finding(f"ledger shard {shard} offset {offset}: not record {sequence}")
            source, first = record["source"], record["first_offset"]
            if not self._ranges.add((shard, source), first, record["next_offset"]):
                self._verdict.finding(f"ledger shard {shard} record {sequence}: {source} {first} decided twice")
            legs = _stated_legs(record)
            for index, entry in enumerate(record["entries"]):
                if source == COMMANDS:
                    self._decisions.judge(shard, entry)
                self._fold(entry)
                self._fold_journal(entry, legs.get(index, []))
            if source == COMMANDS:
                self._decisions.end(shard, record["next_offset"])

    def _fold(self, entry: dict[str, Any]) -> None:
        kind, payment, amount = entry["kind"], entry["operation_id"].hex(), int(entry["amount_minor"])
        debit, credit = entry["debit_account"].hex(), entry["credit_account"].hex()
        if kind == "account_opened":
            self._available[debit] = 0
        if kind in ("reserved", "rejected"):
            self._decided[payment] += 1
        if kind == "reserved":
            self._reserved[payment] = debit, credit, amount
        if kind in ARRIVED:
            self._arrived[payment] = debit, credit, amount
        if kind in ("posted", "returned") or (kind == "rejected" and credit != "0" * 32):
            self._finals[payment] += 1
        if kind == "posted":
            self._posted[debit] -= amount
            self._posted[credit] += amount
            if not _is_system(credit):
                self._change(credit, amount, entry)
        elif kind in ("reserved", "returned"):
            self._change(debit, -amount if kind == "reserved" else amount, entry)

    def _fold_journal(self, entry: dict[str, Any], legs: list[dict[str, Any]]) -> None:
        """What a journal posts, and what its legs make available: that is taken as they state it."""
        if entry["kind"] == "journal_posted":
            for leg in legs:
                self._posted[leg["account"].hex()] += leg["amount_minor"]
        elif entry["kind"] in LEG_KINDS:
            debit, credit = entry["debit_account"].hex(), entry["credit_account"].hex()
            self._available[credit if debit == NOBODY else debit] = int(entry["available_after_minor"])

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

    def _check_lanes(self) -> None:
        """Between workers: every record that can be read lies in a run of offsets that the ledger says is decided."""
        for source, topic in INPUTS.items():
            for shard, records in self._read_all(topic).items() if source != COMMANDS else ():
                if passed_over := self._ranges.missing((shard, source), (offset for offset, _ in records)):
                    self._verdict.finding(f"{topic}[{shard}]: {len(passed_over)} passed over, first {passed_over[0]}")

    def _check_arrivals(self) -> None:
        """What was reserved has arrived, or has come back: once, the same amount, between the same two."""
        others = [payment for payment, taken in self._reserved.items() if self._arrived.get(payment) != taken]
        if others:
            found = self._arrived.get(others[0], "nothing")
            taken = self._reserved[others[0]]
            self._verdict.finding(f"{len(others)} reserved did not arrive as they were: {taken} became {found}")

    def _check_payments(self, load: Load) -> None:
        """Payments in = outcomes out. Ids are not derived again: the decisions in Postgres name payer and amount."""
        with psycopg.connect(self._database_url) as database:
            rows = database.execute("SELECT payer, payee, amount_minor, state FROM payments").fetchall()
        shown = Counter((payer.hex, payee.hex, amount) for payer, payee, amount, _ in rows)
        self._sent.update((s.payer.hex(), s.payee.hex(), s.amount_minor) for s in load.sent.values())
        unsure = (load.sent[key] for key in load.unacknowledged)
        self._unsure.update((s.payer.hex(), s.payee.hex(), s.amount_minor) for s in unsure)
        self._verdict.lost = sum((self._sent - self._unsure - shown).values())
        surplus = Counter({k: v for k, v in (shown - self._sent).items() if not k[0].startswith("0" * 12)})
        twice = sum(count - 1 for count in (self._finals | self._decided).values() if count > 1)
        self._verdict.duplicates = sum(surplus.values()) + twice
        unfinished = sum(1 for *_, state in rows if state == 0)
        if unfinished or self._verdict.lost or self._verdict.duplicates:
            self._verdict.finding(
                f"lost {self._verdict.lost}, duplicates {self._verdict.duplicates}, not final {unfinished}"
            )

    def _check_quarantine(self, load: Load) -> None:
        """Each record that can't be decided lies there once, with the place that it came from."""
        self._poisoned += load.poisoned
        kept = [value for records in self._read_all(topics.QUARANTINE.name).values() for _, value in records]
        origins = {
            (record["topic"], record["partition"], record["offset"], record["item"]) for record in map(decoded, kept)
        }
        if not len(kept) == len(origins) == self._poisoned:
            self._verdict.finding(f"{self._poisoned} sent in vain, {len(kept)} in quarantine of {len(origins)} places")

    def _check_conservation(self) -> None:
        total = sum(self._posted.values())
        if total:
            self._verdict.finding(f"the postings sum to {total}")

    def _check_offsets(self) -> None:
        """The group's offsets are those of the last inputs that the ledger says are decided: no gap, nothing above."""
        reader = self._reader("read_committed", self._group)
        for shard in range(self._shards):
            for source, topic in INPUTS.items():
                committed = reader.committed([TopicPartition(topic, shard)], 20)[0].offset
                decided = self._ranges.end((shard, source))
                if max(committed, 0) != decided:
                    self._verdict.finding(f"{topic}[{shard}]: committed {committed}, decided {decided}")
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


def _end(reader: Consumer, topic: str, shard: int) -> int:
    """The last stable offset for a committed reader, the end for the other."""
    end: int = reader.get_watermark_offsets(TopicPartition(topic, shard), timeout=20)[1]
    return end


def _is_system(account: str) -> bool:
    """System accounts have no balance in a shard: they are sums of postings. No UUID has a version of zero."""
    return account[VERSION_NIBBLE] == "0"


def _stated_legs(record: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """By entry: the legs of a journal that is posted. The one detail that has legs and nothing else is that."""
    details = [(detail["entry"], detail["detail"]) for detail in record["details"]]
    return {entry: detail["legs"] for entry, detail in details if detail.keys() == {"legs"}}

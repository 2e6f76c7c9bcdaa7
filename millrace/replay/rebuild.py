"""`millrace replay`: the balances of all accounts at one point of the ledger, and whether Postgres agrees.

Reads the ledger up to the point and one snapshot of Postgres, and changes neither. At the newest point the table
balances is compared; at an earlier one, what Postgres' own facts sum up to below the same ledger offsets. What the sink
has not applied yet is added up and not compared.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from millrace.audit.ledger.partition_log import AuditedTopics, AuditImpossible, archive_of, extents
from millrace.audit.postgres.snapshot import DatabaseSnapshot
from millrace.audit.report import Differs, Invariant
from millrace.replay.balances import Balance, CurrencyTotals
from millrace.replay.comparison import NOTHING_COMPARED, Comparison, compare
from millrace.replay.ledger import FoldedLedger, NextOffsets
from millrace.replay.point import Ledger, Moment, Offsets, resolve, shown_time
from millrace.replay.tables import shown_balances, summed_balances
from payments.identifiers import ACCOUNT, format_id
from runtime.kafka_client import Brokers
from runtime.settings import Settings

Progress = Callable[[int, int], None]
"""Called with the offsets read so far and their number in all."""


class Point(NamedTuple):
    """What is asked for; no point is the newest one, no account means none in particular."""

    to: Moment | Offsets | None = None
    account: bytes | None = None


@dataclass
class ReplayReport:
    """Times are RFC 3339, amounts minor units, offsets those behind the last record that counts."""

    next_offsets: dict[int, int]
    last_record_at: str | None = None
    records: int = 0
    entries: int = 0
    accounts: int = 0
    """Of customers and of the operator."""

    currencies: dict[str, CurrencyTotals] = field(default_factory=dict)
    account: str | None = None
    balance: Balance | None = None
    compared_with: str = ""
    compared_to: dict[int, int] = field(default_factory=dict)
    """Next offsets of the comparison: less than the point's where the sink is not there yet."""

    unapplied_records: int = 0
    comparison: Comparison = NOTHING_COMPARED
    entries_per_s: int = 0
    wall_s: float = 0.0

    @property
    def ok(self) -> bool:
        """True where Postgres agrees and all postings add up to zero."""
        balanced = not any(totals.postings_sum_minor for totals in self.currencies.values())
        return balanced and not self.comparison.differing_accounts

    def to_json(self) -> dict[str, Any]:
        """For machines; see the docstrings of the fields."""
        comparison = self.comparison
        return {
            "ok": self.ok,
            **asdict(self),
            "currencies": {currency: totals._asdict() for currency, totals in self.currencies.items()},
            "balance": self.balance and self.balance._asdict(),
            "comparison": {**comparison._asdict(), "first": [one.to_json() for one in comparison.first]},
        }


def replay(
    settings: Settings,
    point: Point,
    topics: AuditedTopics | None = None,
    progress: Progress = lambda _done, _total: None,
) -> ReplayReport:
    """Raises AuditImpossible where there is no such point or account, Differs where the ledger contradicts itself."""
    began = time.monotonic()
    topic, brokers = (topics or AuditedTopics()).ledger, Brokers.of(settings)
    with ExitStack() as stack:
        snapshot = DatabaseSnapshot(settings.database_url, stack)
        applied = applied_offsets(snapshot, settings.shards)  # before the ledger's ends: never ahead of them
        archive = archive_of(settings)
        found = extents(brokers, (topic,), settings.shards, archive)
        ledger = Ledger(brokers, topic, settings.shards, found, archive)
        require_not_ahead(applied, ledger)
        to = resolve(point.to, ledger, time.time_ns() // 1_000_000)
        report = ReplayReport(dict(sorted(to.items())))
        folded = FoldedLedger(brokers, topic, settings.shards, _counting(to, progress), archive)
        _compare_there(folded, applied, snapshot, report, stack)
    compared = folded.records
    folded.advance(to)
    report.unapplied_records = folded.records - compared
    _say(report, folded, point.account)
    report.wall_s = round(time.monotonic() - began, 3)
    report.entries_per_s = round(report.entries / report.wall_s)
    return report


def applied_offsets(snapshot: DatabaseSnapshot, shards: int) -> dict[int, int]:
    """Next offset by shard, as the sink left them. Raises AuditImpossible, Differs."""
    rows = snapshot.progress()
    unknown = sorted(rows.keys() - range(shards))
    if unknown:
        raise Differs(Invariant.TABLES, f"table sink_progress, shard {unknown[0]}", "no such row", "one")
    return {shard: rows[shard].ledger_next_offset if shard in rows else 0 for shard in range(shards)}


def require_not_ahead(applied: NextOffsets, ledger: Ledger) -> None:
    """Raises Differs where the tables hold more than the ledger."""
    for shard, next_offset in applied.items():
        end = ledger.extent(shard).end
        if next_offset > end:
            place = f"table sink_progress, shard {shard}"
            raise Differs(Invariant.TABLES, place, f"at most {end}, the end of {ledger.topic}[{shard}]", next_offset)


def _counting(to: NextOffsets, progress: Progress) -> Callable[[int], None]:
    total, done = sum(to.values()), 0

    def advance(records: int) -> None:
        nonlocal done
        done = min(done + records, total)
        progress(done, total)

    return advance


def _compare_there(
    folded: FoldedLedger, applied: NextOffsets, snapshot: DatabaseSnapshot, report: ReplayReport, stack: ExitStack
) -> None:
    """As far as both sides reach."""
    shared = {shard: min(next_offset, applied[shard]) for shard, next_offset in report.next_offsets.items()}
    is_newest = shared == applied
    folded.advance(shared)
    connection = snapshot.connect(stack)
    report.compared_with = "balances" if is_newest else "the facts that balances are summed from"
    report.compared_to = shared
    blocks = shown_balances(connection) if is_newest else summed_balances(connection, shared)
    report.comparison = compare(folded.balances, blocks)


def _say(report: ReplayReport, folded: FoldedLedger, account: bytes | None) -> None:
    last_ms = max(link.last_record_at_ms for link in folded.links.values())
    report.last_record_at = shown_time(last_ms) if last_ms else None
    report.records, report.entries = folded.records, folded.balances.entries
    report.accounts, report.currencies = len(folded.balances), folded.balances.totals()
    if account is None:
        return
    report.account, report.balance = format_id(ACCOUNT, account), folded.balances.of(account)
    if report.balance is None:
        raise AuditImpossible(f"up to this point no entry of the ledger names {report.account}")

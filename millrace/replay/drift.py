"""Whether Postgres still shows what the ledger adds up to: one look after the other, each at one snapshot.

Reads one snapshot of Postgres, and the ledger from where the last look ended to exactly where sink_progress stands in
that snapshot. Keeps the balances between looks (about 180 bytes an account). Independent of the sink, which checks
what it changes: a row that somebody else changed, or that a restore brought back, is found here.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from millrace.audit.ledger.partition_log import AuditedTopics, AuditImpossible, extents
from millrace.audit.postgres.snapshot import DatabaseSnapshot
from millrace.audit.report import Differs
from millrace.replay.comparison import Comparison, compare
from millrace.replay.ledger import FoldedLedger, Link
from millrace.replay.point import Ledger, shown_time
from millrace.replay.rebuild import applied_offsets, require_not_ahead
from millrace.replay.tables import open_holds, shown_balances
from runtime.kafka_client import Brokers
from runtime.settings import Settings


class Drift(NamedTuple):
    """What one look found; offsets are those behind the last record that counts."""

    checked_at_ms: int
    """Unix time."""

    comparison: Comparison
    next_offsets: dict[int, int]
    """Where both sides were compared."""

    offsets_behind: int
    """From there to the ledger's ends. Commit markers count, so an idle ledger shows up to one a shard."""

    trusted_offsets: dict[int, int]
    """Where the first look took over the balances of Postgres, because retention had deleted what was before; empty
    where every balance rests on the ledger alone."""

    wall_s: float

    @property
    def ok(self) -> bool:
        return not self.comparison.differing_accounts

    def to_json(self) -> dict[str, Any]:
        """For machines; see the docstrings of the fields."""
        comparison = self.comparison
        return {
            "ok": self.ok,
            **self._asdict(),
            "checked_at": shown_time(self.checked_at_ms),
            "comparison": {**comparison._asdict(), "first": [one.to_json() for one in comparison.first]},
        }


class DriftWatch:
    """`look` is one look."""

    def __init__(self, settings: Settings, topics: AuditedTopics | None = None) -> None:
        self._settings = settings
        self._topic = (topics or AuditedTopics()).ledger
        self._folded: FoldedLedger | None = None
        self._trusted: dict[int, int] = {}

    def look(self, is_stopped: Callable[[], bool] = lambda: False) -> Drift | None:
        """None where it was stopped. Raises AuditImpossible, Differs (the ledger contradicts itself), TimeoutError,
        psycopg.Error, KafkaException; the next look goes on from what was read, or begins again.
        """
        began = time.monotonic()
        try:
            found = self._found(is_stopped)
        except Differs:
            self._folded = None
            raise
        if found is None:
            return None
        comparison, next_offsets, offsets_behind = found
        wall_s = round(time.monotonic() - began, 3)
        return Drift(time.time_ns() // 1_000_000, comparison, next_offsets, offsets_behind, self._trusted, wall_s)

    def _found(self, is_stopped: Callable[[], bool]) -> tuple[Comparison, dict[int, int], int] | None:
        for _ in range(2):  # the second time with balances that begin again
            folded = self._folded or self._begun(is_stopped)
            with ExitStack() as stack:
                snapshot = DatabaseSnapshot(self._settings.database_url, stack)
                applied, ledger = applied_offsets(snapshot, self._settings.shards), self._ledger()
                require_not_ahead(applied, ledger)
                if not _is_of_use(folded, applied, ledger):
                    self._folded = None
                    continue
                folded.advance(applied, is_stopped)
                if is_stopped():
                    return None
                comparison = compare(folded.balances, shown_balances(snapshot.connect(stack)))
                behind = sum(end - applied[shard] for shard, end in ledger.ends().items())
                return comparison, applied, behind
        raise AuditImpossible("the tables were brought back to an earlier state twice during one look")

    def _begun(self, is_stopped: Callable[[], bool]) -> FoldedLedger:
        """Reads what is there before a snapshot is held open for it: vacuum waits for the oldest snapshot."""
        with ExitStack() as stack:
            snapshot = DatabaseSnapshot(self._settings.database_url, stack)
            applied, ledger = applied_offsets(snapshot, self._settings.shards), self._ledger()
            require_not_ahead(applied, ledger)
            self._folded = self._begin(ledger, snapshot, stack)
        self._folded.advance(applied, is_stopped)
        return self._folded

    def _begin(self, ledger: Ledger, snapshot: DatabaseSnapshot, stack: ExitStack) -> FoldedLedger:
        folded = FoldedLedger(ledger.brokers, self._topic, ledger.shards)
        self._trusted = {}
        if any(ledger.extent(shard).start for shard in range(ledger.shards)):
            for block in shown_balances(snapshot.connect(stack)):
                columns = block["posted_minor"], block["available_minor"]
                folded.balances.adopt(block["account_id"], block["currency"].view("S3"), *columns)
            folded.balances.adopt_holds(open_holds(snapshot.connect(stack)))
            for shard, row in snapshot.progress().items():
                folded.links[shard] = Link(row.ledger_next_offset, row.ledger_sequence, row.last_hash, 0)
            self._trusted = folded.next_offsets
        return folded

    def _ledger(self) -> Ledger:
        settings, brokers = self._settings, Brokers.of(self._settings)
        found = extents(brokers, (self._topic,), settings.shards)
        return Ledger(brokers, self._topic, settings.shards, found)


def _is_of_use(folded: FoldedLedger, applied: dict[int, int], ledger: Ledger) -> bool:
    """False where the tables were made anew or brought back to an earlier state, or where retention has deleted what
    comes next (only for one who was away for its whole length).
    """
    return all(ledger.extent(shard).start <= link.next_offset <= applied[shard] for shard, link in folded.links.items())

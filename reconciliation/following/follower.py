"""One rule set in stream-time: what has come since the last step → the breaks that it opens and closes.

Reads legs of the ledger by position and lines of files that were imported since; keeps every line of its days in
memory; writes breaks, their trails and its progress (recon_follows) in one transaction.

Guarantees: after a step the living breaks are those of a full run over the same lines. A crash between two steps loses
and repeats nothing: whoever begins anew reads the tables from their beginning, and what is said again changes nothing.
Two followers of one rule set fence each other off by the number of the step.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import Connection

from payments.errors import MillraceError
from reconciliation.breaks import desk, living
from reconciliation.breaks.living import Changes, Said
from reconciliation.following.following import Following
from reconciliation.matching.calendars import shifted
from reconciliation.matching.controls import Control
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break
from reconciliation.runs.rules import ReadRules
from reconciliation.runs.run import Found, found_break, is_told, widened
from reconciliation.runs.sides import Span, read_new
from reconciliation.runs.tie_out import Stated, controls_of, statements_of, unproven_statements
from reconciliation.runs.writing import lock
from reconciliation.store.importing import json_text

_PATIENCE: Final = """SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0"""
"""The first step of a large ledger compares for longer than any other transaction may be silent."""

_FILES: Final = "SELECT file_id FROM recon_files WHERE status = 1 AND source = ANY(%s) AND NOT file_id = ANY(%s)"
_NEWEST_RUN: Final = "SELECT run_id FROM recon_runs WHERE rule_set = %s ORDER BY run_at DESC, run_id DESC LIMIT 1"
_STEP: Final = "SELECT step FROM recon_follows WHERE rule_set = %s"
_PROGRESS: Final = """
INSERT INTO recon_follows (rule_set, step, as_of, first_day, positions, files, internal_lines, external_lines, told_run)
VALUES (%(rule_set)s, %(step)s, %(as_of)s, %(first_day)s, %(positions)s, %(files)s, %(internal)s, %(external)s, %(run)s)
ON CONFLICT (rule_set) DO UPDATE SET step = excluded.step, as_of = excluded.as_of, first_day = excluded.first_day,
    positions = excluded.positions, files = excluded.files, internal_lines = excluded.internal_lines,
    external_lines = excluded.external_lines, told_run = excluded.told_run, followed_at = now()
WHERE recon_follows.step = excluded.step - 1 RETURNING 1"""


class Fenced(MillraceError):
    """Somebody else follows this rule set, or the control totals of a file are others now: begin anew."""


class Come(NamedTuple):
    """What a step found: lines of both sides, files, and what that changed."""

    internal_lines: int
    external_lines: int
    files: int
    changes: Changes


class Follower:
    """`step` again and again, on one connection in autocommit. After any exception a new one has to begin anew."""

    def __init__(self, connection: Connection, read: ReadRules, shards: int, look_back_days: int = 0) -> None:
        """`look_back_days`: business days that are looked at, as the nightly run's; 0 is all of them."""
        self._connection, self._read, self._look_back_days = connection, read, look_back_days
        self._zone = ZoneInfo(read.rules.zone)
        self._by = f"{desk.AUTOMATON}{read.rules.name}@{read.rules.revision}"
        self._shards = shards
        self._begun: _Begun | None = None
        self._step = 0

    def step(self, now: datetime) -> Come:
        """Everything that is there. The first step, one of another day, and one after a run look through all breaks.
        Raises Fenced, psycopg.Error.
        """
        today = now.astimezone(self._zone).date()
        rules = self._read.rules
        with self._connection.transaction():
            self._connection.execute(_PATIENCE)
            lock(self._connection, rules.name)  # while a run is being written its breaks are not touched
            begun, is_first = self._day(today)
            come = begun.read(self._connection, self._read)
            turned = begun.turn(today)
            run = self._connection.execute(_NEWEST_RUN, (rules.name,)).fetchone()
            told_run = run[0] if run else None
            whole = is_first or turned or told_run != begun.told_run
            if not (whole or any(come)):
                return Come(0, 0, 0, Changes())
            changes = self._write(begun, whole=whole)
            begun.told_run = told_run
            self._save(begun)
        self._begun = begun
        return Come(*come, changes)

    def _day(self, today: date) -> "tuple[_Begun, bool]":
        """What is kept, or the beginning of it: at first, and on each day where days behind are forgotten."""
        rules = self._read.rules
        first = shifted(today, -self._look_back_days, rules.calendar) if self._look_back_days else date.min
        if self._begun is not None and self._begun.span.first == first:
            return self._begun, False
        row = self._connection.execute(_STEP, (rules.name,)).fetchone()
        self._step = row[0] if row else 0
        return _Begun(self._read, self._shards, first, today), True

    def _write(self, begun: "_Begun", *, whole: bool) -> Changes:
        found, gone = begun.settle(whole=whole)
        said = Said(self._by, None, begun.as_of, begun.span.first, begun.as_of, found)
        return living.take_over(self._connection, self._read.rules, said, None if whole else gone)

    def _save(self, begun: "_Begun") -> None:
        named = begun.progress() | {"rule_set": self._read.rules.name, "step": self._step + 1}
        if self._connection.execute(_PROGRESS, named).fetchone() is None:
            raise Fenced(f"somebody else follows {self._read.rules.name}")
        self._step += 1


class _Begun:
    """What has come since the beginning, and how far."""

    def __init__(self, read: ReadRules, shards: int, first: date, today: date) -> None:
        self.span = Span(first, today, datetime.max)
        self.as_of = today
        self.told_run: UUID | None = None
        self._rules = read.rules
        self._following = Following(read.rules, today)
        self._positions = dict.fromkeys(range(shards), 0)
        self._files: set[UUID] = set()
        self._statements: list[Stated] = []
        self._controls: list[Control] = []
        self._proof: list[Break[Line]] = []
        self._later: list[tuple[Line, bool]] = []
        self._lines = [0, 0]

    def read(self, connection: Connection, read: ReadRules) -> tuple[int, int, int]:
        """Take what is new: legs, lines of files, files."""
        rules = read.rules
        named = (rules.statements.sources, list(self._files))
        files: list[UUID] = [row[0] for row in connection.execute(_FILES, named)]
        sides, self._positions = read_new(connection, rules, widened(self.span, rules).first, self._positions, files)
        self._files.update(files)
        if files:
            self._statements += (one for one in statements_of(connection, rules, files) if one.day)
            self._statements.sort(key=lambda one: one.place)
        for index, (lines, internal) in enumerate(((sides.internal, True), (sides.external, False))):
            self._lines[index] += len(lines)
            self._later += [(line, internal) for line in lines]
        self._take()
        if files:
            self._state()
        return len(sides.internal), len(sides.external), len(files)

    def turn(self, today: date) -> bool:
        """Another day: what is dated until now counts, what waits ages."""
        if today == self.as_of:
            return False
        self.as_of = today
        self._following.turn(today)
        self._take()
        self._state()
        return True

    def settle(self, *, whole: bool) -> tuple[list[Found], set[UUID]]:
        """Breaks that stand, or those that have opened since the last step; and those that have closed."""
        changes = self._following.settle()
        proof = unproven_statements(self._stated(), self._rules)
        before, self._proof = self._proof, proof
        if whole:
            return self._found([*self._following.outcome()[1], *proof]), set()
        opened = [*changes.opened, *(one for one in proof if one not in before)]
        closed = [*changes.closed, *(one for one in before if one not in proof)]
        return self._found(opened), {one.break_id for one in self._found(closed)}

    def progress(self) -> dict[str, object]:
        """As recon_follows has it."""
        return {
            "as_of": self.as_of,
            "first_day": None if self.span.first == date.min else self.span.first,
            "positions": json_text({str(shard): sequence for shard, sequence in self._positions.items()}),
            "files": len(self._files),
            "internal": self._lines[0],
            "external": self._lines[1],
            "run": self.told_run,
        }

    def _take(self) -> None:
        """Lines until today; the others wait for their day, as in a run."""
        later = self._later
        self._later = [one for one in later if one[0].date > self.as_of]
        for line, internal in later:
            if line.date <= self.as_of:
                self._following.take(line, internal=internal)

    def _state(self) -> None:
        """Control totals, which only ever become more: one that is another now is compared from the beginning."""
        controls = controls_of(self._stated(), self._rules)
        if any(control not in controls for control in self._controls):
            raise Fenced("files that were cut are numbered otherwise now")
        for control in controls:
            if control not in self._controls:
                self._following.lacks(control)
        self._controls = controls

    def _stated(self) -> list[Stated]:
        return [one for one in self._statements if self.span.first <= one.day <= self.as_of]

    def _found(self, breaks: Iterable[Break[Line]]) -> list[Found]:
        days = {control.file: control.day for control in self._controls}
        kept = (one for one in breaks if is_told(one, self.span.first))
        return [found_break(one, self._rules.name, days) for one in kept]

"""What a night has to run, and what of it is done: lines of one results file, one per run, written as each ends."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.faults.mutants.matrix import MUTANTS
from tests.faults.scenarios import SCENARIOS

SCENARIO, MUTANT, CONTROL = "scenario", "mutant", "control"


class Job(NamedTuple):
    """One row of the report: a scenario, a mutant or a mutant's control."""

    kind: str
    name: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """For `python -m tests.faults`."""
        if self.kind == SCENARIO:
            return "--scenario", self.name
        return "--mutant", self.name, *(("--control",) if self.kind == CONTROL else ())


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the results: a run that ended, or one that did not."""

    kind: str
    name: str
    seed: int
    commit: str
    at: str
    """UTC, RFC 3339."""

    passed: bool
    as_expected: bool
    payments: int = 0
    rate_per_s: int = 0
    faults: int = 0
    lost: int = 0
    duplicates: int = 0
    overdrawn: int = 0
    drift_minor: int = 0
    recovery_s: list[float] = []
    stall_s: float = 0.0
    at_once: int = 1
    """Installations that shared the machine."""

    findings: list[str] = []

    @property
    def job(self) -> Job:
        return Job(self.kind, self.name)


def jobs(only: Collection[str] = ()) -> list[Job]:
    """All rows, or those of these names. Raises ValueError for a name that is none."""
    unknown = set(only) - SCENARIOS.keys() - MUTANTS.keys()
    if unknown:
        raise ValueError(
            f"no scenario or mutant of this name: {', '.join(sorted(unknown))}; see --list of tests.faults"
        )
    wanted = [Job(SCENARIO, name) for name in SCENARIOS]
    wanted += [Job(kind, name) for name in MUTANTS for kind in (MUTANT, CONTROL)]
    return [job for job in wanted if not only or job.name in only]


def missing(job: Job, seeds: int, runs: Sequence[Run], seen_before: int = 0) -> list[int]:
    """Seeds of this row that have not been run: here, or among the first of nights elsewhere. A mutant is deterministic
    enough for one.
    """
    done = {run.seed for run in runs if run.job == job}
    return [seed for seed in range(seen_before + 1, (seeds if job.kind == SCENARIO else 1) + 1) if seed not in done]


def stretches(seeds: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive seeds as (first, last): each can share one installation."""
    for _, found in itertools.groupby(enumerate(seeds), lambda place: place[1] - place[0]):
        stretch = [seed for _, seed in found]
        yield stretch[0], stretch[-1]


def read_runs(results: Path) -> list[Run]:
    """What has been run. A line that was cut off at the end of a night is not a run."""
    if not results.exists():
        return []
    runs = []
    for line in results.read_bytes().splitlines():
        try:
            runs.append(msgspec.json.decode(line, type=Run))
        except msgspec.DecodeError:
            continue
    return runs


def add_run(results: Path, run: Run) -> None:
    """One more line."""
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("ab") as lines:
        lines.write(msgspec.json.encode(run) + b"\n")

"""Nights on several machines, added up: the report of the ones before, and that of the runs since."""

from collections.abc import Sequence

import msgspec

from tests.faults.nightly.plan import CONTROL, MUTANT, SCENARIO, Job
from tests.faults.nightly.report import Report, ScenarioRow

SUMMED = ("seeds", "passed", "payments", "faults", "lost", "duplicates", "overdrawn", "drift_minor")
LARGEST = ("recovery_max_s", "stall_max_s", "at_once")


def added(before: Report, since: Report) -> Report:
    """One report of both. What machine it was is the later one's to say."""
    rows = _together(before.scenarios, since.scenarios)
    mutants = {row.mutant: row for row in (*before.mutants, *since.mutants)}
    known = {row.scenario for row in rows} | mutants.keys()
    return msgspec.structs.replace(
        since,
        first_run=min(before.first_run, since.first_run),
        last_run=max(before.last_run, since.last_run),
        commits=list(dict.fromkeys((*before.commits, *since.commits))),
        scenarios=rows,
        mutants=list(mutants.values()),
        not_run=[name for name in since.not_run if name not in known],
    )


def seen_before(report: Report) -> dict[Job, int]:
    """How many runs of each row it sums up."""
    scenarios = {Job(SCENARIO, row.scenario): row.seeds for row in report.scenarios}
    return scenarios | {Job(kind, row.mutant): 1 for row in report.mutants for kind in (MUTANT, CONTROL)}


def _together(before: Sequence[ScenarioRow], since: Sequence[ScenarioRow]) -> list[ScenarioRow]:
    later = {row.scenario: row for row in since}
    rows = [_sum(row, later.pop(row.scenario)) if row.scenario in later else row for row in before]
    return [*rows, *later.values()]


def _sum(before: ScenarioRow, since: ScenarioRow) -> ScenarioRow:
    """The medians of two nights count by their faults: the single recoveries of the first are not known any more."""
    faults = before.faults + since.faults
    medians = before.recovery_p50_s * before.faults + since.recovery_p50_s * since.faults
    return msgspec.structs.replace(
        since,
        **{name: getattr(before, name) + getattr(since, name) for name in SUMMED},
        **{name: max(getattr(before, name), getattr(since, name)) for name in LARGEST},
        recovery_p50_s=round(medians / faults, 2) if faults else 0.0,
        rate_min_per_s=min(filter(None, (before.rate_min_per_s, since.rate_min_per_s)), default=0),
        failed={**before.failed, **since.failed},
    )

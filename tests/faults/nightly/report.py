"""docs/reliability.md and docs/reliability.json, made from the results alone."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.machine import machine
from tests.faults.mutants.matrix import MUTANTS
from tests.faults.nightly.plan import CONTROL, MUTANT, SCENARIO, Job, Run, jobs
from tests.faults.scenarios import SCENARIOS

FINDINGS_SHOWN = 3

INTRODUCTION = """# Reliability
Written by `make nightly`; the same figures stand in `reliability.json`. Each row is a fault under load on real Kafka
and Postgres (two workers, one sink; session time-out 6 s, transaction time-out 5 s), after which every outcome, balance
and offset is recomputed from the log by a decoder and a fold that share no code with the product. A run is repeated by
`make faults FLAGS="--scenario NAME --seed N"`.
"""

MUTANTS_INTRODUCTION = """## Guards taken out
`make faults FLAGS="--mutant NAME"` runs the pipeline without one of its guards, under a schedule that lays it bare;
`--control` runs the same with the guard in place. A suite that stays green without a guard proves nothing about it.
"""


class ScenarioRow(msgspec.Struct, frozen=True, kw_only=True):
    """One fault over all its seeds."""

    scenario: str
    what: str
    seeds: int
    passed: int
    payments: int
    rate_min_per_s: int = 0
    """Payments per second that the generator reached in the slowest run; 0 where it was not noted."""

    faults: int
    lost: int
    duplicates: int
    overdrawn: int
    drift_minor: int
    recovery_p50_s: float
    recovery_max_s: float
    stall_max_s: float
    at_once: int
    """Installations on the machine at a time: more of them make recovery slower."""

    failed: dict[int, list[str]]
    """Seed → what the verifier found."""


class MutantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One guard: taken out, and in place."""

    mutant: str
    guard: str
    schedule: str
    hidden_by: str
    passed: bool
    """Whether the suite stayed green without the guard."""

    caught: bool
    """The verifier named the harm, not merely a standstill."""

    control_passed: bool | None
    lost: int
    duplicates: int
    drift_minor: int
    findings: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page."""

    first_run: str
    last_run: str
    commits: list[str]
    machine: dict[str, str]
    remark: str
    """What else a reader has to know of these nights, such as other work on the machine."""

    scenarios: list[ScenarioRow]
    mutants: list[MutantRow]
    not_run: list[str]


def report_of(runs: Sequence[Run], remark: str = "") -> Report:
    """Raises ValueError where nothing has been run."""
    if not runs:
        raise ValueError("nothing has been run yet")
    by_job: dict[Job, list[Run]] = {job: [run for run in runs if run.job == job] for job in jobs()}
    times = sorted(run.at for run in runs)
    return Report(
        first_run=times[0],
        last_run=times[-1],
        commits=list(dict.fromkeys(run.commit for run in runs)),
        machine=machine(),
        remark=remark,
        scenarios=[_scenario_row(job.name, found) for job, found in by_job.items() if found and job.kind == SCENARIO],
        mutants=[_mutant_row(name, by_job) for name in MUTANTS if by_job[Job(MUTANT, name)]],
        not_run=[job.name for job, found in by_job.items() if not found and job.kind != CONTROL],
    )


def _scenario_row(name: str, runs: Sequence[Run]) -> ScenarioRow:
    recoveries = [recovery for run in runs for recovery in run.recovery_s]
    return ScenarioRow(
        scenario=name,
        what=SCENARIOS[name].what,
        seeds=len(runs),
        passed=sum(run.passed for run in runs),
        payments=sum(run.payments for run in runs),
        rate_min_per_s=min((run.rate_per_s for run in runs if run.rate_per_s), default=0),
        faults=sum(run.faults for run in runs),
        lost=sum(run.lost for run in runs),
        duplicates=sum(run.duplicates for run in runs),
        overdrawn=sum(run.overdrawn for run in runs),
        drift_minor=sum(run.drift_minor for run in runs),
        recovery_p50_s=round(statistics.median(recoveries), 2) if recoveries else 0.0,
        recovery_max_s=max(recoveries, default=0.0),
        stall_max_s=max(run.stall_s for run in runs),
        at_once=max(run.at_once for run in runs),
        failed={run.seed: run.findings for run in runs if not run.passed},
    )


def _mutant_row(name: str, by_job: dict[Job, list[Run]]) -> MutantRow:
    run = by_job[Job(MUTANT, name)][-1]
    controls = by_job[Job(CONTROL, name)]
    mutant = MUTANTS[name]
    return MutantRow(
        mutant=name,
        guard=mutant.guard,
        schedule=mutant.scenario.what,
        hidden_by=mutant.hidden_by,
        passed=run.passed,
        caught=run.as_expected,
        control_passed=controls[-1].passed if controls else None,
        lost=run.lost,
        duplicates=run.duplicates,
        drift_minor=run.drift_minor,
        findings=run.findings[:FINDINGS_SHOWN],
    )


def write(report: Report, folder: Path) -> None:
    """Both files; the folder is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    as_json = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (folder / "reliability.json").write_bytes(as_json + b"\n")
    (folder / "reliability.md").write_text("\n".join(_page(report)) + "\n")


def _page(report: Report) -> list[str]:
    shown = "; ".join(f"{name}: {value}" for name, value in report.machine.items())
    return [
        INTRODUCTION,
        f"Runs of {report.first_run} to {report.last_run}, commits {', '.join(report.commits)}."
        f" {shown}. {report.remark}".rstrip(),
        "",
        "| scenario | fault | seeds passed | payments | least payments/s | faults | lost | duplicates"
        " | overdrawn | drift (minor) | recovery p50 / max s | longest stall of a reader s | side by side |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(_scenario_line(row) for row in report.scenarios),
        "",
        *_failures(report),
        *_not_run(report),
        MUTANTS_INTRODUCTION,
        "| mutant | guard | schedule | suite without it | control | lost | duplicates | drift (minor) |",
        "|---|---|---|---|---|---|---|---|",
        *(_mutant_line(row) for row in report.mutants),
        "",
        "Which other guard would hide the one that is missing, and what is done about it:",
        "",
        *(f"- **{row.mutant}**: {row.hidden_by}." for row in report.mutants),
    ]


def _scenario_line(row: ScenarioRow) -> str:
    return (
        f"| {row.scenario} | {row.what} | {row.passed} of {row.seeds} | {row.payments:,} | {_rate(row)} | {row.faults}"
        f" | {row.lost} | {row.duplicates} | {row.overdrawn} | {row.drift_minor}"
        f" | {row.recovery_p50_s:.1f} / {row.recovery_max_s:.1f} | {row.stall_max_s:.1f} | {row.at_once} |"
    )


def _rate(row: ScenarioRow) -> str:
    return f"{row.rate_min_per_s:,}" if row.rate_min_per_s else "not noted"


def _mutant_line(row: MutantRow) -> str:
    verdict = "**stays green**" if row.passed else "fails" if row.caught else "fails, by a standstill only"
    control = {True: "passes", False: "**fails**", None: "not run"}[row.control_passed]
    return (
        f"| {row.mutant} | {row.guard} | {row.schedule} | {verdict} | {control} | {row.lost} | {row.duplicates}"
        f" | {row.drift_minor} |"
    )


def _failures(report: Report) -> list[str]:
    lines = [
        f"- {row.scenario}, seed {seed}: {'; '.join(findings[:FINDINGS_SHOWN])}"
        for row in report.scenarios
        for seed, findings in row.failed.items()
    ]
    return ["Runs with a finding:", "", *lines, ""] if lines else []


def _not_run(report: Report) -> list[str]:
    return [f"Not run in these nights: {', '.join(report.not_run)}.", ""] if report.not_run else []

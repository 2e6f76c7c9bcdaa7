"""The night's own bookkeeping: what is left to run, what counts as failed, and what the report says."""

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.faults.mutants.changes import CHANGES
from tests.faults.mutants.matrix import MUTANTS
from tests.faults.nightly import __main__ as night
from tests.faults.nightly.adding import added, seen_before
from tests.faults.nightly.plan import CONTROL, MUTANT, SCENARIO, Job, Run, add_run, jobs, missing, read_runs, stretches
from tests.faults.nightly.report import Report, report_of, write
from tests.faults.nightly.runs import run_stretch
from tests.faults.scenarios import SCENARIOS

KILL = Job(SCENARIO, "worker_kill")


def ran(job: Job, seed: int, *, passed: bool = True, as_expected: bool | None = None, stall_s: int = 1) -> Run:
    return Run(
        kind=job.kind,
        name=job.name,
        seed=seed,
        commit="abc",
        at=f"2026-11-21T20:00:{seed:02}+00:00",
        passed=passed,
        as_expected=passed if as_expected is None else as_expected,
        payments=1_000,
        rate_per_s=1_000,
        faults=2,
        recovery_s=[1.0, seed],
        stall_s=stall_s,
        findings=[] if passed else ["lost 3, duplicates 0, not final 0"],
    )


def test_a_night_that_was_cut_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    results = tmp_path / "night" / "results.jsonl"
    for seed in (1, 2, 5):
        add_run(results, ran(KILL, seed))
    with results.open("ab") as lines:
        lines.write(b'{"kind":"scenario","na')  # the power went
    assert missing(KILL, 8, read_runs(results)) == [3, 4, 6, 7, 8]
    assert list(stretches([3, 4, 6, 7, 8])) == [(3, 4), (6, 8)]


def test_a_mutant_is_run_once_and_so_is_its_control() -> None:
    assert missing(Job(MUTANT, "keys"), 10, []) == [1]
    assert missing(Job(CONTROL, "keys"), 10, [ran(Job(MUTANT, "keys"), 1)]) == [1]


def test_only_takes_names_of_scenarios_and_mutants() -> None:
    assert jobs(["keys", "worker_kill"]) == [KILL, Job(MUTANT, "keys"), Job(CONTROL, "keys")]
    with pytest.raises(ValueError, match="no scenario or mutant of this name: nonsense"):
        jobs(["nonsense"])


def test_every_mutant_takes_out_what_there_is_and_its_control_keeps_the_guard() -> None:
    for mutant in MUTANTS.values():
        assert set(mutant.changes().split(",")) <= CHANGES.keys()
        assert mutant.without not in mutant.changes(control=True).split(",")
        re.compile(mutant.finding)


def test_the_report_sums_up_seeds_and_names_failures_and_gaps(tmp_path: Path) -> None:
    runs = [ran(KILL, 1), ran(KILL, 2, passed=False, stall_s=9), ran(Job(MUTANT, "keys"), 1, passed=False)]
    runs += [ran(Job(MUTANT, "fence"), 1, passed=True), ran(Job(CONTROL, "fence"), 1)]
    docs = tmp_path / "not" / "there yet"
    write(report_of(runs), docs)
    report = msgspec.json.decode((docs / "reliability.json").read_bytes(), type=Report)
    [row] = report.scenarios
    assert (row.seeds, row.passed, row.payments, row.faults) == (2, 1, 2_000, 4)
    assert (row.recovery_p50_s, row.recovery_max_s, row.stall_max_s) == (1.0, 2.0, 9.0)
    assert row.failed == {2: ["lost 3, duplicates 0, not final 0"]}
    assert set(report.not_run) == (SCENARIOS.keys() | MUTANTS.keys()) - {"worker_kill", "keys", "fence"}
    page = (docs / "reliability.md").read_text()
    assert "1 of 2" in page
    assert "seed 2: lost 3" in page
    assert "| **stays green** | passes |" in page
    assert "| fails, by a standstill only | not run |" in page


def test_a_run_that_ends_without_an_outcome_is_a_failure_and_the_next_seed_follows(tmp_path: Path) -> None:
    nobody = Job(SCENARIO, "no_such_scenario")
    runs = list(run_stretch(nobody, 1, 2, 1_000, tmp_path, lambda: False))
    assert [(run.seed, run.passed) for run in runs] == [(1, False), (2, False)]
    assert "invalid choice" in runs[0].findings[0]


def test_rows_run_side_by_side_and_each_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=10)

    def stretch(job: Job, first: int, last: int, *_: object) -> Iterator[Run]:
        together.wait()  # breaks where one waits for the other to end
        yield from (ran(job, seed) for seed in range(first, last + 1))

    monkeypatch.setattr(night, "run_stretch", stretch)
    night_of = ["nightly", "--seeds", "2", "--at-once", "2", "--only", "worker_kill,sink_kill"]
    monkeypatch.setattr(sys, "argv", [*night_of, "--folder", str(tmp_path), "--docs", str(tmp_path)])
    assert night.main() == 0
    runs = read_runs(tmp_path / "results.jsonl")
    assert {(run.name, run.seed) for run in runs} == {(n, s) for n in ("worker_kill", "sink_kill") for s in (1, 2)}
    assert {run.at_once for run in runs} == {2}


def test_nights_elsewhere_are_added_and_their_seeds_not_run_again() -> None:
    before = report_of([ran(KILL, 1), ran(KILL, 2, stall_s=7), ran(Job(MUTANT, "keys"), 1, passed=False)])
    seen = seen_before(before)
    assert missing(KILL, 4, [ran(KILL, 3)], seen[KILL]) == [4]
    assert missing(Job(MUTANT, "keys"), 4, [], seen[Job(MUTANT, "keys")]) == []
    both = added(before, report_of([ran(KILL, 3, passed=False), ran(Job(SCENARIO, "sink_kill"), 1)]))
    [kill, sink] = both.scenarios
    assert (kill.seeds, kill.passed, kill.payments, kill.faults) == (3, 2, 3_000, 6)
    assert (kill.recovery_p50_s, kill.recovery_max_s, kill.stall_max_s) == (round((1.0 * 4 + 2.0 * 2) / 6, 2), 3.0, 7.0)
    assert kill.failed == {3: ["lost 3, duplicates 0, not final 0"]}
    assert sink.seeds == 1
    assert [row.mutant for row in both.mutants] == ["keys"]
    assert not {"worker_kill", "sink_kill", "keys"} & set(both.not_run)

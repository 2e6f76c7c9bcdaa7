"""`make nightly`: every scenario under ten seeds and every guard taken out, into docs/reliability.{md,json}.

What has been run is kept, so that a night that was cut short goes on; `--fresh` begins again. Exit 1 on a finding.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.nightly.plan import SCENARIO, Job, Run, add_run, jobs, missing, read_runs, stretches
from tests.faults.nightly.report import report_of, write
from tests.faults.nightly.runs import run_stretch
from tests.faults.run import RATE_PER_S

ROOT = Path(__file__).parents[3]
SEEDS = 10


def main() -> int:
    """Run what is missing, write the report."""
    arguments = _arguments()
    results = arguments.folder / "results.jsonl"
    if arguments.fresh:
        results.unlink(missing_ok=True)
    rows = jobs(arguments.only.split(",") if arguments.only else ())
    for _ in _night(rows, arguments, results):
        write(report_of(read_runs(results)), arguments.docs)
    runs = read_runs(results)
    write(report_of(runs), arguments.docs)
    return 0 if all(run.as_expected for run in runs if run.job in rows) else 1


def _night(rows: Sequence[Job], arguments: argparse.Namespace, results: Path) -> Iterator[Run]:
    """Rows with the fewest runs first, so that a short night sees something of each."""
    started_s = time.monotonic()
    until_s = started_s + arguments.minutes * 60 if arguments.minutes else float("inf")
    runs = read_runs(results)
    waiting = sorted(rows, key=lambda job: sum(run.job == job for run in runs))
    left = sum(len(missing(job, arguments.seeds, runs)) for job in waiting)
    done = 0
    for job in waiting:
        for first, last in stretches(missing(job, arguments.seeds, runs)):
            for run in run_stretch(job, first, last, arguments.rate, arguments.folder, until_s):
                add_run(results, run)
                done += 1
                _say(run, done, left, time.monotonic() - started_s)
                yield run


def _say(run: Run, done: int, of: int, took_s: float) -> None:
    verdict = "ok" if run.as_expected else "FAIL " + "; ".join(run.findings[:2])
    kind = "" if run.kind == SCENARIO else f"{run.kind} "
    left_min = took_s / done * (of - done) / 60
    sys.stdout.write(
        f"[{done}/{of}] {kind}{run.name} seed {run.seed}: {verdict}"
        f" ({run.payments:,} payments; {took_s / 60:.0f} min so far, about {left_min:.0f} left)\n"
    )
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.nightly", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="per scenario")
    parser.add_argument("--only", default="", metavar="NAME,…", help="these scenarios and mutants")
    parser.add_argument("--minutes", type=int, default=0, help="stop after so long; the next night goes on from there")
    parser.add_argument("--rate", type=int, default=RATE_PER_S, help="payments per second")
    parser.add_argument("--fresh", action="store_true", help="forget what has been run before")
    parser.add_argument("--folder", type=Path, default=ROOT / ".nightly", help="results and logs")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the report goes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

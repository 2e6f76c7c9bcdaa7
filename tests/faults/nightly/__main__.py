"""`make nightly`: every scenario under ten seeds and every guard taken out, into docs/reliability.{md,json}.

What has been run is kept, so that a night that was cut short goes on; `--fresh` begins again. Exit 1 on a finding.
"""

import argparse
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tests.faults.nightly.adding import added, seen_before
from tests.faults.nightly.plan import SCENARIO, Job, Run, add_run, jobs, missing, read_runs, stretches
from tests.faults.nightly.report import Report, report_of, write
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
    before = msgspec.json.decode(arguments.add_to.read_bytes(), type=Report) if arguments.add_to else None
    rows = jobs(arguments.only.split(",") if arguments.only else ())
    for _ in _night(rows, arguments, results, before):
        _write(arguments, results, before)
    _write(arguments, results, before)
    runs = read_runs(results)
    return 0 if all(run.as_expected for run in runs if run.job in rows) else 1


def _write(arguments: argparse.Namespace, results: Path, before: Report | None) -> None:
    report = report_of(read_runs(results), arguments.remark)
    write(added(before, report) if before else report, arguments.docs)


def _night(rows: Sequence[Job], arguments: argparse.Namespace, results: Path, before: Report | None) -> Iterator[Run]:
    """Rows with the fewest runs first, so that a short night sees something of each."""
    started_s = time.monotonic()
    runs = read_runs(results)
    seen = seen_before(before) if before else {}
    waiting = sorted(rows, key=lambda job: sum(run.job == job for run in runs) + seen.get(job, 0))
    left = {job: missing(job, arguments.seeds, runs, seen.get(job, 0)) for job in waiting}
    of = sum(map(len, left.values()))
    for done, ended in enumerate(_side_by_side(left, arguments), start=1):
        run = msgspec.structs.replace(ended, at_once=arguments.at_once)
        add_run(results, run)
        _say(run, done, of, time.monotonic() - started_s)
        yield run


def _side_by_side(left: Mapping[Job, Sequence[int]], arguments: argparse.Namespace) -> Iterator[Run]:
    """Runs as they end, of as many installations at a time as asked for. Ended early, what is under way is ended."""
    until_s = time.monotonic() + arguments.minutes * 60 if arguments.minutes else float("inf")
    stopped = threading.Event()
    ended: queue.SimpleQueue[Run | None] = queue.SimpleQueue()

    def is_over() -> bool:
        return stopped.is_set() or time.monotonic() >= until_s

    def run_row(job: Job, first: int, last: int) -> None:
        try:
            for run in run_stretch(job, first, last, arguments.rate, arguments.folder, is_over):
                ended.put(run)
        finally:
            ended.put(None)

    with ThreadPoolExecutor(arguments.at_once) as pool:
        try:
            rows = [pool.submit(run_row, job, *ends) for job, seeds in left.items() for ends in stretches(seeds)]
            for _ in rows:
                yield from iter(ended.get, None)
        finally:
            stopped.set()
    for row in rows:
        row.result()


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
    parser.add_argument("--at-once", type=int, default=1, help="installations side by side: quicker, slower recovery")
    parser.add_argument("--rate", type=int, default=RATE_PER_S, help="payments per second")
    parser.add_argument("--remark", default="", help="for the report: what else went on meanwhile")
    parser.add_argument("--fresh", action="store_true", help="forget what has been run before")
    parser.add_argument("--add-to", type=Path, help="reliability.json of nights elsewhere, whose runs count as well")
    parser.add_argument("--folder", type=Path, default=ROOT / ".nightly", help="results and logs")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the report goes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

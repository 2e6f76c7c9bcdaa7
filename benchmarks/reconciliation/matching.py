"""`python -m benchmarks matching`: a million lines against a million with exact keys: time and memory.

Lines are made first, by a fixed rule; one in a thousand differs, so that breaks are found, too. The matcher alone, on
lines in memory, or with `--files` the whole command from two CSV files to JSON.
"""

import argparse
import gc
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import msgspec
from msgspec import structs

from benchmarks.machine import machine
from benchmarks.reconciliation.database import peak_mib, show
from reconciliation.matching.cascade import match
from reconciliation.matching.lines import Line
from reconciliation.matching.rules import rules_of

RULES = {
    "version": 1,
    "name": "benchmark",
    "sources": {
        side: {"columns": {"id": "id", "amount": "amount", "currency": "currency", "date": "date"}, "amounts": "minor"}
        for side in ("internal", "external")
    },
}
DIFFERS_EVERY = 1_000


def main(arguments: list[str]) -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks matching", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="on each side")
    parser.add_argument("--files", action="store_true", help="instead: the command, from CSV files to JSON")
    parser.add_argument("--json", action="store_true", help="as everything here is printed")
    asked = parser.parse_args(arguments)
    before = machine()
    figures = _of_files(asked.lines) if asked.files else _in_memory(asked.lines)
    show({"lines_each": asked.lines} | figures, before)


def _line(side: str, number: int) -> Line:
    booked = date(2026, 11, 2) + timedelta(days=number % 10)
    return Line(f"{side}.csv", number + 2, 100 + number % 50_000, "EUR", booked, f"pay_{number:012}")


def _in_memory(lines: int) -> dict[str, object]:
    rules = rules_of(RULES)
    own = [_line("internal", number) for number in range(lines)]
    others = [_line("external", lines - 1 - number) for number in range(lines)]
    for at in range(0, lines, DIFFERS_EVERY):
        others[at] = structs.replace(others[at], amount_minor=others[at].amount_minor + 1)
    lines_mib = peak_mib()
    gc.collect()
    gc.disable()  # as `millrace recon match` and `run` do
    start, start_cpu = time.perf_counter(), time.process_time()
    outcome = match(own, others, rules)
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(time.process_time() - start_cpu, 2),
        "matches": len(outcome.matches),
        "breaks": len(outcome.breaks),
        "lines_mib": lines_mib,
        "peak_mib": peak_mib(),
    }


def _of_files(lines: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="millrace-matching-") as folder:
        home = Path(folder)
        (home / "rules.yaml").write_bytes(msgspec.json.encode(RULES))
        for side in ("internal", "external"):
            with (home / f"{side}.csv").open("w") as file:
                file.write("id,amount,currency,date\n")
                file.writelines(
                    f"{one.id},{one.amount_minor},EUR,{one.date}\n" for one in (_line(side, n) for n in range(lines))
                )
        sides = [part for side in ("internal", "external") for part in (f"--{side}", str(home / f"{side}.csv"))]
        command = [sys.executable, "-m", "millrace", "recon", "match", *sides, "--rules", str(home / "rules.yaml")]
        start = time.perf_counter()
        with (home / "out.json").open("wb") as out:
            subprocess.run([*command, "--json"], stdout=out, check=True)
        seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_mib": peak_mib(resource.RUSAGE_CHILDREN),
    }

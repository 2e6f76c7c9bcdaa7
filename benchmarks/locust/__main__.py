"""`python -m benchmarks.locust [--users N] [--seconds S]`: runs plan.py without a window, and prints the figures.

Locust is the extra `load`: `pip install -e '.[load]'`.
"""

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.gateway.figures import Figure, table
from benchmarks.gateway.installation import PASSWORD, Target, arguments, behind_a_gateway
from benchmarks.machine import machine

_PLAN = Path(__file__).parent / "plan.py"
_VARIABLE = "MILLRACE_LOAD"
_GRACE_S = 120


def main() -> None:
    """Exits 1 where a call failed."""
    chosen = arguments("python -m benchmarks.locust", __doc__)
    before = machine()
    with tempfile.TemporaryDirectory(prefix="locust-") as folder, behind_a_gateway(chosen.users) as target:
        figures = _run(Path(folder), target, chosen.seconds)
    print(table(figures, before))  # noqa: T201 - the result of the command
    if not figures or any(one.failures for one in figures):
        raise SystemExit(1)


def _run(folder: Path, target: Target, seconds: int) -> list[Figure]:
    load = {"authority": str(target.authority), "password": PASSWORD, "payers": [p._asdict() for p in target.payers]}
    (folder / "load.json").write_bytes(msgspec.json.encode(load))
    users = str(len(target.payers))
    command = [sys.executable, "-m", "locust", "-f", str(_PLAN), "--headless", "--host", target.url]
    command += ["-u", users, "-r", users, "-t", f"{seconds}s", "--csv", str(folder / "results"), "--only-summary"]
    done = subprocess.run(
        [*command, "--exit-code-on-error", "0"],
        env=os.environ | {_VARIABLE: str(folder / "load.json")},
        capture_output=True,
        text=True,
        timeout=seconds + _GRACE_S,
        check=False,
    )
    results = folder / "results_stats.csv"
    if done.returncode or not results.exists():
        raise SystemExit(f"Locust: {done.stderr[-4_000:]}")
    with results.open() as rows:
        return [_figure(row) for row in csv.DictReader(rows) if row["Name"] != "Aggregated"]


def _figure(row: dict[str, str]) -> Figure:
    percentiles = (int(float(row[share])) for share in ("50%", "95%", "99%"))
    return Figure(
        row["Name"], int(row["Request Count"]), int(row["Failure Count"]), float(row["Requests/s"]), *percentiles
    )


if __name__ == "__main__":
    main()

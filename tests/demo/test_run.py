"""Goal: `millrace demo --exit --crash --json` ends with books that are right, and a second run moves nothing.

Method: the command as a process with servers of its own, each part killed once; then the same home again, without
crashes. All 29,961 payments by night, the first 4,000 of them by day.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.demo.run import PAYMENTS_FILE
from millrace.environment import ports
from tests.support.environment import throw_away_settings
from tests.support.side_by_side import by_night

ROOT = Path(__file__).parents[2]
FIELDS = {
    "payments", "posted", "rejected", "returned", "quarantined", "duplicates", "postings_sum_minor", "drift_minor",
    "negative_accounts", "wall_s", "payments_per_s", "latency_ms",
}  # fmt: skip


@pytest.fixture
def variables(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment of the test's own."""
    settings = throw_away_settings(tmp_path / "home")
    own = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    own.pop("KAFKA_BOOTSTRAP", None)  # the broker is killed here: it has to be one of our own
    own.pop("DATABASE_URL", None)
    variables = {
        **own,
        "MILLRACE_HOME": str(tmp_path / "home"),
        "MILLRACE_KAFKA_PORT": str(settings.kafka_port),
        "MILLRACE_POSTGRES_PORT": str(settings.postgres_port),
        "MILLRACE_API_PORT": str(ports.free_base([])),
        "MILLRACE_WORKERS": "2",
    }
    yield variables
    millrace(variables, "down", "--wipe")


def millrace(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "millrace", *arguments], capture_output=True, text=True, env=variables, check=False
    )


def first_of(payments: int, folder: Path) -> Path:
    """A file with so many of the real payments."""
    lines = PAYMENTS_FILE.read_text().splitlines(keepends=True)[: payments + 1]
    path = folder / "payments.csv"
    path.write_text("".join(lines))
    return path


def demo(variables: dict[str, str], payments: Path, figures: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.demo.demo_process", str(payments), "demo", "--exit", "--json", str(figures)]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PROVEN: every payment final once" in done.stdout
    found: dict[str, Any] = json.loads(figures.read_bytes())
    assert set(found) >= FIELDS
    assert set(found["latency_ms"]) == {"p50", "p99"}
    return found


@pytest.mark.timeout(600)  # most of it waits for the sessions of what was killed
@pytest.mark.parametrize("payments", [4_000, *by_night(29_961)])
def test_crashes_leave_the_books_right_and_a_second_run_moves_nothing(
    variables: dict[str, str], tmp_path: Path, payments: int
) -> None:
    file = first_of(payments, tmp_path)
    first = demo(variables, file, tmp_path / "first.json", "--crash")
    assert first["crashes"] == ["worker-0", "worker-1", "sink", "api-0", "broker"]
    second = demo(variables, file, tmp_path / "second.json")
    assert second["replayed"] == payments
    for found in (first, second):
        assert found["payments"] == payments
        assert found["posted"] + found["rejected"] + found["returned"] == payments
        assert found["rejected"] > 0, "debtors have nine tenths of what they send"
        faults = ("duplicates", "postings_sum_minor", "drift_minor", "negative_accounts", "quarantined")
        assert {name: found[name] for name in faults} == dict.fromkeys(faults, 0)
    for name in ("posted", "rejected", "returned"):
        assert second[name] == first[name]


def test_a_folder_that_is_not_there_is_said_before_anything_starts(variables: dict[str, str], tmp_path: Path) -> None:
    done = millrace(variables, "demo", "--exit", "--json", str(tmp_path / "absent" / "out.json"))
    assert done.returncode == 2
    assert "there is no folder" in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "home").exists()

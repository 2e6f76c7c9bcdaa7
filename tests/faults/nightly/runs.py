"""Runs one stretch of seeds in a process of its own, watches it, and turns what it says into runs.

A process that is silent for too long is ended with everything it started, and the seed it was at counts as failed: the
night goes on with the next.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.faults.nightly.plan import Job, Run

SILENCE_MAX_S = 900
"""Start of three brokers 60 s, load 60 s, two waits for rest of 120 s each, reading it all back 60 s; doubled."""

POLL_S = 0.5
END_TIMEOUT_S = 30


class Outcome(msgspec.Struct):
    """What a run's line holds, as far as the report needs it."""

    seed: int
    payments: int
    rate_per_s: int
    faults: list[str]
    lost: int
    duplicates: int
    overdrawn: int
    drift_minor: int
    recovery_s: list[float]
    stall_s: float
    findings: list[str]
    passed: bool
    as_expected: bool | None = None


def run_stretch(
    job: Job, first: int, last: int, rate_per_s: int, folder: Path, is_over: Callable[[], bool]
) -> Iterator[Run]:
    """These seeds one after the other; every one of them is answered, unless the night is over before."""
    seed = first
    while seed <= last and not is_over():
        lines = folder / "logs" / f"{job.kind}-{job.name}.jsonl"
        lines.unlink(missing_ok=True)
        process = _start(job, seed, last, rate_per_s, lines, folder / "logs")
        try:
            for outcome in _outcomes(process, lines, is_over):
                yield _run(job, outcome)
                seed = outcome.seed + 1
        finally:
            _end(process)
        if seed <= last and not is_over():
            yield _unfinished(job, seed, folder / "logs")
            seed += 1


def _start(job: Job, first: int, last: int, rate_per_s: int, lines: Path, logs: Path) -> "subprocess.Popen[bytes]":
    logs.mkdir(parents=True, exist_ok=True)
    arguments = [*job.arguments, "--seeds", f"{first}-{last}", "--rate", str(rate_per_s), "--append", str(lines)]
    with _log(job, logs).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults", *arguments], stdout=log, stderr=log, start_new_session=True
        )


def _log(job: Job, logs: Path) -> Path:
    return logs / f"{job.kind}-{job.name}.log"


def _outcomes(process: "subprocess.Popen[bytes]", lines: Path, is_over: Callable[[], bool]) -> Iterator[Outcome]:
    """Each outcome as it is written; ends with the process, its silence, or the time."""
    read = 0
    heard_s = time.monotonic()
    while not is_over() and time.monotonic() - heard_s < SILENCE_MAX_S:
        ended = process.poll() is not None  # before the look at the file: what it wrote last is then seen
        found = lines.read_bytes().split(b"\n")[:-1] if lines.exists() else []
        for line in found[read:]:
            heard_s = time.monotonic()
            yield msgspec.json.decode(line, type=Outcome)
        read = len(found)
        if ended:
            return
        time.sleep(POLL_S)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The process and what it started: its session is its own, and its servers end when it does."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(END_TIMEOUT_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _run(job: Job, outcome: Outcome) -> Run:
    fields = msgspec.structs.asdict(outcome) | {"faults": len(outcome.faults)}
    as_expected = outcome.passed if outcome.as_expected is None else outcome.as_expected
    return Run(**{**fields, "as_expected": as_expected}, kind=job.kind, name=job.name, commit=commit(), at=_now())


def _unfinished(job: Job, seed: int, logs: Path) -> Run:
    said = _log(job, logs).read_text(errors="replace").strip().splitlines()[-1:] or ["nothing said"]
    finding = f"the run did not end: {said[0][:300]}"
    return Run(
        kind=job.kind,
        name=job.name,
        seed=seed,
        commit=commit(),
        at=_now(),
        passed=False,
        as_expected=False,
        findings=[finding],
    )


def commit() -> str:
    """What is being tested, for the report."""
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""`make fuzz FLAGS="--cases N --json out.json"`: exit 1 where an answer was a 500 or is not in the document.

Rounds of Schemathesis with a seed each, until so many cases were answered. The first round also sends every boundary of
every parameter; a round that finds something prints how to send it again (`schemathesis replay`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.fuzz import hooks
from tests.fuzz.report import CHECKS, Findings, whole_lines
from tests.fuzz.target import Target, furnished, own_installation

FIRST_PHASES, LATER_PHASES = "examples,coverage,fuzzing", "fuzzing"
EXAMPLES_PER_OPERATION = 40
"""Of a round: about a hundred operations, so 4,000 cases beside the boundaries."""

ROUNDS_MAX = 50
_TOLD_EVERY_S = 5.0


class Summary(msgspec.Struct, frozen=True):
    """What `--json` writes."""

    cases: int
    server_errors: int
    undeclared: int
    operations: int
    statuses: dict[str, int]
    failures: dict[str, int]
    errors: list[str]
    seed: int
    seconds: int


def main() -> int:
    """Parse the arguments, fuzz, print what was found."""
    arguments = _arguments()
    started = time.monotonic()
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="millrace-fuzz-") as folder, _target(arguments, Path(folder)) as target:
        for number in range(ROUNDS_MAX):
            _round(target, Path(folder), number, arguments.seed + number, findings)
            if findings.cases >= arguments.cases:
                break
    summary = _summary(findings, arguments.seed, int(time.monotonic() - started))
    _print(summary)
    if arguments.json:
        Path(arguments.json).write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    is_whole = summary.cases >= arguments.cases
    return 0 if is_whole and not (summary.server_errors or summary.undeclared) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000, help="at least so many answered cases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--url", help="a running installation; without it one is started. Needs --token")
    parser.add_argument("--token", help="of that installation: `millrace token`")
    arguments = parser.parse_args()
    if bool(arguments.url) != bool(arguments.token):
        parser.error("--url and --token go together")
    return arguments


@contextmanager
def _target(arguments: argparse.Namespace, folder: Path) -> Iterator[Target]:
    if arguments.url:
        yield furnished(arguments.url.rstrip("/"), arguments.token)
        return
    with own_installation(folder / "home") as target:
        yield target


def _round(target: Target, folder: Path, number: int, seed: int, findings: Findings) -> None:
    """One run of Schemathesis, counted while it goes on."""
    log, output = folder / f"round{number}.ndjson", folder / f"round{number}.txt"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{target.url}/openapi.json"),
        *("-H", f"Authorization: Bearer {target.token}", "-H", "Prefer: wait=0"),
        *("--phases", FIRST_PHASES if number == 0 else LATER_PHASES, "--checks", ",".join(CHECKS)),
        *("--max-examples", str(EXAMPLES_PER_OPERATION), "--seed", str(seed), "--continue-on-failure"),
        *("--no-shrink", "--no-color", "--report", "ndjson", "--report-ndjson-path", str(log)),
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": hooks.__name__,
        "MILLRACE_FUZZ_IDS": json.dumps(target.known_ids),
    }
    log.touch()
    with output.open("wb") as shown, log.open("rb") as written:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=shown, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                time.sleep(_TOLD_EVERY_S)
                findings.read(whole_lines(written))
                _progress(number, findings)
        finally:
            process.kill()
        findings.read(whole_lines(written))
    if process.returncode not in {0, 1}:
        raise SystemExit(f"schemathesis ended with {process.returncode}:\n{output.read_text()[-2_000:]}")


def _progress(number: int, findings: Findings) -> None:
    found = f"{findings.server_errors} server errors, {findings.undeclared} not in the document"
    sys.stderr.write(f"round {number + 1}: {findings.cases:,} cases, {found}\n")
    sys.stderr.flush()


def _summary(findings: Findings, seed: int, seconds: int) -> Summary:
    return Summary(
        findings.cases,
        findings.server_errors,
        findings.undeclared,
        len(findings.operations),
        {str(status): count for status, count in sorted(findings.statuses.items())},
        dict(findings.failures.most_common()),
        sorted(set(findings.errors)),
        seed,
        seconds,
    )


def _print(summary: Summary) -> None:
    for failure, count in summary.failures.items():
        sys.stdout.write(f"{count:6} × {failure}\n")
    for error in summary.errors:
        sys.stdout.write(f"not sent: {error}\n")
    sys.stdout.write(
        f"{summary.cases:,} cases of {summary.operations} operations in {summary.seconds} s:"
        f" {summary.server_errors} server errors, {summary.undeclared} answers that are not in the document"
        f" (seed {summary.seed})\n"
    )


if __name__ == "__main__":
    sys.exit(main())

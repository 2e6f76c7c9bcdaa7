"""`make faults FLAGS="--scenario NAME --seed N --json out.json"`, `--list`, `--all`: exit 1 on a finding."""

import argparse
import sys
from pathlib import Path

import msgspec

from tests.faults.run import RATE_PER_S, Outcome, run
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    """Parse the arguments, run, print one line per run."""
    arguments = _arguments()
    if arguments.list:
        for name, scenario in SCENARIOS.items():
            sys.stdout.write(f"{name:22}{scenario.what}\n")
        return 0
    names = list(SCENARIOS) if arguments.all else [arguments.scenario]
    outcomes: list[Outcome] = []
    for name in names:
        seeds = arguments.seeds or [arguments.seed]
        for outcome in run(name, seeds, arguments.rate):
            outcomes.append(outcome)
            sys.stdout.write(line(outcome) + "\n")
            sys.stdout.flush()
    if arguments.json:
        found = outcomes[0] if len(outcomes) == 1 else outcomes
        Path(arguments.json).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def line(outcome: Outcome) -> str:
    """One run in one line; the seed repeats it."""
    verdict = "PASS" if outcome.passed else "FAIL " + "; ".join(outcome.findings[:3])
    return (
        f"{outcome.scenario} seed {outcome.seed}: {outcome.payments:,} payments, {len(outcome.faults)} faults,"
        f" lost {outcome.lost}, duplicates {outcome.duplicates}, overdrawn {outcome.overdrawn},"
        f" drift {outcome.drift_minor}, recovery p50/max {outcome.recovery_p50_s:.1f}/{outcome.recovery_max_s:.1f} s,"
        f" stall {outcome.stall_s:.1f} s: {verdict}"
    )


def seeds_of(text: str) -> list[int]:
    """`1-10`: both included. Raises ValueError."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--all", action="store_true", help="every scenario")
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="worker_kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=seeds_of, metavar="FIRST-LAST", help="several runs, in one installation")
    parser.add_argument("--rate", type=int, default=RATE_PER_S, help="payments per second")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""`make faults FLAGS="--scenario NAME --seed N --json out.json"`, `--list`, `--all`: exit 1 on a finding.

`--mutant NAME`: the same without one of the product's guards, so that "passed" has to be false; exit 0 where the
verifier named the harm. `--mutant NAME --control`: the guard in place and all else equal; it has to pass.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.faults.mutants.matrix import MUTANTS
from tests.faults.mutants.run import MutantOutcome, run_mutant
from tests.faults.run import KEPT_LOGS, RATE_PER_S, Outcome, run
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    """Parse the arguments, run, print one line per run."""
    arguments = _arguments()
    if arguments.list:
        _list()
        return 0
    outcomes: list[Outcome] = []
    for outcome in _outcomes(arguments):
        outcomes.append(outcome)
        sys.stdout.write(line(outcome) + "\n")
        sys.stdout.flush()
        if arguments.append:
            with Path(arguments.append).open("ab") as log:
                log.write(msgspec.json.encode(outcome) + b"\n")
    if arguments.json:
        found = outcomes[0] if len(outcomes) == 1 else outcomes
        Path(arguments.json).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    return 0 if all(is_as_it_should(outcome) for outcome in outcomes) else 1


def _outcomes(arguments: argparse.Namespace) -> Iterator[Outcome]:
    seeds = arguments.seeds or [arguments.seed]
    if arguments.mutant:
        for seed in seeds:
            yield run_mutant(arguments.mutant, seed, control=arguments.control, rate_per_s=arguments.rate)
        return
    for name in list(SCENARIOS) if arguments.all else [arguments.scenario]:
        yield from run(name, seeds, arguments.rate)


def _list() -> None:
    for name, scenario in SCENARIOS.items():
        sys.stdout.write(f"{name:28}{scenario.what}\n")
    for name, mutant in MUTANTS.items():
        sys.stdout.write(f"{f'--mutant {name}':28}without: {mutant.guard}\n")


def is_as_it_should(outcome: Outcome) -> bool:
    """A scenario passed; a mutant was caught by what it did, and its control passed."""
    return outcome.as_expected if isinstance(outcome, MutantOutcome) else outcome.passed


def line(outcome: Outcome) -> str:
    """One run in one line; the seed repeats it."""
    verdict = "PASS" if outcome.passed else f"FAIL {'; '.join(outcome.findings[:3])} (logs: {KEPT_LOGS})"
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
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="worker_kill", metavar="NAME")
    parser.add_argument("--mutant", choices=list(MUTANTS), metavar="NAME", help="take out one of the product's guards")
    parser.add_argument("--control", action="store_true", help="with --mutant: the guard stays in, all else equal")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=seeds_of, metavar="FIRST-LAST", help="several runs, in one installation")
    parser.add_argument("--rate", type=int, default=RATE_PER_S, help="payments per second")
    parser.add_argument("--json", metavar="FILE", help="write the outcome; of several runs, all of them")
    parser.add_argument("--append", metavar="FILE", help="add each outcome as a line as soon as it is known")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.model --operations 1000000 --seed N [--kafka] [--json]`: exit 1 on a disagreement.

People get a table, and progress on stderr; programs get {operations, kinds, disagreements …} as JSON.
"""

import argparse
import sys
from collections import Counter

import msgspec

from tests.model.run import EPISODE_OPERATIONS, Outcome, play_episode, run
from tests.model.through_kafka import run_through_kafka


def main() -> int:
    """Parse the arguments, run, report."""
    arguments = _arguments()
    if arguments.kafka:
        outcome = run_through_kafka(arguments.operations, arguments.seed, _progress)
    elif arguments.episode is None:
        outcome = run(arguments.operations, arguments.seed, _progress)
    else:
        outcome = Outcome(arguments.seed)
        play_episode(outcome, arguments.episode, min(arguments.operations, EPISODE_OPERATIONS))
    sys.stdout.write(_json(outcome) if arguments.json else _table(outcome))
    return 1 if outcome.disagreements else 0


def _progress(outcome: Outcome) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{outcome.operations:,} operations, {len(outcome.disagreements)} disagreements")
        sys.stderr.flush()


def _json(outcome: Outcome) -> str:
    return msgspec.json.format(msgspec.json.encode(outcome), indent=2).decode() + "\n"


def _table(outcome: Outcome) -> str:
    lines = [
        f"\n{outcome.operations:,} operations of seed {outcome.seed} in {outcome.seconds} s, {outcome.kills} kills"
    ]
    for title, counts in (("asked", outcome.kinds), ("entries", outcome.entries), ("reasons", outcome.reasons)):
        lines += ["", title, *_rows(counts)]
    for found in outcome.disagreements:
        lines += ["", f"DISAGREEMENT in episode {found.episode}, operation {found.operation}: {found.what}"]
        lines += ["the fewest steps that end in one:", *(f"  {step}" for step in found.steps), found.command]
    lines += ["", f"{len(outcome.disagreements)} disagreements"]
    return "\n".join(lines) + "\n"


def _rows(counts: Counter[str]) -> list[str]:
    return [f"  {name:28}{count:>12,}" for name, count in counts.most_common()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episode", type=int, help="only this one of the run, with at most so many operations")
    parser.add_argument("--kafka", action="store_true", help="through a whole installation whose processes are killed")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

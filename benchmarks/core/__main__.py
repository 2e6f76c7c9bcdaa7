"""`python -m benchmarks.core [--json]`: CPU µs of each kind of decision in the core."""

import argparse
import sys

import msgspec

from benchmarks.core.movements import CALLS, ROUNDS, kinds, measured
from benchmarks.machine import machine


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.core", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    found: dict[str, float] = {}
    for name, prepare in kinds().items():
        sys.stderr.write(f"{name} …\n")
        found[name] = measured(prepare)
    if asked.json:
        shown = {"us": found, "rounds": ROUNDS, "calls": CALLS, "machine": machine()}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n")
        return
    width = max(map(len, found))
    sys.stdout.writelines(f"{name:<{width}}  {us:8.1f} µs\n" for name, us in found.items())


if __name__ == "__main__":
    main()

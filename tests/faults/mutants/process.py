"""`python -m tests.faults.mutants.process CHANGES SERVICE`: `millrace SERVICE`, changed in this process alone."""

import sys

from millrace.cli import main
from tests.faults.mutants.changes import CHANGES


def run() -> None:
    """Apply the changes (names, comma-separated), then be the product."""
    changes, *arguments = sys.argv[1:]
    for name in filter(None, changes.split(",")):
        CHANGES[name]()
    sys.argv = ["millrace", *arguments]
    main()


if __name__ == "__main__":
    run()

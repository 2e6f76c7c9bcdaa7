"""`python -m tests.demo.demo_process FILE …`: `millrace …` whose demo reads its payments from this file."""

import sys
from pathlib import Path

from millrace.cli import main
from millrace.demo import run

if __name__ == "__main__":
    run.PAYMENTS_FILE = Path(sys.argv.pop(1))
    main()

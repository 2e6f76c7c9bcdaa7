"""The one way out on any doubt: a reason on stderr and an exit that runs nothing more.

No abort, no clean-up: the next incarnation of the slot ends the open transaction in `init_transactions()`, and its
state is rebuilt from the log. What is not run can't go wrong.
"""

import os
import sys
from typing import NoReturn

EXIT_CRASHED = 75
"""EX_TEMPFAIL: the supervisor restarts the slot at once."""


def crash(reason: str) -> NoReturn:
    """End the process now with one line on stderr."""
    sys.stderr.write(f"millrace: crash: {' '.join(reason.split())}\n")
    sys.stderr.flush()
    os._exit(EXIT_CRASHED)

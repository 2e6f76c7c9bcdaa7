"""`python -m tests.connectors.days_later …`: the command `millrace` whose connectors live two days ahead: the time in
which an operation may be sent is over for all that was asked so far.
"""

import time

from connectors import service
from millrace.cli import main

AHEAD_US = 2 * 86_400_000_000


def _now_us() -> int:
    return time.time_ns() // 1_000 + AHEAD_US


if __name__ == "__main__":
    service._now_us = _now_us
    main()

"""The command `millrace` whose connectors live two days ahead and have lost every first attempt: the time in which an
operation may be sent is over for all that was asked so far.
"""

import time

from connectors import service
from connectors.inbox import Inbox
from connectors.lanes import Work
from millrace.cli import main

AHEAD_US = 2 * 86_400_000_000


class ForgetfulInbox(Inbox):
    """First attempts count as done, and nothing is told of them."""

    def receive(self) -> list[Work]:
        found = super().receive()
        for work in found:
            if work.request.attempt == 1:
                self.finish(work)
        return [work for work in found if work.request.attempt > 1]


def _now_us() -> int:
    return time.time_ns() // 1_000 + AHEAD_US


if __name__ == "__main__":
    service._now_us = _now_us
    service.Inbox = ForgetfulInbox  # type: ignore[attr-defined]  # the name that the service builds its inbox by
    main()

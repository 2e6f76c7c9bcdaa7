"""Why a process ended, in one line, from what it logged."""

import re
from collections import deque
from pathlib import Path

from millrace.environment.layout import Home

_LINES_SEARCHED = 400  # a broker's stack trace with two causes takes 60
_LENGTH_MAX = 300
_TELLING = re.compile(
    r"^(?:\w+\.)*\w*(?:Exception|Error): .+"  # Python's last line, Java's first
    r"|.*\b(?:FATAL|PANIC):\s.+"  # Postgres
    r"|^Unrecognized VM option.+"
)


def logs_of(home: Home, service: str) -> list[Path]:
    """What Kafka wrote by its own logger, then what any process printed."""
    return [path for path in (home.logs / f"{service}.kafka.log", home.log(service)) if path.exists()]


def last_words(home: Home, service: str) -> str:
    """The last line that names a cause, of all logs of the service; else the last line. At most 300 characters."""
    ends = [_end_of(path) for path in logs_of(home, service)]
    telling = [line for end in ends for line in end if _TELLING.match(line)]
    spoken = [line for end in ends for line in end]
    words = (telling or spoken or ["it printed nothing"])[-1]
    return words if len(words) <= _LENGTH_MAX else f"{words[:_LENGTH_MAX]}…"


def _end_of(path: Path) -> list[str]:
    with path.open(errors="replace") as handle:
        return [line.strip() for line in deque(handle, maxlen=_LINES_SEARCHED) if line.strip()]

"""What became of an operation that was decided earlier: look into Postgres until it shows it, or the wait is over."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ingest_api.reads.database import DatabaseUnavailable

_LOOK_AGAIN_S = 0.02
Found = TypeVar("Found")


async def look_until(
    deadline: float, look: Callable[[], Awaitable[Found | None]], settled: Callable[[Found], bool]
) -> Found | None:
    """The first settled finding, or the last one when time.monotonic() passes the deadline; None where there is none.

    A database that does not answer ends the wait: the caller is told that the outcome follows.
    """
    found = None
    while True:
        try:
            found = await look()
        except DatabaseUnavailable:
            return found
        if (found is not None and settled(found)) or time.monotonic() + _LOOK_AGAIN_S > deadline:
            return found
        await asyncio.sleep(_LOOK_AGAIN_S)

"""How many bytes of large bodies one process holds at a time: callers beyond it are told to come back.

A body is counted by its declared length, or by the most it may be where none is declared, from before it is read until
its call is answered.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from payments.errors import Unavailable


class BudgetSpent(Unavailable):
    """Too many large bodies are in work: nothing of this one was read."""


class BodyBudget:
    """A number of bytes that calls share."""

    def __init__(self, limit_bytes: int) -> None:
        self._free = limit_bytes

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Hold this many bytes of the budget. Raises BudgetSpent."""
        if size > self._free:
            raise BudgetSpent(f"{self._free} bytes are free, {size} are needed")
        self._free -= size
        try:
            yield
        finally:
            self._free += size

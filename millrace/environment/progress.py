"""What a person sees while an environment starts: it reports to a `Progress`, which the CLI shows with rich."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

OnBytes = Callable[[int], None]


class Progress(Protocol):
    """Where steps and downloads are reported."""

    def step(self, text: str) -> None:
        """Something has begun that may take more than a moment."""

    def bytes(self, title: str, total: int) -> AbstractContextManager[OnBytes]:
        """A download of so many bytes; call the result with each piece's length."""


class Silent:
    """Reports to nobody."""

    def step(self, text: str) -> None:
        """Not shown."""

    def bytes(self, title: str, total: int) -> AbstractContextManager[OnBytes]:
        """Not shown."""
        return nullcontext(lambda _: None)

"""What every format is given: the head of a statement, its entries in order, batch after batch, and the totals.

Equal input gives equal bytes: a rendering knows no clock and nothing of where the entries come from.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from ingest_api.statements.line import Line
from ingest_api.statements.moments import Period
from ingest_api.statements.totals import Totals


class Turnover(NamedTuple):
    """Entries of one side."""

    entries: int
    amount_minor: int
    """Positive."""


class Head(NamedTuple):
    """What a statement says before its entries."""

    account: bytes
    currency: str
    period: Period
    start: datetime
    end: datetime
    """Exclusive."""
    as_of: datetime
    is_final: bool
    opening_minor: int
    closing_minor: int
    available_minor: int
    held_minor: int
    incoming_minor: int
    credits: Turnover
    debits: Turnover


class Rendering(Protocol):
    """One statement being written: `head`, then `lines` any number of times, then `foot`. Used once."""

    entries_max: int

    def head(self, head: Head) -> bytes:
        """The first part."""
        ...

    def lines(self, lines: Sequence[Line]) -> bytes:
        """The next entries, in order."""
        ...

    def foot(self, totals: Totals) -> bytes:
        """The last part."""
        ...

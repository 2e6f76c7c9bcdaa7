"""The desk at which cases are resolved: this installation's tables and brokers, or the API of one elsewhere.

Both answer in the client's models, so that commands show the same wherever they look.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from millrace.client.endpoints import Page
from millrace.client.models.money import Position
from millrace.client.models.operations import QuarantineCase, QuarantineCaseDetail


class Line(msgspec.Struct, omit_defaults=True):
    """What became of one case."""

    id: str
    done: bool
    redriven_to: Position | None = None
    code: str | None = None
    detail: str | None = None


class Desk(Protocol):
    """Where cases lie."""

    def page(self, status: str | None, reason: str | None, limit: int) -> Page[QuarantineCase]:
        """The newest cases."""

    def case(self, case_id: str) -> QuarantineCaseDetail:
        """One in full."""

    def unresolved(self, reason: str | None) -> Iterator[str]:
        """Ids of all that wait for a decision, page by page: a million cases take no more memory than a page."""

    def get_ready(self) -> None:
        """Raises where no case could be redriven."""

    def redrive(self, case_id: str, *, force: bool) -> Line:
        """Send it again, once."""

    def discard(self, case_id: str, because: str) -> Line:
        """Give it up."""

"""Cases of an installation elsewhere, over its API: who resolves them is told by the token."""

from collections.abc import Callable, Iterator
from typing import Final

from ingest_api.quarantine.cases import LIST_MAX, UNRESOLVED
from millrace.client.clients import Client
from millrace.client.endpoints import Page
from millrace.client.faults import Problem
from millrace.client.models.operations import QuarantineCase, QuarantineCaseDetail
from millrace.quarantine.desk import Desk, Line

_OF_THE_CASE: Final = frozenset({404, 409, 422})
"""What is wrong with one case alone; the others go on."""


class RemoteDesk(Desk):
    """Every method raises ClientError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def page(self, status: str | None, reason: str | None, limit: int) -> Page[QuarantineCase]:
        return self._client.quarantine.list(status=status, reason=reason, limit=limit).page()

    def case(self, case_id: str) -> QuarantineCaseDetail:
        return self._client.quarantine.get(case_id)

    def unresolved(self, reason: str | None) -> Iterator[str]:
        for status in UNRESOLVED:
            yield from (case.id for case in self._client.quarantine.list(status=status, reason=reason, limit=LIST_MAX))

    def get_ready(self) -> None:
        """The API tells of each case."""

    def redrive(self, case_id: str, *, force: bool) -> Line:
        return _line(case_id, lambda: self._client.quarantine.redrive(case_id, force=force))

    def discard(self, case_id: str, because: str) -> Line:
        return _line(case_id, lambda: self._client.quarantine.discard(case_id, because))


def _line(case_id: str, resolve: Callable[[], QuarantineCase]) -> Line:
    try:
        return Line(case_id, True, resolve().redriven_to)
    except Problem as problem:
        if problem.status not in _OF_THE_CASE:
            raise
        return Line(case_id, False, code=problem.code, detail=problem.detail)

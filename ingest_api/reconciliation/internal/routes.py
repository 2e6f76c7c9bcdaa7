"""/reconciliation/internal: our own services against each other, what they disagree about, and repairs.

Providers are asked by the connectors, who alone have their keys: a run from here puts questions down for them and waits
for some seconds. What they say later counts in the next run.
"""

import threading
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from psycopg import Connection
from pydantic import BaseModel, Field

from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.problems import Fault, Problem
from ingest_api.reconciliation import cursors
from ingest_api.reconciliation.describing import described
from ingest_api.reconciliation.desk import at_the_desk, id_of, known
from ingest_api.reconciliation.internal.bodies import InternalRepairBody, InternalRunBody
from ingest_api.reconciliation.internal.shown import (
    InternalFindingDetail,
    InternalFindingPage,
    InternalRepairs,
    InternalRun,
    shown_finding,
    shown_in_full,
    shown_repair,
    shown_run,
)
from ingest_api.services import Services
from reconciliation.internal.findings import Repair, Severity
from reconciliation.internal.questions import Wait, ask
from reconciliation.internal.reads import LIST_MAX, Wanted, find_finding, page_of_findings
from reconciliation.internal.repairing import By, Repaired, repair
from reconciliation.internal.run import Asked, TooManyFindings, compute, since
from reconciliation.internal.writing import write
from reconciliation.matching.breaks import BreakType
from reconciliation.runs.sides import BREAK

router = APIRouter(tags=["reconciliation"])

ANSWERS_S: Final = 20.0
"""50 questions at five a second are ten; a caller's patience ends at half a minute."""


class FindingQuery(BaseModel, extra="forbid"):
    """Query of the findings."""

    type: BreakType | None = None
    severity: Severity | None = None
    repair: Repair | None = None
    limit: int = Field(100, ge=1, le=LIST_MAX)
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the page before")


async def _page(services: Services, query: FindingQuery) -> InternalFindingPage:
    at = cursors.decode(query.cursor, int) if query.cursor is not None else None
    after = (at[0], at[1]) if at is not None and isinstance(at[0], int) else None
    wanted = Wanted(query.type or "", query.severity or "", query.repair or "")
    found = await at_the_desk(services.settings, lambda desk: page_of_findings(desk, wanted, query.limit + 1, after))
    more, shown = len(found) > query.limit, found[: query.limit]
    cursor = cursors.encode(abs(shown[-1].difference_minor), shown[-1].break_id) if more else None
    return InternalFindingPage([shown_finding(one) for one in shown], more, cursor)


async def run(services: Services, call: Call) -> Answer:
    """Compare; answered when it is written down."""
    principal = admit(services, call, Scope.RECONCILIATION_WRITE, JSON_MEDIA, 1)
    body: InternalRunBody = decoded(InternalRunBody, await call.body(BODY_BYTES_MAX))
    now = datetime.now(UTC)

    def work(connection: Connection) -> InternalRun:
        asked = Asked(now, since(now, body.days), principal.subject, ask_max=body.ask_max)
        wait = Wait(principal.subject, ANSWERS_S, threading.Event())
        result = compute(connection, asked, partial(ask, connection, wait) if body.ask_max else None)
        return shown_run(result, write(connection, result)._asdict())

    try:
        made = await at_the_desk(services.settings, work, takes_long=True)
    except TooManyFindings as fault:
        raise Problem(Fault.TOO_MANY_FINDINGS, str(fault)) from None
    await services.audit.record(
        *(principal.subject, "reconciliation.internal_run", made.id),
        request_id=call.request_id,
        after={"result": made.result_hash, "findings": made.findings},
    )
    return Answer(201, encode(made), [(b"location", f"/v1/reconciliation/runs/{made.id}".encode())])


async def repair_findings(services: Services, call: Call) -> Answer:
    """Ask for inquiries, propose journals; nothing moves by it."""
    principal = admit(services, call, Scope.RECONCILIATION_WRITE, JSON_MEDIA, 1)
    body: InternalRepairBody = decoded(InternalRepairBody, await call.body(BODY_BYTES_MAX))
    ids = [id_of(BREAK, text, Fault.BREAK_UNKNOWN) for text in body.findings]
    by = By(principal.subject, datetime.now(UTC), body.is_dry_run)

    def work(connection: Connection) -> list[Repaired]:
        return repair(connection, ids, by)

    shown = InternalRepairs([shown_repair(one) for one in await at_the_desk(services.settings, work)])
    if not by.is_dry:
        for one in shown.items:
            await services.audit.record(
                *(principal.subject, "reconciliation.internal_repair", one.finding),
                request_id=call.request_id,
                after={"done": one.done, "attempt": one.attempt},
            )
    return Answer(200, encode(shown))


@router.get(
    "/reconciliation/internal/findings",
    **described("Internal findings", Scope.RECONCILIATION_READ, InternalFindingPage),
)
async def get_findings(request: Request, query: Annotated[FindingQuery, Query()]) -> Response:
    """What payment service, ledger, wallets, connector attempts and providers disagree about, the largest first."""
    return await show(request, Scope.RECONCILIATION_READ, lambda services, _: _page(services, query))


@router.get(
    "/reconciliation/internal/findings/{finding_id}",
    **described("One internal finding", Scope.RECONCILIATION_READ, InternalFindingDetail),
)
async def get_finding(request: Request, finding_id: str) -> Response:
    """With what each side says, the journal that would put it right, and the inquiries that were asked for."""

    def look(connection: Connection) -> InternalFindingDetail:
        found = find_finding(connection, id_of(BREAK, finding_id, Fault.BREAK_UNKNOWN))
        return shown_in_full(connection, known(found))

    async def shown(services: Services, _: Principal) -> InternalFindingDetail:
        return await at_the_desk(services.settings, look)

    return await show(request, Scope.RECONCILIATION_READ, shown)


@router.post(
    "/reconciliation/internal/runs",
    **described("Compare our own services", Scope.RECONCILIATION_WRITE, InternalRun, InternalRunBody, 201),
)
async def post_run(request: Request) -> Response:
    """Answered when it is done. With `ask_max` providers are asked, for up to 20 s; else what they said last counts."""
    return await respond(request, run)


@router.post(
    "/reconciliation/internal/repairs",
    **described("Repair findings", Scope.RECONCILIATION_WRITE, InternalRepairs, InternalRepairBody),
)
async def post_repair(request: Request) -> Response:
    """Asks for an inquiry or proposes a journal, as each finding says; the same call again changes nothing. A journal
    waits for a second person, as every adjustment.
    """
    return await respond(request, repair_findings)

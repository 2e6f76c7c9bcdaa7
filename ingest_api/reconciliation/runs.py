"""/reconciliation/runs, their matches and reports, and /reconciliation/sign-offs."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from psycopg import Connection
from pydantic import BaseModel, Field

from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.problems import Fault, Problem
from ingest_api.reads.database import NO_NUL
from ingest_api.reconciliation import cursors
from ingest_api.reconciliation.bodies import ReopenBody, RunBody, SignOffBody
from ingest_api.reconciliation.describing import described, described_bytes
from ingest_api.reconciliation.desk import at_the_desk, id_of, known, taken
from ingest_api.reconciliation.reports.formats import FORMATS
from ingest_api.reconciliation.reports.report import report_of
from ingest_api.reconciliation.shown import (
    ReconciliationMatchPage,
    ReconciliationRun,
    ReconciliationRunPage,
    ReconciliationSignOff,
    ReconciliationSignOffs,
    shown_match,
    shown_run,
    shown_sign_off,
)
from ingest_api.services import Services
from reconciliation.breaks import posting
from reconciliation.matching.rules import RulesFault
from reconciliation.runs import reads, signing
from reconciliation.runs.rules import read_rules
from reconciliation.runs.run import RUN, Asked, compute, cut_off_of, day_of
from reconciliation.runs.signing import SIGN_OFF, SignOff, SignRefusal
from reconciliation.runs.writing import write

router = APIRouter(tags=["reconciliation"])

SIGN_OFFS_MAX = 500


class ReportFormat(StrEnum):
    """How a report is written."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


class RunQuery(BaseModel, extra="forbid"):
    """Query of the runs."""

    rules: str = Field("", max_length=100, pattern=NO_NUL, description="Name of a rule set")
    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the page before")


class MatchQuery(BaseModel, extra="forbid"):
    """Query of the matches of a run."""

    limit: int = Field(100, ge=1, le=1_000)
    cursor: int = Field(-1, ge=-1, description="next_cursor of the page before")


class ReportQuery(BaseModel, extra="forbid"):
    """Query of a report."""

    format: ReportFormat = ReportFormat.XLSX


async def _page(services: Services, query: RunQuery) -> ReconciliationRunPage:
    at = cursors.decode(query.cursor, datetime) if query.cursor is not None else None
    after = (at[0], at[1]) if at is not None and isinstance(at[0], datetime) else None
    found = await at_the_desk(
        services.settings, lambda desk: reads.page_of_runs(desk, query.limit + 1, query.rules, after)
    )
    more, shown = len(found) > query.limit, found[: query.limit]
    cursor = cursors.encode(shown[-1].run_at, shown[-1].run_id) if more else None
    return ReconciliationRunPage([shown_run(one, []) for one in shown], more, cursor)


async def _matches(services: Services, run_id: str, query: MatchQuery) -> ReconciliationMatchPage:
    id_ = id_of(RUN, run_id)

    def look(connection: Connection) -> list[reads.StoredMatch]:
        known(reads.find_run(connection, id_))
        return reads.page_of_matches(connection, id_, query.limit + 1, query.cursor)

    found = await at_the_desk(services.settings, look)
    more, shown = len(found) > query.limit, found[: query.limit]
    return ReconciliationMatchPage([shown_match(one) for one in shown], more, str(shown[-1].number) if more else None)


async def run(services: Services, call: Call) -> Answer:
    """Compare; answered when it is written down."""
    principal = admit(services, call, Scope.RECONCILIATION_WRITE, JSON_MEDIA, 1)
    body: RunBody = decoded(RunBody, await call.body(BODY_BYTES_MAX))
    try:
        rules = read_rules(body.rules)
        at = cut_off_of(body.cut_off, rules.rules, datetime.now(UTC))
        first, last = (day_of(day) if day else None for day in (body.first_day, body.last_day))
        if first and last and first > last:
            raise ValueError(f"first_day {first} lies after last_day {last}")
    except (RulesFault, ValueError) as fault:
        raise Problem(Fault.RECONCILIATION_RULES, f"{fault}.") from None
    asked = Asked(at, first, last, principal.subject)

    def work(connection: Connection) -> ReconciliationRun:
        result = compute(connection, rules, asked)
        write(connection, rules, result, services.settings.shards)
        return shown_run(known(reads.find_run(connection, result.run_id)), reads.files_of(connection, result.run_id))

    made = await at_the_desk(services.settings, work, takes_long=True)
    await services.audit.record(
        principal.subject, "reconciliation.run", made.id, request_id=call.request_id, after={"result": made.result_hash}
    )
    return Answer(201, encode(made), [(b"location", f"/v1/reconciliation/runs/{made.id}".encode())])


async def write_report(services: Services, call: Call, run_id: str, query: ReportQuery) -> Answer:
    """A report as a file."""
    services.tokens.principal(call.header(b"authorization"), Scope.RECONCILIATION_READ)
    id_ = id_of(RUN, run_id)
    media, written = FORMATS[query.format]

    def work(connection: Connection) -> bytes:
        return written(known(report_of(connection, id_)))

    content = await at_the_desk(services.settings, work, takes_long=True)
    name = f'attachment; filename="{run_id}.{query.format}"'
    return Answer(200, content, [(b"content-disposition", name.encode())], media.encode())


async def sign(services: Services, call: Call) -> Answer:
    """Put the caller's name under a run."""
    principal = admit(services, call, Scope.RECONCILIATION_APPROVE, JSON_MEDIA, 1)
    body: SignOffBody = decoded(SignOffBody, await call.body(BODY_BYTES_MAX))
    id_ = id_of(RUN, body.run)

    def work(connection: Connection) -> SignOff | SignRefusal:
        posting.settle(connection)
        return signing.sign(connection, id_, body.note, principal.subject)

    return await _signed(services, call, principal, "sign", taken(await at_the_desk(services.settings, work)))


async def reopen(services: Services, call: Call, sign_off_id: str) -> Answer:
    """Take a signature back."""
    principal = admit(services, call, Scope.RECONCILIATION_APPROVE, JSON_MEDIA, 1)
    body: ReopenBody = decoded(ReopenBody, await call.body(BODY_BYTES_MAX))
    id_ = id_of(SIGN_OFF, sign_off_id)
    found = await at_the_desk(
        services.settings, lambda desk: signing.reopen(desk, id_, body.because, principal.subject)
    )
    return await _signed(services, call, principal, "reopen", taken(found))


async def _signed(services: Services, call: Call, principal: Principal, action: str, signed: SignOff) -> Answer:
    shown = shown_sign_off(signed)
    after = {"result": shown.result_hash, "because": shown.reopened_because}
    await services.audit.record(
        principal.subject, f"reconciliation.{action}", shown.id, request_id=call.request_id, after=after
    )
    return Answer(201 if action == "sign" else 200, encode(shown))


@router.get("/reconciliation/runs", **described("Runs", Scope.RECONCILIATION_READ, ReconciliationRunPage))
async def get_runs(request: Request, query: Annotated[RunQuery, Query()]) -> Response:
    """Newest first, each with its tie-out and its hash."""
    return await show(request, Scope.RECONCILIATION_READ, lambda services, _: _page(services, query))


@router.post(
    "/reconciliation/runs",
    **described("Compare the ledger with files", Scope.RECONCILIATION_WRITE, ReconciliationRun, RunBody, 201),
)
async def post_run(request: Request) -> Response:
    """Answered when it is done: a million lines of each side take a minute. Equal inputs have an equal result_hash."""
    return await respond(request, run)


@router.get("/reconciliation/runs/{run_id}", **described("One run", Scope.RECONCILIATION_READ, ReconciliationRun))
async def get_run(request: Request, run_id: str) -> Response:
    """With the files that it has read and their hashes."""

    async def look(services: Services, _: Principal) -> ReconciliationRun:
        id_ = id_of(RUN, run_id)
        return await at_the_desk(
            services.settings, lambda desk: shown_run(known(reads.find_run(desk, id_)), reads.files_of(desk, id_))
        )

    return await show(request, Scope.RECONCILIATION_READ, look)


@router.get(
    "/reconciliation/runs/{run_id}/matches",
    **described("Matches of a run", Scope.RECONCILIATION_READ, ReconciliationMatchPage),
)
async def get_matches(request: Request, run_id: str, query: Annotated[MatchQuery, Query()]) -> Response:
    """Each with the pass that found it, its keys and its score."""
    return await show(request, Scope.RECONCILIATION_READ, lambda services, _: _matches(services, run_id, query))


@router.get(
    "/reconciliation/runs/{run_id}/report",
    **described_bytes(
        "Report of a run", Scope.RECONCILIATION_READ, ReconciliationRun, *(media for media, _ in FORMATS.values())
    ),
)
async def get_report(request: Request, run_id: str, query: Annotated[ReportQuery, Query()]) -> Response:
    """Tie-out, match rate, breaks by value and age, the lines behind them, signatures."""
    return await respond(request, lambda services, call: write_report(services, call, run_id, query))


@router.get("/reconciliation/sign-offs", **described("Signatures", Scope.RECONCILIATION_READ, ReconciliationSignOffs))
async def get_sign_offs(request: Request) -> Response:
    """The newest first; each tells what has changed in its days since."""

    async def look(services: Services, _: Principal) -> ReconciliationSignOffs:
        found = await at_the_desk(services.settings, lambda desk: signing.sign_offs(desk, SIGN_OFFS_MAX))
        return ReconciliationSignOffs([shown_sign_off(one) for one in found])

    return await show(request, Scope.RECONCILIATION_READ, look)


@router.post(
    "/reconciliation/sign-offs",
    **described("Sign a run", Scope.RECONCILIATION_APPROVE, ReconciliationSignOff, SignOffBody, 201),
)
async def post_sign_off(request: Request) -> Response:
    """Its days are locked: a break in them that comes later is marked, and one that was dealt with stays so."""
    return await respond(request, sign)


@router.post(
    "/reconciliation/sign-offs/{sign_off_id}/reopen",
    **described("Take a signature back", Scope.RECONCILIATION_APPROVE, ReconciliationSignOff, ReopenBody),
)
async def post_reopen(request: Request, sign_off_id: str) -> Response:
    """It stays, with who took it back and why."""
    return await respond(request, lambda services, call: reopen(services, call, sign_off_id))

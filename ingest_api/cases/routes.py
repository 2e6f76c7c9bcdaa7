"""GET /cases, GET /cases/{id}, POST /cases/{id}/decision: analysts look at what a rule holds, and decide.

A decision is an instruction to the payer's shard, which counts each analyst once and needs two from the reporting
threshold on. Its key follows from case, analyst and decision: however often it is sent, it counts once, and is answered
with the case as it stands, though it was the one that ended it.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from ingest_api.account_changes.asking import is_replay
from ingest_api.cases.reads import find_case, open_cases
from ingest_api.cases.shown import CASE, Case, CaseDecisionBody, CasePage
from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import require_match, tagged
from ingest_api.http.openapi import describe, guarded
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import REPLAYED, ask, refusal, refusal_of
from ingest_api.problems import Fault, Problem, refused
from ingest_api.reads.cursor import decode_cursor
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.statements.moments import TimesQuery
from ingest_api.transfers import encoded_headers
from payments.identifiers import ACCOUNT, parse_id
from payments.movements.instructions import DecideReview, Envelope
from payments.rejections import Reason

router = APIRouter(tags=["cases"])

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200


class CaseQuery(TimesQuery):
    """Query of the queue, by when the cases were opened."""

    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def decide_case(services: Services, call: Call, case_id: str) -> Answer:
    """One analyst's decision; the case as it then stands."""
    principal = admit(services, call, Scope.CASES_DECIDE, JSON_MEDIA, 1)
    body = decoded(CaseDecisionBody, await call.body(BODY_BYTES_MAX))
    payment_id = _payment(case_id)
    seen = await _case(services, payment_id)
    require_match(call, encode(seen))
    payer = await _decidable(services, principal, seen)
    analyst = services.risk_keys.analyst(principal.subject)
    asked = DecideReview(
        envelope=Envelope(f"review {payment_id.hex()} {analyst.hex()} {body.decision}"),
        payer=payer,
        hold_id=payment_id,
        analyst=analyst,
        is_approved=body.decision == "approve",
    )
    (outcome,), headers = await ask(services, call, [asked])
    reason = await refusal_of(services, outcome)
    if reason is not Reason.NONE and (asked.is_approved or reason is not Reason.REVIEW_DECLINED):
        raise refusal(reason, headers, replayed=is_replay(outcome))
    if is_replay(outcome):
        return tagged(Answer(200, encode(await _case(services, payment_id)), encoded_headers(headers | REPLAYED)))
    after = await look_until(
        outcome.deadline, lambda: _case(services, payment_id), lambda case: case.changed_at != seen.changed_at
    )
    case = after or seen
    status = 200 if case.changed_at != seen.changed_at else 202
    return tagged(Answer(status, encode(case), encoded_headers(headers)))


async def _decidable(services: Services, principal: Principal, case: Case) -> bytes:
    """The payer of a case. Raises Problem where the payment is the principal's own, to either side."""
    payer, payee = parse_id(ACCOUNT, case.from_account), parse_id(ACCOUNT, case.to_account)
    assert payer is not None
    assert payee is not None
    if await services.access.has_part_in_any(principal, (payer, payee)):
        raise Problem(
            Fault.ROLE_INSUFFICIENT, "You have a part in one of the payment's accounts: somebody else decides."
        )
    return payer


async def _case(services: Services, payment_id: bytes) -> Case:
    """Raises Problem where there is none, DatabaseUnavailable."""
    case = await find_case(services.database, payment_id)
    if case is None:
        raise refused(Reason.REVIEW_NOT_FOUND)
    return case


async def _page(services: Services, query: CaseQuery) -> CasePage:
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    return await open_cases(services.database, query.between, after, query.limit)


def _payment(case_id: str) -> bytes:
    """The id in a path. Raises Problem 404 for a text that names no case."""
    payment_id = parse_id(CASE, case_id)
    if payment_id is None:
        raise refused(Reason.REVIEW_NOT_FOUND)
    return payment_id


def _described_decision() -> dict[str, Any]:
    described = describe(
        "Approve or decline a payment that a rule holds",
        Scope.CASES_DECIDE,
        Case,
        body=CaseDecisionBody,
        statuses=(200, 202),
        key_needed=False,
    )
    del described["openapi_extra"]["parameters"][0]  # Idempotency-Key: it follows from case, analyst and decision
    return guarded(described)


@router.get("/cases", **describe("Payments that wait for people, the oldest first", Scope.CASES_READ, CasePage))
async def get_cases(request: Request, query: Annotated[CaseQuery, Query()]) -> Response:
    """With the rules that held them and the values that these read."""
    return await respond(
        request, lambda services, call: read(services, call, Scope.CASES_READ, lambda _: _page(services, query))
    )


@router.get("/cases/{case_id}", **describe("One case", Scope.CASES_READ, Case))
async def get_case(request: Request, case_id: str) -> Response:
    """Open or not; its ETag goes with the decision as If-Match."""

    async def look(services: Services, call: Call) -> Answer:
        found = read(services, call, Scope.CASES_READ, lambda _: _case(services, _payment(case_id)))
        return tagged(await found)

    return await respond(request, look)


@router.post("/cases/{case_id}/decision", **_described_decision())
async def post_decision(request: Request, case_id: str) -> Response:
    """Each analyst counts once; from the reporting threshold on two have to approve. One who declines is enough."""
    return await respond(request, lambda services, call: decide_case(services, call, case_id))

"""GET /attempts, GET /attempts/{id}, POST /attempts/{id}/settle: what a provider leaves open, people end.

A settlement is an instruction to the shard that waits for the result, which needs two people who say the same.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.account_changes.asking import is_replay
from ingest_api.account_changes.changing import key_of
from ingest_api.attempts.reads import Found, find_attempt, unknown_attempts
from ingest_api.attempts.shown import ATTEMPT, AttemptSettlementBody, ProviderAttempt, ProviderAttemptPage
from ingest_api.http.bodies import decoded, text_fault
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import require_match, tagged
from ingest_api.http.openapi import CONSISTENCY, describe, guarded, problem_answer
from ingest_api.http.preferences import required_key
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import REPLAYED, ask, require_taken, required, sought
from ingest_api.problems import Fault, FieldError, Problem, field_problem, refused
from ingest_api.reads.cursor import decode_cursor
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.transfers import encoded_headers
from payments.identifiers import parse_id
from payments.movements.instructions import Envelope, SettleAttempt
from payments.rejections import Reason
from schemas.codec.connectors import MAX_REFERENCE_CHARS

router = APIRouter(tags=["attempts"])

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200


class AttemptQuery(BaseModel, extra="forbid"):
    """Query of what waits for people."""

    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def settle_attempt(services: Services, call: Call, attempt_id: str) -> Answer:
    """What one person has found out; the request as it then stands."""
    principal = admit(services, call, Scope.LEDGER_WRITE, JSON_MEDIA, 1)
    body = decoded(AttemptSettlementBody, await call.body(BODY_BYTES_MAX))
    _require_sound(body)
    key = required_key(call.header(b"idempotency-key"))
    request_id = _request(attempt_id)
    found = await sought(services, call, lambda: _found(services, request_id))
    require_match(call, encode(found.shown))
    await _require_stranger(services, principal, found)
    asked = SettleAttempt(
        envelope=Envelope(key_of("settle", key)),
        owner=found.owner,
        request_id=request_id,
        is_succeeded=body.outcome == "succeeded",
        provider_reference=body.provider_reference,
        operator=services.risk_keys.analyst(principal.subject),
        lost_attempt=found.shown.attempts + 1 if found.shown.status == "lost" else 0,
    )
    (outcome,), headers = await ask(services, call, [asked])
    await require_taken(services, outcome, headers)
    before = found.shown
    if is_replay(outcome):
        return tagged(Answer(200, encode(before), encoded_headers(headers | REPLAYED)))
    after = await look_until(
        outcome.deadline, lambda: _shown(services, request_id), lambda shown: _has_moved(before, shown)
    )
    shown = after or before
    status = 200 if _has_moved(before, shown) else 202
    return tagged(Answer(status, encode(shown), encoded_headers(headers)))


def _has_moved(before: ProviderAttempt, after: ProviderAttempt) -> bool:
    """Proposed by one more, or where two have settled it, ended."""
    if after.settlement is not None and after.settlement.settled_by > 1:
        return after.status == "ended"
    return after.settlement != before.settlement or after.status != before.status


def _require_sound(body: AttemptSettlementBody) -> None:
    """Raises Problem."""
    reference, at = body.provider_reference, "/provider_reference"
    required(text_fault(reference, MAX_REFERENCE_CHARS, at))
    if reference and (body.outcome == "failed" or not (reference.isascii() and reference.isprintable())):
        detail = "Visible ASCII characters, and only of what has succeeded."
        raise field_problem(FieldError(at, Fault.FIELD_INVALID, detail))


async def _require_stranger(services: Services, principal: Principal, found: Found) -> None:
    """Raises Problem where the money would be the principal's own."""
    if await services.access.has_part_in_any(principal, (found.account,)):
        raise Problem(Fault.ROLE_INSUFFICIENT, "You have a part in the account: somebody else settles it.")


async def _found(services: Services, request_id: bytes) -> Found:
    """Raises Problem 404, DatabaseUnavailable."""
    found = await find_attempt(services.database, request_id)
    if found is None:
        raise refused(Reason.ATTEMPT_NOT_FOUND)
    return found


async def _shown(services: Services, request_id: bytes) -> ProviderAttempt:
    return (await _found(services, request_id)).shown


async def _page(services: Services, query: AttemptQuery) -> ProviderAttemptPage:
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    return await unknown_attempts(services.database, after, query.limit)


def _request(attempt_id: str) -> bytes:
    """The id in a path. Raises Problem 404 for a text that names no request."""
    request_id = parse_id(ATTEMPT, attempt_id)
    if request_id is None:
        raise refused(Reason.ATTEMPT_NOT_FOUND)
    return request_id


def _described_settlement() -> dict[str, Any]:
    described = describe(
        "Say what became of a request that a provider leaves open",
        Scope.LEDGER_WRITE,
        ProviderAttempt,
        body=AttemptSettlementBody,
        statuses=(200, 202),
    )
    described["openapi_extra"]["parameters"].append(CONSISTENCY)
    described["responses"][409] = problem_answer(409)
    return guarded(described)


@router.get("/attempts", **describe("What a provider leaves open", Scope.RECONCILIATION_READ, ProviderAttemptPage))
async def get_attempts(request: Request, query: Annotated[AttemptQuery, Query()]) -> Response:
    """Charges, refunds and payouts of which nothing certain is known and that nobody asks about, or of which nothing
    was heard for 7 days; the oldest first.
    """
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.RECONCILIATION_READ, lambda _: _page(services, query)),
    )


@router.get("/attempts/{attempt_id}", **describe("One such request", Scope.RECONCILIATION_READ, ProviderAttempt))
async def get_attempt(request: Request, attempt_id: str) -> Response:
    """Open or not; its ETag goes with the settlement as If-Match."""

    async def look(services: Services, call: Call) -> Answer:
        found = read(services, call, Scope.RECONCILIATION_READ, lambda _: _shown(services, _request(attempt_id)))
        return tagged(await found)

    return await respond(request, look)


@router.post("/attempts/{attempt_id}/settle", **_described_settlement())
async def post_settlement(request: Request, attempt_id: str) -> Response:
    """Two people have to say the same; then it goes on as if the provider had said so. Each counts once, and nobody
    settles what is their own account's. While its provider is asked about it, nobody does (`order_executing`).
    """
    return await respond(request, lambda services, call: settle_attempt(services, call, attempt_id))

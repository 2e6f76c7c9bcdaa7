"""PUT and GET /parties/{id}, GET /screening/hits, POST /screening/hits/{id}/decision.

A party is a user (`usr_…`) or the holder of a bank account that a user has linked (`als_…`). Whoever knows their names
sends them: operators, not the users themselves, who could name themselves out of a hit.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.aliases.parties import USER
from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe, problem_answer
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond
from ingest_api.identity.tokens import Scope
from ingest_api.problems import Fault, Problem, refused
from ingest_api.reads.cursor import decode_cursor
from ingest_api.screening.reads import Row, find_hit, find_party, page_of_hits, party_of
from ingest_api.screening.shown import (
    DECISIONS,
    WORDS,
    HitDecisionBody,
    HitStatusText,
    Party,
    PartyBody,
    ScreeningHit,
    ScreeningHitPage,
    shown_hit,
    shown_party,
)
from ingest_api.services import Services
from payments.identifiers import ALIAS, parse_id
from payments.rejections import Reason
from payments.screening.names import Schema
from runtime.personal_data.normal_forms import Identifier
from screening import parties
from screening.hits import DecisionRefused

router = APIRouter(tags=["screening"])

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200
_HIT_DIGITS_MAX: Final = 18
_STATUS: Final = {word: status for status, word in WORDS.items()}


class HitQuery(BaseModel, extra="forbid"):
    """Query of the hits."""

    status: HitStatusText = Field("open", description="Those that stand like this")
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def name_party(services: Services, call: Call, party_id: str) -> Answer:
    """Store the names of a party and screen it; how it then stands."""
    principal = admit(services, call, Scope.ACCOUNTS_OPERATE, JSON_MEDIA, 1)
    body = decoded(PartyBody, await call.body(BODY_BYTES_MAX))
    user = await _user_of(services, party_id)
    named = parties.Party(party_id, user, Schema(body.type))
    await services.screening.name(named, body.names, principal.subject)
    return Answer(200, encode(await _party(services, party_id)))


async def _user_of(services: Services, party_id: str) -> bytes:
    """Whom a party is about. Raises Problem 404 for an id that is neither a user's nor a linked bank account's."""
    user = parse_id(USER, party_id)
    alias = parse_id(ALIAS, party_id)
    found = await services.aliases.register.find(alias) if alias is not None else None
    if found is not None and found[0].kind is Identifier.BANK_ACCOUNT and found[0].valid_to is None:
        user = found[0].subject
    if user is None:
        raise _unknown_party()
    return user


async def _party(services: Services, party_id: str) -> Party:
    row = await find_party(services.database, party_id)
    if row is None:
        raise _unknown_party()
    return shown_party(row, await services.screening.names(party_of(row)))


async def _page(services: Services, query: HitQuery) -> ScreeningHitPage:
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    rows, cursor = await page_of_hits(services.database, _STATUS[query.status], after, query.limit)
    return ScreeningHitPage([await _shown(services, row) for row in rows], cursor is not None, cursor)


async def _shown(services: Services, row: Row) -> ScreeningHit:
    return shown_hit(row, await services.screening.names(party_of(row)))


async def decide(services: Services, call: Call, hit_id: str) -> Answer:
    """One analyst's decision; the hit as it then stands, and the user's accounts with it."""
    principal = admit(services, call, Scope.CASES_DECIDE, JSON_MEDIA, 1)
    body = decoded(HitDecisionBody, await call.body(BODY_BYTES_MAX))
    hit = int(hit_id) if hit_id.isascii() and hit_id.isdigit() and len(hit_id) <= _HIT_DIGITS_MAX else 0
    refusal = await services.screening.decide(hit, DECISIONS[body.decision], principal.subject, body.reason)
    if refusal is not None:
        raise _refused(refusal)
    row = await find_hit(services.database, hit)
    if row is None:
        raise _refused(DecisionRefused.HIT_UNKNOWN)
    await services.screening.enforce(row["user_id"].bytes)
    return Answer(200, encode(await _shown(services, row)))


def _refused(refusal: DecisionRefused) -> Problem:
    match refusal:
        case DecisionRefused.HIT_UNKNOWN:
            return Problem(Fault.HIT_UNKNOWN, "No hit has this id.")
        case DecisionRefused.PERSON_REPEATED:
            return refused(Reason.REVIEWER_REPEATED)
        case DecisionRefused.HIT_NOT_OPEN:
            return Problem(
                Fault.HIT_DECIDED, "Look at it again: it was decided, or withdrawn since a list has changed."
            )
        case _:
            return Problem(Fault.FIELD_INVALID, "Send a decision and a reason.")


def _unknown_party() -> Problem:
    return Problem(Fault.PARTY_UNKNOWN, "Send the id of a user or of a linked bank account's alias, once it has names.")


def _described_write(summary: str, scope: Scope, result: type, body: type) -> dict[str, Any]:
    """Done at once, and the same when it is repeated: no key is needed."""
    described = describe(summary, scope, result, body=body, statuses=(200,))
    described["openapi_extra"]["parameters"] = []
    described["responses"][409] = problem_answer(409)
    return described


@router.put(
    "/parties/{party_id}", **_described_write("Name and screen a party", Scope.ACCOUNTS_OPERATE, Party, PartyBody)
)
async def put_party(request: Request, party_id: str) -> Response:
    """A user, or the holder of a linked bank account (the id of its alias). Where the names may be those of somebody on
    a sanctions list, the user's accounts take money and give none until an analyst has decided.
    """
    return await respond(request, lambda services, call: name_party(services, call, party_id))


@router.get("/parties/{party_id}", **describe("Who is screened", Scope.ACCOUNTS_OPERATE, Party))
async def get_party(request: Request, party_id: str) -> Response:
    """The names and how the screening stands."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.ACCOUNTS_OPERATE, lambda _: _party(services, party_id)),
    )


@router.get("/screening/hits", **describe("Parties that may be on a list", Scope.CASES_READ, ScreeningHitPage))
async def get_hits(request: Request, query: Annotated[HitQuery, Query()]) -> Response:
    """The oldest first: both sides' names, what differs, and what was decided."""
    return await respond(
        request, lambda services, call: read(services, call, Scope.CASES_READ, lambda _: _page(services, query))
    )


@router.post(
    "/screening/hits/{hit_id}/decision",
    **_described_write("Decide about a hit", Scope.CASES_DECIDE, ScreeningHit, HitDecisionBody),
)
async def post_hit_decision(request: Request, hit_id: str) -> Response:
    """A false positive is not found again until the party's names or the entry change. A true match is released by two
    analysts who call it a false positive.
    """
    return await respond(request, lambda services, call: decide(services, call, hit_id))

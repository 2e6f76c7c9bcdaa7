"""POST, GET and DELETE /api-keys: the caller's own keys for machines, shown once, rolled and revoked."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe, describe_at_once
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond, take_tokens
from ingest_api.identity.machines.key import KEY, ApiKey
from ingest_api.identity.machines.making import Made, made, require_scopes, with_secret
from ingest_api.identity.machines.register import KEYS_MAX
from ingest_api.identity.machines.shown import ApiKeyBody, ApiKeyPage, ApiKeyResource, RollBody, shown_key
from ingest_api.identity.tokens import Principal, Scope, scope_missing
from ingest_api.owners.register import By
from ingest_api.problems import Fault, Problem
from ingest_api.reads.cursor import Cursor, decode_cursor, encode_cursor
from ingest_api.services import Services
from payments.identifiers import parse_id, uuid7

router = APIRouter(tags=["api keys"])

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200


class KeysQuery(BaseModel, extra="forbid"):
    """Query of the caller's keys."""

    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def create_key(services: Services, call: Call) -> Answer:
    """A key that speaks for the caller."""
    principal = admit(services, call, Scope.API_KEYS_WRITE, JSON_MEDIA, 1)
    new = made(services.machines, principal, decoded(ApiKeyBody, await call.body(BODY_BYTES_MAX)))
    if not await services.machines.register.create(new.key, By(principal.subject, call.request_id)):
        detail = f"At most {KEYS_MAX} keys at a time: revoke one first."
        raise Problem(Fault.KEYS_TOO_MANY, detail)
    return Answer(201, encode(_shown(new)))


async def roll_key(services: Services, call: Call, key_id: str) -> Answer:
    """Another key in its place."""
    principal = admit(services, call, Scope.API_KEYS_WRITE, JSON_MEDIA, 1)
    body = decoded(RollBody, await call.body(BODY_BYTES_MAX))
    before = await _own(services, principal, key_id)
    now = datetime.now(UTC)
    if not before.is_valid(now):
        raise Problem(Fault.KEY_ENDED, "The key is expired or revoked: make a new one.")
    require_scopes(principal, before.scopes)
    id_ = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
    after = with_secret(
        services.machines, before._replace(key_id=id_, created_at=now, last_used_at=None), body.public_key
    )
    until = now + timedelta(seconds=body.overlap_s)
    await services.machines.register.roll(before, after.key, until, By(principal.subject, call.request_id))
    services.machines.known.forget()
    return Answer(201, encode(_shown(after)))


async def revoke_key(services: Services, call: Call, key_id: str) -> Answer:
    """Nobody is let in with it any more. Needs no second factor of lately: who has lost it has to end keys, too."""
    principal = services.tokens.principal(call.header(b"authorization"), None)
    if Scope.API_KEYS_WRITE not in principal.scopes | principal.withheld:
        raise scope_missing(Scope.API_KEYS_WRITE)
    take_tokens(services, principal, 1)
    key = await _own(services, principal, key_id)
    await services.machines.register.revoke(key, By(principal.subject, call.request_id))
    services.machines.known.forget()
    return Answer(200, encode(await _found(services, principal, key_id)))


async def _found(services: Services, principal: Principal, key_id: str) -> ApiKeyResource:
    key = await _own(services, principal, key_id)
    return shown_key(key, is_valid=key.is_valid(datetime.now(UTC)))


async def _own(services: Services, principal: Principal, key_id: str) -> ApiKey:
    """Raises Problem 404 for a key of somebody else, as for one that is not there."""
    id_ = parse_id(KEY, key_id)
    key = await services.machines.register.find_own(principal.subject, id_) if id_ is not None else None
    if key is None:
        raise Problem(Fault.KEY_UNKNOWN, "You have no API key of this id.")
    return key


async def _page(services: Services, principal: Principal, query: KeysQuery) -> ApiKeyPage:
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    found = await services.machines.register.page(principal.subject, after, query.limit + 1)
    more, shown = len(found) > query.limit, found[: query.limit]
    cursor = encode_cursor(Cursor(shown[-1].created_at, UUID(bytes=shown[-1].key_id))) if more else None
    now = datetime.now(UTC)
    return ApiKeyPage([shown_key(key, is_valid=key.is_valid(now)) for key in shown], more, cursor)


def _shown(new: Made) -> ApiKeyResource:
    return shown_key(new.key, is_valid=True, secret=new.secret)


def _described(summary: str, body: type | None, status: int) -> dict[str, Any]:
    """A repeat makes another API key, or changes nothing."""
    return describe_at_once(summary, Scope.API_KEYS_WRITE, ApiKeyResource, body, status, (409, 429))


@router.post("/api-keys", **_described("Make an API key", ApiKeyBody, 201))
async def post_key(request: Request) -> Response:
    """For a machine that speaks for the caller, with no more than the caller's scopes. `secret` is shown this once."""
    return await respond(request, create_key)


@router.get("/api-keys", **describe("The caller's API keys", Scope.API_KEYS_READ, ApiKeyPage))
async def get_keys(request: Request, query: Annotated[KeysQuery, Query()]) -> Response:
    """The latest first, revoked ones too."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.API_KEYS_READ, lambda who: _page(services, who, query)),
    )


@router.get("/api-keys/{key_id}", **describe("One API key", Scope.API_KEYS_READ, ApiKeyResource))
async def get_key(request: Request, key_id: str) -> Response:
    """What it may do, where from, and when it was used last."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.API_KEYS_READ, lambda who: _found(services, who, key_id)),
    )


@router.post("/api-keys/{key_id}/roll", **_described("Roll an API key", RollBody, 201))
async def post_roll(request: Request, key_id: str) -> Response:
    """The new key; the old one works for `overlap_s` seconds more."""
    return await respond(request, lambda services, call: roll_key(services, call, key_id))


@router.delete("/api-keys/{key_id}", **_described("Revoke an API key", None, 200))
async def delete_key(request: Request, key_id: str) -> Response:
    """In force in this process at once, in every other within a second."""
    return await respond(request, lambda services, call: revoke_key(services, call, key_id))

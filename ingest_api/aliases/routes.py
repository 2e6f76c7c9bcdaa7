"""Aliases over HTTP: register or change, look at, end.

Registering is safe to repeat: with an Idempotency-Key the alias's id follows from caller and key, and without one the
same body finds the alias that it made.
"""

import os
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.aliases.parties import USER, AliasName
from ingest_api.aliases.pins import request_digest
from ingest_api.aliases.register import Alias, Misfit, Registered, Registration
from ingest_api.aliases.shown import AliasBody, AliasPage, AliasResource, shown, shown_page
from ingest_api.http.advice import ADVICE
from ingest_api.http.bodies import decoded, parse_account
from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import CONSISTENCY, describe, problem_answer
from ingest_api.http.preferences import idempotency_key
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond, take_tokens
from ingest_api.identity.caller import witness_of
from ingest_api.identity.tokens import Principal, Scope, scope_missing
from ingest_api.owners.access import is_for_user, require_user
from ingest_api.owners.rights import Action, by_scope, user_of
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.accounts import find_account, known_account
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.reads.cursor import decode_cursor
from ingest_api.services import Services
from ingest_api.transfers import encoded_headers
from payments.identifiers import ALIAS, parse_id, uuid7
from payments.rejections import Reason
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import Refusal

router = APIRouter(tags=["aliases"])

PAGE_DEFAULT = 50
PAGE_MAX = 500
_REFUSED: dict[Refusal | Misfit, tuple[Fault, str]] = {
    Refusal.TAKEN: (Fault.ALIAS_TAKEN, "Another user has proved this name: it has to be ended there first."),
    Misfit.NO_PART: (Fault.OWNER_UNKNOWN, "A name stands for an account of which its user is owner or co-owner."),
    Refusal.SUBJECT_ERASED: (Fault.USER_ERASED, "Nothing is stored about a user who was erased."),
}


class AliasQuery(BaseModel, extra="forbid"):
    """Query of the list: aliases of an account, of a user, or both."""

    account: str | None = None
    user: str | None = None
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def register_alias(services: Services, call: Call) -> Answer:
    """Let a name stand for an account from now on."""
    principal = admit(services, call, Scope.ALIASES_WRITE, JSON_MEDIA, 1)
    await await_visible(services.database, call.header(HEADER.lower().encode()))  # the account may be new
    asked = await _asked(services, principal, call)
    registered = await services.aliases.register.register(asked, principal.subject)
    if not isinstance(registered, Registered):
        raise Problem(*_REFUSED[registered])
    alias = registered.alias
    if (alias.subject, alias.account, alias.kind) != (asked.subject, asked.account, asked.kind):
        raise Problem(Reason.IDEMPOTENCY_KEY_REUSED, ADVICE[Reason.IDEMPOTENCY_KEY_REUSED])
    resource = shown(alias, asked.value if alias.valid_to is None else None)
    headers = {"Location": f"/v1/aliases/{resource.id}"}
    if registered.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Answer(200 if registered.replayed else 201, encode(resource), encoded_headers(headers))


async def _asked(services: Services, principal: Principal, call: Call) -> Registration:
    """What a call asks to register. Raises Problem, DatabaseUnavailable."""
    body = decoded(AliasBody, await call.body(BODY_BYTES_MAX))
    if body.verified and Scope.ALIASES_VERIFY not in principal.scopes:
        raise scope_missing(Scope.ALIASES_VERIFY)
    key = idempotency_key(call.header(b"idempotency-key"))
    user = _user(body.user, "/user")
    require_user(principal, user)
    account = parse_account(body.account, "/account")
    if isinstance(account, FieldError):
        raise field_problem(account)
    await services.access.require(principal, account, Action.MOVE_MONEY)
    name = AliasName(Identifier(body.type), Personal(body.value))
    return Registration(
        request_digest(b"alias", principal.subject, key)[:16] if key else _fresh_id(),
        user,
        name.kind,
        name.value,
        await services.aliases.digest(name, "/value"),
        account,
        (await find_account(services.database, account)).currency,
        body.verified,
    )


def _fresh_id() -> bytes:
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def _user(text: str, pointer: str) -> bytes:
    user = parse_id(USER, text)
    if user is None:
        raise field_problem(FieldError(pointer, Fault.FIELD_INVALID, "Not a user id: usr_ and 26 characters."))
    return user


async def end_alias(services: Services, call: Call, alias_id: str) -> Answer:
    """The name stands for nothing from now on."""
    principal = services.tokens.principal(call.header(b"authorization"), Scope.ALIASES_WRITE)
    take_tokens(services, principal, 1)
    alias, _ = await _found(services, principal, alias_id)
    ended = await services.aliases.register.end(alias.alias, principal.subject, witness_of(services, call, principal))
    assert ended is not None  # aliases are never deleted
    return Answer(200, encode(shown(ended, None)))


async def _found(services: Services, principal: Principal, alias_id: str) -> tuple[Alias, Personal | None]:
    """An alias is its user's, and of who may look at every account. Raises Problem, DatabaseUnavailable."""
    found = await services.aliases.register.find(_alias(alias_id))
    if found is None or not is_for_user(principal, found[0].subject):
        raise _unknown()
    return found


async def _find(services: Services, principal: Principal, alias_id: str) -> AliasResource:
    return shown(*await _found(services, principal, alias_id))


async def _page(services: Services, principal: Principal, query: AliasQuery) -> AliasPage:
    if query.account is None and query.user is None:
        raise field_problem(FieldError("?account", Fault.PARAMETER_INVALID, "Send account, user, or both."))
    account = known_account(query.account) if query.account is not None else None
    user = _user(query.user, "?user") if query.user is not None else None
    if user is None and not by_scope(principal.scopes, Action.VIEW):
        user = user_of(principal) or b""
    if user is not None:
        require_user(principal, user)
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    return shown_page(await services.aliases.register.page(account, user, after, query.limit + 1), query.limit)


def _alias(alias_id: str) -> bytes:
    """The id in a path. Raises Problem 404 for a text that names no alias."""
    alias = parse_id(ALIAS, alias_id)
    if alias is None:
        raise _unknown()
    return alias


def _unknown() -> Problem:
    return Problem(Fault.ALIAS_UNKNOWN, "No alias has this id.")


def _described_write() -> dict[str, Any]:
    described = describe(
        "Register or change an alias",
        Scope.ALIASES_WRITE,
        AliasResource,
        body=AliasBody,
        statuses=(201, 200),
        key_needed=False,
    )
    described["responses"][409] = problem_answer(409)
    described["openapi_extra"]["parameters"][1] = CONSISTENCY  # decided in Postgres, where the account has to be known
    return described


def _described_end() -> dict[str, Any]:
    described = describe("End an alias", Scope.ALIASES_WRITE, AliasResource)
    described["openapi_extra"]["parameters"] = []
    described["responses"][429] = problem_answer(429)
    return described


@router.post("/aliases", **_described_write())
async def post_alias(request: Request) -> Response:
    """For payments in the account's currency. Where the name stood for another account, that ends now; payments that
    were sent before keep the account that they meant.
    """
    return await respond(request, register_alias)


@router.get("/aliases", **describe("Aliases, the latest first", Scope.ALIASES_READ, AliasPage))
async def get_aliases(request: Request, query: Annotated[AliasQuery, Query()]) -> Response:
    """Of an account, of a user, or both; ended ones too."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.ALIASES_READ, lambda who: _page(services, who, query)),
    )


@router.get("/aliases/{alias_id}", **describe("One alias", Scope.ALIASES_READ, AliasResource))
async def get_alias(request: Request, alias_id: str) -> Response:
    """What it stands for, since when, and whether it is verified."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.ALIASES_READ, lambda who: _find(services, who, alias_id)),
    )


@router.delete("/aliases/{alias_id}", **_described_end())
async def delete_alias(request: Request, alias_id: str) -> Response:
    """The row stays, with the time; the name is forgotten."""
    return await respond(request, lambda services, call: end_alias(services, call, alias_id))

"""Owners over HTTP: who has which part in an account, which accounts a user has, and what the user's wallet holds.

Decided in Postgres, under a lock per account: the right to change owners and the `If-Match` are looked at in the same
transaction as the change, and never come from a cache.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.aliases.parties import USER, AliasName
from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import require_match, tagged
from ingest_api.http.openapi import describe, describe_at_once, guarded
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond, take_tokens
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners import holdings
from ingest_api.owners.access import denial, require_user
from ingest_api.owners.holdings import Asked
from ingest_api.owners.register import By, Ownership, Refusal, Roles, ended, granted, roles_of
from ingest_api.owners.rights import Action, Role, Verdict, user_of, verdict
from ingest_api.owners.shown import (
    HeldAccountPage,
    OwnerBody,
    OwnerList,
    Wallet,
    shown_owners,
    shown_page,
    shown_wallet,
)
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.accounts import known_account
from ingest_api.reads.cursor import decode_cursor
from ingest_api.services import Services
from payments.identifiers import parse_id
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal

router = APIRouter(tags=["owners"])

PAGE_DEFAULT = 50
PAGE_MAX = 500
_REFUSED = {
    Refusal.NO_PRIMARY_OWNER: (Fault.OWNER_NEEDED, "Make somebody else the owner first, or close the account."),
    Refusal.TOO_MANY: (Fault.OWNERS_TOO_MANY, "End the part of somebody else first."),
    Refusal.NO_PART: (Fault.OWNER_UNKNOWN, "The user has no part in this account, or no longer."),
}


class OwnersQuery(BaseModel, extra="forbid"):
    """Query of an account's owners."""

    history: bool = Field(False, description="Those of before, too: the newest 500 rows")


class HeldQuery(BaseModel, extra="forbid"):
    """Query of a user's accounts."""

    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def _owners(services: Services, principal: Principal, account_id: str, query: OwnersQuery) -> OwnerList:
    account = known_account(account_id)
    await services.access.require(principal, account, Action.VIEW)
    return shown_owners(account, await services.owners.owners(account, with_ended=query.history))


async def grant_role(services: Services, call: Call, account_id: str) -> Answer:
    """Give a user a part in an account, or another one than before."""
    principal = admit(services, call, Scope.ACCOUNTS_WRITE, JSON_MEDIA, 1)
    body = decoded(OwnerBody, await call.body(BODY_BYTES_MAX))
    user = known_user(body.user, "/user")
    await services.screening.require_names([user])
    return await _change(services, call, principal, account_id, lambda roles: granted(roles, user, Role(body.role)))


async def end_role(services: Services, call: Call, account_id: str, user_id: str) -> Answer:
    """End a user's part in an account."""
    principal = services.tokens.principal(call.header(b"authorization"), Scope.ACCOUNTS_WRITE)
    take_tokens(services, principal, 1)
    user = parse_id(USER, user_id) or b""
    return await _change(services, call, principal, account_id, lambda roles: ended(roles, user))


async def _change(services: Services, call: Call, principal: Principal, account_id: str, wanted: Any) -> Answer:
    account = known_account(account_id)
    before: Roles = {}

    def check(owners: list[Ownership]) -> None:
        before.update(roles_of(owners))
        found = verdict(principal.scopes, before.get(user_of(principal) or b""), Action.MANAGE_OWNERS)
        if found is not Verdict.ALLOWED:
            raise denial(found, Action.MANAGE_OWNERS)
        require_match(call, encode(shown_owners(account, owners)))

    changed = await services.owners.change(account, By(principal.subject, call.request_id), check, wanted)
    if isinstance(changed, Refusal):
        raise Problem(*_REFUSED[changed])
    services.access.forget(account, before.keys() | roles_of(changed).keys())
    for user in [user for user, role in roles_of(changed).items() if before.get(user) is not role]:
        await services.screening.enforce(user)
    return tagged(Answer(200, encode(shown_owners(account, changed))))


def known_user(text: str, pointer: str) -> bytes:
    """A user id in a body. Raises Problem for a text that is none."""
    user = parse_id(USER, text)
    if user is None:
        raise field_problem(FieldError(pointer, Fault.FIELD_INVALID, "Not a user id: usr_ and 26 characters."))
    return user


async def _asked(services: Services, principal: Principal, user_id: str) -> Asked:
    """Whose accounts are to be shown. Raises Problem where they are none of the caller's."""
    user = parse_id(USER, user_id) or b""
    require_user(principal, user)
    return Asked(user, await services.aliases.digest(AliasName(Identifier.USER, Personal(user_id)), "?user"))


async def _held(services: Services, principal: Principal, user_id: str, query: HeldQuery) -> HeldAccountPage:
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    asked = await _asked(services, principal, user_id)
    return shown_page(await holdings.page(services.database, asked, after, query.limit + 1), query.limit)


async def _wallet(services: Services, principal: Principal, user_id: str) -> Wallet:
    asked = await _asked(services, principal, user_id)
    return shown_wallet(asked.user, await holdings.wallet(services.database, asked))


def _described_change(summary: str, body: type | None) -> dict[str, Any]:
    """Done at once, and the same when it is repeated: no key is needed, and nothing is waited for."""
    return guarded(describe_at_once(summary, Scope.ACCOUNTS_WRITE, OwnerList, body, 200, (409, 429)))


@router.get("/accounts/{account_id}/owners", **describe("Who has a part in an account", Scope.ACCOUNTS_READ, OwnerList))
async def get_owners(request: Request, account_id: str, query: Annotated[OwnersQuery, Query()]) -> Response:
    """Owner, co-owners and viewers, those of before on request. The `ETag` goes into `If-Match` of a change."""

    async def operation(services: Services, call: Call) -> Answer:
        asked = await read(services, call, Scope.ACCOUNTS_READ, lambda who: _owners(services, who, account_id, query))
        return tagged(asked)

    return await respond(request, operation)


@router.post("/accounts/{account_id}/owners", **_described_change("Give a user a part in an account", OwnerBody))
async def post_owner(request: Request, account_id: str) -> Response:
    """By the owner alone. Whoever no longer moves money is paid into this account by no name any more."""
    return await respond(request, lambda services, call: grant_role(services, call, account_id))


@router.delete("/accounts/{account_id}/owners/{user_id}", **_described_change("End a user's part in an account", None))
async def delete_owner(request: Request, account_id: str, user_id: str) -> Response:
    """The row stays, with the time. The owner of an open account hands it over first."""
    return await respond(request, lambda services, call: end_role(services, call, account_id, user_id))


@router.get("/users/{user_id}/accounts", **describe("Accounts of a user", Scope.ACCOUNTS_READ, HeldAccountPage))
async def get_user_accounts(request: Request, user_id: str, query: Annotated[HeldQuery, Query()]) -> Response:
    """In which the user has a part, the latest first, with what they hold."""
    return await respond(
        request,
        lambda services, call: read(
            services, call, Scope.ACCOUNTS_READ, lambda who: _held(services, who, user_id, query)
        ),
    )


@router.get("/users/{user_id}/wallet", **describe("A user's wallet", Scope.ACCOUNTS_READ, Wallet))
async def get_wallet(request: Request, user_id: str) -> Response:
    """The user's accounts of type wallet, one per currency, without those that the user may only look at."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.ACCOUNTS_READ, lambda who: _wallet(services, who, user_id)),
    )

"""Accounts over HTTP: open, look at, change."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.account_changes.bodies import NewAccountBody
from ingest_api.account_changes.changing import change_account
from ingest_api.account_changes.opening import open_account
from ingest_api.http.bodies import AccountChangeBody
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import tagged
from ingest_api.http.openapi import CONSISTENCY, describe, guarded
from ingest_api.http.resources import Account, AccountChange, AccountPage, Balance, encode
from ingest_api.http.serving import read, respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.access import user_named
from ingest_api.owners.rights import Action, by_scope, user_of
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.reads.accounts import AccountFilter, find_account, find_balance, known_account, list_accounts
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.reads.cursor import decode_cursor
from ingest_api.services import Services
from ingest_api.statements.moments import past_utc
from payments.accounts import AccountStatus, AccountType

router = APIRouter(tags=["accounts"])

PAGE_DEFAULT = 50
PAGE_MAX = 500


class BalanceQuery(BaseModel, extra="forbid"):
    """Query of a balance."""

    at: datetime | None = Field(None, description="RFC 3339: as it stood then, after the entries of that microsecond")


class AccountQuery(BaseModel, extra="forbid"):
    """Query of the list."""

    user: str | None = Field(None, description="In which this user has a part; a user's own where it is left out")
    type: Literal["checking", "savings", "wallet", "merchant"] | None = None
    status: Literal["open", "frozen", "debits_frozen", "dormant", "closed"] | None = None
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def viewable(services: Services, principal: Principal, account_id: str) -> bytes:
    """The account of a path that the principal may look at. Raises Problem, DatabaseUnavailable."""
    account = known_account(account_id)
    await services.access.require(principal, account, Action.VIEW)
    return account


async def _account(services: Services, principal: Principal, account_id: str) -> Account:
    return await find_account(services.database, await viewable(services, principal, account_id))


async def _accounts(services: Services, principal: Principal, query: AccountQuery) -> AccountPage:
    user = user_named(principal, query.user) if query.user is not None else user_of(principal)
    if user is None and not by_scope(principal.scopes, Action.VIEW):
        raise field_problem(FieldError("?user", Fault.PARAMETER_INVALID, "Send the user whose accounts you want."))
    wanted = AccountFilter(
        UUID(bytes=user) if user else None,
        AccountType[query.type.upper()] if query.type is not None else None,
        AccountStatus[query.status.upper()] if query.status is not None else None,
        query.currency,
    )
    after = decode_cursor(query.cursor).payment_id if query.cursor is not None else None
    return await list_accounts(services.database, wanted, after, query.limit)


async def show_balance(services: Services, call: Call, account_id: str, at: datetime | None) -> Answer:
    """As it stood from Postgres, as it stands from memory where it is there."""
    principal = services.tokens.principal(call.header(b"authorization"), Scope.ACCOUNTS_READ)
    token = call.header(HEADER.lower().encode())
    if at is None:
        return Answer(200, encode(await services.balances.find(await viewable(services, principal, account_id), token)))
    await await_visible(services.database, token)
    account = await viewable(services, principal, account_id)
    return Answer(200, encode(await find_balance(services.database, account, past_utc(at))))


def _described_change() -> dict[str, Any]:
    described = describe(
        "Change the standing and the limits of an account",
        Scope.ACCOUNTS_WRITE,
        AccountChange,
        body=AccountChangeBody,
        statuses=(200, 202),
        key_needed=False,
    )
    described["openapi_extra"]["parameters"].append(CONSISTENCY)
    return guarded(described)


@router.post(
    "/accounts", **describe("Open an account", Scope.ACCOUNTS_WRITE, Account, body=NewAccountBody, key_needed=False)
)
async def post_account(request: Request) -> Response:
    """Of a type, in one currency, with nothing in it, for its owners."""
    return await respond(request, open_account)


@router.get("/accounts", **describe("Accounts, by id", Scope.ACCOUNTS_READ, AccountPage))
async def get_accounts(request: Request, query: Annotated[AccountQuery, Query()]) -> Response:
    """In which a user has a part; a service that may look at every account names a user or gets all. A page looks at
    2,000 accounts at most: of a filter it may show few or none although has_more.
    """
    return await show(request, Scope.ACCOUNTS_READ, lambda services, who: _accounts(services, who, query))


@router.get("/accounts/{account_id}", **describe("One account", Scope.ACCOUNTS_READ, Account))
async def get_account(request: Request, account_id: str) -> Response:
    """Type, currency, standing and overdraft limit. The `ETag` goes into `If-Match` of a change."""

    async def operation(services: Services, call: Call) -> Answer:
        return tagged(await read(services, call, Scope.ACCOUNTS_READ, lambda who: _account(services, who, account_id)))

    return await respond(request, operation)


@router.put("/accounts/{account_id}", **_described_change())
async def put_account(request: Request, account_id: str) -> Response:
    """For operators. Frozen for debits or for both, dormant, open again; closing needs a balance of zero. Each change
    is a command of its own at the account's partition.
    """
    return await respond(request, lambda services, call: change_account(services, call, account_id))


@router.get("/accounts/{account_id}/balance", **describe("What an account holds", Scope.ACCOUNTS_READ, Balance))
async def get_balance(request: Request, account_id: str, query: Annotated[BalanceQuery, Query()]) -> Response:
    """Posted, available, held and incoming, as they stand or stood."""
    return await respond(request, lambda services, call: show_balance(services, call, account_id, query.at))

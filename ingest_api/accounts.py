"""Accounts over HTTP: open, look at, change."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.account_changes.bodies import NewAccountBody
from ingest_api.account_changes.changing import change_account
from ingest_api.account_changes.opening import open_account
from ingest_api.http.bodies import AccountChangeBody
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import IF_MATCH, tagged
from ingest_api.http.openapi import CONSISTENCY, describe, problem_answer
from ingest_api.http.resources import Account, AccountChange, Balance
from ingest_api.http.serving import read, respond
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.rights import Action
from ingest_api.reads.accounts import find_account, find_balance, known_account
from ingest_api.services import Services
from ingest_api.statements.moments import past_utc

router = APIRouter(tags=["accounts"])


class BalanceQuery(BaseModel, extra="forbid"):
    """Query of a balance."""

    at: datetime | None = Field(None, description="RFC 3339: as it stood then, after the entries of that microsecond")


async def viewable(services: Services, principal: Principal, account_id: str) -> bytes:
    """The account of a path that the principal may look at. Raises Problem, DatabaseUnavailable."""
    account = known_account(account_id)
    await services.access.require(principal, account, Action.VIEW)
    return account


async def _account(services: Services, principal: Principal, account_id: str) -> Account:
    return await find_account(services.database, await viewable(services, principal, account_id))


async def _balance(services: Services, principal: Principal, account_id: str, query: BalanceQuery) -> Balance:
    return await find_balance(services.database, await viewable(services, principal, account_id), past_utc(query.at))


def _described_change() -> dict[str, Any]:
    described = describe(
        "Change the standing and the limits of an account",
        Scope.ACCOUNTS_WRITE,
        AccountChange,
        body=AccountChangeBody,
        statuses=(200, 202),
        key_needed=False,
    )
    described["openapi_extra"]["parameters"] += [IF_MATCH, CONSISTENCY]
    described["responses"][412] = problem_answer(412)
    return described


@router.post(
    "/accounts", **describe("Open an account", Scope.ACCOUNTS_WRITE, Account, body=NewAccountBody, key_needed=False)
)
async def post_account(request: Request) -> Response:
    """Of a type, in one currency, with nothing in it, for its owners."""
    return await respond(request, open_account)


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
    return await respond(
        request,
        lambda services, call: read(
            services, call, Scope.ACCOUNTS_READ, lambda who: _balance(services, who, account_id, query)
        ),
    )

"""Users and their bank accounts under the paths of the source documents, the misspelt one included."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from ingest_api.http.openapi import describe, guarded, problem_answer, reference_to, request_body
from ingest_api.http.serving import respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.people.finding import visible_user
from ingest_api.people.linking import link, list_linked, unlink
from ingest_api.people.shown import (
    BankAccountList,
    BankAccountResource,
    BankDetails,
    SignUpBody,
    UserChangeBody,
    UserResource,
    VerificationBody,
)
from ingest_api.people.users import change_user, find_user, sign_up
from ingest_api.people.verifying import verify
from ingest_api.services import Services
from ingest_api.statements.moments import TimesQuery

router = APIRouter(tags=["users"])

_USER = "/user/{user_id}"
_BANK_ACCOUNT = _USER + "/accounts/{bank_account_id}"


def _described(
    summary: str, result: type, body: type | None, statuses: tuple[int, ...], *problems: int
) -> dict[str, Any]:
    """Done in Postgres, at once: no key is needed."""
    described = describe(summary, Scope.USERS_WRITE, result, body=body, statuses=statuses, key_needed=False)
    if body is None:
        described["openapi_extra"]["parameters"] = []
        problems = (*problems, 429)
    described["responses"] |= {status: problem_answer(status) for status in problems}
    return described


def _described_sign_up() -> dict[str, Any]:
    described = _described("Register a user", UserResource, SignUpBody, (201, 200), 409)
    described["openapi_extra"]["security"] += [{}]  # whoever signs up has no token yet
    return described


@router.post("/users", **_described_sign_up())
@router.post("/user", **_described_sign_up())
async def post_user(request: Request) -> Response:
    """With a token or without one. Where the installation says so, with an account; 409 where the user name, the
    address or the number is another user's.
    """
    return await respond(request, sign_up)


@router.get(_USER, **describe("A user", Scope.USERS_READ, UserResource))
async def get_user(request: Request, user_id: str, query: Annotated[TimesQuery, Query()]) -> Response:
    """By id, e-mail address, phone number or user name: oneself, or for operators and services anybody. With the bank
    accounts that were linked between two times. Without times the `ETag` goes into `If-Match` of a change.
    """
    return await respond(request, lambda services, call: find_user(services, call, user_id, *query.between))


def _described_put() -> dict[str, Any]:
    described = _described("Change a user, or register one", UserResource, UserChangeBody, (200, 201), 409)
    either = {"anyOf": [reference_to(body) for body in (UserChangeBody, SignUpBody)]}
    described["openapi_extra"]["requestBody"] = request_body("application/json", either)
    described["openapi_extra"]["security"] += [{}]
    return guarded(described)


@router.put("/user", **_described_put())
async def put_own_user(request: Request) -> Response:
    """The caller, or whom `userId` names. Without a token it registers a new user, as document 2 has it."""
    if "authorization" not in request.headers:
        return await respond(request, sign_up)
    return await respond(request, lambda services, call: change_user(services, call, ""))


@router.put(
    _USER,
    **guarded(_described("Change a user, link or unlink a bank account", UserResource, UserChangeBody, (200,), 409)),
)
async def put_user(request: Request, user_id: str) -> Response:
    """With the fields of a bank account it is linked, with `unlinkBankAccountId` it is unlinked."""
    return await respond(request, lambda services, call: change_user(services, call, user_id))


@router.post(
    _USER + "/accounts", **_described("Link a bank account", BankAccountResource, BankDetails, (201, 200), 409)
)
async def post_bank_account(request: Request, user_id: str) -> Response:
    """By IBAN, or routing and account number. `pending` until it is verified: no money leaves to it before."""
    return await respond(request, lambda services, call: link(services, call, user_id))


@router.post(
    _BANK_ACCOUNT + "/verify",
    **_described("Verify a bank account", BankAccountResource, VerificationBody, (200, 202), 409),
)
async def post_verification(request: Request, user_id: str, bank_account_id: str) -> Response:
    """At once with the `code` that its bank gives the holder. Or with an empty object two small amounts are sent to it,
    once; then these two are to be told. Within ten days and three tries.
    """
    return await respond(request, lambda services, call: verify(services, call, user_id, bank_account_id))


@router.delete(_BANK_ACCOUNT, **_described("Unlink a user's bank account", BankAccountResource, None, (200,)))
async def delete_bank_account_of(request: Request, user_id: str, bank_account_id: str) -> Response:
    """Its number is forgotten, and nothing is sent to it any more."""
    return await respond(request, lambda services, call: unlink(services, call, user_id, bank_account_id))


@router.delete("/account/{bank_account_id}", **_described("Unlink a bank account", BankAccountResource, None, (200,)))
async def delete_bank_account(request: Request, bank_account_id: str) -> Response:
    """As DELETE /user/{user_id}/accounts/{bank_account_id}."""
    return await respond(request, lambda services, call: unlink(services, call, None, bank_account_id))


_LIST = describe("Linked bank accounts of a user", Scope.USERS_READ, BankAccountList)


@router.get("/bankAccuonts/{user_id}", **_LIST)
@router.get("/bankAccounts/{user_id}", **_LIST)
async def get_bank_accounts(request: Request, user_id: str, query: Annotated[TimesQuery, Query()]) -> Response:
    """Those that are linked now and were linked between two times; `bankAccuonts` is another spelling."""

    async def find(services: Services, principal: Principal) -> BankAccountList:
        user = await visible_user(services, principal, user_id)
        return await list_linked(services, principal, user.user, *query.between)

    return await show(request, Scope.USERS_READ, find)

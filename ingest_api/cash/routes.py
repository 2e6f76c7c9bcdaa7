"""Money in and out by method, of accounts and wallets, and what becomes of deposits, over HTTP."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.cash import deposits, moving, withdrawals
from ingest_api.cash.bodies import ReturnBody, WalletBody
from ingest_api.cash.shown import Deposit, WalletBalance, Withdrawal
from ingest_api.cash.wallet import show_wallet
from ingest_api.http.bodies import DepositBody, WithdrawalBody
from ingest_api.http.openapi import describe, describe_step
from ingest_api.http.serving import respond, show
from ingest_api.identity.tokens import Scope

router = APIRouter(tags=["cash"])


class WalletQuery(BaseModel, extra="forbid"):
    """Query of a wallet."""

    user: str | None = Field(None, description="Whose; the caller's where it is left out")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="This one alone")
    at: datetime | None = Field(None, description="RFC 3339: as it stood then")


@router.post("/accounts/{account_id}/deposit", **describe("Pay money in", Scope.PAYMENTS_WRITE, body=DepositBody))
async def post_deposit(request: Request, account_id: str) -> Response:
    """For operators, by `method`: debited to its clearing account. Checks, money orders and direct debits are posted at
    once and available when they have cleared; until then they are `incoming`.
    """
    return await respond(request, lambda services, call: moving.deposit(services, call, account_id))


@router.post("/accounts/{account_id}/withdraw", **describe("Pay money out", Scope.PAYMENTS_WRITE, body=WithdrawalBody))
async def post_withdrawal(request: Request, account_id: str) -> Response:
    """By `method`: credited to its clearing account. Limits and rules have a say, as on every transfer."""
    return await respond(request, lambda services, call: moving.withdraw(services, call, account_id))


@router.get("/deposits/{deposit_id}", **describe("A deposit", Scope.PAYMENTS_READ, Deposit))
async def get_deposit(request: Request, deposit_id: str) -> Response:
    """By which method, and whether it is available, still uncollected, or returned and why."""
    return await show(
        request, Scope.PAYMENTS_READ, lambda services, who: deposits.find_deposit(services, who, deposit_id)
    )


@router.post(
    "/deposits/{deposit_id}/clear", **describe_step("Say that a deposit has cleared", Scope.PAYMENTS_WRITE, Deposit)
)
async def post_clearance(request: Request, deposit_id: str) -> Response:
    """For operators. What was uncollected is available from now on."""
    return await respond(request, lambda services, call: deposits.clear(services, call, deposit_id))


@router.post(
    "/deposits/{deposit_id}/return",
    **describe_step("Say that a deposit came back", Scope.PAYMENTS_WRITE, Deposit, ReturnBody),
)
async def post_return(request: Request, deposit_id: str) -> Response:
    """For operators. Whole; what the account no longer has, it owes (a receivable)."""
    return await respond(request, lambda services, call: deposits.send_back(services, call, deposit_id))


@router.get("/withdrawals/{withdrawal_id}", **describe("A withdrawal", Scope.PAYMENTS_READ, Withdrawal))
async def get_withdrawal(request: Request, withdrawal_id: str) -> Response:
    """By which method, and whether it was returned and why."""
    return await show(
        request, Scope.PAYMENTS_READ, lambda services, who: withdrawals.find_withdrawal(services, who, withdrawal_id)
    )


@router.post(
    "/withdrawals/{withdrawal_id}/return",
    **describe_step("Say that a withdrawal came back", Scope.PAYMENTS_WRITE, Withdrawal, ReturnBody),
)
async def post_withdrawal_return(request: Request, withdrawal_id: str) -> Response:
    """For operators. Whole and once, by a journal: told again, it is answered as it stands."""
    return await respond(request, lambda services, call: withdrawals.take_back(services, call, withdrawal_id))


@router.post("/wallet/credit", **describe("Pay into a wallet", Scope.PAYMENTS_WRITE, body=WalletBody))
async def post_wallet_credit(request: Request) -> Response:
    """A deposit to the account that the user's id stands for in this currency. For operators."""
    return await respond(request, moving.credit_wallet)


@router.post("/wallet/debit", **describe("Pay out of a wallet", Scope.PAYMENTS_WRITE, body=WalletBody))
async def post_wallet_debit(request: Request) -> Response:
    """A withdrawal from the account that the user's id stands for in this currency."""
    return await respond(request, moving.debit_wallet)


@router.get("/wallet/balance", **describe("What a wallet holds", Scope.ACCOUNTS_READ, WalletBalance))
async def get_wallet_balance(request: Request, query: Annotated[WalletQuery, Query()]) -> Response:
    """Of every currency in which the user's id stands for an account, or of one."""
    return await respond(
        request, lambda services, call: show_wallet(services, call, query.user, query.currency, query.at)
    )

"""Accounts: open, freeze, unfreeze, close, set the overdraft limit, look at them, pay money in."""

import hashlib
import os
import time
from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request, Response

from ingest_api.http.bodies import (
    AccountBody,
    AccountChangeBody,
    DepositBody,
    is_given,
    open_command,
    parse_limit,
)
from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe
from ingest_api.http.preferences import DEFAULT_WAIT_S, idempotency_key, preferred_wait_s
from ingest_api.http.resources import (
    Account,
    AccountChange,
    Balance,
    CommandOutcome,
    account_status_word,
    encode,
    rfc3339_of_us,
)
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond
from ingest_api.identity.tokens import Scope
from ingest_api.problems import Fault, FieldError, Problem, field_problem, refused
from ingest_api.reads.accounts import find_account, find_balance, find_event_reason
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.submission import Outcome, record_headers
from ingest_api.transfers import answer_headers, checked, create_deposit, decoded, encoded_headers
from payments.accounts import AccountStatus
from payments.commands import Command, CommandKind, account_command
from payments.entries import EntryKind
from payments.identifiers import ACCOUNT, derive_account_id, format_id, parse_id, uuid7
from payments.money import format_minor
from payments.rejections import Reason

router = APIRouter(tags=["accounts"])

_STANDING = {
    "open": CommandKind.UNFREEZE_ACCOUNT,
    "frozen": CommandKind.FREEZE_ACCOUNT,
    "closed": CommandKind.CLOSE_ACCOUNT,
}


async def open_account(services: Services, call: Call) -> Answer:
    """Open an account. With a key its id is derived from the caller and the key, so a repeat opens it once."""
    principal = admit(services, call, Scope.ACCOUNTS_WRITE, JSON_MEDIA, 1)
    body: AccountBody = decoded(AccountBody, await call.body(BODY_BYTES_MAX))
    key = idempotency_key(call.header(b"idempotency-key"))
    account = derive_account_id(principal.subject, key) if key else uuid7(time.time_ns() // 1_000_000, os.urandom(10))
    command = checked(open_command(body, account, key or account.hex()))
    outcomes, headers = await _submit(services, call, [command])
    return await _opened(services, command, outcomes[0], headers)


async def _submit(services: Services, call: Call, commands: Sequence[Command]) -> tuple[list[Outcome], dict[str, str]]:
    asked_s = preferred_wait_s(call.header(b"prefer"))
    wait_s = DEFAULT_WAIT_S if asked_s is None else asked_s
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    outcomes = await services.submission.submit_all(commands, wait_s, headers)
    return outcomes, answer_headers(outcomes[0].positions, asked_s)


async def _opened(services: Services, command: Command, outcome: Outcome, headers: dict[str, str]) -> Answer:
    headers["Location"] = f"/v1/accounts/{format_id(ACCOUNT, command.payer)}"
    account = _account_of(command, outcome)
    reason = await _reason(services, outcome)
    if outcome.reply is not None and outcome.reply.kind is EntryKind.REPLAYED:
        headers["Idempotency-Replayed"] = "true"
        if reason is Reason.NONE:
            return Answer(200, encode(await find_account(services.database, command.payer)), encoded_headers(headers))
    if reason is None:
        return Answer(202, encode(account), encoded_headers(headers))
    if reason is not Reason.NONE:
        raise _refused(reason, headers)
    return Answer(201, encode(account), encoded_headers(headers))


async def _reason(services: Services, outcome: Outcome) -> Reason | None:
    """How the command was decided (NONE = done), or None where that is not known yet."""
    if outcome.reply is None:
        return None
    if outcome.reply.kind is not EntryKind.REPLAYED:
        return outcome.reply.reason
    look = partial(find_event_reason, services.database, outcome.operation_id)
    return await look_until(outcome.deadline, look, lambda _: True)


def _account_of(command: Command, outcome: Outcome) -> Account:
    done = outcome.reply is not None and outcome.reply.kind is EntryKind.ACCOUNT_OPENED
    at = rfc3339_of_us(outcome.reply.decided_at_us) if outcome.reply is not None and done else None
    return Account(
        id=format_id(ACCOUNT, command.payer),
        currency=command.currency,
        overdraft_limit=format_minor(command.amount_minor, command.currency),
        overdraft_limit_minor=command.amount_minor,
        status=account_status_word(AccountStatus.OPEN) if done else None,
        opened_at=at,
        changed_at=at,
    )


def _refused(reason: Reason, headers: dict[str, str], commands: list[CommandOutcome] | None = None) -> Problem:
    problem = refused(reason, {"commands": commands} if commands else None)
    problem.headers = headers
    return problem


async def change_account(services: Services, call: Call, account_id: str) -> Answer:
    """Change an account: one command for the limit, one for the standing, decided in this order."""
    admit(services, call, Scope.ACCOUNTS_WRITE, JSON_MEDIA, 2)
    body: AccountChangeBody = decoded(AccountChangeBody, await call.body(BODY_BYTES_MAX))
    key = idempotency_key(call.header(b"idempotency-key")) or os.urandom(16).hex()
    account = known_account(account_id)
    commands = await _changes(services, body, account, key)
    outcomes, headers = await _submit(services, call, commands)
    results = [await _result(services, c, o) for c, o in zip(commands, outcomes, strict=True)]
    if any(o.reply is not None and o.reply.kind is EntryKind.REPLAYED for o in outcomes):
        headers["Idempotency-Replayed"] = "true"
    refusal = next((result.code for result in results if result.code), None)
    if refusal is not None:
        raise _refused(Reason(refusal), headers, results)
    pending = any(result.decided_at is None for result in results)
    headers["Location"] = f"/v1/accounts/{account_id}"
    return Answer(202 if pending else 200, encode(AccountChange(account_id, results)), encoded_headers(headers))


async def _changes(services: Services, body: AccountChangeBody, account: bytes, key: str) -> list[Command]:
    commands = []
    if is_given(body.overdraft_limit):
        # The limit is in the account's currency, which never changes: reading it from Postgres cannot be stale.
        currency = (await find_account(services.database, account)).currency
        limit_minor = parse_limit(body.overdraft_limit, currency)
        if isinstance(limit_minor, FieldError):
            raise field_problem(limit_minor)
        kind = CommandKind.SET_OVERDRAFT_LIMIT
        command = account_command(kind, account, _key_of(kind, key))
        commands.append(command._replace(amount_minor=limit_minor, currency=currency))
    if body.status is not None:
        kind = _STANDING[body.status]
        commands.append(account_command(kind, account, _key_of(kind, key)))
    if not commands:
        raise Problem(Fault.FIELD_MISSING, "Send status, overdraft_limit, or both.")
    return commands


def _key_of(kind: CommandKind, key: str) -> str:
    """One request may become two commands: each has a key of its own, derived from the caller's."""
    return f"{kind.name.lower()}:{hashlib.sha256(key.encode()).hexdigest()}"


async def _result(services: Services, command: Command, outcome: Outcome) -> CommandOutcome:
    reason = await _reason(services, outcome)
    if outcome.reply is None or reason is None:
        return CommandOutcome(command.kind.name.lower())
    at = rfc3339_of_us(outcome.reply.decided_at_us)
    return CommandOutcome(command.kind.name.lower(), at, str(reason) if reason is not Reason.NONE else None)


def known_account(account_id: str) -> bytes:
    """The id in a path. Raises Problem 404 for a text that cannot be an account."""
    account = parse_id(ACCOUNT, account_id)
    if account is None:
        raise refused(Reason.ACCOUNT_NOT_FOUND)
    return account


async def _account(services: Services, account_id: str) -> Account:
    return await find_account(services.database, known_account(account_id))


async def _balance(services: Services, account_id: str) -> Balance:
    return await find_balance(services.database, known_account(account_id))


@router.post(
    "/accounts", **describe("Open an account", Scope.ACCOUNTS_WRITE, Account, body=AccountBody, key_needed=False)
)
async def post_account(request: Request) -> Response:
    """In one currency, with nothing in it."""
    return await respond(request, open_account)


@router.get("/accounts/{account_id}", **describe("One account", Scope.ACCOUNTS_READ, Account))
async def get_account(request: Request, account_id: str) -> Response:
    """Currency, standing and overdraft limit."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.ACCOUNTS_READ, lambda _: _account(services, account_id)),
    )


@router.put(
    "/accounts/{account_id}",
    **describe(
        "Freeze, unfreeze or close an account, or set its overdraft limit",
        Scope.ACCOUNTS_WRITE,
        AccountChange,
        body=AccountChangeBody,
        statuses=(200, 202),
        key_needed=False,
    ),
)
async def put_account(request: Request, account_id: str) -> Response:
    """Each change is a command at the account's own partition; closing needs a balance of zero."""
    return await respond(request, lambda services, call: change_account(services, call, account_id))


@router.get("/accounts/{account_id}/balance", **describe("What an account holds", Scope.ACCOUNTS_READ, Balance))
async def get_balance(request: Request, account_id: str) -> Response:
    """Posted, and available: posted less what is reserved or in flight."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.ACCOUNTS_READ, lambda _: _balance(services, account_id)),
    )


@router.post("/accounts/{account_id}/deposit", **describe("Pay money in", Scope.PAYMENTS_WRITE, body=DepositBody))
async def post_deposit(request: Request, account_id: str) -> Response:
    """Cash: debited to the clearing account of the currency, posted in one step."""
    return await respond(request, lambda services, call: create_deposit(services, call, account_id))

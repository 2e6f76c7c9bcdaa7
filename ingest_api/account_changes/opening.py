"""POST /accounts: owners first, in Postgres, then the account, at its partition.

Guarantees: no account is open without its owner. A crash in between leaves owners of an account that does not exist
yet, and the repeat with the same key goes on from there. The account of a user who waits for verification is frozen for
debits by the instruction that follows the opening.
"""

import os
import time

from ingest_api.account_changes.asking import Asked, ask, is_replay, reason_of
from ingest_api.account_changes.bodies import NewAccountBody, limits_of, roles_of_new
from ingest_api.http.advice import ADVICE
from ingest_api.http.bodies import decoded, open_command
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import idempotency_key
from ingest_api.http.resources import Account, account_status_word, encode, rfc3339_of_us
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Scope, scope_missing
from ingest_api.owners.register import By, Roles
from ingest_api.owners.rights import Action, Role, by_scope
from ingest_api.problems import Problem, refused
from ingest_api.reads.accounts import find_account
from ingest_api.services import Services
from ingest_api.submission import Outcome
from ingest_api.transfers import checked, encoded_headers
from payments.accounts import AccountStatus, AccountType
from payments.commands import Command
from payments.entries import EntryKind
from payments.identifiers import ACCOUNT, derive_account_id, format_id, uuid7
from payments.money import format_minor
from payments.movements.instructions import Envelope, OpenAccount
from payments.rejections import Reason


async def open_account(services: Services, call: Call) -> Answer:
    """Open an account. With a key its id is derived from the caller and the key, so a repeat opens it once."""
    principal = admit(services, call, Scope.ACCOUNTS_WRITE, JSON_MEDIA, 1)
    body: NewAccountBody = decoded(NewAccountBody, await call.body(BODY_BYTES_MAX))
    key = idempotency_key(call.header(b"idempotency-key"))
    account = derive_account_id(principal.subject, key) if key else uuid7(time.time_ns() // 1_000_000, os.urandom(10))
    command = checked(open_command(body, account, key or account.hex()))
    if (command.amount_minor or body.limits) and not by_scope(principal.scopes, Action.OPERATE):
        raise scope_missing(Scope.ACCOUNTS_OPERATE)
    roles = roles_of_new(body, principal)
    outcomes, headers = await open_for(services, call, principal.subject, command, roles, _asked(body, command))
    return await _opened(services, body, command, outcomes, headers)


async def open_for(
    services: Services, call: Call, by: str, command: Command, roles: Roles, asked: list[Asked]
) -> tuple[list[Outcome], dict[str, str]]:
    """Enter the owners, then ask for the account, the way in which these two are safe to repeat. Raises Problem."""
    if roles:
        await services.screening.require_names(roles)
        await _establish(services, By(by, call.request_id), command, roles)
    block = await services.screening.of_new_account(command.payer, roles) if roles else None
    return await ask(services, call, asked if block is None else [*asked, block])


async def _establish(services: Services, by: By, command: Command, roles: Roles) -> None:
    (owner,) = [user for user, role in roles.items() if role is Role.OWNER]
    default = await services.aliases.default_account(owner, command.payer, command.currency)
    if not await services.owners.establish(command.payer, roles, by, default):
        raise Problem(Reason.IDEMPOTENCY_KEY_REUSED, ADVICE[Reason.IDEMPOTENCY_KEY_REUSED])


def _asked(body: NewAccountBody, command: Command) -> list[Asked]:
    """A checking account is opened by the plain command, so a batch line and this route mean the same by one key."""
    account, type_ = command.payer, AccountType[body.type.upper()]
    opening: Asked = command
    if type_ is not AccountType.CHECKING:
        opening = OpenAccount(
            account=account,
            type=type_,
            currency=command.currency,
            overdraft_limit_minor=command.amount_minor,
            envelope=Envelope(command.idempotency_key),
        )
    if body.limits is None:
        return [opening]
    return [opening, limits_of(body.limits, account, command.currency, Envelope(f"limits:{account.hex()}"))]


async def _opened(
    services: Services, body: NewAccountBody, command: Command, outcomes: list[Outcome], headers: dict[str, str]
) -> Answer:
    headers["Location"] = f"/v1/accounts/{format_id(ACCOUNT, command.payer)}"
    reasons = [await reason_of(services, outcome) for outcome in outcomes]
    refusal = next((reason for reason in reasons if reason is not None and reason is not Reason.NONE), None)
    if is_replay(outcomes[0]):
        headers["Idempotency-Replayed"] = "true"
    if refusal is not None:
        problem = refused(refusal)
        problem.headers = headers
        raise problem
    if is_replay(outcomes[0]) and None not in reasons:
        return Answer(200, encode(await find_account(services.database, command.payer)), encoded_headers(headers))
    account = _account_of(body, command, outcomes)
    return Answer(202 if None in reasons else 201, encode(account), encoded_headers(headers))


def _account_of(body: NewAccountBody, command: Command, outcomes: list[Outcome]) -> Account:
    outcome = outcomes[0]
    done = outcome.reply is not None and outcome.reply.kind is EntryKind.ACCOUNT_OPENED
    is_blocked = any(one.reply is not None and one.reply.kind is EntryKind.STANDING_SET for one in outcomes)
    status = AccountStatus.DEBITS_FROZEN if is_blocked else AccountStatus.OPEN
    at = rfc3339_of_us(outcome.reply.decided_at_us) if outcome.reply is not None and done else None
    return Account(
        id=format_id(ACCOUNT, command.payer),
        type=body.type,
        currency=command.currency,
        overdraft_limit=format_minor(command.amount_minor, command.currency),
        overdraft_limit_minor=command.amount_minor,
        status=account_status_word(status) if done else None,
        opened_at=at,
        changed_at=at,
    )

"""PUT /accounts/{id}: standing, overdraft limit, own limits and tier, by operators.

`If-Match` is compared with what Postgres shows when the request comes. The partition decides later and knows no tags:
of two requests inside these milliseconds both may pass, each is decided whole, and the second one stands.
"""

import hashlib
import os

from ingest_api.account_changes.asking import Asked, ask, is_replay, name_of, reason_of
from ingest_api.account_changes.bodies import limits_of
from ingest_api.http.bodies import AccountChangeBody, decoded, is_given, parse_limit
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import require_match
from ingest_api.http.preferences import idempotency_key
from ingest_api.http.resources import Account, AccountChange, CommandOutcome, encode, rfc3339_of_us
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Scope
from ingest_api.owners.rights import Action
from ingest_api.problems import Fault, FieldError, Problem, field_problem, refused
from ingest_api.reads.accounts import find_account, known_account
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.services import Services
from ingest_api.submission import Outcome
from ingest_api.transfers import encoded_headers
from payments.accounts import AccountStatus
from payments.commands import CommandKind, account_command
from payments.movements.instructions import Envelope, SetStanding
from payments.rejections import Reason

_STANDING = {
    "open": CommandKind.UNFREEZE_ACCOUNT,
    "frozen": CommandKind.FREEZE_ACCOUNT,
    "closed": CommandKind.CLOSE_ACCOUNT,
}
"""Standings with commands of their own; all others are set by one instruction."""


async def change_account(services: Services, call: Call, account_id: str) -> Answer:
    """Change an account: limits first, then the standing, decided in this order."""
    principal = admit(services, call, Scope.ACCOUNTS_WRITE, JSON_MEDIA, 3)
    body: AccountChangeBody = decoded(AccountChangeBody, await call.body(BODY_BYTES_MAX))
    key = idempotency_key(call.header(b"idempotency-key")) or os.urandom(16).hex()
    account = known_account(account_id)
    await services.access.require(principal, account, Action.OPERATE)
    asked = _changes(body, account, key, await _seen(services, call, body, account))
    outcomes, headers = await ask(services, call, asked)
    results = [await _result(services, one, outcome) for one, outcome in zip(asked, outcomes, strict=True)]
    if any(map(is_replay, outcomes)):
        headers["Idempotency-Replayed"] = "true"
    refusal = next((result.code for result in results if result.code), None)
    if refusal is not None:
        problem = refused(Reason(refusal), {"commands": results})
        problem.headers = headers
        raise problem
    pending = any(result.decided_at is None for result in results)
    headers["Location"] = f"/v1/accounts/{account_id}"
    return Answer(202 if pending else 200, encode(AccountChange(account_id, results)), encoded_headers(headers))


async def _seen(services: Services, call: Call, body: AccountChangeBody, account: bytes) -> Account | None:
    """The account as Postgres shows it, where it is needed: for `If-Match`, and because limits are in its currency,
    which never changes. Raises Problem, DatabaseUnavailable.
    """
    if call.header(b"if-match") is None and not is_given(body.overdraft_limit) and body.limits is None:
        return None
    await await_visible(services.database, call.header(HEADER.lower().encode()))
    account_seen = await find_account(services.database, account)
    require_match(call, encode(account_seen))
    return account_seen


def _changes(body: AccountChangeBody, account: bytes, key: str, seen: Account | None) -> list[Asked]:
    asked: list[Asked] = []
    if seen is not None and is_given(body.overdraft_limit):
        limit_minor = parse_limit(body.overdraft_limit, seen.currency)
        if isinstance(limit_minor, FieldError):
            raise field_problem(limit_minor)
        kind = CommandKind.SET_OVERDRAFT_LIMIT
        command = account_command(kind, account, key_of(kind.name, key))
        asked.append(command._replace(amount_minor=limit_minor, currency=seen.currency))
    if seen is not None and body.limits is not None:
        asked.append(limits_of(body.limits, account, seen.currency, Envelope(key_of("set_limits", key))))
    if body.status is not None:
        asked.append(_standing(body.status, account, key))
    if not asked:
        raise Problem(Fault.FIELD_MISSING, "Send status, overdraft_limit or limits.")
    return asked


def _standing(status: str, account: bytes, key: str) -> Asked:
    kind = _STANDING.get(status)
    if kind is not None:
        return account_command(kind, account, key_of(kind.name, key))
    envelope = Envelope(key_of("set_standing", key))
    return SetStanding(account=account, status=AccountStatus[status.upper()], envelope=envelope)


def key_of(name: str, key: str) -> str:
    """One request may become several commands: each has a key of its own, derived from the caller's."""
    return f"{name.lower()}:{hashlib.sha256(key.encode()).hexdigest()}"


async def _result(services: Services, asked: Asked, outcome: Outcome) -> CommandOutcome:
    reason = await reason_of(services, outcome)
    if outcome.reply is None or reason is None:
        return CommandOutcome(name_of(asked))
    at = rfc3339_of_us(outcome.reply.decided_at_us)
    return CommandOutcome(name_of(asked), at, str(reason) if reason is not Reason.NONE else None)

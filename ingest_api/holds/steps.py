"""Place, raise, capture and void: one instruction each, to the partition of the payer.

Who pays places and raises a hold; who is promised the money captures or voids it. Neither undoes what is the other's:
a payer who could void would have promised nothing.
"""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Final

from ingest_api.account_changes.asking import is_replay
from ingest_api.account_changes.changing import key_of
from ingest_api.aliases.service import names_an_alias
from ingest_api.holds.reads import find_hold
from ingest_api.holds.shown import CaptureBody, Hold, HoldBody, IncrementBody
from ingest_api.http.bodies import description_fault, parse_amount, transfer_command
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import required_key
from ingest_api.http.resources import account_text, rfc3339, rfc3339_of_us
from ingest_api.http.serving import admit_bare
from ingest_api.identity.second_factor.step_up import require_for_money_out
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import (
    answer,
    ask,
    move,
    require_taken,
    required,
    reused,
    sought,
    step_answer,
    taken,
)
from ingest_api.owners.access import denial
from ingest_api.owners.rights import Action, Verdict
from ingest_api.problems import Fault, FieldError, Problem, field_problem, refused
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.statements.moments import UNIX_EPOCH, utc
from ingest_api.submission import Outcome
from ingest_api.transfers import checked, known_of, read_body, require_to_pay
from payments.commands import Command
from payments.identifiers import ACCOUNT, HOLD, format_id, is_system, parse_id
from payments.money import format_minor
from payments.movements.assessing import UNKNOWN
from payments.movements.instructions import CaptureHold, Envelope, Headline, PlaceHold, RaiseHold, VoidHold
from payments.rejections import Reason

_MICROSECOND: Final = timedelta(microseconds=1)


async def place(services: Services, call: Call) -> Answer:
    """Set an amount aside for a payee, each named by id or alias."""
    principal, body, key = await read_body(services, call, HoldBody)
    if names_an_alias(body):
        body = await services.aliases.resolved(principal.subject, key, body)
    command = checked(transfer_command(body, key))
    await require_to_pay(services, principal, command)  # whoever captures it is asked for nothing: promised here
    asked = _placing(services, body, command)
    (outcome,), headers = await ask(services, call, [asked])
    await require_taken(services, outcome, headers)
    replayed = is_replay(outcome)
    hold = (await _earlier(services, outcome) if replayed else None) or _asked(asked, outcome)
    if (hold.from_account, hold.to_account, hold.currency) != (
        account_text(asked.payer),
        account_text(asked.payee),
        asked.currency,
    ):
        raise reused()
    return answer(hold, f"/v1/holds/{hold.id}", headers, done=hold.status != "received", replayed=replayed)


async def _earlier(services: Services, outcome: Outcome) -> Hold | None:
    return await look_until(
        outcome.deadline, lambda: find_hold(services.database, outcome.operation_id), lambda _: True
    )


def _placing(services: Services, body: HoldBody, command: Command) -> PlaceHold:
    attributes = UNKNOWN if body.risk is None else known_of(services, body.risk)
    return PlaceHold(
        envelope=Envelope(command.idempotency_key, description=command.description, attributes=attributes),
        payer=command.payer,
        payee=command.payee,
        amount_minor=command.amount_minor,
        currency=command.currency,
        expires_at_us=_micros(body.expires_at),
    )


def _micros(at: datetime) -> int:
    """Raises Problem where a calendar knows the time and its UTC is none."""
    moment = utc(at)
    assert moment is not None
    try:
        return (moment - UNIX_EPOCH) // _MICROSECOND
    except OverflowError:
        fault = FieldError("/expires_at", Fault.FIELD_INVALID, "Send a time of the next 31 days.")
        raise field_problem(fault) from None


def _asked(asked: PlaceHold, outcome: Outcome) -> Hold:
    """A hold that Postgres does not have yet, as its reply tells it."""
    at = rfc3339_of_us(outcome.reply.decided_at_us) if outcome.reply is not None else None
    amount, nothing = (format_minor(minor, asked.currency) for minor in (asked.amount_minor, 0))
    return Hold(
        id=format_id(HOLD, outcome.operation_id),
        status="received" if outcome.reply is None or is_replay(outcome) else "open",
        from_account=account_text(asked.payer),
        to_account=account_text(asked.payee),
        amount=amount,
        amount_minor=asked.amount_minor,
        captured=nothing,
        captured_minor=0,
        remaining=amount,
        remaining_minor=asked.amount_minor,
        currency=asked.currency,
        description=asked.envelope.description,
        expires_at=rfc3339(UNIX_EPOCH + asked.expires_at_us * _MICROSECOND),
        placed_at=at,
        changed_at=at,
    )


async def capture(services: Services, call: Call, hold_id: str) -> Answer:
    """Take part or all of a hold: a payment of its own."""
    principal, body, key = await read_body(services, call, CaptureBody)
    required(description_fault(body.description))
    hold = await _promised(services, call, principal, hold_id)
    asked = CaptureHold(
        envelope=Envelope(key_of(f"capture {hold_id}", key), description=body.description),
        payer=_account(hold.from_account),
        hold_id=_id(hold_id),
        amount_minor=_amount_minor(body, hold),
        is_final=body.final,
    )
    paid = Headline(asked.payer, _account(hold.to_account), asked.amount_minor, hold.currency)
    return await _timely(services, hold_id, move(services, call, asked, paid))


async def increase(services: Services, call: Call, hold_id: str) -> Answer:
    """Add to a hold."""
    principal, body, key = await read_body(services, call, IncrementBody)
    hold = await sought(services, call, lambda: known_hold(services, principal, hold_id))
    await _require(services, principal, hold.from_account)
    added_minor = _amount_minor(body, hold)
    if is_system(_account(hold.to_account)):
        await require_for_money_out(services, principal, hold.amount_minor + added_minor, hold.currency)
    asked = RaiseHold(
        envelope=Envelope(key_of(f"increment {hold_id}", key)),
        payer=_account(hold.from_account),
        hold_id=_id(hold_id),
        amount_minor=added_minor,
    )
    return await _timely(services, hold_id, _changed(services, call, asked))


async def _timely(services: Services, hold_id: str, answered: Awaitable[Answer]) -> Answer:
    """The answer, or that the hold has expired: the ledger says so only until a tick has ended it, and knows no hold
    from then on. Raises what `answered` raises.
    """
    try:
        return await answered
    except Problem as problem:
        hold = await find_hold(services.database, _id(hold_id)) if problem.code is Reason.HOLD_NOT_FOUND else None
        if hold is None or hold.status != "expired":
            raise
        expired = refused(Reason.HOLD_EXPIRED)
        expired.headers = problem.headers
        raise expired from None


async def void(services: Services, call: Call, hold_id: str) -> Answer:
    """Give back what is left of a hold."""
    principal = await admit_bare(services, call, Scope.PAYMENTS_WRITE)
    key = required_key(call.header(b"idempotency-key"))
    hold = await _promised(services, call, principal, hold_id)
    envelope = Envelope(key_of(f"void {hold_id}", key))
    asked = VoidHold(envelope=envelope, payer=_account(hold.from_account), hold_id=_id(hold_id))
    return await _changed(services, call, asked)


async def _changed(services: Services, call: Call, asked: RaiseHold | VoidHold) -> Answer:
    outcome, headers, done = await taken(services, call, asked)
    hold = await find_hold(services.database, asked.hold_id)
    assert hold is not None, "a hold that was there before"
    return step_answer(hold, f"/v1/holds/{hold.id}", headers, outcome, done=done)


async def _promised(services: Services, call: Call, principal: Principal, hold_id: str) -> Hold:
    """The hold, where the principal may take or give up what it promises. Raises Problem."""
    hold = await sought(services, call, lambda: known_hold(services, principal, hold_id))
    await _require(services, principal, hold.to_account)
    return hold


async def known_hold(services: Services, principal: Principal, hold_id: str) -> Hold:
    """A hold of which the principal may look at one side. Raises Problem: what is not the principal's is not there."""
    parsed = parse_id(HOLD, hold_id)
    hold = await find_hold(services.database, parsed) if parsed is not None else None
    if hold is None or not await services.access.may_view_any(
        principal, (_account(hold.from_account), _account(hold.to_account))
    ):
        raise refused(Reason.HOLD_NOT_FOUND)
    return hold


async def _require(services: Services, principal: Principal, account: str) -> None:
    """Raises Problem: the hold is known to the principal, so nothing is hidden any more."""
    if await services.access.denials(principal, [_account(account)], Action.MOVE_MONEY):
        raise denial(Verdict.FORBIDDEN, Action.MOVE_MONEY)


def _amount_minor(body: CaptureBody | IncrementBody, hold: Hold) -> int:
    """Raises Problem."""
    amount_minor = parse_amount(body.amount, hold.currency)
    if isinstance(amount_minor, FieldError):
        raise field_problem(amount_minor)
    return amount_minor


def _account(text: str) -> bytes:
    account = parse_id(ACCOUNT, text)
    assert account is not None, text
    return account


def _id(hold_id: str) -> bytes:
    parsed = parse_id(HOLD, hold_id)
    assert parsed is not None, hold_id
    return parsed

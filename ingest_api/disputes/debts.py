"""Receivables: paid from what their account has, or given up. For finance."""

from ingest_api.account_changes.changing import key_of
from ingest_api.disputes.reads import find_receivable
from ingest_api.disputes.shown import Receivable, RecoveryBody
from ingest_api.http.bodies import decoded, parse_amount
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import required_key
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, admit_bare
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import sought, step_answer, taken
from ingest_api.owners.rights import Action
from ingest_api.problems import FieldError, field_problem, refused
from ingest_api.services import Services
from payments.identifiers import ACCOUNT, RECEIVABLE, parse_id
from payments.movements.instructions import Envelope, RecoverReceivable, WriteOff
from payments.rejections import Reason


async def recover(services: Services, call: Call, receivable_id: str) -> Answer:
    """Pay part or all of a debt from what its account has available."""
    admit(services, call, Scope.LEDGER_WRITE, JSON_MEDIA, 1)
    body: RecoveryBody = decoded(RecoveryBody, await call.body(BODY_BYTES_MAX))
    key = required_key(call.header(b"idempotency-key"))
    debt = await _seen(services, call, receivable_id)
    amount_minor = parse_amount(body.amount, debt.currency)
    if isinstance(amount_minor, FieldError):
        raise field_problem(amount_minor)
    account, parsed = _ids(debt)
    envelope = Envelope(key_of(f"recover {receivable_id}", key))
    asked = RecoverReceivable(envelope=envelope, account=account, receivable_id=parsed, amount_minor=amount_minor)
    return await _stepped(services, call, asked)


async def write_off(services: Services, call: Call, receivable_id: str) -> Answer:
    """Give a debt up: what is left of it becomes a loss."""
    await admit_bare(services, call, Scope.LEDGER_WRITE)
    key = required_key(call.header(b"idempotency-key"))
    account, parsed = _ids(await _seen(services, call, receivable_id))
    envelope = Envelope(key_of(f"write off {receivable_id}", key))
    return await _stepped(services, call, WriteOff(envelope=envelope, account=account, receivable_id=parsed))


async def _stepped(services: Services, call: Call, asked: RecoverReceivable | WriteOff) -> Answer:
    outcome, headers, done = await taken(services, call, asked)
    debt = await find_receivable(services.database, asked.receivable_id)
    assert debt is not None, "a debt that was there before"
    return step_answer(debt, f"/v1/receivables/{debt.id}", headers, outcome, done=done)


async def _seen(services: Services, call: Call, receivable_id: str) -> Receivable:
    return await sought(services, call, lambda: _there(services, receivable_id))


async def _there(services: Services, receivable_id: str) -> Receivable:
    parsed = parse_id(RECEIVABLE, receivable_id)
    debt = await find_receivable(services.database, parsed) if parsed is not None else None
    if debt is None:
        raise refused(Reason.RECEIVABLE_NOT_FOUND)
    return debt


async def known_receivable(services: Services, principal: Principal, receivable_id: str) -> Receivable:
    """A debt of an account that the principal may look at. Raises Problem, DatabaseUnavailable."""
    parsed = parse_id(RECEIVABLE, receivable_id)
    debt = await find_receivable(services.database, parsed) if parsed is not None else None
    if debt is None or await services.access.denials(principal, [_ids(debt)[0]], Action.VIEW):
        raise refused(Reason.RECEIVABLE_NOT_FOUND)
    return debt


def _ids(debt: Receivable) -> tuple[bytes, bytes]:
    account, parsed = parse_id(ACCOUNT, debt.account), parse_id(RECEIVABLE, debt.id)
    assert account is not None
    assert parsed is not None
    return account, parsed

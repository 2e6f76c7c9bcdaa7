"""Deposits as Postgres shows them: available, not collected yet, or returned; and the operator's word on which."""

from typing import Final, NamedTuple
from uuid import UUID

from ingest_api.account_changes.changing import key_of
from ingest_api.cash.bodies import ReturnBody
from ingest_api.cash.shown import Deposit, shown_deposit
from ingest_api.http.bodies import decoded, text_fault
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import required_key
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, admit_bare
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import sought, step_answer, taken
from ingest_api.owners.rights import Action
from ingest_api.problems import field_problem, refused
from ingest_api.reads.database import Database
from ingest_api.services import Services
from payments.entries import EntryKind
from payments.identifiers import PAYMENT, parse_id
from payments.items.details import CauseKind
from payments.movements.instructions import ClearDeposit, Envelope, ReturnDeposit
from payments.rejections import Reason
from payments.terms.methods import METHOD_OF
from schemas.codec.instructions import MAX_CODE_CHARS

_DEPOSIT: Final = f"""
SELECT paid.payment_id, paid.payer, paid.payee, paid.amount_minor, paid.currency, paid.description, paid.decided_at,
    coalesce(waiting.is_open, false) AS is_waiting, back.code AS return_code,
    coalesce(back.decided_at, waiting.changed_at, paid.decided_at) AS changed_at
FROM decisions AS paid
LEFT JOIN uncollected_deposits AS waiting ON waiting.deposit_id = paid.payment_id
LEFT JOIN LATERAL (
    SELECT code, decided_at FROM causes
    WHERE cause_id = paid.payment_id AND cause_kind = {CauseKind.DEPOSIT:d} AND kind = {EntryKind.DEBITED:d} LIMIT 1
) AS back ON true
WHERE paid.payment_id = %s AND paid.kind IN ({EntryKind.POSTED:d}, {EntryKind.POSTED_UNCOLLECTED:d})"""


class Found(NamedTuple):
    """A deposit, and what an instruction about it has to state."""

    deposit_id: bytes
    account: bytes
    clearing_account: bytes
    shown: Deposit


async def find_deposit(services: Services, principal: Principal, deposit_id: str) -> Deposit:
    """A deposit to an account that the principal may look at. Raises Problem, DatabaseUnavailable."""
    return (await _found(services, principal, deposit_id, Action.VIEW)).shown


async def clear(services: Services, call: Call, deposit_id: str) -> Answer:
    """The drawee has paid: the amount is available."""
    principal = await admit_bare(services, call, Scope.PAYMENTS_WRITE)
    key = required_key(call.header(b"idempotency-key"))
    found = await sought(services, call, lambda: _found(services, principal, deposit_id, Action.OPERATE))
    envelope = Envelope(key_of(f"clear {deposit_id}", key))
    return await _ended(
        services, call, ClearDeposit(envelope=envelope, account=found.account, deposit_id=found.deposit_id)
    )


async def send_back(services: Services, call: Call, deposit_id: str) -> Answer:
    """It has bounced, or was returned: taken back, whatever is there."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: ReturnBody = decoded(ReturnBody, await call.body(BODY_BYTES_MAX))
    key = required_key(call.header(b"idempotency-key"))
    fault = text_fault(body.code, MAX_CODE_CHARS, "/code")
    if fault is not None:
        raise field_problem(fault)
    found = await sought(services, call, lambda: _found(services, principal, deposit_id, Action.OPERATE))
    asked = ReturnDeposit(
        envelope=Envelope(key_of(f"return {deposit_id}", key)),
        account=found.account,
        deposit_id=found.deposit_id,
        clearing_account=found.clearing_account,
        amount_minor=found.shown.amount_minor,
        currency=found.shown.currency,
        code=body.code,
    )
    return await _ended(services, call, asked)


async def _ended(services: Services, call: Call, asked: ClearDeposit | ReturnDeposit) -> Answer:
    outcome, headers, done = await taken(services, call, asked)
    found = await _look(services.database, asked.deposit_id)
    assert found is not None, "a deposit that was there before"
    return step_answer(found.shown, f"/v1/deposits/{found.shown.id}", headers, outcome, done=done)


async def _found(services: Services, principal: Principal, deposit_id: str, action: Action) -> Found:
    """What is not the principal's is not there."""
    id_ = parse_id(PAYMENT, deposit_id)
    found = await _look(services.database, id_) if id_ is not None else None
    if found is None or await services.access.denials(principal, [found.account], Action.VIEW):
        raise refused(Reason.DEPOSIT_NOT_FOUND)
    await services.access.require(principal, found.account, action)
    return found


async def _look(database: Database, deposit_id: bytes) -> Found | None:
    row = await database.row(_DEPOSIT, (UUID(bytes=deposit_id),))
    if row is None or row["payer"].bytes not in METHOD_OF:
        return None
    return Found(deposit_id, row["payee"].bytes, row["payer"].bytes, shown_deposit(row))

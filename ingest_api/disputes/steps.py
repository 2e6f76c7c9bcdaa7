"""Open a dispute, hand in evidence, accept, resolve: one instruction each, to the partition of the merchant.

The customer (who paid; within the limits of alone.py) or an operator opens one; the merchant or an operator hands in
evidence and accepts; how it ended is an operator's to say, and so are the fees and a provisional credit.
"""

from ingest_api.account_changes.asking import is_replay
from ingest_api.account_changes.changing import key_of
from ingest_api.disputes.alone import require_alone
from ingest_api.disputes.reads import find_dispute
from ingest_api.disputes.shown import Dispute, DisputeBody, EvidenceBody, ResolutionBody, seen_by
from ingest_api.http.bodies import description_fault, is_given, parse_amount, parse_limit
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import required_key
from ingest_api.http.resources import account_text
from ingest_api.http.serving import admit_bare
from ingest_api.identity.tokens import Principal, Scope, scope_missing
from ingest_api.instructions.asking import answer, required, reused, sought, step_answer, taken
from ingest_api.owners.access import denial
from ingest_api.owners.rights import Action, Verdict, by_scope
from ingest_api.problems import Fault, FieldError, field_problem, refused
from ingest_api.reads.payments import unknown_payment
from ingest_api.reads.received import Received, find_bought, find_received
from ingest_api.services import Services
from ingest_api.submission import Outcome
from ingest_api.transfers import read_body
from payments.identifiers import ACCOUNT, DISPUTE, PAYMENT, format_id, is_system, parse_id
from payments.money import format_minor
from payments.movements.instructions import Envelope, NoteEvidence, OpenDispute, ResolveDispute
from payments.rejections import Reason

_HASH_CHARS = 64


async def open_dispute(services: Services, call: Call) -> Answer:
    """Contest a payment: what the merchant has of it lies with neither side until it is resolved."""
    principal, body, key = await read_body(services, call, DisputeBody)
    required(description_fault(body.description))
    paid = await sought(services, call, lambda: _paid(services, principal, body.payment))
    asked = _opening(body, key, paid)
    if not by_scope(principal.scopes, Action.OPERATE):
        if asked.fee_minor or asked.provider_fee_minor or asked.is_provisional:
            raise scope_missing(Scope.ACCOUNTS_OPERATE)
        await require_alone(services, paid, asked.amount_minor)
    outcome, headers, _ = await taken(services, call, asked)
    found = await find_dispute(services.database, outcome.operation_id)
    dispute = found or _asked(body.payment, asked, outcome)
    kept_minor = dispute.provider_fee_minor or 0
    before = (dispute.amount_minor, dispute.fee_minor, kept_minor)
    if before != (asked.amount_minor, asked.fee_minor, asked.provider_fee_minor):
        raise reused()
    replayed = is_replay(outcome)
    dispute = seen_by(principal, dispute)
    return answer(dispute, f"/v1/disputes/{dispute.id}", headers, done=found is not None, replayed=replayed)


async def _paid(services: Services, principal: Principal, named: str) -> Received:
    """The payment that the principal may contest. Raises Problem: what is not the principal's is not there."""
    payment_id = parse_id(PAYMENT, named)
    database = services.database
    paid = await (find_bought(database, named) if payment_id is None else find_received(database, payment_id))
    if paid is None or not await services.access.may_view_any(principal, (paid.payer, paid.payee)):
        raise unknown_payment()
    is_operator = by_scope(principal.scopes, Action.OPERATE)
    if not is_operator and await services.access.denials(principal, [paid.payer], Action.MOVE_MONEY):
        raise denial(Verdict.FORBIDDEN, Action.MOVE_MONEY)
    return paid


def _opening(body: DisputeBody, key: str, paid: Received) -> OpenDispute:
    """Raises Problem."""
    amount_minor = parse_amount(body.amount, paid.currency) if is_given(body.amount) else paid.amount_minor
    fee_minor = parse_limit(body.fee, paid.currency, "/fee")
    kept_minor = _kept(body, paid)
    for minor in (amount_minor, fee_minor, kept_minor):
        if isinstance(minor, FieldError):
            raise field_problem(minor)
    assert isinstance(amount_minor, int)
    assert isinstance(fee_minor, int)
    assert isinstance(kept_minor, int)
    return OpenDispute(
        envelope=Envelope(key_of(f"dispute {paid.payment_id.hex()}", key), description=body.description),
        merchant=paid.payee,
        customer=paid.payer,
        payment_id=paid.payment_id,
        payment_amount_minor=paid.amount_minor,
        amount_minor=amount_minor,
        currency=paid.currency,
        fee_minor=fee_minor,
        is_provisional=body.provisional,
        provider_fee_minor=kept_minor,
    )


def _kept(body: DisputeBody, paid: Received) -> int | FieldError:
    """What the provider keeps: only who has passed the money on keeps anything."""
    kept_minor = parse_limit(body.provider_fee, paid.currency, "/provider_fee")
    if kept_minor and isinstance(kept_minor, int) and not is_system(paid.payer):
        why = "The payment came through no provider that could keep a fee; leave it out."
        return FieldError("/provider_fee", Fault.FIELD_INVALID, why)
    return kept_minor


def _asked(payment: str, asked: OpenDispute, outcome: Outcome) -> Dispute:
    """A dispute that Postgres does not have yet."""
    return Dispute(
        id=format_id(DISPUTE, outcome.operation_id),
        status="received",
        payment_id=payment,
        merchant_account=account_text(asked.merchant),
        customer_account=account_text(asked.customer),
        amount=format_minor(asked.amount_minor, asked.currency),
        amount_minor=asked.amount_minor,
        fee=format_minor(asked.fee_minor, asked.currency),
        fee_minor=asked.fee_minor,
        currency=asked.currency,
        provisional=asked.is_provisional,
        description=asked.envelope.description,
        provider_fee=format_minor(asked.provider_fee_minor, asked.currency) if asked.provider_fee_minor else None,
        provider_fee_minor=asked.provider_fee_minor or None,
    )


async def hand_in(services: Services, call: Call, dispute_id: str) -> Answer:
    """Evidence for the merchant's side."""
    principal, body, key = await read_body(services, call, EvidenceBody)
    evidence_hash = _hash(body)
    merchant, parsed = await _of_merchant(services, call, principal, dispute_id)
    envelope = Envelope(key_of(f"evidence {dispute_id}", key))
    asked = NoteEvidence(envelope=envelope, merchant=merchant, dispute_id=parsed, evidence_hash=evidence_hash)
    return await _stepped(services, call, principal, asked)


async def accept(services: Services, call: Call, dispute_id: str) -> Answer:
    """The merchant does not contest it: lost."""
    principal = await admit_bare(services, call, Scope.PAYMENTS_WRITE)
    key = required_key(call.header(b"idempotency-key"))
    merchant, parsed = await _of_merchant(services, call, principal, dispute_id)
    envelope = Envelope(key_of(f"accept {dispute_id}", key))
    asked = ResolveDispute(envelope=envelope, merchant=merchant, dispute_id=parsed, is_won=False)
    return await _stepped(services, call, principal, asked)


async def resolve(services: Services, call: Call, dispute_id: str) -> Answer:
    """How it ended, as the network says."""
    principal, body, key = await read_body(services, call, ResolutionBody)
    found = await sought(services, call, lambda: known_dispute(services, principal, dispute_id))
    merchant, parsed = _ids(found)
    await services.access.require(principal, merchant, Action.OPERATE)
    envelope = Envelope(key_of(f"resolve {dispute_id}", key))
    is_won = body.outcome == "won"
    asked = ResolveDispute(envelope=envelope, merchant=merchant, dispute_id=parsed, is_won=is_won)
    return await _stepped(services, call, principal, asked)


async def _stepped(
    services: Services, call: Call, principal: Principal, asked: NoteEvidence | ResolveDispute
) -> Answer:
    outcome, headers, done = await taken(services, call, asked)
    dispute = await find_dispute(services.database, asked.dispute_id)
    assert dispute is not None, "a dispute that was there before"
    return step_answer(seen_by(principal, dispute), f"/v1/disputes/{dispute.id}", headers, outcome, done=done)


async def _of_merchant(services: Services, call: Call, principal: Principal, dispute_id: str) -> tuple[bytes, bytes]:
    """Merchant and id of a dispute, where the principal speaks for the merchant, or operates. Raises Problem."""
    merchant, parsed = _ids(await sought(services, call, lambda: known_dispute(services, principal, dispute_id)))
    is_operator = by_scope(principal.scopes, Action.OPERATE)
    if not is_operator and await services.access.denials(principal, [merchant], Action.MOVE_MONEY):
        raise denial(Verdict.FORBIDDEN, Action.MOVE_MONEY)
    return merchant, parsed


async def known_dispute(services: Services, principal: Principal, dispute_id: str) -> Dispute:
    """A dispute of which the principal may look at one side. Raises Problem, DatabaseUnavailable."""
    parsed = parse_id(DISPUTE, dispute_id)
    dispute = await find_dispute(services.database, parsed) if parsed is not None else None
    if dispute is None:
        raise refused(Reason.DISPUTE_NOT_FOUND)
    sides = (parse_id(ACCOUNT, dispute.merchant_account), parse_id(ACCOUNT, dispute.customer_account))
    if not await services.access.may_view_any(principal, [side for side in sides if side is not None]):
        raise refused(Reason.DISPUTE_NOT_FOUND)
    return seen_by(principal, dispute)


def _ids(dispute: Dispute) -> tuple[bytes, bytes]:
    merchant, parsed = parse_id(ACCOUNT, dispute.merchant_account), parse_id(DISPUTE, dispute.id)
    assert merchant is not None
    assert parsed is not None
    return merchant, parsed


def _hash(body: EvidenceBody) -> bytes:
    """Raises Problem."""
    text = body.sha256
    if len(text) != _HASH_CHARS or not set(text) <= set("0123456789abcdef"):
        raise field_problem(FieldError("/sha256", Fault.FIELD_INVALID, "Send 64 hexadecimal digits, in lower case."))
    return bytes.fromhex(text)

"""Payouts: a seller's money to the seller's bank account, through a provider. Decided at the account's partition.

Guarantees: who pays out for himself does so to a bank account that was verified; a token of a provider is taken from
services alone, which have seen to that at the provider.
"""

from dataclasses import replace

from ingest_api.account_changes.asking import is_replay
from ingest_api.commerce.bodies import BODY_BYTES_MAX, PayoutBody, decoded, provider_fault
from ingest_api.commerce.reads import find_payout
from ingest_api.commerce.shown import PayoutState, money
from ingest_api.external_banks.asking import is_bank_account, over, verified
from ingest_api.http.bodies import description_fault, parse_account, parse_amount
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import required_key
from ingest_api.http.resources import account_text
from ingest_api.http.serving import JSON_MEDIA, admit
from ingest_api.identity.second_factor.step_up import require_for_money_out
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import answer, ask, refusal, require_taken, required, reused
from ingest_api.owners.rights import Action, by_scope
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.decisions import find_refusal
from ingest_api.reads.payments import unknown_payment
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.submission import Outcome
from payments.commerce.bank_accounts import BankAccount
from payments.entries import EntryKind
from payments.identifiers import PAYMENT, format_id, parse_id
from payments.lifecycle import PaymentStatus
from payments.movements.instructions import Envelope, PayOut
from payments.rejections import Reason
from payments.terms.providers import BANK


async def pay_out(services: Services, call: Call) -> Answer:
    """Reserve the amount and have the provider pay it out."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: PayoutBody = decoded(PayoutBody, await call.body(BODY_BYTES_MAX))
    asked = _instruction(body, required_key(call.header(b"idempotency-key")))
    await services.access.require(principal, asked.account, Action.MOVE_MONEY)
    await require_for_money_out(services, principal, asked.amount_minor, asked.currency)
    asked = await _to_verified(services, principal, asked)
    (outcome,), headers = await ask(services, call, [asked])
    await require_taken(services, outcome, headers)
    return await _answered(services, asked, outcome, headers)


def _instruction(body: PayoutBody, key: str) -> PayOut:
    """Raises Problem."""
    account = parse_account(body.account, "/account")
    if isinstance(account, FieldError):
        raise field_problem(account)
    amount_minor = parse_amount(body.amount, body.currency)
    if isinstance(amount_minor, FieldError):
        raise field_problem(amount_minor)
    required(provider_fault(body.provider, body.destination) or description_fault(body.description))
    return PayOut(
        envelope=Envelope(key, description=body.description),
        account=account,
        provider=body.provider,
        token=body.destination,
        amount_minor=amount_minor,
        currency=body.currency,
    )


async def _to_verified(services: Services, principal: Principal, asked: PayOut) -> PayOut:
    """Over its bank where a linked bank account is named. Raises Problem."""
    if is_bank_account(asked.token):
        linked = await verified(services, principal, asked.token)
        return replace(asked, provider=BANK, token=BankAccount(over(linked, None), linked.id).token)
    if not by_scope(principal.scopes, Action.MOVE_MONEY):
        detail = "Name a verified bank account of yours (bnk_…): a provider's token is taken from services alone."
        raise Problem(Fault.BANK_ACCOUNT_UNVERIFIED, detail)
    return asked


async def _answered(services: Services, asked: PayOut, outcome: Outcome, headers: dict[str, str]) -> Answer:
    replayed = is_replay(outcome)
    decision = await look_until(0, lambda: find_refusal(services.database, outcome.operation_id), bool)
    found = await look_until(
        outcome.deadline,
        lambda: find_payout(services.database, outcome.operation_id),
        lambda payout: payout[1].final,
    )
    if found is None and replayed and decision is not None:  # a payout is shown with its decision: this was none
        raise reused()
    payout = found[1] if found is not None else _asked(asked, outcome)
    if (payout.amount_minor, payout.currency) != (asked.amount_minor, asked.currency):
        raise reused()
    if payout.reason is not None:
        raise refusal(Reason(payout.reason), headers, replayed=replayed)
    return answer(payout, f"/v1/payouts/{payout.id}", headers, done=payout.final, replayed=replayed)


def _asked(asked: PayOut, outcome: Outcome) -> PayoutState:
    """A payout that Postgres does not have yet, as its reply tells it."""
    posted = outcome.reply is not None and outcome.reply.kind is EntryKind.JOURNAL_POSTED
    return PayoutState(
        id=format_id(PAYMENT, outcome.operation_id),
        account=account_text(asked.account),
        status=PaymentStatus.POSTED if posted else PaymentStatus.RECEIVED,
        final=posted,
        provider=asked.provider,
        **money(asked.amount_minor, asked.currency),
    )


async def find_paid_out(services: Services, principal: Principal, payout_id: str) -> PayoutState:
    """A payout as Postgres shows it. Raises Problem."""
    parsed = parse_id(PAYMENT, payout_id)
    found = await find_payout(services.database, parsed) if parsed is not None else None
    if found is None:
        raise unknown_payment()
    account, payout = found
    await _require_view(services, principal, account)
    return payout


async def _require_view(services: Services, principal: Principal, account: bytes) -> None:
    """What is not the principal's is not there."""
    try:
        await services.access.require(principal, account, Action.VIEW)
    except Problem:
        raise unknown_payment() from None

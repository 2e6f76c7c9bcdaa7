"""Whose is a linked bank account? Its bank says so at once, of a code that it has given to the holder. Or two small
amounts are sent to it, and whoever tells them sees what comes in there.

The amounts are real payouts over the bank (small_amounts); the bank is asked by the connectors (verifications).
Guarantees: amounts are sent once per link, however often it is asked; three tries, each counted before it is compared;
of two users who link one bank account the first to prove it has it.
"""

import time

import msgspec

from ingest_api.aliases.register import Alias
from ingest_api.http.bodies import decoded, parse_amount, text_fault
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import DEFAULT_WAIT_S, preferred_wait_s
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Scope
from ingest_api.instructions.asking import ask, require_taken
from ingest_api.people.finding import own_user
from ingest_api.people.linked import EXPIRES_AFTER, TRIES_MAX, LinkedBankAccount, LinkStatus, VerifiedBy
from ingest_api.people.linking import holder_of, own_linked, refused_link, unknown_bank_account
from ingest_api.people.shown import TEXT_CHARS_MAX, VerificationBody, shown_bank_account
from ingest_api.people.small_amounts import opening
from ingest_api.problems import Fault, FieldError, Problem, field_problem, retry_later
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.submission import record_headers
from ingest_api.transfers import encoded_headers
from runtime.personal_data.store import Refusal
from schemas.tables.bank_verifications import Finding, ToldBank

_OPENING_S = 5
_AGAIN_S = 5
_FOUND = {
    Finding.NO_MATCH: "The bank has the account in another name.",
    Finding.UNKNOWN: "The bank does not say whose account it is. Have the two amounts sent: {}.",
    Finding.REFUSED: "The bank does not know this code, or it was used.",
}
_OVER = {
    LinkStatus.FAILED: f"{TRIES_MAX} tries were wrong. Unlink the bank account and link it again.",
    LinkStatus.EXPIRED: f"{EXPIRES_AFTER.days} days have passed. Unlink the bank account and link it again.",
    LinkStatus.UNLINKED: "The bank account is unlinked.",
}


async def verify(services: Services, call: Call, user_id: str, bank_account_id: str) -> Answer:
    """Send the amounts, or compare those that are told."""
    principal = admit(services, call, Scope.USERS_WRITE, JSON_MEDIA, 1)
    body: VerificationBody = decoded(VerificationBody, await call.body(BODY_BYTES_MAX))
    user = await own_user(services, principal, user_id)
    linked = await own_linked(services, principal, bank_account_id)
    if linked.user != user.user:
        raise unknown_bank_account()
    if linked.status is LinkStatus.VERIFIED:
        return Answer(200, encode(shown_bank_account(linked)))
    if body.code is not None and linked.status in {LinkStatus.PENDING, LinkStatus.FAILED}:
        return await _asked_of_bank(services, call, linked, body.code)
    if linked.status in _OVER:
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, _OVER[linked.status])
    if body.amounts is None:
        return await _sent(services, call, linked)
    return await _compared(services, linked, body.amounts)


async def _asked_of_bank(services: Services, call: Call, linked: LinkedBankAccount, code: str) -> Answer:
    bank = _bank_of(linked)
    if services.settings.banks == "off":
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, "Banks are not asked here. Have the two amounts sent: {}.")
    fault = text_fault(code, TEXT_CHARS_MAX, "/code")
    if fault is not None or not code:
        raise field_problem(fault or FieldError("/code", Fault.FIELD_INVALID, "Send the code that the bank gave."))
    told = ToldBank(await holder_of(services, linked), code)
    question = await services.people.verifications.ask(linked, bank, told)
    if question is None:
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, _OVER[LinkStatus.FAILED])
    if isinstance(question, Refusal):
        raise refused_link(question)
    asked_s = preferred_wait_s(call.header(b"prefer"))
    deadline = time.monotonic() + (DEFAULT_WAIT_S if asked_s is None else asked_s)
    finding = await look_until(
        deadline, lambda: services.people.verifications.finding(linked, question), lambda _: True
    )
    return await _answered(services, linked, question, finding)


async def _answered(services: Services, linked: LinkedBankAccount, question: bytes, finding: Finding | None) -> Answer:
    if finding is None:
        return Answer(202, encode(shown_bank_account(linked)))
    if finding is Finding.UNANSWERED:
        await services.people.verifications.give_back(linked, question)
        raise retry_later(Fault.BANK_UNAVAILABLE, "The bank does not answer. Send the same code again.", _AGAIN_S)
    if finding is not Finding.MATCH:
        raise await _not_proved(services, linked, _FOUND[finding])
    return await _proved(services, linked, VerifiedBy.BANK)


def _bank_of(linked: LinkedBankAccount) -> bytes:
    if linked.told.bank is None:
        detail = "No registered bank reaches this account. Link it with externalBankId, or ask an operator."
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, detail)
    return linked.told.bank


async def _sent(services: Services, call: Call, linked: LinkedBankAccount) -> Answer:
    bank = _bank_of(linked)
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    await services.submission.submit(opening(linked.currency), _OPENING_S, headers)
    payouts = services.people.small_amounts.payouts(linked.id, bank, linked.currency)
    outcomes, answered = await ask(services, call, payouts)
    for outcome in outcomes:
        await require_taken(services, outcome, answered)
    await services.people.linked.deposits_sent(linked.id)
    return Answer(202, encode(shown_bank_account(linked)), encoded_headers(answered))


async def _compared(services: Services, linked: LinkedBankAccount, told: tuple[str, ...]) -> Answer:
    given = tuple(_minor(text, at, linked.currency) for at, text in enumerate(told))
    if linked.deposits_sent_at is None:
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, "Nothing was sent yet. Ask for it with an empty object.")
    if not await services.people.linked.take_try(linked.id):
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, _OVER[LinkStatus.FAILED])
    if not services.people.small_amounts.are(linked.id, given):
        raise await _not_proved(services, linked, "These are not the amounts.")
    return await _proved(services, linked, VerifiedBy.MICRO_DEPOSITS)


async def _not_proved(services: Services, linked: LinkedBankAccount, why: str) -> Problem:
    now = await services.people.linked.find(linked.id)
    left = max(0, TRIES_MAX - (now or linked).tries)
    return Problem(Fault.BANK_ACCOUNT_VERIFICATION, f"{why} Tries left: {left}.")


async def _proved(services: Services, linked: LinkedBankAccount, by: VerifiedBy) -> Answer:
    proved = await services.aliases.register.prove(linked.id)
    if proved is None:
        raise unknown_bank_account()
    if not isinstance(proved, Alias):
        raise refused_link(proved)
    await services.people.linked.verified(linked.id, by)
    return Answer(200, encode(shown_bank_account(linked._replace(status=LinkStatus.VERIFIED))))


def _minor(text: str, at: int, currency: str) -> int:
    amount = parse_amount(msgspec.Raw(msgspec.json.encode(text)), currency, f"/amounts/{at}")
    if isinstance(amount, FieldError):
        raise field_problem(amount)
    return amount

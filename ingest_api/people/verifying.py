"""Whose is a linked bank account? Two small amounts are sent to it, and whoever tells them sees what comes in there.

The amounts are real payouts over the bank (small_amounts). Guarantees: they are sent once per link, however often it is
asked; three tries, each counted before it is compared; of two users who link one bank account the first to prove it has
it.
"""

import msgspec

from ingest_api.aliases.register import Alias
from ingest_api.http.bodies import parse_amount
from ingest_api.http.call import Answer, Call
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Scope
from ingest_api.instructions.asking import ask, require_taken
from ingest_api.people.finding import own_user
from ingest_api.people.linked import EXPIRES_AFTER, TRIES_MAX, LinkedBankAccount, LinkStatus
from ingest_api.people.linking import own_linked, refused_link, unknown_bank_account
from ingest_api.people.shown import VerificationBody, shown_bank_account
from ingest_api.people.small_amounts import opening
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.services import Services
from ingest_api.submission import record_headers
from ingest_api.transfers import decoded, encoded_headers

_OPENING_S = 5
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
    if linked.status in _OVER:
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, _OVER[linked.status])
    if body.amounts is None:
        return await _sent(services, call, linked)
    return await _compared(services, linked, body.amounts)


async def _sent(services: Services, call: Call, linked: LinkedBankAccount) -> Answer:
    if linked.told.bank is None:
        detail = "No registered bank reaches this account. Link it with externalBankId, or ask an operator."
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, detail)
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    await services.submission.submit(opening(linked.currency), _OPENING_S, headers)
    payouts = services.people.small_amounts.payouts(linked.id, linked.told.bank, linked.currency)
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
        left = TRIES_MAX - linked.tries - 1
        raise Problem(Fault.BANK_ACCOUNT_VERIFICATION, f"These are not the amounts. Tries left: {max(0, left)}.")
    proved = await services.aliases.register.prove(linked.id)
    if proved is None:
        raise unknown_bank_account()
    if not isinstance(proved, Alias):
        raise refused_link(proved)
    await services.people.linked.verified(linked.id)
    return Answer(200, encode(shown_bank_account(linked._replace(status=LinkStatus.VERIFIED))))


def _minor(text: str, at: int, currency: str) -> int:
    amount = parse_amount(msgspec.Raw(msgspec.json.encode(text)), currency, f"/amounts/{at}")
    if isinstance(amount, FieldError):
        raise field_problem(amount)
    return amount

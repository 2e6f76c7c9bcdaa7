"""Registered banks as one provider: money sent to (payout) or collected from (charge) an account at a bank.

Reads the register and calls the banks. Guarantees: the request's idempotency key on every POST, the request id as the
bank's reference of what it makes, and no number of an account in a log, an answer or a result.
"""

import asyncio
import logging
from typing import Any, Final, Self

from connectors.banks.calls import BankAnswer, BankCalls, Unanswered, path_of
from connectors.banks.register import Bank, Question, Register, RegisterUnavailable
from connectors.contract import Answer, failed, unanswered, without_trace
from payments.commerce.bank_accounts import BankAccount
from payments.identifiers import EXTERNAL_BANK, format_id, parse_id
from payments.money import format_minor
from payments.terms.providers import BANK
from runtime.personal_data.keyring import KeyringFault
from runtime.personal_data.sealing import Tampered
from runtime.settings import Settings
from schemas.codec.connectors import ConnectorOperation, ConnectorRequest, Decline, Outcome
from schemas.tables.bank_verifications import Finding

log = logging.getLogger("millrace.connectors")

_HOUR_US: Final = 3_600_000_000
_BETWEEN: Final = "/"
"""A reference names the bank and, behind this, the bank's own id of the transfer."""

_OUTCOMES: Final = {"settled": Outcome.SUCCEEDED, "pending": Outcome.PENDING, "rejected": Outcome.FAILED}
_DECLINES: Final = {
    "insufficient_funds": Decline.INSUFFICIENT_FUNDS,
    "account_unknown": Decline.REFERENCE_UNKNOWN,
    "account_closed": Decline.REFERENCE_UNKNOWN,
    "limit_exceeded": Decline.LIMIT_EXCEEDED,
    "fraud_suspected": Decline.FRAUD_SUSPECTED,
    "amount_exceeded": Decline.AMOUNT_EXCEEDED,
    "amount_unsupported": Decline.AMOUNT_UNSUPPORTED,
}
"""The bank's reasons. Any other one is a refused request."""

_REFUSED: Final = frozenset({400, 422})
"""Statuses that say of this very request that nothing was and will be done for its key."""

_CODE_CHARS_MAX: Final = 64

VERIFICATION_S: Final = 10.0
"""A person waits for it."""


class RestBanks:
    """Every bank that is registered. Beside ProviderRefusesUs every call raises KeyringFault: the next start reads the
    keys again.
    """

    name = BANK
    key_lifetime_us = 23 * _HOUR_US
    """The protocol asks for 24 h. An hour for clocks that differ and a call that lasts."""

    lookup_lag_us = _HOUR_US
    """The protocol asks for a list that is never behind. An hour for one that is, and the last call's own time."""

    def __init__(self, register: Register, calls: BankCalls) -> None:
        self._register = register
        self._calls = calls

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises KeyringFault."""
        return cls(Register.of(settings), BankCalls.of(settings))

    async def authorise(self, _: ConnectorRequest) -> Answer:
        return _not_offered()

    async def capture(self, _: ConnectorRequest) -> Answer:
        return _not_offered()

    async def void(self, _: ConnectorRequest) -> Answer:
        return _not_offered()

    async def charge(self, request: ConnectorRequest) -> Answer:
        """Collect from the account."""
        return await self._moved(request, "debit")

    async def payout(self, request: ConnectorRequest) -> Answer:
        """Send to the account."""
        return await self._moved(request, "credit")

    async def refund(self, request: ConnectorRequest) -> Answer:
        """Return part or all of what was collected."""
        bank_text, _, transfer = request.provider_reference.partition(_BETWEEN)
        return await self._posted(request, bank_text, path_of("transfers", transfer, "returns"), {})

    async def inquire(self, request: ConnectorRequest) -> Answer:
        named = request.operation is ConnectorOperation.INQUIRE and request.provider_reference
        found = BankAccount.of(request.token)
        reference = request.provider_reference or (format_id(EXTERNAL_BANK, found.bank) if found else "")
        bank_text, _, transfer = reference.partition(_BETWEEN)
        try:
            bank = await self._bank(bank_text)
            if named:
                return _understood(bank_text, await self._calls.get(bank, path_of("transfers", transfer)))
            asked = await self._calls.get(bank, "/transfers", reference=request.request_id.hex())
        except (Unanswered, RegisterUnavailable, Tampered) as why:
            return unanswered(_word(why))
        listed = asked.body.get("transfers")
        if asked.status != 200 or not isinstance(listed, list):
            return unanswered(f"status_{asked.status}")
        return _understood(bank_text, BankAnswer(200, listed[0])) if listed else without_trace()

    async def verify(self, question: Question) -> None:
        """Find out whether the holder of the account has this name and was given this code, and tell the API. Raises
        RegisterUnavailable.
        """
        try:
            async with asyncio.timeout(VERIFICATION_S):
                finding = await self._finding(question)
        except TimeoutError:
            finding = Finding.UNANSWERED
        await self._register.answered(question, finding)

    async def _finding(self, question: Question) -> Finding:
        try:
            number, told = await self._register.number(question.account), await self._register.told(question)
            bank = await self._register.bank(question.bank)
            if number is None or told is None or bank is None:
                return Finding.UNANSWERED
            body = {"account": _account(number.reveal()), "holder": told.holder, "code": told.code}
            answer = await self._calls.post(bank, path_of("accounts", "verify"), body, question.id.hex())
        except (Unanswered, RegisterUnavailable, Tampered, KeyringFault) as why:
            log.warning("verification %s: unanswered (%s)", question.id.hex(), type(why).__name__)
            return Finding.UNANSWERED
        if answer.status in _REFUSED:
            return Finding.REFUSED
        known = answer.status in {200, 201} and answer.body.get("result") in {"match", "no_match", "unknown"}
        return Finding(answer.body["result"]) if known else Finding.UNANSWERED

    async def close(self) -> None:
        await self._calls.close()
        await self._register.close()

    async def _moved(self, request: ConnectorRequest, direction: str) -> Answer:
        asked = BankAccount.of(request.token)
        if asked is None:
            return failed(Decline.REFERENCE_UNKNOWN, "token")
        try:
            number = await self._register.number(asked.account)
        except (RegisterUnavailable, Tampered) as why:
            return unanswered(_word(why))
        if number is None:  # it may have been sent before the account was unlinked
            return unanswered("unlinked", Decline.REFERENCE_UNKNOWN)
        body = {"direction": direction, "account": _account(number.reveal())}
        return await self._posted(request, format_id(EXTERNAL_BANK, asked.bank), "/transfers", body)

    async def _posted(self, request: ConnectorRequest, bank_text: str, path: str, body: dict[str, Any]) -> Answer:
        amount = format_minor(request.amount_minor, request.currency)
        stated = {"reference": request.request_id.hex(), "amount": amount, "currency": request.currency}
        try:
            bank = await self._bank(bank_text)
            answer = await self._calls.post(bank, path, stated | body, request.idempotency_key)
        except (Unanswered, RegisterUnavailable, Tampered) as why:
            return unanswered(_word(why))
        return _understood(bank_text, answer)

    async def _bank(self, text: str) -> Bank:
        found = parse_id(EXTERNAL_BANK, text)
        bank = await self._register.bank(found) if found is not None else None
        if bank is None:
            raise Unanswered("bank_unknown")
        return bank


def _not_offered() -> Answer:
    return failed(Decline.REQUEST_REFUSED, "not_offered")


def _word(why: Exception) -> str:
    """Of one account or bank alone: the requests of all others go on."""
    if isinstance(why, Tampered):
        log.error("ALARM the register of banks: %s", why)
        return "register_tampered"
    return str(why) if isinstance(why, Unanswered) else "register_unavailable"


def _account(number: str) -> dict[str, str]:
    """As banks take it: an IBAN, or an ABA routing number and an account number."""
    routing, slash, account = number.partition("/")
    compact = "".join(character for character in number if character.isalnum()).upper()
    return {"routing_number": routing, "account_number": account} if slash else {"iban": compact}


def _understood(bank_text: str, answer: BankAnswer) -> Answer:
    """What a bank says of a transfer. Whatever does not surely say that nothing moved is unknown."""
    code = answer.body.get("error")
    if answer.status in _REFUSED and isinstance(code, str) and code != "idempotency_key_reused":
        return failed(_DECLINES.get(code, Decline.REQUEST_REFUSED), _code(code))
    outcome = _OUTCOMES.get(str(answer.body.get("status")))
    transfer = answer.body.get("id")
    if answer.status not in {200, 201} or outcome is None or not isinstance(transfer, str):
        return unanswered(f"status_{answer.status}")
    reference = f"{bank_text}{_BETWEEN}{transfer}"
    if outcome is not Outcome.FAILED:
        return Answer(outcome, reference)
    reason = str(answer.body.get("reason"))
    return failed(_DECLINES.get(reason, Decline.REQUEST_REFUSED), _code(reason), reference)


def _code(text: str) -> str:
    """The bank's word, as far as it is one: it is kept for ever."""
    return "".join(character for character in text if character.isascii() and character.isprintable())[:_CODE_CHARS_MAX]

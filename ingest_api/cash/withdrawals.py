"""Withdrawals that come back: the method's network returns what was paid out, and the account has it again.

A return is a journal, Dr the clearing account of the method, Cr the account, for what had reached the method: a fee of
the withdrawal was earned, and stays where it is. Its key is made of the withdrawal, so it is posted once, by whomever
and however often it is told. One that was refused (an account that is closed, or frozen) may be told again.
"""

from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.account_changes.changing import key_of
from ingest_api.cash.bodies import ReturnBody
from ingest_api.cash.shown import Withdrawal, shown_withdrawal
from ingest_api.http.bodies import decoded, text_fault
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import required_key
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import REPLAYED, ask, refusal, require_taken, sought, step_answer
from ingest_api.journals.reads import FoundJournal, find_journal
from ingest_api.owners.rights import Action
from ingest_api.problems import field_problem, refused
from ingest_api.reads.payments import unknown_payment
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.submission import Outcome
from ingest_api.transfers import encoded_headers
from payments.entries import EntryKind
from payments.identifiers import PAYMENT, derive_operation_id, format_id, is_system, parse_id
from payments.items.details import Posting
from payments.movements.instructions import Envelope, PostJournal
from payments.rejections import Reason
from payments.terms.methods import METHOD_OF, TERMS
from schemas.codec.instructions import MAX_CODE_CHARS
from schemas.partitioning import shard_of

_WITHDRAWAL: Final = f"""
SELECT payment_id, payer, payee, amount_minor, currency, description, posted_at FROM payments
WHERE payment_id = %s AND state = {EntryKind.POSTED:d}"""


class Found(NamedTuple):
    """A withdrawal, what was posted of it, and the newest return of it: that which stands, or the key of the next."""

    row: dict[str, Any]
    legs: tuple[Posting, ...]
    return_key: str
    return_id: bytes
    back: FoundJournal | None

    @property
    def account(self) -> bytes:
        account: bytes = self.row["payer"].bytes
        return account

    @property
    def paid_out(self) -> Posting:
        """What reached the method."""
        clearing: bytes = self.row["payee"].bytes
        return next(leg for leg in self.legs if leg.account == clearing)

    @property
    def shown(self) -> Withdrawal:
        return shown_withdrawal(self.row, self.paid_out.amount_minor, self.return_id, self.back)


async def find_withdrawal(services: Services, principal: Principal, withdrawal_id: str) -> Withdrawal:
    """One from an account that the principal may look at. Raises Problem, DatabaseUnavailable."""
    return (await _found(services, principal, withdrawal_id, Action.VIEW)).shown


async def take_back(services: Services, call: Call, withdrawal_id: str) -> Answer:
    """The network has returned it: the account has again what was sent."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: ReturnBody = decoded(ReturnBody, await call.body(BODY_BYTES_MAX))
    required_key(call.header(b"idempotency-key"))
    fault = text_fault(body.code, MAX_CODE_CHARS, "/code")
    if fault is not None:
        raise field_problem(fault)
    found = await sought(services, call, lambda: _found(services, principal, withdrawal_id, Action.OPERATE))
    reason = _refusal(found, body.code)
    if reason is not None:
        raise refused(reason)
    if found.back is not None and found.back.is_final:
        return Answer(200, encode(found.shown), encoded_headers(REPLAYED))
    (outcome,), headers = await ask(services, call, [_return(found, body.code)])
    await require_taken(services, outcome, headers)
    back = await _posted(services, outcome)
    if back is not None and back.refusal is not Reason.NONE:
        raise refusal(back.refusal, headers, replayed=False)
    shown = found._replace(back=back).shown
    return step_answer(
        shown, f"/v1/withdrawals/{withdrawal_id}", headers, outcome, done=back is not None and back.is_final
    )


def _refusal(found: Found, code: str) -> Reason | None:
    method = METHOD_OF[found.row["payee"].bytes]
    if TERMS[method].return_codes.fullmatch(code) is None:
        return Reason.RETURN_CODE_UNKNOWN
    return Reason.REFUND_EXCEEDS_PAYMENT if found.back is not None and found.back.reason != code else None


def _legs(found: Found) -> tuple[Posting, ...]:
    clearing, amount_minor, currency = found.paid_out
    return Posting(found.account, amount_minor, currency), Posting(clearing, -amount_minor, currency)


def _return(found: Found, code: str) -> PostJournal:
    description = f"return of {format_id(PAYMENT, found.row['payment_id'].bytes)}"
    return PostJournal(envelope=Envelope(found.return_key, description=description), legs=_legs(found), code=code)


async def _posted(services: Services, outcome: Outcome) -> FoundJournal | None:
    return await look_until(
        outcome.deadline,
        lambda: find_journal(services.database, outcome.operation_id),
        lambda journal: journal.is_final,
    )


async def _found(services: Services, principal: Principal, withdrawal_id: str, action: Action) -> Found:
    """What is not the principal's is not there. Raises Problem, DatabaseUnavailable."""
    parsed = parse_id(PAYMENT, withdrawal_id)
    row = await services.database.row(_WITHDRAWAL, (UUID(bytes=parsed),)) if parsed is not None else None
    if row is None or is_system(row["payer"].bytes) or row["payee"].bytes not in METHOD_OF:
        raise unknown_payment()
    account: bytes = row["payer"].bytes
    if await services.access.denials(principal, [account], Action.VIEW):
        raise unknown_payment()
    await services.access.require(principal, account, action)
    posted = await find_journal(services.database, row["payment_id"].bytes)
    assert posted is not None, "a payment that is posted has its journal entry"
    return Found(row, posted.legs, *await _newest_return(services, row))


async def _newest_return(services: Services, row: dict[str, Any]) -> tuple[str, bytes, FoundJournal | None]:
    """Key and id of the first return that was not refused, and the journal where there is one."""
    account: bytes = row["payer"].bytes
    shard = shard_of(account, services.settings.shards)
    number = 0
    while True:
        key = key_of(f"return {format_id(PAYMENT, row['payment_id'].bytes)}", str(number))
        journal_id = derive_operation_id(account, key, shard)
        journal = await find_journal(services.database, journal_id)
        if journal is None or journal.refusal is Reason.NONE:
            return key, journal_id, journal
        number += 1

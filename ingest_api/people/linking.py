"""Linked bank accounts over HTTP: link, look, unlink.

The link is an alias of kind `bank_account`; it is `pending`, and no money leaves to it, until somebody has seen that it
is the user's. Guarantees: the number lies sealed and goes out masked; a repeat with the same key is the same link; the
holder is screened before anything can be sent.
"""

import os
import time
from datetime import datetime

from ingest_api.aliases.parties import USER, AliasName
from ingest_api.aliases.pins import request_digest
from ingest_api.aliases.register import Misfit, Registration
from ingest_api.audit_log.witness import Witness
from ingest_api.http.advice import ADVICE
from ingest_api.http.bodies import decoded, parse_account, text_fault
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import idempotency_key
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, take_tokens
from ingest_api.identity.caller import witness_of
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.identity.users.user import Field
from ingest_api.owners.access import require_user
from ingest_api.owners.rights import Action, by_scope, user_of
from ingest_api.people.finding import default_of, own_user
from ingest_api.people.linked import LINKED_MAX, BankTold, LinkedBankAccount, LinkStatus
from ingest_api.people.numbers import bank_number
from ingest_api.people.shown import (
    TEXT_CHARS_MAX,
    BankAccountList,
    BankDetails,
    shown_bank_account,
    shown_bank_accounts,
)
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.accounts import find_account
from ingest_api.services import Services
from payments.identifiers import ALIAS, BANK_ACCOUNT, EXTERNAL_BANK, format_id, parse_id, uuid7
from payments.rejections import Reason
from payments.screening.names import NAME_CHARACTERS_MAX, Schema
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.store import Refusal
from screening.parties import Party


async def link(services: Services, call: Call, user_id: str) -> Answer:
    """Link a bank account to a user."""
    principal = admit(services, call, Scope.USERS_WRITE, JSON_MEDIA, 1)
    body: BankDetails = decoded(BankDetails, await call.body(BODY_BYTES_MAX))
    user = await own_user(services, principal, user_id)
    linked, is_new = await link_told(services, call, principal, user.user, body)
    return Answer(201 if is_new else 200, encode(shown_bank_account(linked)))


async def link_told(
    services: Services, call: Call, principal: Principal, user: bytes, body: BankDetails
) -> tuple[LinkedBankAccount, bool]:
    """The link as it stands, and whether it is a new one. Raises Problem."""
    number = bank_number(body.number, body.bank_routing_number)
    if isinstance(number, FieldError):
        raise field_problem(number)
    told = await _bank_told(services, body)
    account, currency = await _account(services, principal, user, body.account_id)
    if len(await services.people.linked.of_user(user)) >= LINKED_MAX:
        raise field_problem(
            FieldError("", Fault.FIELD_INVALID, f"At most {LINKED_MAX} bank accounts. Unlink one first.")
        )
    holder = await _holder(services, user, body.holder_name)
    digest = await services.aliases.digest(AliasName(Identifier.BANK_ACCOUNT, number), "/bankAccountNumber")
    key = idempotency_key(call.header(b"idempotency-key"))
    id_ = request_digest(b"bank account", principal.subject, key)[:16] if key else _fresh_id()
    asked = Registration(id_, user, Identifier.BANK_ACCOUNT, number, digest, account, currency, False)
    linked, is_new = await _registered(services, asked, told, witness_of(services, call, principal))
    if holder:
        party = Party(format_id(ALIAS, linked.id), user, Schema.PERSON)
        await services.screening.name(party, [holder], principal.subject)
    return linked, is_new


async def _registered(
    services: Services, asked: Registration, told: BankTold, witness: Witness
) -> tuple[LinkedBankAccount, bool]:
    registered = await services.aliases.register.register(asked, witness.actor or "")
    if isinstance(registered, Misfit):
        raise Problem(Fault.ROLE_INSUFFICIENT, "The user is neither owner nor co-owner of this account.")
    if isinstance(registered, Refusal):
        raise refused_link(registered)
    alias = registered.alias
    if (alias.digest, alias.account, alias.subject) != (asked.digest, asked.account, asked.subject):
        raise Problem(Reason.IDEMPOTENCY_KEY_REUSED, ADVICE[Reason.IDEMPOTENCY_KEY_REUSED])
    await services.people.linked.tell(alias.alias, asked.subject, told, witness)
    linked = await services.people.linked.find(alias.alias)
    assert linked is not None  # registered just now
    return linked, not registered.replayed


def refused_link(refusal: Refusal) -> Problem:
    """Why a number can't be this user's."""
    if refusal is Refusal.TAKEN:
        return Problem(Fault.ALIAS_TAKEN, "Another user has proved that this bank account is theirs.")
    return Problem(Fault.USER_ERASED, "Nothing is stored about a user who was erased.")


async def _bank_told(services: Services, body: BankDetails) -> BankTold:
    """What is told of the bank; without `externalBankId` it is the registered one of that name, if there is one."""
    texts = {"/bankName": body.bank_name, "/bankPhoneNumber": body.bank_phone_number, "/bankEmail": body.bank_email}
    for pointer, text in texts.items():
        fault = text_fault(text, TEXT_CHARS_MAX, pointer)
        if fault is not None:
            raise field_problem(fault)
    bank = None
    if body.external_bank_id:
        bank = parse_id(EXTERNAL_BANK, body.external_bank_id)
        if bank is None or await services.people.banks.find(bank) is None:
            raise field_problem(FieldError("/externalBankId", Fault.FIELD_INVALID, "No bank is registered by this id."))
    else:
        named = [one for one in await services.people.banks.banks() if one.name.casefold() == body.bank_name.casefold()]
        bank = named[0].bank if named else None
    return BankTold(bank, body.bank_name, body.bank_phone_number, body.bank_email)


async def _account(services: Services, principal: Principal, user: bytes, told: str) -> tuple[bytes, str]:
    """The account of ours that goes with the bank account, and its currency. Raises Problem."""
    if told:
        account = parse_account(told, "/accountId")
        if isinstance(account, FieldError):
            raise field_problem(account)
        await services.access.require(principal, account, Action.MOVE_MONEY)
        return account, (await find_account(services.database, account)).currency
    default = await default_of(services, user)
    if default is None:
        detail = "The user has no account yet. Open one with POST /v1/accounts, or send accountId."
        raise field_problem(FieldError("/accountId", Fault.FIELD_MISSING, detail))
    return default.account.bytes, default.currency


async def _holder(services: Services, user: bytes, told: str) -> str:
    """Whose bank account it is said to be: the user, unless another name is told. Raises Problem."""
    fault = text_fault(told, NAME_CHARACTERS_MAX, "/holderName")
    if fault is not None:
        raise field_problem(fault)
    if told:
        return told
    named = await services.screening.names(Party(format_id(USER, user), user, Schema.PERSON))
    own = (await services.identity.users.values(user, Field.NAME)).get(Field.NAME)
    name = named[0] if named else own.reveal() if own is not None else ""
    if not name and services.settings.screening_names_needed:
        raise field_problem(FieldError("/holderName", Fault.NAMES_NEEDED, "Send the name of the account's holder."))
    return name


async def holder_of(services: Services, linked: LinkedBankAccount) -> str:
    """Who was named as the holder when it was linked. Raises Problem where nobody was."""
    named = await services.screening.names(Party(format_id(ALIAS, linked.id), linked.user, Schema.PERSON))
    if not named:
        raise Problem(Fault.NAMES_NEEDED, "Link the bank account again, with holderName.")
    return named[0]


def _fresh_id() -> bytes:
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


async def list_linked(
    services: Services, principal: Principal, user: bytes, since: datetime | None, until: datetime | None
) -> BankAccountList:
    """A user's bank accounts that were linked between two times. Raises Problem."""
    require_user(principal, user)
    return shown_bank_accounts(user, await services.people.linked.of_user(user, since, until))


async def unlink(services: Services, call: Call, user_id: str | None, bank_account_id: str) -> Answer:
    """End a link. Without a user id the bank account's own user is meant."""
    principal = services.tokens.principal(call.header(b"authorization"), Scope.USERS_WRITE)
    take_tokens(services, principal, 1)
    user = (await own_user(services, principal, user_id)).user if user_id is not None else None
    return Answer(200, encode(shown_bank_account(await unlink_named(services, call, principal, user, bank_account_id))))


async def unlink_named(
    services: Services, call: Call, principal: Principal, user: bytes | None, bank_account_id: str
) -> LinkedBankAccount:
    """The link, ended. Raises Problem 404 where it is none of the caller's."""
    linked = await own_linked(services, principal, bank_account_id)
    if user is not None and linked.user != user:
        raise unknown_bank_account()
    await services.aliases.register.end(linked.id, principal.subject, witness_of(services, call, principal))
    return linked._replace(status=LinkStatus.UNLINKED, number=None)


async def own_linked(services: Services, principal: Principal, bank_account_id: str) -> LinkedBankAccount:
    """A link of the caller's, or any one for a service that pays for everybody. Raises Problem 404."""
    id_ = parse_id(BANK_ACCOUNT, bank_account_id)
    linked = await services.people.linked.find(id_) if id_ is not None else None
    allowed = linked is not None and (
        linked.user == user_of(principal) or by_scope(principal.scopes, Action.MOVE_MONEY)
    )
    if linked is None or not allowed:
        raise unknown_bank_account()
    return linked


def unknown_bank_account() -> Problem:
    """404, the same for what does not exist and for what is another user's."""
    return Problem(Fault.BANK_ACCOUNT_UNKNOWN, "No linked bank account of yours has this id.")

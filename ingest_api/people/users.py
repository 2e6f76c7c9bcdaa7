"""Users over HTTP: sign up, look, change.

Guarantees: who signs up under a taken name, address or number gets 409 and nothing is kept; whoever tells a name is
screened before an account is opened; a repeat with the same key is the same user, with the same account.
"""

import os
import time
from datetime import datetime
from typing import Final

import msgspec

from ingest_api.account_changes.opening import open_for
from ingest_api.aliases.parties import USER
from ingest_api.aliases.pins import request_digest
from ingest_api.audit_log.witness import Witness
from ingest_api.http.bodies import AccountBody, decoded, open_command, text_fault
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import changed_since, require_match, tagged
from ingest_api.http.preferences import idempotency_key
from ingest_api.http.resources import account_text, encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, require_media, seen, take_tokens
from ingest_api.identity.caller import witness_of
from ingest_api.identity.passwords.rules import normal_password, password_fault
from ingest_api.identity.roles import UserRole
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.identity.users.user import FOUND_BY, Field, Refused, User, UserFault
from ingest_api.owners.rights import Role
from ingest_api.people.finding import default_of, own_user, unknown_user, visible_user
from ingest_api.people.linking import link_told, unlink_named
from ingest_api.people.shown import TEXT_CHARS_MAX, SignUpBody, UserChangeBody, UserResource, shown_user
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.services import Services
from ingest_api.transfers import checked, encoded_headers
from payments.identifiers import derive_account_id, format_id, uuid7
from payments.rejections import Reason
from payments.screening.names import NAME_CHARACTERS_MAX, Schema
from runtime.personal_data.card_numbers import holds_card_number
from runtime.personal_data.normal_forms import EXPECTED
from runtime.personal_data.personal import Personal
from screening.parties import Party

_STRANGER: Final = "sign-up"
"""As whom people call who have no token yet: they share one allowance of calls."""

_POINTERS: Final = {
    Field.USERNAME: "/username",
    Field.EMAIL: "/email",
    Field.PHONE: "/phoneNumber",
    Field.NAME: "/name",
    Field.ADDRESS: "/address",
}


async def sign_up(services: Services, call: Call) -> Answer:
    """Register a user. Without a token too: whoever signs up has none yet."""
    by = _caller(services, call)
    body: SignUpBody = decoded(SignUpBody, await call.body(BODY_BYTES_MAX))
    _require_texts(body)
    key = idempotency_key(call.header(b"idempotency-key"))
    id_ = request_digest(b"user", by, key)[:16] if key else uuid7(time.time_ns() // 1_000_000, os.urandom(10))
    known = await services.identity.users.find(id_)
    witness = Witness(services.audit, by, call.request_id)
    user = known or await _registered(services, id_, body, by, witness)
    if known is not None and not await _is_of(services, known, body):
        raise Problem(Reason.IDEMPOTENCY_KEY_REUSED, "This key came before with another body. Use a new key.")
    if body.name:
        await _screen(services, user.user, body.name, by)
    account, headers = await _open_account(services, call, user.user, by)
    if body.debit_card_id:
        await services.people.linked.set_card(user.user, body.debit_card_id)
    shown = await _shown(services, user)
    if account is not None and shown.account_id is None:  # open, and not visible yet
        shown.account_id, shown.currency = account_text(account), services.settings.signup_account_currency
    headers |= {"Location": f"/v1/user/{shown.user_id}"} | ({"Idempotency-Replayed": "true"} if known else {})
    return Answer(200 if known else 201, encode(shown), encoded_headers(headers))


def _caller(services: Services, call: Call) -> str:
    """Who signs somebody up, once it may. Raises Problem."""
    if call.header(b"authorization") is not None:
        return admit(services, call, Scope.USERS_WRITE, JSON_MEDIA, 1).subject
    require_media(call, JSON_MEDIA)
    take_tokens(services, Principal(_STRANGER, frozenset(), 0), 1)
    return _STRANGER


async def _registered(services: Services, id_: bytes, body: SignUpBody, by: str, witness: Witness) -> User:
    values = _values(body)
    if services.settings.screening_names_needed and not body.name:
        raise field_problem(FieldError("/name", Fault.NAMES_NEEDED, "Send the name that the user has in law."))
    password = Personal(body.password)
    fault = password_fault(password, values.values())
    if fault is not None:
        raise field_problem(FieldError("/password", Fault.PASSWORD_REFUSED, fault))
    hashed = await services.identity.hasher.hash(normal_password(password))
    made = await services.identity.users.create(id_, values, [UserRole.CUSTOMER], hashed, by, witness)
    if isinstance(made, Refused):
        raise refused_user(made)
    return made


def _values(body: SignUpBody) -> dict[Field, Personal]:
    told = {
        Field.USERNAME: body.username,
        Field.EMAIL: body.email,
        Field.PHONE: body.phone_number or body.phone,
        Field.NAME: body.name,
        Field.ADDRESS: body.address,
    }
    return {field: Personal(text) for field, text in told.items() if text or field is Field.USERNAME}


async def _is_of(services: Services, user: User, body: SignUpBody) -> bool:
    """Whether a user was signed up with this body, password included: a repeat shows what is the user's."""
    is_same = await services.identity.users.values(user.user) == _values(body)
    password = normal_password(Personal(body.password))
    return await services.identity.hasher.matches(user.password_hash, password) and is_same


def _require_texts(body: SignUpBody) -> None:
    """Raises Problem for a text that can't be kept."""
    for field, text in _values(body).items():
        limit = NAME_CHARACTERS_MAX if field is Field.NAME else TEXT_CHARS_MAX
        fault = text_fault(text.reveal(), limit, _POINTERS[field])
        if fault is not None:
            raise field_problem(fault)
    _require_card_token(body.debit_card_id)


def _require_card_token(token: str) -> None:
    fault = text_fault(token, TEXT_CHARS_MAX, "/debitCardId")
    if fault is None and holds_card_number(token):
        fault = FieldError("/debitCardId", Fault.CARD_NUMBER, "Send the provider's token of the card instead.")
    if fault is not None:
        raise field_problem(fault)


def refused_user(refused: Refused) -> Problem:
    """Why nothing was written: 409 where the value is another user's. The value is not repeated."""
    pointer = _POINTERS[refused.field] if refused.field is not None else ""
    if refused.fault is UserFault.TAKEN:
        taken = FieldError(pointer, Fault.USER_TAKEN, "Another user has it. Log in, or send another one.")
        return field_problem(taken)
    if refused.fault is UserFault.MALFORMED:
        expected = EXPECTED[FOUND_BY[refused.field]] if refused.field is not None else "another value"
        return field_problem(FieldError(pointer, Fault.FIELD_INVALID, f"Send {expected}."))
    if refused.fault is UserFault.CHANGED:
        return changed_since()
    if refused.fault is UserFault.ERASED:
        return Problem(Fault.USER_ERASED, "Nothing is stored about a user who was erased.")
    return unknown_user()


async def _screen(services: Services, user: bytes, name: str, by: str) -> None:
    await services.screening.name(Party(format_id(USER, user), user, Schema.PERSON), [name], by)


async def _open_account(services: Services, call: Call, user: bytes, by: str) -> tuple[bytes | None, dict[str, str]]:
    """The account that everybody gets who signs up, where the installation says so, and the headers of the answer."""
    currency = services.settings.signup_account_currency
    if not currency:
        return None, {}
    account = derive_account_id(_STRANGER, user.hex())
    command = checked(open_command(AccountBody(currency), account, _STRANGER))
    _, headers = await open_for(services, call, by, command, {user: Role.OWNER}, [command])
    return account, headers


async def find_user(
    services: Services, call: Call, identifier: str, since: datetime | None, until: datetime | None
) -> Answer:
    """A user with what was linked between two times; with the user's tag where no time is named. Raises Problem 404."""

    async def look(principal: Principal) -> UserResource:
        return await _shown(services, await visible_user(services, principal, identifier), since, until)

    shown = await seen(services, call, Scope.USERS_READ, look)
    answer = Answer(200, encode(shown))
    return tagged(answer, _changeable(shown)) if since is until is None else answer


def _changeable(shown: UserResource) -> bytes:
    """What a change is made to: all but the balance, which moves without anybody changing the user."""
    return encode(msgspec.structs.replace(shown, balance=0))


async def change_user(services: Services, call: Call, identifier: str) -> Answer:
    """Change addresses, link or unlink a bank account; the user as it then is.

    Of two changes with the same `If-Match` one of addresses or card is refused; bank accounts are told by their own ids
    and numbers, and two may be linked at once.
    """
    principal = admit(services, call, Scope.USERS_WRITE, JSON_MEDIA, 1)
    body: UserChangeBody = decoded(UserChangeBody, await call.body(BODY_BYTES_MAX))
    user = await own_user(services, principal, identifier or body.user_id)
    seen_at = await _matched(services, call, user)
    changed = await _changed(services, user, body, witness_of(services, call, principal), seen_at)
    if body.unlink_bank_account_id:
        await unlink_named(services, call, principal, user.user, body.unlink_bank_account_id)
    if body.number:
        await link_told(services, call, principal, user.user, body)
    shown = await _shown(services, changed)
    return tagged(Answer(200, encode(shown)), _changeable(shown))


async def _matched(services: Services, call: Call, user: User) -> datetime | None:
    """When the user that `If-Match` names was changed last; None without one. Raises Problem 412."""
    if call.header(b"if-match") is None:
        return None
    require_match(call, _changeable(await _shown(services, user)))
    return user.changed_at


async def _changed(
    services: Services, user: User, body: UserChangeBody, witness: Witness, seen_at: datetime | None
) -> User:
    told = {Field.EMAIL: body.email, Field.PHONE: body.phone_number, Field.ADDRESS: body.address}
    for field, text in told.items():
        fault = text_fault(text or "", TEXT_CHARS_MAX, _POINTERS[field])
        if fault is not None:
            raise field_problem(fault)
    if body.debit_card_id is not None:
        _require_card_token(body.debit_card_id)
    values = {field: Personal(text) for field, text in told.items() if text}
    removed = [field for field, text in told.items() if text == ""]
    if not values and not removed and body.debit_card_id is None:
        return user
    changed = await services.identity.users.change(user.user, values, removed, witness, seen_at)
    if isinstance(changed, Refused):
        raise refused_user(changed)
    if body.debit_card_id is not None:
        await services.people.linked.set_card(user.user, body.debit_card_id)
    return changed


async def _shown(
    services: Services, user: User, since: datetime | None = None, until: datetime | None = None
) -> UserResource:
    linked = await services.people.linked.of_user(user.user, since, until)
    values = await services.identity.users.values(user.user)
    card = await services.people.linked.card(user.user)
    return shown_user(user, values, card, await default_of(services, user.user), linked)

"""What an account is opened with: terms, and who owns it."""

from typing import Literal

import msgspec

from ingest_api.aliases.parties import USER
from ingest_api.http.bodies import AccountBody, LimitsBody, is_given, parse_limit
from ingest_api.identity.tokens import Principal
from ingest_api.owners.register import OWNERS_MAX, Roles
from ingest_api.owners.rights import Role, user_of
from ingest_api.owners.shown import OwnerBody
from ingest_api.problems import Fault, FieldError, field_problem
from payments.identifiers import parse_id
from payments.movements.instructions import Envelope, SetLimits
from payments.risk.limits import NO_LIMIT, Tier


class NewAccountBody(AccountBody, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Open an account. Without `owners` it is the caller's, or nobody's where the caller is a service. An overdraft and
    limits are for operators.
    """

    type: Literal["checking", "savings", "wallet", "merchant"] = "checking"
    owners: tuple[OwnerBody, ...] = ()
    limits: LimitsBody | None = None


def roles_of_new(body: NewAccountBody, principal: Principal) -> Roles:
    """User → role of an account to be opened. Raises Problem."""
    caller = user_of(principal)
    if not body.owners:
        return {caller: Role.OWNER} if caller is not None else {}
    roles = {_user(owner.user, at): Role(owner.role) for at, owner in enumerate(body.owners)}
    if len(roles) < len(body.owners) or len(roles) > OWNERS_MAX:
        raise _wrong("/owners", f"Each user once, at most {OWNERS_MAX}.")
    if list(roles.values()).count(Role.OWNER) != 1:
        raise _wrong("/owners", "Exactly one of them is the owner.")
    if caller is not None and roles.get(caller) is not Role.OWNER:
        raise _wrong("/owners", "Whoever opens an account with a user's token is its owner.")
    return roles


def limits_of(body: LimitsBody, account: bytes, currency: str, envelope: Envelope) -> SetLimits:
    """The instruction that sets them. Raises Problem."""
    return SetLimits(
        account=account,
        per_transaction_minor=_limit(body.per_transaction, currency, "/limits/per_transaction"),
        daily_minor=_limit(body.daily, currency, "/limits/daily"),
        monthly_minor=_limit(body.monthly, currency, "/limits/monthly"),
        tier=Tier[body.tier.upper()],
        envelope=envelope,
    )


def _limit(raw: msgspec.Raw, currency: str, pointer: str) -> int:
    limit_minor = parse_limit(raw, currency, pointer) if is_given(raw) else NO_LIMIT
    if isinstance(limit_minor, FieldError):
        raise field_problem(limit_minor)
    return limit_minor


def _user(text: str, at: int) -> bytes:
    user = parse_id(USER, text)
    if user is None:
        raise _wrong(f"/owners/{at}/user", "Not a user id: usr_ and 26 characters.")
    return user


def _wrong(pointer: str, detail: str) -> Exception:
    return field_problem(FieldError(pointer, Fault.FIELD_INVALID, detail))

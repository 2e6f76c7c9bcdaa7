"""Which user a call means, and who may look: users see themselves, services and operators everybody.

Guarantees: a stranger is told the same of a user, an address and a number that exist as of those that don't.
"""

from typing import Final

from ingest_api.aliases.parties import USER, AliasName
from ingest_api.identity.tokens import Principal
from ingest_api.identity.users.user import Field, User
from ingest_api.owners import holdings
from ingest_api.owners.access import require_user
from ingest_api.owners.holdings import Asked, Holding
from ingest_api.owners.rights import Action, by_scope, user_of
from ingest_api.problems import Fault, Problem
from ingest_api.services import Services
from payments.identifiers import format_id, parse_id
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal

_NOBODY: Final = b""


async def visible_user(services: Services, principal: Principal, identifier: str) -> User:
    """By id, e-mail address, phone number or user name; the caller's own where it is empty. Raises Problem 404."""
    user = await _named(services, principal, identifier)
    require_user(principal, user.user if user is not None else _NOBODY)
    if user is None:
        raise unknown_user()
    return user


async def own_user(services: Services, principal: Principal, identifier: str) -> User:
    """As visible_user, for changes: the user's own, or a service's that pays for everybody. Raises Problem."""
    user = await visible_user(services, principal, identifier)
    if user_of(principal) != user.user and not by_scope(principal.scopes, Action.MOVE_MONEY):
        raise Problem(Fault.ROLE_INSUFFICIENT, "A user's own data is changed by the user.")
    return user


async def _named(services: Services, principal: Principal, identifier: str) -> User | None:
    user = parse_id(USER, identifier) if identifier else user_of(principal)
    if user is not None:
        return await services.identity.users.find(user)
    return await services.identity.users.find_by(_field_of(identifier), Personal(identifier))


def _field_of(identifier: str) -> Field:
    """A phone number begins with +, an address has an @, and a user name has neither."""
    if identifier.startswith("+"):
        return Field.PHONE
    return Field.EMAIL if "@" in identifier else Field.USERNAME


async def default_of(services: Services, user: bytes, currency: str | None = None) -> Holding | None:
    """The account that money sent to the user arrives at. Raises DatabaseUnavailable."""
    name = AliasName(Identifier.USER, Personal(format_id(USER, user)))
    return await holdings.default_account(
        services.database, Asked(user, await services.aliases.digest(name, "")), currency
    )


def unknown_user() -> Problem:
    """404, the same for what does not exist and for what is not the caller's."""
    return Problem(Fault.USER_UNKNOWN, "No user has this id, or it is another one than the token's.")

"""May this principal do this to this account: the one decision, from its scopes and its role on the account.

Pure. A principal that may not even look at the account learns nothing of it: it is told what it would be told of an
account that does not exist.
"""

from enum import Enum, StrEnum
from typing import Final

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Principal, Scope
from payments.identifiers import parse_id


class Role(StrEnum):
    """A user's part in an account."""

    OWNER = "owner"
    """The primary owner: exactly one."""
    CO_OWNER = "co_owner"
    VIEWER = "viewer"


class Action(Enum):
    """What can be done to an account."""

    VIEW = "view"
    MOVE_MONEY = "move_money"
    """Pay out of it, or let a name stand for it."""
    MANAGE_OWNERS = "manage_owners"
    OPERATE = "operate"
    """Standing, limits, and money that the operator says has come in."""


class Verdict(Enum):
    """The decision about an action."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    HIDDEN = "hidden"
    """As if there were no such account."""


_OF_ROLES: Final[dict[Role, frozenset[Action]]] = {
    Role.OWNER: frozenset({Action.VIEW, Action.MOVE_MONEY, Action.MANAGE_OWNERS}),
    Role.CO_OWNER: frozenset({Action.VIEW, Action.MOVE_MONEY}),
    Role.VIEWER: frozenset({Action.VIEW}),
}
_OF_SCOPES: Final[dict[str, frozenset[Action]]] = {
    Scope.ACCOUNTS_ANY: _OF_ROLES[Role.OWNER],
    Scope.ACCOUNTS_OPERATE: frozenset({Action.VIEW, Action.OPERATE}),
}


_SCOPES_FOR: Final = {
    action: frozenset(scope for scope, actions in _OF_SCOPES.items() if action in actions) for action in Action
}


def by_scope(scopes: frozenset[str], action: Action) -> bool:
    """True where the scopes allow it on every account, whoever owns it."""
    return not scopes.isdisjoint(_SCOPES_FOR[action])


def verdict(scopes: frozenset[str], role: Role | None, action: Action) -> Verdict:
    """The decision. `role` is the principal's on the account, None without one."""
    of_role = _OF_ROLES[role] if role is not None else frozenset()
    if action in of_role or by_scope(scopes, action):
        return Verdict.ALLOWED
    return Verdict.FORBIDDEN if of_role or by_scope(scopes, Action.VIEW) else Verdict.HIDDEN


def may_be_paid_by_name(role: Role | None) -> bool:
    """True where a name of the user may stand for the account."""
    return role is not None and Action.MOVE_MONEY in _OF_ROLES[role]


def user_of(principal: Principal) -> bytes | None:
    """The user that a token speaks for, or None where it speaks for a service."""
    return parse_id(USER, principal.subject)

"""Roles → scopes: the one table of what a user may ask for. What belongs to whom is decided in ingest_api/owners."""

from collections.abc import Collection, Iterable
from enum import StrEnum
from itertools import combinations
from typing import Final

from ingest_api.identity.tokens import Scope


class UserRole(StrEnum):
    """What a user is to the installation. Users may have several."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    OPERATOR = "operator"
    FINANCE = "finance"
    RISK_ANALYST = "risk_analyst"
    ADMIN = "admin"
    SERVICE = "service"
    """A machine that pays for many: a till, a producer of batches."""


_CUSTOMER: Final = frozenset(
    {
        Scope.PAYMENTS_READ,
        Scope.PAYMENTS_WRITE,
        Scope.ACCOUNTS_READ,
        Scope.ACCOUNTS_WRITE,
        Scope.ALIASES_READ,
        Scope.ALIASES_WRITE,
        Scope.WEBHOOKS_READ,
        Scope.WEBHOOKS_WRITE,
        Scope.USERS_READ,
        Scope.USERS_WRITE,
        Scope.API_KEYS_READ,
        Scope.API_KEYS_WRITE,
    }
)
_STAFF: Final = frozenset(
    {
        Scope.PAYMENTS_READ,
        Scope.ACCOUNTS_READ,
        Scope.USERS_READ,
        Scope.USERS_WRITE,
        Scope.API_KEYS_READ,
        Scope.API_KEYS_WRITE,
        Scope.WEBHOOKS_READ,
        Scope.WEBHOOKS_WRITE,
    }
)

SCOPES_OF: Final[dict[UserRole, frozenset[Scope]]] = {
    UserRole.CUSTOMER: _CUSTOMER,
    UserRole.MERCHANT: _CUSTOMER,
    UserRole.OPERATOR: _STAFF
    | {
        Scope.ACCOUNTS_WRITE,
        Scope.ACCOUNTS_OPERATE,
        Scope.CASES_READ,
        Scope.QUARANTINE_READ,
        Scope.QUARANTINE_WRITE,
        Scope.ALIASES_READ,
        Scope.ALIASES_VERIFY,
        Scope.SERVICES_READ,
        Scope.SERVICES_WRITE,
        Scope.SERVICES_OPERATE,
    },
    UserRole.FINANCE: _STAFF
    | {
        Scope.AUDIT_READ,
        Scope.ACCOUNTS_OPERATE,
        Scope.QUARANTINE_READ,
        Scope.LEDGER_WRITE,
        Scope.RECONCILIATION_READ,
        Scope.RECONCILIATION_WRITE,
        Scope.RECONCILIATION_APPROVE,
    },
    UserRole.RISK_ANALYST: _STAFF | {Scope.CASES_READ, Scope.CASES_DECIDE},
    UserRole.ADMIN: _STAFF | {Scope.USERS_ADMIN, Scope.AUDIT_READ},
    UserRole.SERVICE: _CUSTOMER | {Scope.ACCOUNTS_ANY},
}

NEED_SECOND_FACTOR: Final = frozenset(
    {
        Scope.ACCOUNTS_OPERATE,
        Scope.CASES_DECIDE,
        Scope.QUARANTINE_WRITE,
        Scope.LEDGER_WRITE,
        Scope.RECONCILIATION_APPROVE,
        Scope.ALIASES_VERIFY,
        Scope.USERS_ADMIN,
        Scope.API_KEYS_WRITE,
        Scope.SERVICES_WRITE,
        Scope.SERVICES_OPERATE,
    }
)
"""Of users alone: a session has these for as long after a second factor as MILLRACE_AUTH_SECOND_FACTOR_S says."""


def scopes_of(roles: Iterable[UserRole]) -> frozenset[Scope]:
    """All that these roles together allow."""
    return frozenset().union(*(SCOPES_OF[role] for role in roles))


def roles_that_allow(scopes: Collection[Scope]) -> tuple[UserRole, ...]:
    """The fewest roles that allow all of these, and of as many the first ones. Every scope is in a role."""
    wanted = frozenset(scopes)
    chosen = (some for count in range(1, len(UserRole) + 1) for some in combinations(UserRole, count))
    return next(roles for roles in chosen if wanted <= scopes_of(roles))

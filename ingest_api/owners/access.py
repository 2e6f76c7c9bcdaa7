"""Every route that names an account asks here, first of all: the principal's role is looked up, rights.py decides.

Reads account_owners and keeps what it read for ROLE_KEPT_S: so long a role that was taken away may still be used.
Guarantees: who may not look at an account gets the answer for one that does not exist; without Postgres a user's call
is refused with 503, while services, whose scopes suffice, go on.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ingest_api.identity.tokens import Principal
from ingest_api.owners.register import find_roles
from ingest_api.owners.rights import Action, Role, Verdict, by_scope, user_of, verdict
from ingest_api.problems import Fault, Problem, refused
from ingest_api.reads.database import Database
from payments.rejections import Reason

ROLE_KEPT_S: Final = 1
"""A user who pays once a second asks Postgres for each payment, one who pays a hundred times a second for one in a
hundred."""

_KEPT_MAX: Final = 50_000
"""× 300 bytes = 15 MB, at 50,000 pairs of user and account a second."""


class Access:
    """Decides for one API process. Everything runs on the loop."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._kept: OrderedDict[tuple[bytes, bytes], tuple[Role | None, float]] = OrderedDict()
        """(user, account) → role, and when it was read; oldest first."""

    async def require(self, principal: Principal, account: bytes, action: Action) -> None:
        """Raises Problem where the principal may not do this to the account, DatabaseUnavailable."""
        if by_scope(principal.scopes, action):
            return
        denials = await self.denials(principal, [account], action)
        if denials:
            raise denials[account]

    async def denials(self, principal: Principal, accounts: Iterable[bytes], action: Action) -> dict[bytes, Problem]:
        """For each of these accounts with which the principal may not do this: what to answer. One query at most.
        Raises DatabaseUnavailable.
        """
        if by_scope(principal.scopes, action):
            return {}
        asked = set(accounts)
        user = user_of(principal)
        roles = await self._roles(user, asked) if user is not None else {}
        verdicts = {account: verdict(principal.scopes, roles.get(account), action) for account in asked}
        return {account: denial(found, action) for account, found in verdicts.items() if found is not Verdict.ALLOWED}

    async def may_view_any(self, principal: Principal, accounts: Iterable[bytes]) -> bool:
        """True where the principal may look at one of these at least: a payment belongs to both its parties."""
        asked = set(accounts)
        return len(await self.denials(principal, asked, Action.VIEW)) < len(asked)

    def forget(self, account: bytes, users: Iterable[bytes]) -> None:
        """These users' roles on the account have changed here: look again."""
        for user in users:
            self._kept.pop((user, account), None)

    async def _roles(self, user: bytes, accounts: set[bytes]) -> Mapping[bytes, Role | None]:
        now = self._clock()
        while self._kept and next(iter(self._kept.values()))[1] <= now - ROLE_KEPT_S:
            self._kept.popitem(last=False)
        roles = {account: self._kept[user, account][0] for account in accounts if (user, account) in self._kept}
        unknown = accounts - roles.keys()
        if unknown:
            found = await find_roles(self._database, user, unknown)
            for account in unknown:
                roles[account] = found.get(account)
                self._keep(user, account, roles[account], now)
        return roles

    def _keep(self, user: bytes, account: bytes, role: Role | None, read_at: float) -> None:
        self._kept.pop((user, account), None)
        self._kept[user, account] = role, read_at
        if len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)


def is_for_user(principal: Principal, user: bytes) -> bool:
    """What is a user's is for the user, and for who may look at every account."""
    return user_of(principal) == user or by_scope(principal.scopes, Action.VIEW)


def require_user(principal: Principal, user: bytes) -> None:
    """Raises Problem where what is this user's is not for the principal."""
    if not is_for_user(principal, user):
        raise Problem(Fault.USER_UNKNOWN, "No user has this id, or it is another one than the token's.")


def denial(found: Verdict, action: Action) -> Problem:
    """What to answer where a principal may not."""
    if found is Verdict.HIDDEN:
        return refused(Reason.ACCOUNT_NOT_FOUND)
    detail = f"Your role on this account does not allow it: {action.value}."
    return Problem(Fault.ROLE_INSUFFICIENT, detail)

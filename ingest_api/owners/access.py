"""Every route that names an account asks here, first of all: the principal's role is looked up, rights.py decides.

Reads account_owners and keeps what it read for ROLE_KEPT_S: so long a role that was taken away may still be used.
Guarantees: who may not look at an account gets the answer for one that does not exist; without Postgres a user's call
is refused with 503, while services, whose scopes suffice, go on.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Principal
from ingest_api.owners.register import Pair, find_roles
from ingest_api.owners.rights import Action, Role, Verdict, by_scope, user_of, verdict
from ingest_api.problems import Fault, Problem, refused
from ingest_api.reads.database import Database
from payments.identifiers import parse_id
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
        self._kept: OrderedDict[Pair, tuple[Role | None, float]] = OrderedDict()
        """With when it was asked for; oldest first."""
        self._gathering: _Gathering | None = None
        self._flight = asyncio.Semaphore(1)

    async def require(self, principal: Principal, account: bytes, action: Action) -> None:
        """Raises Problem where the principal may not do this to the account, DatabaseUnavailable."""
        denials = await self.denials(principal, (account,), action)
        if denials:
            raise denials[account]

    async def denials(self, principal: Principal, accounts: Iterable[bytes], action: Action) -> dict[bytes, Problem]:
        """For each of these accounts with which the principal may not do this: what to answer. One query at most.
        Raises DatabaseUnavailable.
        """
        if by_scope(principal.scopes, action):
            return {}
        user = user_of(principal)
        denied = {}
        for account, role in (await self._roles(user, set(accounts))).items():
            found = verdict(principal.scopes, role, action)
            if found is not Verdict.ALLOWED:
                denied[account] = denial(found, action)
        return denied

    async def may_view_any(self, principal: Principal, accounts: Iterable[bytes]) -> bool:
        """True where the principal may look at one of these at least: a payment belongs to both its parties."""
        asked = set(accounts)
        return len(await self.denials(principal, asked, Action.VIEW)) < len(asked)

    async def has_part_in_any(self, principal: Principal, accounts: Iterable[bytes]) -> bool:
        """True for a user with a role on one of these, whatever the token's scopes. Raises DatabaseUnavailable."""
        roles = await self._roles(user_of(principal), set(accounts))
        return any(role is not None for role in roles.values())

    def forget(self, account: bytes, users: Iterable[bytes]) -> None:
        """These users' roles on the account have changed here: look again."""
        for user in users:
            self._kept.pop((user, account), None)

    async def _roles(self, user: bytes | None, accounts: set[bytes]) -> dict[bytes, Role | None]:
        if user is None:
            return dict.fromkeys(accounts)
        fresh = self._clock() - ROLE_KEPT_S
        kept = {account: self._kept.get((user, account)) for account in accounts}
        roles = {account: known[0] for account, known in kept.items() if known is not None and known[1] > fresh}
        if len(roles) < len(accounts):
            missing = [(user, account) for account in accounts if account not in roles]
            found = await self._read_together(missing)
            roles |= {account: found.get((user, account)) for _, account in missing}
        return roles

    async def _read_together(self, pairs: list[Pair]) -> dict[Pair, Role]:
        """One query for the calls of this turn of the loop, and of those that came while the query before was on its
        way: a query alone costs as much CPU as eight transfers.
        """
        gathering = self._gathering
        if gathering is None:
            gathering = self._gathering = _Gathering()
            gathering.answer = asyncio.create_task(self._read(gathering))
        gathering.pairs.update(pairs)
        assert gathering.answer is not None
        return await asyncio.shield(gathering.answer)

    async def _read(self, gathering: "_Gathering") -> dict[Pair, Role]:
        async with self._flight:
            self._gathering = None
            asked_at = self._clock()
            found = await find_roles(self._database, gathering.pairs)
        for pair in gathering.pairs:
            self._kept.pop(pair, None)
            self._kept[pair] = found.get(pair), asked_at
        while len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)
        return found


class _Gathering:
    """What the calls that share a query ask for."""

    def __init__(self) -> None:
        self.pairs: set[Pair] = set()
        self.answer: asyncio.Task[dict[Pair, Role]] | None = None


def is_for_user(principal: Principal, user: bytes) -> bool:
    """What is a user's is for the user, and for who may look at every account."""
    return user_of(principal) == user or by_scope(principal.scopes, Action.VIEW)


def user_named(principal: Principal, text: str) -> bytes:
    """The user that a text names. Raises Problem where it names none, or one who is not for the principal."""
    user = parse_id(USER, text) or b""
    require_user(principal, user)
    return user


def require_user(principal: Principal, user: bytes) -> None:
    """Raises Problem where what is this user's is not for the principal, or where the id is no user's (empty)."""
    if not user or not is_for_user(principal, user):
        raise Problem(Fault.USER_UNKNOWN, "No user has this id, or it is another one than the token's.")


def denial(found: Verdict, action: Action) -> Problem:
    """What to answer where a principal may not."""
    if found is Verdict.HIDDEN:
        return refused(Reason.ACCOUNT_NOT_FOUND)
    detail = f"Your role on this account does not allow it: {action.value}."
    return Problem(Fault.ROLE_INSUFFICIENT, detail)

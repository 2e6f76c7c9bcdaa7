"""The register of owners: which user has which role on which account, now and at any time before.

Reads and writes account_owners, one transaction per call; Postgres itself notes every change with who asked for it
(account_owner_changes). Guarantees: rows are ended, never changed; an account that was opened for users has exactly one
primary owner until it is closed; a name of a user stands for no account in which the user has no more part, and what
the user has scheduled from it stands still.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from ingest_api.aliases.parties import USER
from ingest_api.aliases.register import Register, Registration
from ingest_api.owners.rights import Role, may_be_paid_by_name
from ingest_api.reads.database import Database, Share
from ingest_api.schedules.register import pause_of
from payments.identifiers import format_id
from runtime.personal_data.rows import Connection

OWNERS_MAX: Final = 20
"""Users with a part in one account, at a time."""

HISTORY_MAX: Final = 500

_CONNECTIONS: Final = 2
"""Owners change rarely; two are 300 changes a second."""


_COLUMNS: Final = "account_id, user_id, role, since, until"
_ROLES: Final = """
SELECT user_id, account_id, role
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (user_id, account_id)
JOIN account_owners USING (user_id, account_id) WHERE until IS NULL"""
_CURRENT: Final = (
    f"SELECT {_COLUMNS} FROM account_owners WHERE account_id = %s AND until IS NULL ORDER BY since, user_id"
)
_HISTORY: Final = f"SELECT {_COLUMNS} FROM account_owners WHERE account_id = %s ORDER BY since DESC, user_id LIMIT %s"
_FIRST: Final = f"""
SELECT {_COLUMNS} FROM account_owners
WHERE account_id = %(account)s AND since = (SELECT min(since) FROM account_owners WHERE account_id = %(account)s)"""
_INSERT: Final = "INSERT INTO account_owners (account_id, user_id, role, since) VALUES (%s, %s, %s, %s)"
_END: Final = "UPDATE account_owners SET until = %s WHERE account_id = %s AND user_id = %s AND until IS NULL"
_BEGIN: Final = """
SELECT pg_advisory_xact_lock(%s), set_config('millrace.actor', %s, true), set_config('millrace.request_id', %s, true)"""
_CLOCK: Final = "SELECT clock_timestamp() AS at"
"""Asked while the account is locked: no row begins before the one that it follows has ended."""

_PRIMARY_WHILE_OPEN: Final = "account_owners_primary_while_open"


class By(NamedTuple):
    """Who changes something, with which request."""

    actor: str
    request_id: str


class Ownership(NamedTuple):
    """A row of the register."""

    account: bytes
    user: bytes
    role: Role
    since: datetime
    until: datetime | None


class Refusal(StrEnum):
    """Why the owners stay as they are."""

    NO_PRIMARY_OWNER = "no_primary_owner"
    TOO_MANY = "too_many"
    NO_PART = "no_part"
    """The user has no part in the account."""


Owners = list[Ownership]
Pair = tuple[bytes, bytes]
"""User and account."""

Roles = dict[bytes, Role]
"""User → role on one account."""


class OwnerRegister:
    """Makes, changes and ends parts in accounts. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, aliases: Register) -> None:
        self._database = database
        self._aliases = aliases

    @classmethod
    def of(cls, aliases: Register, writing: Database) -> "OwnerRegister":
        return cls(Share(writing, _CONNECTIONS), aliases)

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def establish(self, account: bytes, roles: Roles, by: By, default: Registration | None = None) -> bool:
        """The first owners of an account, before it is opened; it is the default one of its owner where there is no
        other of this currency. False where its first owners were others.
        """
        async with self._changing(account, by) as connection:
            first = await _rows(connection, _FIRST, {"account": UUID(bytes=account)})
            if first:
                return roles_of(first) == roles
            await _begin(connection, account, roles, await _clock(connection))
            if default is not None:
                await self._aliases.register_first(connection, default, by.actor)
        return True

    async def change(
        self, account: bytes, by: By, check: Callable[[Owners], None], wanted: Callable[[Roles], Roles | Refusal]
    ) -> Owners | Refusal:
        """The owners of an account from now on, as `wanted` makes them of those that there are. `check` raises Problem
        where the caller may not; nobody else changes them meanwhile.
        """
        try:
            async with self._changing(account, by) as connection:
                owners = await _rows(connection, _CURRENT, (UUID(bytes=account),))
                check(owners)
                before = roles_of(owners)
                after = wanted(before)
                if isinstance(after, Refusal):
                    return after
                await self._replace(connection, account, before, after, by)
                return await _rows(connection, _CURRENT, (UUID(bytes=account),))
        except psycopg.errors.CheckViolation as error:
            if error.diag.constraint_name != _PRIMARY_WHILE_OPEN:
                raise
            return Refusal.NO_PRIMARY_OWNER

    @asynccontextmanager
    async def _changing(self, account: bytes, by: By) -> AsyncIterator[Connection]:
        """One change of an account's owners after the other."""
        async with self._database.transaction() as connection:
            await connection.execute(_BEGIN, (int.from_bytes(account[:8], "big", signed=True), *by))
            yield connection

    async def _replace(self, connection: Connection, account: bytes, before: Roles, after: Roles, by: By) -> None:
        """Ends come first: there is one primary owner at any moment."""
        at = await _clock(connection)
        for user in [user for user, role in before.items() if after.get(user) is not role]:
            await connection.execute(_END, (at, UUID(bytes=account), UUID(bytes=user)))
            if not may_be_paid_by_name(after.get(user)):
                await self._aliases.end_of_account(connection, user, account, by.actor)
                await pause_of(connection, account, format_id(USER, user))
        new = {user: role for user, role in after.items() if before.get(user) is not role}
        await _begin(connection, account, new, at)

    async def owners(self, account: bytes, *, with_ended: bool) -> Owners:
        """The users with a part in the account; with those of before, its newest HISTORY_MAX rows."""
        query, more = (_HISTORY, (HISTORY_MAX,)) if with_ended else (_CURRENT, ())
        return [_ownership(row) for row in await self._database.rows(query, (UUID(bytes=account), *more))]


async def find_roles(database: Database, pairs: Collection[Pair]) -> dict[Pair, Role]:
    """The role of each of these that has one. Raises DatabaseUnavailable."""
    columns = ([UUID(bytes=user) for user, _ in pairs], [UUID(bytes=account) for _, account in pairs])
    rows = await database.rows(_ROLES, columns)
    return {(row["user_id"].bytes, row["account_id"].bytes): Role(row["role"]) for row in rows}


def granted(roles: Roles, user: bytes, role: Role) -> Roles | Refusal:
    """The user has this role; where it is the primary owner's, the one before becomes a co-owner."""
    if user not in roles and len(roles) >= OWNERS_MAX:
        return Refusal.TOO_MANY
    if role is Role.OWNER:
        roles = {other: Role.CO_OWNER if held is Role.OWNER else held for other, held in roles.items()}
    return roles | {user: role}


def ended(roles: Roles, user: bytes) -> Roles | Refusal:
    """The user has no part any more."""
    if user not in roles:
        return Refusal.NO_PART
    return {other: role for other, role in roles.items() if other != user}


async def _begin(connection: Connection, account: bytes, roles: Roles, at: datetime) -> None:
    for user, role in roles.items():
        await connection.execute(_INSERT, (UUID(bytes=account), UUID(bytes=user), role, at))


async def _clock(connection: Connection) -> datetime:
    [row] = await (await connection.execute(_CLOCK)).fetchall()
    at: datetime = row["at"]
    return at


async def _rows(connection: Connection, query: str, parameters: Any) -> Owners:
    return list(map(_ownership, await (await connection.execute(query.encode(), parameters)).fetchall()))


def _ownership(row: Mapping[str, Any]) -> Ownership:
    return Ownership(row["account_id"].bytes, row["user_id"].bytes, Role(row["role"]), row["since"], row["until"])


def roles_of(owners: Owners) -> Roles:
    """User → role of these rows."""
    return {row.user: row.role for row in owners}

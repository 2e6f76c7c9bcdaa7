"""The register of users: made, found by id, user name, e-mail address or phone number, changed.

Reads and writes users and, through runtime.personal_data, the values and claims behind them, in one transaction per
call. Guarantees: a user name, address or number is one user's at a time; an erased user is found by nothing but the id,
and never changed again.
"""

import secrets
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg

from ingest_api.aliases.parties import USER
from ingest_api.audit_log.entry import Value
from ingest_api.audit_log.entry import Values as Noted
from ingest_api.audit_log.witness import Witness
from ingest_api.identity.roles import UserRole
from ingest_api.identity.users.user import (
    FOUND_BY,
    Field,
    Refused,
    User,
    UserFault,
    UserStatus,
    Values,
    user_of_row,
)
from ingest_api.reads.database import Database
from payments.identifiers import format_id
from runtime.personal_data.personal import Personal
from runtime.personal_data.rows import Connection, all_rows
from runtime.personal_data.store import PersonalData, Refusal
from schemas.tables.notifications import PREVIOUS_MAX, previous_contacts
from schemas.tables.security_actions import CONTACTS_BEFORE, SecurityAction

INDEX: Final = "users"

_SELECT: Final = """
SELECT user_id, CASE WHEN erased_at IS NULL THEN status ELSE 'erased' END AS status, roles, password_hash,
    users.created_at, changed_at
FROM users JOIN subject_keys ON subject_id = user_id WHERE user_id = %s"""
_INSERT: Final = """
INSERT INTO users (user_id, roles, password_hash, password_changed_at, created_by)
VALUES (%s, %s, %s, CASE WHEN %s::text IS NOT NULL THEN now() END, %s) ON CONFLICT DO NOTHING"""
_CHANGED: Final = "UPDATE users SET changed_at = clock_timestamp() WHERE user_id = %s"
_SET_STATUS: Final = "UPDATE users SET status = %s, changed_at = clock_timestamp() WHERE user_id = %s"
_SET_ROLES: Final = "UPDATE users SET roles = %s, changed_at = clock_timestamp() WHERE user_id = %s"
_SET_PASSWORD: Final = """
UPDATE users SET password_hash = %s, password_changed_at = clock_timestamp() WHERE user_id = %s"""
_REHASHED: Final = "UPDATE users SET password_hash = %s WHERE user_id = %s AND password_hash = %s"
_COUNT: Final = "SELECT count(*) FROM personal_values WHERE subject_id = %s AND field LIKE %s"
_ERRORS: Final = {Refusal.TAKEN: UserFault.TAKEN, Refusal.SUBJECT_ERASED: UserFault.ERASED}


class UserRegister:
    """Every method raises DatabaseUnavailable, KeyringFault."""

    def __init__(self, database: Database, personal: PersonalData, contacts: Collection[Field] = ()) -> None:
        """`contacts`: those of before are kept, sealed, until they were told of a change."""
        self._database = database
        self._personal = personal
        self._contacts = contacts

    async def create(
        self,
        user: bytes,
        values: Values,
        roles: Collection[UserRole],
        password_hash: str | None,
        by: str,
        witness: Witness | None = None,
    ) -> User | Refused:
        """Make a user with these values (a user name at least). An id that is known answers what there is: compare."""
        async with self._database.transaction() as connection:
            known = await _find(connection, user)
            if known is not None:
                return known
            refused = await self._store(connection, user, values)
            if refused is not None:
                return refused
            row = UUID(bytes=user), sorted(roles), password_hash, password_hash, by
            await connection.execute(_INSERT, row)
            told: Noted = dict(values.items())
            await _note(connection, witness, SecurityAction.USER_CREATED, user, after={"roles": sorted(roles), **told})
            return await _get(connection, user)

    async def find(self, user: bytes) -> User | None:
        """By id."""
        row = await self._database.row(_SELECT, (UUID(bytes=user),))
        return user_of_row(row) if row is not None else None

    async def find_by(self, field: Field, value: Personal) -> User | None:
        """By user name, e-mail address or phone number, in any spelling of it."""
        async with self._database.transaction() as connection:
            user = await self._personal.owner(connection, INDEX, FOUND_BY[field], value)
            return await _find(connection, user) if user is not None else None

    async def values(self, user: bytes, *fields: Field) -> dict[Field, Personal]:
        """These values (none named: all) as far as they are there."""
        wanted = fields or tuple(Field)
        async with self._database.transaction() as connection:
            found = await self._personal.values(connection, user, *wanted)
        return {Field(name): value for name, value in found.items()}

    async def change(
        self,
        user: bytes,
        values: Values,
        removed: Iterable[Field] = (),
        witness: Witness | None = None,
        seen_at: datetime | None = None,
    ) -> User | Refused:
        """Put these values in the place of those before, and forget the removed ones. With `seen_at` (changed_at of the
        last look) only where nobody has changed the user since.
        """
        async with self._database.transaction() as connection:
            await self._personal.hold(connection, user)
            known = await _find(connection, user)
            if known is None or known.status is UserStatus.ERASED:
                return Refused(UserFault.UNKNOWN if known is None else UserFault.ERASED)
            if seen_at is not None and seen_at != known.changed_at:
                return Refused(UserFault.CHANGED)
            before: dict[str, Value] = {**await self._personal.values(connection, user, *values, *removed)}
            refused = await self._store(connection, user, values, removed)
            if refused is not None:
                return refused
            await connection.execute(_CHANGED, (UUID(bytes=user),))
            if witness is not None:
                before |= await self._kept_contacts(connection, user, before, values)
            after: Noted = {field: values.get(field) for field in (*values, *removed)}
            await _note(connection, witness, SecurityAction.USER_CHANGED, user, before=before, after=after)
            return await _get(connection, user)

    async def _kept_contacts(
        self, connection: Connection, user: bytes, before: Noted, values: Values
    ) -> dict[str, Value]:
        """Names under which the contacts are kept that are none any more, for the audit log."""
        kept = []
        for field in self._contacts:
            was = before.get(field)
            if not isinstance(was, Personal) or was == values.get(field):
                continue
            begins = previous_contacts(field)
            [row] = await all_rows(connection, _COUNT, UUID(bytes=user), f"{begins}%")
            if row[0] < PREVIOUS_MAX:
                kept.append(begins + secrets.token_hex(8))
                await self._personal.put(connection, user, kept[-1], was)
        return {CONTACTS_BEFORE: kept} if kept else {}

    async def set_status(self, user: bytes, status: UserStatus, witness: Witness | None = None) -> User | None:
        """Sessions of a user who is not active any more have to be ended beside this (SessionRegister.end_all)."""
        async with self._database.transaction() as connection:
            before = await self._set(connection, _SET_STATUS, status, user)
            await _note(
                *(connection, witness, SecurityAction.USER_STATUS_CHANGED, user),
                before={"status": before.status} if before is not None else None,
                after={"status": status},
            )
            return await _find(connection, user)

    async def set_roles(self, user: bytes, roles: Collection[UserRole], witness: Witness | None = None) -> User | None:
        """In force with the next access token: after five minutes at most."""
        async with self._database.transaction() as connection:
            before = await self._set(connection, _SET_ROLES, sorted(roles), user)
            await _note(
                *(connection, witness, SecurityAction.USER_ROLES_CHANGED, user),
                before={"roles": sorted(before.roles)} if before is not None else None,
                after={"roles": sorted(roles)},
            )
            return await _find(connection, user)

    async def set_password_hash(self, user: bytes, password_hash: str, witness: Witness | None = None) -> User | None:
        """Another password from now on."""
        async with self._database.transaction() as connection:
            await self._set(connection, _SET_PASSWORD, password_hash, user)
            await _note(connection, witness, SecurityAction.PASSWORD_CHANGED, user)
            return await _find(connection, user)

    async def rehash(self, user: bytes, before: str, after: str) -> None:
        """The same password under other parameters, unless it was changed meanwhile."""
        async with self._database.transaction() as connection:
            await connection.execute(_REHASHED, (after, UUID(bytes=user), before))

    async def _set(self, connection: Connection, update: str, value: object, user: bytes) -> User | None:
        """The user as it was before."""
        before = await _find(connection, user)
        await connection.execute(update.encode(), (value, UUID(bytes=user)))
        return before

    async def _store(
        self, connection: Connection, user: bytes, values: Values, removed: Iterable[Field] = ()
    ) -> Refused | None:
        """All of it or nothing."""
        refused = None
        async with connection.transaction() as attempt:
            for field in (*values, *removed):
                refused = refused or await self._store_one(connection, user, field, values.get(field))
            if refused is not None:
                raise psycopg.Rollback(attempt)
        return refused

    async def _store_one(
        self, connection: Connection, user: bytes, field: Field, value: Personal | None
    ) -> Refused | None:
        await self._release(connection, user, field)
        if value is None:
            await self._personal.remove(connection, user, field)
            return None
        refusal = await self._personal.put(connection, user, field, value)
        if refusal is None and field in FOUND_BY:
            digest = self._personal.digest(INDEX, FOUND_BY[field], value)
            if digest is None:
                return Refused(UserFault.MALFORMED, field)
            refusal = await self._personal.claim(connection, INDEX, digest, user) or await self._personal.prove(
                connection, digest, user
            )
        return Refused(_ERRORS[refusal], field) if refusal is not None else None

    async def _release(self, connection: Connection, user: bytes, field: Field) -> None:
        """Whatever the user was found by until now may be another one's."""
        if field not in FOUND_BY:
            return
        before = (await self._personal.values(connection, user, field)).get(field)
        digest = self._personal.digest(INDEX, FOUND_BY[field], before) if before is not None else None
        if digest is not None:
            await self._personal.release(connection, digest, user)


async def _note(
    connection: Connection,
    witness: Witness | None,
    action: SecurityAction,
    user: bytes,
    before: Noted | None = None,
    after: Noted | None = None,
) -> None:
    """Values about the person are left out by the log."""
    if witness is not None:
        await witness.saw(action, format_id(USER, user), connection, before=before, after=after)


async def _find(connection: Connection, user: bytes) -> User | None:
    row = await (await connection.execute(_SELECT, (UUID(bytes=user),))).fetchone()
    return user_of_row(row) if row is not None else None


async def _get(connection: Connection, user: bytes) -> User:
    found = await _find(connection, user)
    assert found is not None  # written in this transaction
    return found

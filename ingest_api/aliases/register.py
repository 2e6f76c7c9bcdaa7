"""The register of aliases: which name stands for which account, now and at any time before.

Reads and writes aliases and, through runtime.personal_data, the values and claims behind them, in one transaction per
call. Guarantees: a name that somebody has proved stands for one account per currency; rows are ended, never changed;
the value of an ended alias is forgotten at once, its digest when the person is erased.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from ingest_api.audit_log.witness import Witness
from ingest_api.owners.rights import Role, may_be_paid_by_name
from ingest_api.reads.cursor import Cursor
from ingest_api.reads.database import Database
from payments.identifiers import ALIAS, BANK_ACCOUNT, USER, format_id
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.rows import Connection
from runtime.personal_data.store import PersonalData, Refusal
from schemas.tables.security_actions import SecurityAction

INDEX: Final = "aliases"

_SELECT: Final = """
SELECT alias_id, kind, digest, subject_id, currency, account_id, valid_from, coalesce(valid_to, erased_at) AS valid_to,
    proven_at IS NOT NULL AND valid_to IS NULL AS verified
FROM aliases JOIN subject_keys USING (subject_id) LEFT JOIN personal_index USING (digest, subject_id)"""
_BY_ID: Final = f"{_SELECT} WHERE alias_id = %s"
_CURRENT: Final = f"{_SELECT} WHERE digest = %s AND subject_id = %s AND currency = %s AND valid_to IS NULL"
_CURRENT_OF_ACCOUNT: Final = f"{_SELECT} WHERE subject_id = %s AND account_id = %s AND valid_to IS NULL"
_PAGE: Final = f"""{_SELECT}
WHERE (%(account)s::uuid IS NULL OR account_id = %(account)s)
AND (%(subject)s::uuid IS NULL OR subject_id = %(subject)s)
AND (%(at)s::timestamptz IS NULL OR (valid_from, alias_id) < (%(at)s, %(id)s::uuid))
ORDER BY valid_from DESC, alias_id DESC LIMIT %(limit)s"""
_INSERT: Final = """
INSERT INTO aliases (alias_id, kind, digest, subject_id, currency, account_id, registered_by, valid_from)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_END: Final = "UPDATE aliases SET ended_by = %s, valid_to = %s WHERE alias_id = %s AND valid_to IS NULL"
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(%s)"
_CLOCK: Final = "SELECT clock_timestamp() AS at"
"""Asked while the person's row is locked: what waited for it began later than its transaction did."""

_IN_USE: Final = "SELECT 1 FROM aliases WHERE digest = %s AND subject_id = %s AND valid_to IS NULL LIMIT 1"


_PARTS: Final = "SELECT user_id, role FROM account_owners WHERE account_id = %s AND until IS NULL FOR SHARE"
"""Locked before the person's row, as where a part is ended: no name stays behind on an account."""


class Misfit(StrEnum):
    """Why a name cannot stand for an account."""

    NO_PART = "no_part"
    """The account has owners, and the person is none of those who move its money."""


class Registration(NamedTuple):
    """What is asked for: the id that the alias gets, and its name with the digest of it."""

    alias: bytes
    subject: bytes
    kind: Identifier
    value: Personal
    digest: bytes
    account: bytes
    currency: str
    verified: bool
    """The caller has seen that the name is this person's."""


class Alias(NamedTuple):
    """A row of the register. The digest is gone once the person is erased."""

    alias: bytes
    kind: Identifier
    digest: bytes | None
    subject: bytes
    currency: str
    account: bytes
    verified: bool
    valid_from: datetime
    valid_to: datetime | None


class Registered(NamedTuple):
    """The alias as it stands, and whether it stood already."""

    alias: Alias
    replayed: bool


class Register:
    """Registers, ends and lists aliases. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, personal: PersonalData) -> None:
        self._database = database
        self._personal = personal

    async def register(self, asked: Registration, by: str) -> Registered | Refusal | Misfit:
        """Let a name stand for an account from now on; where it stood for another one of that person and currency, that
        ends. An id that is known answers what it meant the first time: compare it.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME, (int.from_bytes(asked.alias[:8], "big", signed=True),))
            known = await _find(connection, _BY_ID, UUID(bytes=asked.alias))
            if known is not None:
                return Registered(known, True)
            refusal = await _misfit(connection, asked) or await self._claim(connection, asked)
            return refusal or await self._enter(connection, asked, by)

    async def _claim(self, connection: Connection, asked: Registration) -> Refusal | None:
        """Storing the value locks the person's row: two registrations of one person come one after the other."""
        async with connection.transaction() as attempt:
            refusal = (
                await self._personal.put(connection, asked.subject, field_of(asked.alias), asked.value)
                or await self._personal.claim(connection, INDEX, asked.digest, asked.subject)
                or (await self._personal.prove(connection, asked.digest, asked.subject) if asked.verified else None)
            )
            if refusal is not None:
                raise psycopg.Rollback(attempt)
        return refusal

    async def _enter(self, connection: Connection, asked: Registration, by: str) -> Registered:
        subject = UUID(bytes=asked.subject)
        before = await _find(connection, _CURRENT, asked.digest, subject, asked.currency)
        if before is not None and before.account == asked.account:
            await self._personal.remove(connection, asked.subject, field_of(asked.alias))
            return Registered(before, True)
        at = await _clock(connection)
        if before is not None:
            await self._end(connection, before, by, at)
        key, account = UUID(bytes=asked.alias), UUID(bytes=asked.account)
        await connection.execute(_INSERT, (key, asked.kind, asked.digest, subject, asked.currency, account, by, at))
        entered = await _find(connection, _BY_ID, key)
        assert entered is not None
        return Registered(entered, False)

    async def register_first(self, connection: Connection, asked: Registration, by: str) -> None:
        """Let a name stand for an account, once the caller's transaction commits, where it stands for none of this
        currency yet; not for a person who was erased.
        """
        of_person = asked.digest, UUID(bytes=asked.subject), asked.currency
        if await _find(connection, _CURRENT, *of_person) is not None or await self._claim(connection, asked):
            return
        if await _find(connection, _CURRENT, *of_person) is None:
            await self._enter(connection, asked, by)
        else:
            await self._personal.remove(connection, asked.subject, field_of(asked.alias))

    async def end(self, alias: bytes, by: str, witness: Witness | None = None) -> Alias | None:
        """The name stands for nothing from now on; once none of this person's aliases uses it, another person may prove
        it. What has ended stays as it is. None: there is no such alias.
        """
        async with self._database.transaction() as connection:
            known = await _find(connection, _BY_ID, UUID(bytes=alias))
            if known is not None:
                await self._personal.hold(connection, known.subject)
                known = await _find(connection, _BY_ID, UUID(bytes=alias))
            if known is None or known.valid_to is not None or known.digest is None:
                return known
            await self._end_and_release(connection, known, by)
            if witness is not None and known.kind is Identifier.BANK_ACCOUNT:
                before = {"bank_account": format_id(BANK_ACCOUNT, alias)}
                name = format_id(USER, known.subject)
                await witness.saw(SecurityAction.BANK_ACCOUNT_UNLINKED, name, connection, before=before)
            return await _find(connection, _BY_ID, UUID(bytes=alias))

    async def prove(self, alias: bytes) -> Alias | Refusal | None:
        """Somebody has seen that the name is this person's: money is sent to it from now on. None: there is no such
        alias, or it has ended.
        """
        async with self._database.transaction() as connection:
            known = await _find(connection, _BY_ID, UUID(bytes=alias))
            if known is not None:
                await self._personal.hold(connection, known.subject)
                known = await _find(connection, _BY_ID, UUID(bytes=alias))
            if known is None or known.valid_to is not None or known.digest is None:
                return None
            refusal = await self._personal.prove(connection, known.digest, known.subject)
            return refusal or await _find(connection, _BY_ID, UUID(bytes=alias))

    async def end_of_account(self, connection: Connection, subject: bytes, account: bytes, by: str) -> None:
        """This person's names stand for this account no longer, once the caller's transaction commits."""
        await self._personal.hold(connection, subject)
        parameters = UUID(bytes=subject), UUID(bytes=account)
        for row in await (await connection.execute(_CURRENT_OF_ACCOUNT.encode(), parameters)).fetchall():
            await self._end_and_release(connection, _alias(row), by)

    async def _end_and_release(self, connection: Connection, known: Alias, by: str) -> None:
        """The name may be proved by another person, where none of this person's aliases uses it."""
        await self._end(connection, known, by, await _clock(connection))
        in_use = await connection.execute(_IN_USE, (known.digest, UUID(bytes=known.subject)))
        if known.digest is not None and await in_use.fetchone() is None:
            await self._personal.release(connection, known.digest, known.subject)

    async def _end(self, connection: Connection, known: Alias, by: str, at: datetime) -> None:
        await connection.execute(_END, (by, at, UUID(bytes=known.alias)))
        await self._personal.remove(connection, known.subject, field_of(known.alias))

    async def find(self, alias: bytes) -> tuple[Alias, Personal | None] | None:
        """One alias and its value, which an ended one has no more."""
        async with self._database.transaction() as connection:
            found = await _find(connection, _BY_ID, UUID(bytes=alias))
            return (found, await self._value(connection, found)) if found is not None else None

    async def page(
        self, account: bytes | None, subject: bytes | None, after: Cursor | None, limit: int
    ) -> list[tuple[Alias, Personal | None]]:
        """Aliases of an account, a person, or both, ended ones too, the latest first."""
        parameters = {
            "account": UUID(bytes=account) if account else None,
            "subject": UUID(bytes=subject) if subject else None,
            "at": after.decided_at if after else None,
            "id": after.payment_id if after else None,
            "limit": limit,
        }
        async with self._database.transaction() as connection:
            rows = await connection.execute(_PAGE.encode(), parameters, prepare=False)
            found = [_alias(row) for row in await rows.fetchall()]
            return [(alias, await self._value(connection, alias)) for alias in found]

    async def _value(self, connection: Connection, alias: Alias) -> Personal | None:
        field = field_of(alias.alias)
        return (await self._personal.values(connection, alias.subject, field)).get(field)


def field_of(alias: bytes) -> str:
    """Under which name the value of an alias is kept: its id."""
    return format_id(ALIAS, alias)


async def _misfit(connection: Connection, asked: Registration) -> Misfit | None:
    rows = await (await connection.execute(_PARTS.encode(), (UUID(bytes=asked.account),))).fetchall()
    roles = {row["user_id"].bytes: Role(row["role"]) for row in rows}
    fits = not roles or may_be_paid_by_name(roles.get(asked.subject))
    return None if fits else Misfit.NO_PART


async def _clock(connection: Connection) -> datetime:
    [row] = await (await connection.execute(_CLOCK)).fetchall()
    at: datetime = row["at"]
    return at


async def _find(connection: Connection, query: str, *parameters: object) -> Alias | None:
    row = await (await connection.execute(query.encode(), parameters)).fetchone()
    return _alias(row) if row is not None else None


def _alias(row: Mapping[str, Any]) -> Alias:
    return Alias(
        row["alias_id"].bytes,
        Identifier(row["kind"]),
        row["digest"],
        row["subject_id"].bytes,
        row["currency"],
        row["account_id"].bytes,
        row["verified"],
        row["valid_from"],
        row["valid_to"],
    )

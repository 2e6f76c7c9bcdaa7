"""Preferences and devices, sealed among a user's personal values, and notices, as the routes use them.

Reads and writes personal values; reads notices, and queues failed ones again. Guarantees: a change of preferences or
devices and its entry in the audit log commit together, and an erasure takes both with it.
"""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from ingest_api.audit_log.log import AuditLog
from ingest_api.owners.register import By
from ingest_api.problems import Fault, Problem
from ingest_api.reads.cursor import Cursor
from ingest_api.reads.database import Database, Share
from payments.identifiers import USER, format_id, uuid7
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.personal import Personal
from runtime.personal_data.rows import Connection, all_rows
from runtime.personal_data.store import PersonalData
from runtime.settings import Settings
from schemas.tables.notifications import (
    DECODE_PREFERENCES,
    DEVICE,
    DEVICE_FIELD,
    DEVICES_MAX,
    PREFERENCES_FIELD,
    Channel,
    Mode,
    NoticeKind,
    NoticeStatus,
    Preferences,
    Unsubscribing,
    read_unsubscribe_token,
)
from schemas.tables.security_actions import SecurityAction

_CONNECTIONS: Final = 2
_DEVICES: Final = f"""
SELECT field, stored_at FROM personal_values WHERE subject_id = %s AND field LIKE '{DEVICE_FIELD}%%' ORDER BY field"""
_PAGE: Final = """
SELECT * FROM notices WHERE user_id = %(user)s
AND (%(at)s::timestamptz IS NULL OR (queued_at, notice_id) < (%(at)s, %(id)s::uuid))
ORDER BY queued_at DESC, notice_id DESC LIMIT %(limit)s"""
_FAILED: Final = f"""
SELECT * FROM notices WHERE status = '{NoticeStatus.FAILED}'
AND (%(at)s::timestamptz IS NULL OR (queued_at, notice_id) < (%(at)s, %(id)s::uuid))
ORDER BY queued_at DESC, notice_id DESC LIMIT %(limit)s"""
_AGAIN: Final = f"""
UPDATE notices SET status = '{NoticeStatus.PENDING}', ended_at = NULL, failure = NULL, attempts = 0, under_way = false,
    due_at = now()
WHERE notice_id = %s AND status = '{NoticeStatus.FAILED}' RETURNING *"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class NoticeRegister:
    """Every method raises DatabaseUnavailable, KeyringFault."""

    def __init__(self, database: Database, keyring: Keyring, audit: AuditLog) -> None:
        self._database = database
        self._personal = PersonalData(keyring)
        self._link_key = keyring.index_key
        self._audit = audit

    @classmethod
    def of(cls, settings: Settings, audit: AuditLog, writing: Database) -> "NoticeRegister":
        """Raises KeyringFault."""
        return cls(Share(writing, _CONNECTIONS), Keyring.of(settings), audit)

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def preferences(self, user: bytes) -> Preferences:
        """What the user has chosen."""
        async with self._database.transaction() as connection:
            return await self._chosen(connection, user)

    async def choose(
        self, user: bytes, chosen: Preferences, by: By, check: Callable[[Preferences], None]
    ) -> Preferences:
        """In the place of what was chosen before, and passed the check. Raises Problem for an erased user, and what the
        check raises.
        """
        async with self._database.transaction() as connection:
            await self._lock(connection, user)
            check(await self._chosen(connection, user))
            await self._keep(connection, user, chosen, by)
        return chosen

    async def unsubscribe(self, token: str, request_id: str) -> Unsubscribing | None:
        """No more e-mails of the kind that a link names (of the summary: nothing for it any more); None for a text that
        is no such link.
        """
        asked = read_unsubscribe_token(self._link_key, token)
        if asked is None:
            return None
        async with self._database.transaction() as connection:
            await self._lock(connection, asked.user)
            chosen = await self._chosen(connection, asked.user)
            by = By(format_id(USER, asked.user), request_id)
            await self._keep(connection, asked.user, _without(chosen, asked.kind), by)
        return asked

    async def _chosen(self, connection: Connection, user: bytes) -> Preferences:
        found = await self._personal.values(connection, user, PREFERENCES_FIELD)
        return DECODE_PREFERENCES(found[PREFERENCES_FIELD].reveal()) if found else Preferences()

    async def _keep(self, connection: Connection, user: bytes, chosen: Preferences, by: By) -> None:
        before = await self._chosen(connection, user)
        text = msgspec.json.encode(chosen).decode()
        if await self._personal.put(connection, user, PREFERENCES_FIELD, Personal(text)) is not None:
            raise Problem(Fault.USER_ERASED, "Nothing is kept about an erased user.")
        await self._record(connection, user, by, _words(before), _words(chosen))

    async def devices(self, user: bytes) -> list[tuple[str, Any]]:
        """Ids of the user's devices, the first first, and since when."""
        rows = await self._database.rows(_DEVICES, (UUID(bytes=user),))
        return [(row["field"].removeprefix(DEVICE_FIELD), row["stored_at"]) for row in rows]

    async def add_device(self, user: bytes, token: Personal, by: By) -> str:
        """The device that the push provider knows by this token; one that is there already stays. Raises Problem where
        there are too many, or the user was erased.
        """
        async with self._database.transaction() as connection:
            await self._lock(connection, user)
            fields = [field for field, _ in await all_rows(connection, _DEVICES, UUID(bytes=user))]
            known = await self._personal.values(connection, user, *fields) if fields else {}
            for field, value in known.items():
                if value == token:
                    return field.removeprefix(DEVICE_FIELD)
            if len(fields) >= DEVICES_MAX:
                raise Problem(Fault.DEVICES_TOO_MANY, f"Delete one first: {DEVICES_MAX} is the most.")
            device = format_id(DEVICE, uuid7(time.time_ns() // 1_000_000, os.urandom(10)))
            if await self._personal.put(connection, user, DEVICE_FIELD + device, token) is not None:
                raise Problem(Fault.USER_ERASED, "Nothing is kept about an erased user.")
            await self._record(connection, user, by, None, {"device": device})
            return device

    async def remove_device(self, user: bytes, device: str, by: By) -> bool:
        """Nothing is sent to it any more; False where the user has no such device."""
        async with self._database.transaction() as connection:
            await self._lock(connection, user)
            if not await self._personal.values(connection, user, DEVICE_FIELD + device):
                return False
            await self._personal.remove(connection, user, DEVICE_FIELD + device)
            await self._record(connection, user, by, {"device": device}, None)
        return True

    async def page(self, user: bytes | None, after: Cursor | None, limit: int) -> list[dict[str, Any]]:
        """Notices of a user, or (None) failed ones of everybody, the latest first."""
        place = {"at": after.decided_at if after else None, "id": after.payment_id if after else None}
        key = {"user": UUID(bytes=user) if user is not None else None, "limit": limit}
        return await self._database.page(_PAGE if user is not None else _FAILED, key | place)

    async def send_again(self, notice: bytes) -> dict[str, Any] | None:
        """Queue a failed notice with all of its tries; None where there is no such one."""
        async with self._database.transaction() as connection:
            found = await (await connection.execute(_AGAIN.encode(), (UUID(bytes=notice),))).fetchone()
        return dict(found) if found is not None else None

    async def _lock(self, connection: Connection, user: bytes) -> None:
        await connection.execute(_LOCK, (f"notifications {user.hex()}",))

    async def _record(
        self,
        connection: Connection,
        user: bytes,
        by: By,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
    ) -> None:
        action, name = SecurityAction.NOTIFICATIONS_CHANGED, format_id(USER, user)
        await self._audit.record(
            by.actor, action, name, request_id=by.request_id, before=before, after=after, connection=connection
        )


def _without(chosen: Preferences, kind: NoticeKind) -> Preferences:
    """The same without e-mails of this kind, or without all that waits for a summary."""
    choices = {name: dict(modes) for name, modes in chosen.choices.items()}
    for each in NoticeKind:
        is_meant = each is kind or (kind is NoticeKind.DAILY_SUMMARY and chosen.mode(each, Channel.EMAIL) is Mode.DAILY)
        if is_meant and each is not NoticeKind.DAILY_SUMMARY:
            choices.setdefault(each, {})[Channel.EMAIL] = Mode.OFF
    return msgspec.structs.replace(chosen, choices=choices)


def _words(chosen: Preferences) -> dict[str, str]:
    """What the audit log tells: choices; zone, language and times are about a person."""
    return {
        f"{kind}.{channel}": mode for kind, modes in sorted(chosen.choices.items()) for channel, mode in modes.items()
    }

"""The register of sessions and of the refresh tokens that continue them.

Reads and writes sessions and refresh_tokens, one transaction per call. Guarantees: a refresh token is exchanged once;
one that comes again ends its session with every token of it, but for a client that lost the answer and asks again
within LOST_ANSWER_S: that gets the same answer, as long as nobody has used it. What has ended is never begun again.
"""

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from ingest_api.aliases.parties import USER
from ingest_api.audit_log.entry import Values
from ingest_api.audit_log.witness import Witness
from ingest_api.identity.sessions.session import EndReason, Opened, Session, session_of
from ingest_api.identity.tokens import SESSION
from ingest_api.reads.database import Database
from payments.identifiers import format_id, uuid7
from runtime.personal_data.rows import Connection
from runtime.settings import Settings
from schemas.tables.security_actions import SecurityAction

LOST_ANSWER_S: Final = 10
"""A client's time-out and its one repeat. Whoever stole the token and comes within this time gets the same next token
as its owner; the second of the two to use that ends the session."""

SESSIONS_MAX: Final = 50
"""Of one user at a time; the oldest makes room."""

SHOWN_MAX: Final = SESSIONS_MAX
KEPT_DAYS: Final = 30
"""How long an ended session is kept to look at."""

_TOKEN_BYTES: Final = 32
_TOKEN_START: Final = "mrt_"
_COLUMNS: Final = (
    "session_id, user_id, client_id, scopes, authenticated_at, second_factor_at, sessions.used_at, sessions.expires_at"
)
_BEGIN: Final = f"""
INSERT INTO sessions (session_id, user_id, client_id, scopes, second_factor_at, expires_at)
VALUES (%s, %s, %s, %s, CASE WHEN %s THEN now() END, now() + %s)
RETURNING {_COLUMNS}"""
_MAKE_ROOM: Final = f"""
UPDATE sessions SET ended_at = now(), end_reason = '{EndReason.TOO_MANY}'
WHERE ended_at IS NULL AND session_id IN (
    SELECT session_id FROM sessions WHERE user_id = %s AND ended_at IS NULL AND expires_at > now()
    ORDER BY authenticated_at DESC, session_id DESC OFFSET {SESSIONS_MAX}
)"""
_ADD_TOKEN: Final = "INSERT INTO refresh_tokens (token_hash, session_id, expires_at) VALUES (%s, %s, %s)"
_LOCK: Final = f"""
SELECT {_COLUMNS}, refresh_tokens.expires_at AS token_expires_at, refresh_tokens.used_at AS token_used_at,
    successor_salt, ended_at
FROM refresh_tokens JOIN sessions USING (session_id) WHERE token_hash = %s FOR UPDATE"""
_USE_TOKEN: Final = "UPDATE refresh_tokens SET used_at = %s, successor_salt = %s WHERE token_hash = %s"
_IS_FRESH: Final = "SELECT FROM refresh_tokens WHERE token_hash = %s AND used_at IS NULL"
_USED: Final = "UPDATE sessions SET used_at = %s WHERE session_id = %s"
_END: Final = """
UPDATE sessions SET ended_at = clock_timestamp(), end_reason = %s WHERE session_id = %s AND ended_at IS NULL"""
_END_ALL: Final = """
UPDATE sessions SET ended_at = clock_timestamp(), end_reason = %s
WHERE user_id = %s AND ended_at IS NULL AND session_id IS DISTINCT FROM %s"""
_LIVE: Final = f"SELECT {_COLUMNS} FROM sessions WHERE ended_at IS NULL AND expires_at > clock_timestamp()"
_SECOND_FACTOR: Final = f"""
UPDATE sessions SET second_factor_at = clock_timestamp()
WHERE session_id = %s AND ended_at IS NULL AND expires_at > clock_timestamp() RETURNING {_COLUMNS}"""
_OF_USER: Final = f"{_LIVE} AND user_id = %s ORDER BY authenticated_at DESC, session_id DESC LIMIT {SHOWN_MAX}"
_ENDED: Final = """
SELECT session_id, ended_at FROM sessions WHERE ended_at > %s
ORDER BY ended_at LIMIT 100000"""
_CLOCK: Final = "SELECT clock_timestamp() AS now"
SWEEPS: Final = (
    "DELETE FROM refresh_tokens USING sessions WHERE sessions.session_id = refresh_tokens.session_id"
    " AND (ended_at IS NOT NULL OR sessions.expires_at < now())",
    f"DELETE FROM sessions WHERE coalesce(ended_at, expires_at) < now() - interval '{KEPT_DAYS} days'"
    f" AND expires_at < now()",
)


class SessionRegister:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._life = timedelta(seconds=settings.auth_session_s)
        self._idle = timedelta(seconds=settings.auth_refresh_idle_s)

    async def begin(
        self,
        user: bytes,
        client: str | None,
        scopes: frozenset[str] | None,
        *,
        second_factor: bool,
        witness: Witness | None = None,
    ) -> Opened:
        """A login."""
        id_ = UUID(bytes=uuid7(time.time_ns() // 1_000_000, os.urandom(10)))
        asked = sorted(scopes) if scopes is not None else None
        token = _TOKEN_START + secrets.token_urlsafe(_TOKEN_BYTES)
        async with self._database.transaction() as connection:
            row = id_, UUID(bytes=user), client, asked, second_factor, self._life
            [made] = await (await connection.execute(_BEGIN.encode(), row)).fetchall()
            session = session_of(made)
            await connection.execute(_MAKE_ROOM.encode(), (row[1],))
            await self._add(connection, session, token, session.authenticated_at)
            after: Values = {"second_factor": second_factor, "client": client}
            await _note(connection, witness, SecurityAction.LOGIN_SUCCEEDED, user, after)
        return Opened(session, token)

    async def rotate(self, token: str, client: str | None, witness: Witness | None = None) -> Opened | None:
        """The next refresh token of a session, or None where this one is not valid, or not this client's."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_LOCK.encode(), (_hash(token),))).fetchone()
            [clock] = await (await connection.execute(_CLOCK)).fetchall()
            now: datetime = clock["now"]
            if row is None or row["client_id"] != client or row["ended_at"] or row["expires_at"] <= now:
                return None
            if row["token_used_at"] is None:
                return await self._exchanged(connection, token, row, now)
            return await self._answered_again(connection, token, row, now, witness)

    async def _exchanged(
        self, connection: Connection, token: str, row: Mapping[str, Any], now: datetime
    ) -> Opened | None:
        if row["token_expires_at"] <= now:
            return None
        session, salt = session_of(row), os.urandom(_TOKEN_BYTES)
        successor = _successor(token, salt)
        await connection.execute(_USE_TOKEN, (now, salt, _hash(token)))
        await connection.execute(_USED, (now, UUID(bytes=session.session)))
        await self._add(connection, session, successor, now)
        return Opened(session, successor)

    async def _answered_again(
        self, connection: Connection, token: str, row: Mapping[str, Any], now: datetime, witness: Witness | None
    ) -> Opened | None:
        session, successor = session_of(row), _successor(token, row["successor_salt"])
        is_fresh = await (await connection.execute(_IS_FRESH, (_hash(successor),))).fetchone() is not None
        if is_fresh and now - row["token_used_at"] <= timedelta(seconds=LOST_ANSWER_S):
            return Opened(session, successor)
        await connection.execute(_END, (EndReason.REFRESH_TOKEN_REUSED, UUID(bytes=session.session)))
        after = {"session": format_id(SESSION, session.session)}
        await _note(connection, witness, SecurityAction.REFRESH_TOKEN_REUSED, session.user, after)
        return None

    async def _add(self, connection: Connection, session: Session, token: str, now: datetime) -> None:
        row = _hash(token), UUID(bytes=session.session), min(now + self._idle, session.expires_at)
        await connection.execute(_ADD_TOKEN, row)

    async def find(self, session: bytes) -> Session | None:
        """A session that is not over."""
        row = await self._database.row(f"{_LIVE} AND session_id = %s", (UUID(bytes=session),))
        return session_of(row) if row is not None else None

    async def give_second_factor(self, session: bytes, witness: Witness | None = None) -> Session | None:
        """The session's user has just given one; None where the session is over."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_SECOND_FACTOR.encode(), (UUID(bytes=session),))).fetchone()
            if row is not None:
                user, after = row["user_id"].bytes, {"session": format_id(SESSION, session)}
                await _note(connection, witness, SecurityAction.SECOND_FACTOR_GIVEN, user, after)
        return session_of(row) if row is not None else None

    async def of_user(self, user: bytes) -> list[Session]:
        """Those that are not over, the latest first."""
        return [session_of(row) for row in await self._database.rows(_OF_USER, (UUID(bytes=user),))]

    async def end(self, session: Session, reason: EndReason, witness: Witness | None = None) -> None:
        """With every token of it."""
        async with self._database.transaction() as connection:
            await connection.execute(_END, (reason, UUID(bytes=session.session)))
            after = {"session": format_id(SESSION, session.session), "reason": reason}
            await _note(connection, witness, SecurityAction.SESSION_ENDED, session.user, after)

    async def end_all(
        self, user: bytes, reason: EndReason, but: bytes | None = None, witness: Witness | None = None
    ) -> None:
        """All of a user's, but for one."""
        kept = UUID(bytes=but) if but is not None else None
        async with self._database.transaction() as connection:
            ended = await connection.execute(_END_ALL, (reason, UUID(bytes=user), kept))
            after: Values = {"sessions": ended.rowcount, "reason": reason}
            await _note(connection, witness, SecurityAction.SESSIONS_ENDED, user, after)

    async def ended_since(self, at: datetime) -> list[tuple[bytes, datetime]]:
        """What was ended after this time, the oldest first; up to 100,000."""
        rows = await self._database.rows(_ENDED, (at,))
        return [(row["session_id"].bytes, row["ended_at"]) for row in rows]


async def _note(
    connection: Connection, witness: Witness | None, action: SecurityAction, user: bytes, after: Values
) -> None:
    if witness is not None:
        await witness.saw(action, format_id(USER, user), connection, after=after)


def _hash(token: str) -> bytes:
    """256 random bits need no slow hash: nobody can try them all."""
    return hashlib.sha256(token.encode()).digest()


def _successor(token: str, salt: bytes) -> str:
    """Who has the token alone, or Postgres alone, can't tell it."""
    digest = hmac.digest(salt, token.encode(), hashlib.sha256)
    return _TOKEN_START + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

"""A login and how long it lasts."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple


class EndReason(StrEnum):
    """Why a session is over before its time."""

    LOGGED_OUT = "logged_out"
    REVOKED = "revoked"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    PASSWORD_CHANGED = "password_changed"
    USER_NOT_ACTIVE = "user_not_active"
    TOO_MANY = "too_many"


class Session(NamedTuple):
    """A row of the register."""

    session: bytes
    user: bytes
    client: str | None
    scopes: frozenset[str] | None
    """What the login asked for; None: all that the roles allow."""
    authenticated_at: datetime
    second_factor_at: datetime | None
    used_at: datetime
    expires_at: datetime


class Opened(NamedTuple):
    """A session with the refresh token that continues it."""

    session: Session
    refresh_token: str


def session_of(row: Mapping[str, Any]) -> Session:
    """The value of a row that the register reads."""
    return Session(
        row["session_id"].bytes,
        row["user_id"].bytes,
        row["client_id"],
        frozenset(row["scopes"]) if row["scopes"] is not None else None,
        row["authenticated_at"],
        row["second_factor_at"],
        row["used_at"],
        row["expires_at"],
    )

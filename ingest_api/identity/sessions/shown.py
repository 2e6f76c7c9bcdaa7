"""What a user sees of the own sessions."""

from typing import Annotated

import msgspec

from ingest_api.http.resources import rfc3339
from ingest_api.identity.oauth.shown import PasswordText
from ingest_api.identity.sessions.session import Session
from ingest_api.identity.tokens import SESSION
from payments.identifiers import format_id


class SessionResource(msgspec.Struct, omit_defaults=True):
    """A login that is not over. `used_at`: when it last got a token."""

    id: str
    authenticated_at: str
    used_at: str
    expires_at: str
    current: bool
    client: str | None = None
    second_factor_at: str | None = None


class SessionList(msgspec.Struct):
    """The latest first."""

    items: list[SessionResource]


class PasswordChangeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Another password."""

    password: PasswordText
    """The one until now."""
    new_password: Annotated[
        str, msgspec.Meta(extra_json_schema={"format": "password", "minLength": 12, "maxLength": 256})
    ]


RESOURCES: tuple[type, ...] = (SessionList, PasswordChangeBody)


def shown(session: Session, current: bytes | None) -> SessionResource:
    """`current`: the session of the token that asks."""
    given = session.second_factor_at
    return SessionResource(
        id=format_id(SESSION, session.session),
        authenticated_at=rfc3339(session.authenticated_at),
        used_at=rfc3339(session.used_at),
        expires_at=rfc3339(session.expires_at),
        current=session.session == current,
        client=session.client,
        second_factor_at=rfc3339(given) if given is not None else None,
    )

"""Logins: from what somebody knows or has to a session and its tokens. Every route that logs in asks here.

Guarantees: each try is counted before it is looked at; who fails is told the same in the same time, whether the user
exists or not; a second factor is asked for only after the password was right.
"""

import time
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from ingest_api.aliases.parties import USER
from ingest_api.audit_log.witness import Witness
from ingest_api.identity.keys import SigningKeys
from ingest_api.identity.oauth.clients import Client, ClientRegister
from ingest_api.identity.passwords.checking import PasswordCheck
from ingest_api.identity.passwords.throttle import Throttle
from ingest_api.identity.roles import NEED_SECOND_FACTOR, scopes_of
from ingest_api.identity.second_factor.register import SecondFactors
from ingest_api.identity.sessions.register import SessionRegister
from ingest_api.identity.sessions.session import EndReason, Session
from ingest_api.identity.tokens import Grant, signed_token
from ingest_api.identity.users.register import UserRegister
from ingest_api.identity.users.user import Field, User
from payments.identifiers import format_id
from runtime.personal_data.normal_forms import TEXT_CHARS_MAX
from runtime.personal_data.personal import Personal
from runtime.settings import Settings
from schemas.tables.security_actions import SecurityAction

_NAME: Final = "user name"


class LoginRefusal(StrEnum):
    """Why there is no token."""

    CREDENTIALS = "credentials"
    SECOND_FACTOR_NEEDED = "second_factor_needed"
    SCOPE = "scope"


class Granted(NamedTuple):
    """Tokens, and what they allow."""

    access_token: str
    expires_at_s: int
    expires_in_s: int
    scopes: frozenset[str]
    refresh_token: str | None = None
    session: Session | None = None


class PasswordLogin(NamedTuple):
    """What somebody sends to log in."""

    username: Personal
    password: Personal
    otp: str | None
    scopes: frozenset[str] | None
    address: str
    client: str | None = None
    witness: Witness | None = None


class CheckedUser(NamedTuple):
    """Who it is, and whether by two factors."""

    user: User
    second_factor: bool


class LoginParts(Protocol):
    """What logins ask: the parts of ingest_api.identity.service.Identity, where a directory may stand for passwords."""

    keys: SigningKeys
    users: UserRegister
    passwords: PasswordCheck
    sessions: SessionRegister
    factors: SecondFactors
    clients: ClientRegister
    throttle: Throttle


class Logins:
    """Every method raises Problem 429 and 503, DatabaseUnavailable, SigningKeyFault."""

    def __init__(self, settings: Settings, parts: LoginParts) -> None:
        self._settings = settings
        self._parts = parts

    async def by_password(self, asked: PasswordLogin) -> Granted | LoginRefusal:
        """A session begins."""
        checked = await self.checked(asked)
        return checked if isinstance(checked, LoginRefusal) else await self.begin(checked, asked)

    async def begin(self, checked: CheckedUser, asked: PasswordLogin) -> Granted | LoginRefusal:
        """A session of a user who has just been checked."""
        user, second_factor = checked
        if asked.scopes is not None and not asked.scopes & scopes_of(user.roles):
            return LoginRefusal.SCOPE
        witness = asked.witness._replace(actor=format_id(USER, user.user)) if asked.witness is not None else None
        opened = await self._parts.sessions.begin(
            user.user, asked.client, asked.scopes, second_factor=second_factor, witness=witness
        )
        return self.token(opened.session, user)._replace(refresh_token=opened.refresh_token)

    async def checked(self, asked: PasswordLogin) -> CheckedUser | LoginRefusal:
        """Who it is, by password and, where the user has one, second factor."""
        name = self._parts.throttle.name(_NAME, asked.username.reveal().strip().casefold()[:TEXT_CHARS_MAX])
        address = self._parts.throttle.address(asked.address)
        locks = await self._parts.throttle.count(name, address)
        user = await self._parts.passwords.authenticate(asked.username, asked.password, asked.witness)
        if user is None:
            return await self._failed(asked, "password", locks=locks)
        second_factor = await self._parts.factors.stands(user.user)
        if second_factor:
            if asked.otp is None:
                await self._parts.throttle.take_back(name, address)  # not forgotten: codes are still to be guessed
                return LoginRefusal.SECOND_FACTOR_NEEDED
            if not await self._parts.factors.take(user.user, asked.otp):
                return await self._failed(asked, "second_factor", locks=locks)
        await self._parts.throttle.forget(name, address)
        return CheckedUser(user, second_factor)

    async def _failed(self, asked: PasswordLogin, factor: str, *, locks: bool) -> LoginRefusal:
        """In the audit log under the user of this name, if there is one: nobody else has to know."""
        if asked.witness is not None:
            field = Field.EMAIL if "@" in asked.username.reveal() else Field.USERNAME
            user = await self._parts.users.find_by(field, asked.username)
            named = format_id(USER, user.user) if user is not None else None
            action = SecurityAction.LOGIN_LOCKED if locks else SecurityAction.LOGIN_FAILED
            await asked.witness.saw(action, named, after={"factor": factor})
        return LoginRefusal.CREDENTIALS

    async def by_refresh_token(
        self,
        token: str,
        client: str | None = None,
        scopes: frozenset[str] | None = None,
        witness: Witness | None = None,
    ) -> Granted | LoginRefusal:
        """The session goes on, with the roles that the user has now."""
        opened = await self._parts.sessions.rotate(token, client, witness)
        user = await self._parts.users.find(opened.session.user) if opened is not None else None
        if opened is None or user is None:
            return LoginRefusal.CREDENTIALS
        if not user.is_active:
            await self._parts.sessions.end(opened.session, EndReason.USER_NOT_ACTIVE, witness)
            return LoginRefusal.CREDENTIALS
        granted = self.token(opened.session, user, scopes)
        return granted._replace(refresh_token=opened.refresh_token) if granted.scopes else LoginRefusal.SCOPE

    async def client(self, client_id: str, secret: str, address: str) -> Client | None:
        """The machine of this id and secret."""
        throttle = self._parts.throttle
        name, from_where = throttle.name("client", client_id[:TEXT_CHARS_MAX]), throttle.address(address)
        await throttle.count(name, from_where)
        client = await self._parts.clients.authenticate(client_id, secret)
        if client is not None:
            await throttle.forget(name, from_where)
        return client

    def by_client(self, client: Client, scopes: frozenset[str] | None) -> Granted | LoginRefusal:
        """A token for the machine itself, without a session."""
        allowed = client.scopes & scopes if scopes is not None else client.scopes
        if not allowed:
            return LoginRefusal.SCOPE
        return self._signed(Grant(client.client_id, allowed), self._settings.auth_access_token_s)

    def token(self, session: Session, user: User, scopes: frozenset[str] | None = None) -> Granted:
        """An access token of a session. Scopes that need a second factor come with one of lately; it is the session's
        age at the time of issue that counts, so a token has them five minutes longer at most.
        """
        allowed: frozenset[str] = scopes_of(user.roles)
        for asked in (session.scopes, scopes):
            allowed = allowed & asked if asked is not None else allowed
        withheld = allowed & NEED_SECOND_FACTOR if not self._is_strong(session) else frozenset()
        given = session.second_factor_at
        grant = Grant(
            format_id(USER, user.user),
            allowed - withheld,
            session.session,
            int(session.authenticated_at.timestamp()),
            int(given.timestamp()) if given is not None else None,
            withheld,
        )
        left_s = int(session.expires_at.timestamp() - time.time())
        life_s = max(1, min(self._settings.auth_access_token_s, left_s))
        return self._signed(grant, life_s)._replace(session=session)

    def _signed(self, grant: Grant, life_s: int) -> Granted:
        expires_at_s = int(time.time()) + life_s
        token = signed_token(self._settings, self._parts.keys, grant, life_s)
        return Granted(token, expires_at_s, life_s, frozenset(grant.scopes))

    def _is_strong(self, session: Session) -> bool:
        given = session.second_factor_at
        return given is not None and time.time() - given.timestamp() <= self._settings.auth_second_factor_s

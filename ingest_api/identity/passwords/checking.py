"""Who logs in with this name and password: the one question that a directory may answer in the register's place."""

from typing import Protocol

from ingest_api.audit_log.witness import Witness
from ingest_api.identity.passwords.hashing import PasswordHasher
from ingest_api.identity.passwords.rules import normal_password
from ingest_api.identity.users.register import UserRegister
from ingest_api.identity.users.user import Field, User
from runtime.personal_data.personal import Personal


class PasswordCheck(Protocol):
    """Answers with the active user whose password this is, else None: never why."""

    async def authenticate(self, username: Personal, password: Personal, witness: Witness | None = None) -> User | None:
        """What a login changes of the user, the witness sees. Raises Problem 503 where it can't be checked now,
        DatabaseUnavailable.
        """


class OwnPasswords:
    """Passwords of the register. A user who does not exist, or has no password, costs the same work as one who does."""

    def __init__(self, users: UserRegister, hasher: PasswordHasher) -> None:
        self._users = users
        self._hasher = hasher

    async def authenticate(self, username: Personal, password: Personal, witness: Witness | None = None) -> User | None:
        """By user name or e-mail address, which has an @ and so is no user name."""
        by = Field.EMAIL if "@" in username.reveal() else Field.USERNAME
        user = await self._users.find_by(by, username)
        known = user.password_hash if user is not None and user.is_active else None
        normal = normal_password(password)
        if not await self._hasher.matches(known, normal):
            return None
        if user is not None and known is not None and self._hasher.needs_rehash(known):
            await self._users.rehash(user.user, known, await self._hasher.hash(normal))
        return user

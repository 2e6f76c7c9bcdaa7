"""What a user is: the row, the sealed values beside it, and why a change of them is refused."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from ingest_api.identity.roles import UserRole
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from schemas.tables.notifications import EMAIL_FIELD, PHONE_FIELD


class UserStatus(StrEnum):
    """Where a user stands. Only an active one can log in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    ERASED = "erased"
    """Not of the table: the person's key is destroyed."""


class Field(StrEnum):
    """What is known about a user, each a personal value under this name."""

    USERNAME = "user.username"
    EMAIL = EMAIL_FIELD
    PHONE = PHONE_FIELD
    NAME = "user.name"
    ADDRESS = "user.address"


FOUND_BY: Final[Mapping[Field, Identifier]] = {
    Field.USERNAME: Identifier.USER,
    Field.EMAIL: Identifier.EMAIL,
    Field.PHONE: Identifier.PHONE,
}
"""By these a user is found, so each is one user's at a time."""

Values = Mapping[Field, Personal]


class User(NamedTuple):
    """A row of the register."""

    user: bytes
    status: UserStatus
    roles: frozenset[UserRole]
    password_hash: str | None
    created_at: datetime
    changed_at: datetime

    @property
    def is_active(self) -> bool:
        return self.status is UserStatus.ACTIVE


class UserFault(StrEnum):
    """Why nothing was written."""

    TAKEN = "taken"
    """Another user has this user name, e-mail address or phone number."""
    MALFORMED = "malformed"
    """Not of its kind: runtime.personal_data.normal_forms.EXPECTED says what it should be."""
    ERASED = "erased"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    """Somebody has changed the user since the look that the change was made to."""


class Refused(NamedTuple):
    """Nothing was written, and which field it is about."""

    fault: UserFault
    field: Field | None = None


def user_of_row(row: Mapping[str, Any]) -> User:
    """The value of a row that the register reads."""
    return User(
        row["user_id"].bytes,
        UserStatus(row["status"]),
        frozenset(map(UserRole, row["roles"])),
        row["password_hash"],
        row["created_at"],
        row["changed_at"],
    )

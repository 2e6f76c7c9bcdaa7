"""The user here of somebody whom a directory knows: made on the first login, with the directory's own id of the person.

Guarantees: the same person is the same user for ever, whatever the name becomes; nobody gets a user of the register by
having the same name in a directory.
"""

import hashlib
import logging
from collections.abc import Collection
from typing import Final, NamedTuple

from ingest_api.audit_log.witness import Witness
from ingest_api.identity.roles import UserRole
from ingest_api.identity.users.register import UserRegister
from ingest_api.identity.users.user import Field, Refused, User
from runtime.personal_data.personal import Personal

LOGGER: Final = logging.getLogger("millrace.directories")


class Known(NamedTuple):
    """What a directory says of a person whose password or token it has checked."""

    directory: str
    id: str
    username: Personal
    roles: frozenset[UserRole]


async def user_of(users: UserRegister, known: Known, witness: Witness | None) -> User | None:
    """The active user; None where there is none and none can be made. What changes by it, the directory has changed:
    so the audit log has it. Raises DatabaseUnavailable.
    """
    by_directory = witness._replace(actor=known.directory) if witness is not None else None
    user_id = shadow_id(known.directory, known.id)
    user = await users.find(user_id)
    if user is None:
        values = {Field.USERNAME: known.username}
        made = await users.create(user_id, values, known.roles, None, known.directory, by_directory)
        if isinstance(made, Refused):
            LOGGER.warning("no user for one of %s: %s %s", known.directory, made.field, made.fault)
            return None
        user = made
    if user.roles != known.roles:
        user = await users.set_roles(user_id, known.roles, by_directory)
    return user if user is not None and user.is_active else None


def shadow_id(directory: str, id_: str) -> bytes:
    """The same sixteen bytes for the same person (UUIDv8, RFC 9562)."""
    digest = bytearray(hashlib.sha256(f"directory user\0{directory}\0{id_}".encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def roles_of(groups: Collection[str], mapped: dict[str, UserRole]) -> frozenset[UserRole]:
    """The roles that these groups have here. Case does not matter, as in a directory."""
    named = {group.casefold() for group in groups}
    return frozenset(role for group, role in mapped.items() if group.casefold() in named)

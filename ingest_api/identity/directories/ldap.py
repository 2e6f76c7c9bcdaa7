"""Passwords checked by an LDAP directory or Active Directory: search for the person, then bind as the person.

Every connection is TLS with the server's certificate checked (LDAPS, or StartTLS before anything is said). An empty
password is refused here: a directory takes such a bind for an anonymous one and says yes (RFC 4513 §5.1.2). A directory
that does not answer is 503, never 401.
"""

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from ldap3 import NO_ATTRIBUTES, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars

from ingest_api.audit_log.witness import Witness
from ingest_api.identity.directories.shadow import Known, roles_of, user_of
from ingest_api.identity.roles import UserRole
from ingest_api.identity.users.register import UserRegister
from ingest_api.identity.users.user import User
from ingest_api.problems import Fault, Problem, retry_later
from runtime.personal_data.personal import Personal
from runtime.settings import Settings

DIRECTORY: Final = "ldap"
_TIMEOUT_S: Final = 5
_THREADS: Final = 4
WAITING_MAX: Final = 32
"""Logins that wait for the directory, beyond those under way: with 5 s each, nobody waits longer than 40 s."""

_INVALID_CREDENTIALS: Final = 49
_SUCCESS: Final = 0


class DirectoryAway(Exception):
    """The directory does not answer, its certificate is not good, or it refuses the search."""


class LdapPasswords:
    """A `PasswordCheck` (ingest_api/identity/passwords/checking.py)."""

    def __init__(self, settings: Settings, users: UserRegister) -> None:
        self._users = users
        self._directory = _Directory(settings)
        self._threads = ThreadPoolExecutor(_THREADS, "ldap")
        self._waiting = 0

    async def authenticate(self, username: Personal, password: Personal, witness: Witness | None = None) -> User | None:
        """Raises Problem 503 while the directory does not answer, DatabaseUnavailable."""
        if not password.reveal() or not username.reveal():
            return None
        if self._waiting >= WAITING_MAX + _THREADS:
            raise _unavailable()
        self._waiting += 1
        try:
            looking = asyncio.get_running_loop().run_in_executor(
                self._threads, self._directory.known, username, password
            )
            known = await looking
        except DirectoryAway as away:
            raise _unavailable() from away
        finally:
            self._waiting -= 1
        return await user_of(self._users, known, witness) if known is not None else None


class _Directory:
    """What is asked of the server. Every method raises DirectoryAway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roles = {group: UserRole(role) for group, role in settings.ldap_roles.items()}
        ca_file = str(settings.ldap_ca_file) if settings.ldap_ca_file is not None else None
        tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)
        self._is_ldaps = settings.ldap_url.startswith("ldaps://")
        self._server = Server(settings.ldap_url.rstrip("/"), tls=tls, connect_timeout=_TIMEOUT_S, get_info=None)

    def known(self, username: Personal, password: Personal) -> Known | None:
        """Who has this name and password; None where nobody has, or no group of theirs has a role here."""
        try:
            with self._connected(self._settings.ldap_bind_dn, self._own_password()) as connection:
                if not connection.bind():
                    raise DirectoryAway("the directory does not let us search")
                entry = self._person(connection, username)
                if entry is None or not self._is_password(entry["dn"], password):
                    return None
                roles = roles_of(self._groups(connection, entry["dn"]), self._roles)
        except (LDAPException, OSError) as error:
            raise DirectoryAway(type(error).__name__) from error
        id_ = _text(entry["raw_attributes"][self._settings.ldap_id_attribute][0])
        return Known(DIRECTORY, id_, username, roles) if roles else None

    @contextmanager
    def _connected(self, dn: str, password: str) -> Iterator[Connection]:
        """Encrypted, and nothing said yet."""
        connection = Connection(
            self._server, dn or None, password or None, receive_timeout=_TIMEOUT_S, auto_referrals=False, read_only=True
        )
        try:
            connection.open()
            if not self._is_ldaps and not connection.start_tls():
                raise DirectoryAway("the directory offers no StartTLS")
            yield connection
        finally:
            connection.unbind()

    def _person(self, connection: Connection, username: Personal) -> dict[str, Any] | None:
        """One entry of the name; two are none."""
        settings = self._settings
        asked = settings.ldap_search_filter.replace("{username}", escape_filter_chars(username.reveal()))
        attributes = [settings.ldap_id_attribute]
        self._search(connection, settings.ldap_search_base, asked, attributes, size_limit=2)
        found = [entry for entry in connection.response if entry["type"] == "searchResEntry"]
        return found[0] if len(found) == 1 and found[0]["raw_attributes"].get(settings.ldap_id_attribute) else None

    def _is_password(self, dn: str, password: Personal) -> bool:
        with self._connected(dn, password.reveal()) as connection:
            if connection.bind():
                return True
            if connection.result["result"] != _INVALID_CREDENTIALS:
                raise DirectoryAway(str(connection.result["description"]))
            return False

    def _groups(self, connection: Connection, dn: str) -> list[str]:
        settings = self._settings
        asked = settings.ldap_group_filter.replace("{dn}", escape_filter_chars(dn))
        self._search(connection, settings.ldap_group_base or settings.ldap_search_base, asked, NO_ATTRIBUTES)
        return [entry["dn"] for entry in connection.response if entry["type"] == "searchResEntry"]

    @staticmethod
    def _search(connection: Connection, base: str, asked: str, attributes: Any, size_limit: int = 0) -> None:
        connection.search(base, asked, SUBTREE, attributes=attributes, size_limit=size_limit, time_limit=_TIMEOUT_S)
        if connection.result["result"] not in {_SUCCESS, 4}:  # 4: more than the size limit
            raise DirectoryAway(str(connection.result["description"]))

    def _own_password(self) -> str:
        file = self._settings.ldap_bind_password_file
        return file.read_text().rstrip("\r\n") if file is not None else ""


def _text(value: bytes) -> str:
    """entryUUID is text, objectGUID sixteen bytes."""
    return value.decode("ascii") if value.isascii() else value.hex()


def _unavailable() -> Problem:
    return retry_later(Fault.DIRECTORY_UNAVAILABLE, "Passwords can't be checked now: the directory is away.", 5)

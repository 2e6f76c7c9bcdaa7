"""Goal: whoever has a password in the directory gets in with the roles of the groups there, and nobody else does.

Method: a real slapd with TLS; a certificate of another authority; a directory that is gone.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from ldap3 import Connection, Server

from ingest_api.identity.directories.ldap import WAITING_MAX, LdapPasswords
from ingest_api.identity.roles import UserRole
from ingest_api.identity.service import Identity
from ingest_api.identity.tokens import TokenVerifier
from ingest_api.identity.users.user import Field, User, UserStatus
from ingest_api.problems import Fault, Problem
from ingest_api.reads.database import Database
from millrace.environment.layout import cache_of
from millrace.environment.security.certificates import broker_pem, new_authority
from runtime.personal_data.personal import Personal
from runtime.settings import Settings
from tests.ingest_api.identity.directories.slapd import ADMIN, ADMIN_PASSWORD, SUFFIX, Slapd, running_slapd

PEOPLE = {"anna": "anna's own", "berta": "berta's own"}
TELLERS, AUDITORS = f"cn=tellers,{SUFFIX}", f"cn=auditors,{SUFFIX}"


class Directory:
    """A slapd with people and groups, and the authority that its certificate is from."""

    def __init__(self, slapd: Slapd, authority: Path, password_file: Path) -> None:
        self.slapd = slapd
        self.authority = authority
        self.password_file = password_file

    def settings(self, base: Settings, **changes: Any) -> Settings:
        named = {
            "ldap_url": self.slapd.ldaps_url,
            "ldap_ca_file": self.authority,
            "ldap_bind_dn": ADMIN,
            "ldap_bind_password_file": self.password_file,
            "ldap_search_base": SUFFIX,
            "ldap_roles": {TELLERS: "operator", AUDITORS: "finance"},
        }
        return base.model_copy(update=named | changes)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    home = tmp_path_factory.mktemp("slapd")
    authority = new_authority()
    (home / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (home / "server.pem").write_bytes(broker_pem(authority))
    (home / "password").write_text(ADMIN_PASSWORD + "\n")
    with running_slapd(cache_of(Settings()), home / "slapd", home / "server.pem") as slapd:
        _fill(slapd)
        yield Directory(slapd, home / "ca.pem", home / "password")


def _fill(slapd: Slapd) -> None:
    with Connection(Server(slapd.ldap_url), ADMIN, ADMIN_PASSWORD) as connection:
        assert connection.bind()
        connection.add(SUFFIX, ["organization", "dcObject"], {"o": "example", "dc": "example"})
        for number, (name, password) in enumerate(PEOPLE.items()):
            person = {"uid": name, "sn": name, "userPassword": password}
            assert connection.add(f"cn=person {number},{SUFFIX}", "inetOrgPerson", person), connection.result
        for group, members in {TELLERS: (0,), AUDITORS: (0,)}.items():
            assert connection.add(group, "groupOfNames", {"member": [f"cn=person {n},{SUFFIX}" for n in members]})


@pytest.fixture
async def identity(tmp_path: Path, migrated: str) -> AsyncIterator[Identity]:
    settings = Settings(home=tmp_path, database_url=migrated, shards=1)
    made = Identity.of(settings, TokenVerifier.of(settings), Database.writing(settings))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def base(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


async def login(identity: Identity, settings: Settings, name: str, password: str) -> User | None:
    return await LdapPasswords(settings, identity.users).authenticate(Personal(name), Personal(password))


async def test_who_has_the_password_is_one_user_with_the_roles_of_the_groups(
    directory: Directory, identity: Identity, base: Settings
) -> None:
    settings = directory.settings(base)
    anna = await login(identity, settings, "anna", PEOPLE["anna"])
    assert anna is not None
    assert anna.roles == {UserRole.OPERATOR, UserRole.FINANCE}
    assert anna.password_hash is None
    assert await login(identity, settings, "anna", PEOPLE["anna"]) == anna
    fewer = directory.settings(base, ldap_roles={AUDITORS.upper(): "finance"})
    changed = await login(identity, fewer, "anna", PEOPLE["anna"])
    assert changed is not None
    assert changed.user == anna.user
    assert changed.roles == {UserRole.FINANCE}
    await identity.users.set_status(anna.user, UserStatus.SUSPENDED)
    assert await login(identity, settings, "anna", PEOPLE["anna"]) is None


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anna", "wrong"),
        ("anna", ""),
        ("", "anna's own"),
        ("nobody", "anna's own"),
        ("*", "anna's own"),
        ("anna)(|(uid=*", "anna's own"),
        ("an*", "anna's own"),
        ("berta", "berta's own"),
    ],
    ids=["wrong", "no password", "no name", "nobody", "anybody", "injected", "wildcard", "no role here"],
)
async def test_nobody_else_gets_in(
    directory: Directory, identity: Identity, base: Settings, name: str, password: str
) -> None:
    assert await login(identity, directory.settings(base), name, password) is None


async def test_start_tls_comes_before_anything_is_said(
    directory: Directory, identity: Identity, base: Settings
) -> None:
    settings = directory.settings(base, ldap_url=directory.slapd.ldap_url)
    assert await login(identity, settings, "anna", PEOPLE["anna"]) is not None


async def test_a_user_of_the_register_is_not_taken_over_by_name(
    directory: Directory, identity: Identity, base: Settings
) -> None:
    await identity.users.create(b"\x01" * 16, {Field.USERNAME: Personal("anna")}, [UserRole.ADMIN], None, "test")
    assert await login(identity, directory.settings(base), "anna", PEOPLE["anna"]) is None


async def test_a_directory_that_cannot_be_asked_is_503_and_never_401(
    directory: Directory, identity: Identity, base: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(new_authority().certificate.public_bytes(Encoding.PEM))
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    for changes in (
        {"ldap_url": "ldaps://localhost:1"},
        {"ldap_ca_file": other},
        {"ldap_ca_file": other, "ldap_url": directory.slapd.ldap_url},
        {"ldap_bind_password_file": wrong},
        {"ldap_search_base": "dc=elsewhere"},
    ):
        with pytest.raises(Problem) as refused:
            await login(identity, directory.settings(base, **changes), "anna", PEOPLE["anna"])
        assert (refused.value.status, refused.value.code) == (503, Fault.DIRECTORY_UNAVAILABLE), changes


async def test_logins_that_wait_are_bounded(directory: Directory, identity: Identity, base: Settings) -> None:
    passwords = LdapPasswords(directory.settings(base), identity.users)
    passwords._waiting = 2 * WAITING_MAX
    with pytest.raises(Problem):
        await passwords.authenticate(Personal("anna"), Personal(PEOPLE["anna"]))

"""What `millrace users …`, `millrace clients …`, `millrace keys …` and `millrace token` do. Passwords come from a file
or stdin, never from an argument, which other processes could read.
"""

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import typer

from ingest_api.aliases.parties import USER
from ingest_api.audit_log.log import AuditLog
from ingest_api.audit_log.witness import Witness
from ingest_api.identity.keys import SigningKeyFault, SigningKeys
from ingest_api.identity.passwords.rules import normal_password, password_fault
from ingest_api.identity.roles import UserRole, roles_that_allow, scopes_of
from ingest_api.identity.service import Identity
from ingest_api.identity.sessions.session import EndReason
from ingest_api.identity.tokens import ALL_SCOPES, Grant, Scope, TokenVerifier, issue_token, signed_token
from ingest_api.identity.users.user import FOUND_BY, Field, Refused, User, UserFault, UserStatus
from ingest_api.reads.database import Database, DatabaseUnavailable
from millrace.commands.output import faults_shown
from millrace.environment import EnvironmentFault, connected
from payments.identifiers import format_id, parse_id, uuid7
from runtime.migrate import MigrationRefused
from runtime.personal_data.keyring import KeyringFault
from runtime.personal_data.normal_forms import EXPECTED
from runtime.personal_data.personal import Personal
from runtime.settings import Settings

_BY: Final = "millrace"
_COMMAND: Final = "command"
"""In the place of a request id."""

T = TypeVar("T")


def run_token(subject: str, user: str | None, asked: list[str], ttl_s: int) -> None:
    """One token on stdout. A user who is not there yet is made: no password, and the fewest roles for the scopes."""
    scopes = _scopes(asked)
    if parse_id(USER, subject) is not None:
        raise typer.BadParameter("that is a user: name the user by --user, for a token of the user's roles")
    with _faults():
        if user is None:
            typer.echo(issue_token(Settings(), subject, scopes or ALL_SCOPES, ttl_s))
            return
        settings = connected(Settings())
        found = _with_identity(settings, lambda identity, witness: _found_or_made(identity, user, scopes, witness))
        grant = Grant(
            format_id(USER, found.user), scopes or scopes_of(found.roles), second_factor_at_s=int(time.time())
        )
        typer.echo(signed_token(settings, SigningKeys.of(settings), grant, ttl_s))


def run_create(name: str, roles: list[str], email: str, password_file: Path | None) -> None:
    """A user; the id on stdout."""
    words = _words(roles, [role.value for role in UserRole], "--role")
    values = {Field.USERNAME: Personal(name)} | ({Field.EMAIL: Personal(email)} if email else {})
    password = _password(password_file, values.values()) if password_file is not None else None
    with _faults():
        made = _with_identity(
            connected(Settings()),
            lambda identity, witness: _made(*(identity, values, [UserRole(word) for word in words], password, witness)),
        )
    typer.echo(format_id(USER, made.user))
    if password is None:
        _say_no_password(f"{name} cannot log in yet", name)


def run_password(name: str, password_file: Path | None) -> None:
    """Another password."""
    password = _password(password_file or Path("-"), [Personal(name)])

    async def change(identity: Identity, witness: Witness) -> None:
        user = await _known(identity, name)
        await identity.users.set_password_hash(user.user, await identity.hasher.hash(password), witness)
        await identity.sessions.end_all(user.user, EndReason.PASSWORD_CHANGED)

    with _faults():
        _with_identity(connected(Settings()), change)


def run_roles(name: str, roles: list[str]) -> None:
    """What the user is from the next access token on."""
    words = [UserRole(word) for word in _words(roles, [role.value for role in UserRole], "--role")]

    async def change(identity: Identity, witness: Witness) -> None:
        await identity.users.set_roles((await _known(identity, name)).user, words, witness)

    with _faults():
        _with_identity(connected(Settings()), change)


def run_status(name: str, status: UserStatus) -> None:
    """Let a user in, or no longer."""

    async def change(identity: Identity, witness: Witness) -> None:
        user = await _known(identity, name)
        await identity.users.set_status(user.user, status, witness)
        if status is not UserStatus.ACTIVE:
            await identity.sessions.end_all(user.user, EndReason.USER_NOT_ACTIVE, witness=witness)

    with _faults():
        _with_identity(connected(Settings()), change)


def run_create_client(client_id: str, asked: list[str]) -> None:
    """A client; the secret on stdout."""
    scopes = _scopes(asked)
    with _faults():
        try:
            secret = _with_identity(
                connected(Settings()),
                lambda identity, witness: identity.clients.create(client_id, scopes, _BY, witness),
            )
        except ValueError as error:
            raise EnvironmentFault(str(error)) from error
        if secret is None:
            raise EnvironmentFault(f"there is, or was, a client {client_id}: choose another id")
    typer.echo(secret)


def run_revoke_client(client_id: str) -> None:
    """No further token."""
    with _faults():
        if not _with_identity(
            connected(Settings()), lambda identity, witness: identity.clients.revoke(client_id, witness)
        ):
            raise EnvironmentFault(f"no client has the id {client_id}, or it is revoked")


def run_rotate(*, at_once: bool) -> None:
    """A new signing key."""
    with _faults():
        ring = SigningKeys.of(Settings()).rotate(at_once=at_once)
    kept = len(ring.verifying(time.time())) - 1
    typer.echo(f"{ring.keys[0].key.kid} signs {'now' if at_once else 'in ten minutes'}; older keys that verify: {kept}")


async def _found_or_made(identity: Identity, name: str, scopes: Collection[Scope], witness: Witness) -> User:
    """The user of this name, who may have these scopes. Raises EnvironmentFault."""
    found = await _find(identity, name)
    if found is None:
        roles = roles_that_allow(scopes)
        found = await _made(identity, {Field.USERNAME: Personal(name)}, roles, None, witness)
        _say_no_password(f"made the user {name}, {' and '.join(sorted(roles))}", name)
    if not found.is_active:
        raise EnvironmentFault(f"the user {name} is {found.status}")
    _require_allowed(name, found.roles, scopes)
    return found


def _say_no_password(happened: str, name: str) -> None:
    typer.echo(f"millrace: {happened}; `millrace users password {shlex.quote(name)}` sets a password", err=True)


def _require_allowed(name: str, roles: Collection[UserRole], scopes: Collection[Scope]) -> None:
    allowed = scopes_of(roles)
    beyond = set(scopes) - allowed
    if beyond:
        needed = " ".join(f"--role {role}" for role in sorted({*roles, *roles_that_allow(beyond)}))
        raise EnvironmentFault(
            f"{name} is {' and '.join(sorted(roles))}, which does not allow {', '.join(sorted(beyond))}; that would:"
            f" millrace users roles {name} {needed}"
        )


async def _known(identity: Identity, name: str) -> User:
    found = await _find(identity, name)
    if found is None:
        raise EnvironmentFault(f"no user is called {name}")
    return found


async def _find(identity: Identity, name: str) -> User | None:
    return await identity.users.find_by(Field.USERNAME, Personal(name))


async def _made(
    identity: Identity,
    values: dict[Field, Personal],
    roles: Iterable[UserRole],
    password: Personal | None,
    witness: Witness,
) -> User:
    user = uuid7(time.time_ns() // 1_000_000, os.urandom(10))
    password_hash = await identity.hasher.hash(password) if password is not None else None
    made = await identity.users.create(user, values, list(roles), password_hash, _BY, witness)
    if isinstance(made, Refused):
        field = made.field or Field.USERNAME
        wanted = "is another user's" if made.fault is UserFault.TAKEN else f"has to be {EXPECTED[FOUND_BY[field]]}"
        raise EnvironmentFault(f"the {field.removeprefix('user.')} {wanted}")
    return made


def _password(file: Path, about: Iterable[Personal]) -> Personal:
    """The first line of a file, or of stdin for `-`."""
    try:
        text = (sys.stdin.readline() if str(file) == "-" else file.read_text()).rstrip("\r\n")
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--password-file") from error
    fault = password_fault(Personal(text), about)
    if fault is not None:
        raise typer.BadParameter(fault, param_hint="--password-file")
    return normal_password(Personal(text))


def _scopes(asked: list[str]) -> list[Scope]:
    return [Scope(word) for word in _words(asked, list(ALL_SCOPES), "--scope")]


def _words(asked: list[str], known: list[str], option: str) -> list[str]:
    """Repeated, by commas or by spaces. Raises typer.BadParameter for an unknown one."""
    words = [word for text in asked for word in text.replace(",", " ").split()]
    unknown = sorted(set(words) - set(known))
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}", param_hint=option)
    return words


def _with_identity(settings: Settings, work: Callable[[Identity, Witness], Awaitable[T]]) -> T:
    async def run() -> T:
        writing = Database.writing(settings)
        identity = Identity.of(settings, TokenVerifier.of(settings), writing)
        audit = AuditLog.of(settings, writing)
        await audit.open()
        await identity.open()
        try:
            return await work(identity, Witness(audit, _BY, _COMMAND))
        finally:
            await identity.close()
            await audit.close()

    return asyncio.run(run())


@contextmanager
def _faults() -> Iterator[None]:
    """What an operator can do something about, as one line and exit code 1."""
    with faults_shown(as_json=False):
        try:
            yield
        except DatabaseUnavailable as fault:
            raise EnvironmentFault("Postgres does not answer, or the sink has not made its tables yet") from fault
        except (KeyringFault, SigningKeyFault, MigrationRefused, OSError, ValueError) as fault:
            raise EnvironmentFault(" ".join(str(fault).split())) from fault

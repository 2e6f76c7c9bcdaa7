"""What `millrace personal-data …` does. Exit code 1 names the first fault."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import psycopg
import typer
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from psycopg import AsyncConnection
from rich.text import Text

from ingest_api.aliases.parties import USER
from ingest_api.reads.ledger_heads import ledger_heads
from millrace.audit.command import audited_settings
from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import Differs
from millrace.commands.output import faults_shown, print_json, screen
from millrace.environment import EnvironmentFault, connected
from millrace.personal_data.chain import require_heads
from payments.identifiers import format_id, parse_id
from runtime.personal_data.erasure import CertificateRefused, Erasure, erase, verify_certificate
from runtime.personal_data.keyring import Keyring, KeyringFault, add_wrapping_key, home_file
from runtime.personal_data.rotation import rewrap_batch, wrapping_keys_in_use
from runtime.personal_data.sealing import Tampered
from runtime.settings import Settings

_CONNECT_S: Final = 5
T = TypeVar("T")


def run_add_key(key_id: str) -> None:
    """A fresh wrapping key in the file, current from now on."""
    settings = Settings()
    if settings.personal_keys is not None:
        raise typer.BadParameter("MILLRACE_PERSONAL_KEYS holds the keys: change it where it is kept")
    with _faults(as_json=False):
        Keyring.of(settings)
        path = settings.personal_keys_file or home_file(settings.home)
        add_wrapping_key(path, key_id)
    screen.print(Text(f"{path}: {key_id} is current; start every process anew, then `millrace personal-data rewrap`"))


def run_rewrap(*, as_json: bool) -> None:
    """Every subject's key under the current wrapping key."""

    async def rewrap(connection: AsyncConnection[Any], keyring: Keyring) -> dict[str, int]:
        while await rewrap_batch(connection, keyring):
            pass
        return await wrapping_keys_in_use(connection)

    with _faults(as_json=as_json):
        in_use = _with_postgres(rewrap)
    if as_json:
        print_json({"wrapping_keys_in_use": in_use})
    else:
        screen.print(Text(f"in use: {', '.join(f'{key} ({count})' for key, count in in_use.items()) or 'none'}"))


def run_erase(user: str, *, as_json: bool) -> None:
    """Destroy what leads back to a user; the certificate on stdout."""
    subject = parse_id(USER, user)
    if subject is None:
        raise typer.BadParameter(f"{user!r} is no user id (usr_…, 30 characters)")

    async def erased(connection: AsyncConnection[Any], keyring: Keyring) -> str | None:
        async with connection.transaction():
            return await erase(connection, keyring, subject, await ledger_heads(connection))

    with _faults(as_json=as_json):
        certificate = _with_postgres(erased)
        if certificate is None:
            raise EnvironmentFault(f"nothing was ever stored about {user}")
    if as_json:
        print_json({"certificate": certificate})
    else:
        typer.echo(certificate)


def run_verify(file: Path, public_key: Path | None, *, ledger: bool, as_json: bool) -> None:
    """The signature of a certificate, and the ledger beside the heads that it names."""
    with _faults(as_json=as_json):
        told = verify_certificate(file.read_text(), _verifying_key(public_key))
        records = require_heads(audited_settings(), told.ledger_heads) if ledger else None
    if as_json:
        print_json({"erasure": told, "ledger_records": records})
        return
    _show(told)
    if records is not None:
        screen.print(f"the hash chain holds before and after: {records} ledger records, {len(told.ledger_heads)} heads")


def run_public_key() -> None:
    """The half of the certificate key that anybody may have."""
    with _faults(as_json=False):
        print_json(Keyring.of(Settings()).certificate_key.as_dict(private=False))


def _verifying_key(public_key: Path | None) -> OKPKey:
    if public_key is None:
        return Keyring.of(Settings()).certificate_key
    try:
        return OKPKey.import_key(json.loads(public_key.read_text()))
    except (JoseError, ValueError) as error:
        raise EnvironmentFault(f"{public_key} is no key: `millrace personal-data public-key` prints one") from error


def _show(told: Erasure) -> None:
    fields = ", ".join(one.field for one in told.fields) or "no values"
    user = format_id(USER, UUID(told.subject).bytes)
    screen.print(Text(f"{user} was erased at {told.erased_at.isoformat()}: {fields}"))
    screen.print(Text(f"key destroyed: {told.key_fingerprint}"))


def _with_postgres(work: Callable[[AsyncConnection[Any], Keyring], Awaitable[T]]) -> T:
    settings = connected(Settings())
    keyring = Keyring.of(settings)

    async def run() -> T:
        url = settings.database_url
        async with await AsyncConnection.connect(url, autocommit=True, connect_timeout=_CONNECT_S) as connection:
            return await work(connection, keyring)

    return asyncio.run(run())


@contextmanager
def _faults(*, as_json: bool) -> Iterator[None]:
    """What an operator can do something about, as one line and exit code 1."""
    with faults_shown(as_json=as_json):
        try:
            yield
        except CertificateRefused as refused:
            raise EnvironmentFault(f"the certificate is refused: {refused}") from refused
        except (KeyringFault, Tampered, AuditImpossible, Differs, OSError, psycopg.Error) as fault:
            raise EnvironmentFault(" ".join(str(fault).split())) from fault

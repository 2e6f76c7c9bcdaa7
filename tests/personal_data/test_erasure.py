"""Goal: an erasure leaves no way back to a value, and a certificate of what was erased that nobody can forge."""

import asyncio
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from psycopg import AsyncConnection

from millrace.environment.accounts import unprivileged
from millrace.environment.database.binaries import find_binaries
from millrace.environment.layout import cache_of
from runtime.personal_data import erasure
from runtime.personal_data.erasure import (
    CertificateRefused,
    Erasure,
    LedgerHead,
    certificate_of,
    erase,
    verify_certificate,
)
from runtime.personal_data.keyring import Keyring, new_document
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import PersonalData, Refusal
from runtime.settings import Settings
from tests.personal_data.conftest import ANNA, BERTA

MAIL = Personal("anna.very-recognisable@example.com")
CITY = Personal("Kleinkummerfeld an der Ilm")
HEADS = [LedgerHead(0, 12, 7, "ab" * 32), LedgerHead(1, 0, 0, "00" * 32)]


async def store_anna(personal: PersonalData, connection: AsyncConnection[Any]) -> bytes:
    """Two values, one of them claimed and proved; answers its digest."""
    await personal.put(connection, ANNA, "city", CITY)
    await personal.put(connection, ANNA, "email", MAIL)
    digest = personal.digest("login", Identifier.EMAIL, MAIL)
    assert digest is not None
    await personal.claim(connection, "login", digest, ANNA)
    await personal.prove(connection, digest, ANNA)
    return digest


async def erased(connection: AsyncConnection[Any], keyring: Keyring) -> str:
    certificate = await erase(connection, keyring, ANNA, HEADS)
    assert certificate is not None
    return certificate


async def test_a_certificate_says_what_was_erased(
    keyring: Keyring, personal: PersonalData, connection: AsyncConnection[Any]
) -> None:
    await store_anna(personal, connection)
    rows = await connection.execute("SELECT fingerprint FROM subject_keys")
    fingerprint = (await rows.fetchall())[0]["fingerprint"]
    told = verify_certificate(await erased(connection, keyring), keyring.certificate_key)
    assert told.subject == str(UUID(bytes=ANNA))
    assert [(field.field, field.version) for field in told.fields] == [("city", 1), ("email", 2)]
    assert told.indexes == {"login": 1}
    assert told.key_fingerprint == fingerprint.hex()
    assert told.ledger_heads == HEADS
    assert timedelta() <= datetime.now(UTC) - told.erased_at < timedelta(minutes=5)


async def test_after_an_erasure_nothing_is_found_read_or_stored(
    keyring: Keyring, personal: PersonalData, connection: AsyncConnection[Any]
) -> None:
    digest = await store_anna(personal, connection)
    await personal.put(connection, BERTA, "city", CITY)
    await erased(connection, keyring)
    assert await personal.values(connection, ANNA) == {}
    assert await personal.owner(connection, "login", Identifier.EMAIL, MAIL) is None
    assert await personal.put(connection, ANNA, "city", CITY) is Refusal.SUBJECT_ERASED
    assert await personal.claim(connection, "login", digest, ANNA) is Refusal.SUBJECT_ERASED
    assert await personal.values(connection, ANNA) == {}
    assert await personal.values(connection, BERTA) == {"city": CITY}


async def test_the_address_is_free_for_somebody_else(
    keyring: Keyring, personal: PersonalData, connection: AsyncConnection[Any]
) -> None:
    digest = await store_anna(personal, connection)
    await erased(connection, keyring)
    await personal.put(connection, BERTA, "email", MAIL)
    await personal.claim(connection, "login", digest, BERTA)
    assert await personal.prove(connection, digest, BERTA) is None


async def test_a_second_erasure_answers_the_same_certificate(
    keyring: Keyring, personal: PersonalData, connection: AsyncConnection[Any], migrated: str
) -> None:
    """Also when several ask at the same moment, and later with other heads."""
    await store_anna(personal, connection)

    async def ask(_: int) -> str | None:
        async with await psycopg.AsyncConnection.connect(migrated) as own:
            return await erase(own, keyring, ANNA, HEADS)

    first, *others = await asyncio.gather(*map(ask, range(6)))
    assert first is not None
    assert set(others) == {first}
    assert await erase(connection, keyring, ANNA, []) == first == await certificate_of(connection, ANNA)


async def test_an_unknown_subject_has_nothing_to_erase(keyring: Keyring, connection: AsyncConnection[Any]) -> None:
    assert await erase(connection, keyring, ANNA, HEADS) is None
    assert await certificate_of(connection, ANNA) is None


async def test_an_erasure_that_is_rolled_back_has_not_been(
    keyring: Keyring, personal: PersonalData, connection: AsyncConnection[Any]
) -> None:
    await store_anna(personal, connection)
    async with connection.transaction(force_rollback=True):
        await erased(connection, keyring)
    assert await personal.values(connection, ANNA) == {"city": CITY, "email": MAIL}
    assert await certificate_of(connection, ANNA) is None


async def test_nothing_is_stored_beside_an_erasure(
    keyring: Keyring, personal: PersonalData, connection: AsyncConnection[Any], migrated: str
) -> None:
    """A value that is being stored while the key is destroyed is erased with it, or refused."""
    await store_anna(personal, connection)
    async with await psycopg.AsyncConnection.connect(migrated) as storing:
        assert await personal.put(storing, ANNA, "phone", Personal("+4915123456789")) is None
        erasing = asyncio.create_task(erase(connection, keyring, ANNA, HEADS))
        await asyncio.sleep(0.2)
        assert not erasing.done()
        await storing.commit()
        certificate = await erasing
        assert certificate is not None
        fields = verify_certificate(certificate, keyring.certificate_key).fields
        assert "phone" in {field.field for field in fields}
        assert await personal.put(storing, ANNA, "phone", CITY) is Refusal.SUBJECT_ERASED
    assert await personal.values(connection, ANNA) == {}


def dump(url: str) -> bytes:
    """Every row of the database as pg_dump writes it."""
    settings = Settings()
    folder = find_binaries(unprivileged(), cache_of(settings), None).folder
    return subprocess.run([folder / "pg_dump", url], check=True, capture_output=True, timeout=60).stdout


async def secret_parts(connection: AsyncConnection[Any]) -> list[bytes]:
    """What would lead back to Anna with the keyring in hand, as a dump shows it."""
    rows = await connection.execute(
        "SELECT encode(sealed, 'hex') AS part FROM personal_values UNION ALL SELECT encode(digest, 'hex')"
        " FROM personal_index UNION ALL SELECT encode(wrapped, 'hex') FROM subject_keys"
    )
    return [row["part"].encode() for row in await rows.fetchall()]


async def test_a_dump_holds_no_value_and_after_an_erasure_no_way_back_to_one(
    keyring: Keyring, personal: PersonalData, connection: AsyncConnection[Any], migrated: str
) -> None:
    await store_anna(personal, connection)
    ways_back = await secret_parts(connection)
    assert len(ways_back) == 4
    values = [value.reveal().encode() for value in (MAIL, CITY)]
    before = dump(migrated)
    assert [part for part in ways_back if part not in before] == [], "the dump does not show what it should"
    assert [value for value in values if value in before or value.hex().encode() in before] == []
    certificate = await erased(connection, keyring)
    after = dump(migrated)
    assert certificate.encode() in after
    assert [part for part in (*ways_back, *values) if part in after] == []


def test_a_certificate_is_checked_with_the_public_key_alone(keyring: Keyring) -> None:
    public = OKPKey.import_key(keyring.certificate_key.as_dict(private=False))
    assert not public.is_private
    signed = erasure._signed(keyring.certificate_key, ERASURE)
    assert verify_certificate(f" {signed}\n", public) == ERASURE


ERASURE = Erasure("a", datetime(2026, 1, 31, tzinfo=UTC), "00", [], {}, HEADS)


def forgeries(keyring: Keyring) -> list[str]:
    """Changed, cut, signed by another key, unsigned, and signed as something else."""
    signed = erasure._signed(keyring.certificate_key, ERASURE)
    head, body, signature = signed.split(".")
    other_body = erasure._signed(keyring.certificate_key, msgspec.structs.replace(ERASURE, subject="b")).split(".")[1]
    payload = msgspec.json.encode(ERASURE)
    other_key = Keyring.read(new_document(), "").certificate_key
    return [
        "",
        "x",
        signed[:-4],
        f"{head}.{other_body}.{signature}",
        f"{head}.{body}.",
        erasure._signed(other_key, ERASURE),
        f"eyJhbGciOiJub25lIn0.{body}.",
        jws.serialize_compact({"alg": "Ed25519"}, payload, keyring.certificate_key, algorithms=["Ed25519"]),
    ]


@pytest.mark.parametrize("which", range(8))
def test_a_forged_certificate_is_refused(keyring: Keyring, which: int) -> None:
    with pytest.raises(CertificateRefused):
        verify_certificate(forgeries(keyring)[which], keyring.certificate_key)

"""Goal: values are kept per subject and found by whoever proved them, and rows that were tampered with do not open."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncConnection

from runtime.personal_data.keyring import Keyring, KeyringFault, new_document
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.sealing import Tampered
from runtime.personal_data.store import PersonalData, Refusal
from tests.personal_data.conftest import ANNA, BERTA

MAIL = Personal("Anna@Example.com")


def digest_of(personal: PersonalData, value: Personal, index: str = "login") -> bytes:
    digest = personal.digest(index, Identifier.EMAIL, value)
    assert digest is not None
    return digest


async def test_values_come_back_by_field(personal: PersonalData, connection: AsyncConnection[Any]) -> None:
    await personal.put(connection, ANNA, "email", Personal("old@example.com"))
    await personal.put(connection, ANNA, "email", MAIL)
    await personal.put(connection, ANNA, "city", Personal("Köln"))
    await personal.put(connection, BERTA, "city", Personal("Bonn"))
    assert await personal.values(connection, ANNA) == {"email": MAIL, "city": Personal("Köln")}
    assert await personal.values(connection, ANNA, "city", "street") == {"city": Personal("Köln")}
    await personal.remove(connection, ANNA, "city")
    assert await personal.values(connection, ANNA) == {"email": MAIL}
    assert await personal.values(connection, BERTA, "city") == {"city": Personal("Bonn")}
    assert await personal.values(connection, b"nobody's 16 byte") == {}


MOVES = [
    f"UPDATE personal_values SET field = 'street' WHERE field = 'city' AND subject_id = '{UUID(bytes=ANNA)}'",
    "UPDATE personal_values SET version = version + 1",
    "UPDATE personal_values v SET sealed = o.sealed FROM personal_values o WHERE v.field < o.field",
    "UPDATE personal_values v SET sealed = o.sealed FROM personal_values o WHERE v.subject_id <> o.subject_id",
    "UPDATE subject_keys k SET wrapped = o.wrapped FROM subject_keys o WHERE k.subject_id <> o.subject_id",
    "UPDATE personal_values SET sealed = set_byte(sealed, 12, 255 - get_byte(sealed, 12))",
]


@pytest.mark.parametrize("move", MOVES, ids=range(len(MOVES)))
async def test_a_row_that_was_moved_or_changed_does_not_open(
    personal: PersonalData, connection: AsyncConnection[Any], move: str
) -> None:
    for subject in (ANNA, BERTA):
        await personal.put(connection, subject, "city", Personal("Köln"))
        await personal.put(connection, subject, "email", MAIL)
    await connection.execute(move.encode())
    with pytest.raises(Tampered):
        await personal.values(connection, ANNA)


async def test_a_value_is_found_in_every_spelling_once_it_is_proved(
    personal: PersonalData, connection: AsyncConnection[Any]
) -> None:
    await personal.put(connection, ANNA, "email", MAIL)
    digest = digest_of(personal, MAIL)
    assert await personal.claim(connection, "login", digest, ANNA) is None
    assert await personal.owner(connection, "login", Identifier.EMAIL, MAIL) is None
    assert await personal.prove(connection, digest, ANNA) is None
    for spelling in ("anna@example.com", " ANNA@EXAMPLE.COM"):
        assert await personal.owner(connection, "login", Identifier.EMAIL, Personal(spelling)) == ANNA
    for other in ("berta@example.com", "no address"):
        assert await personal.owner(connection, "login", Identifier.EMAIL, Personal(other)) is None
    assert await personal.owner(connection, "aliases", Identifier.EMAIL, MAIL) is None


async def test_one_subject_at_a_time_has_proved_a_value(
    personal: PersonalData, connection: AsyncConnection[Any], migrated: str
) -> None:
    """Also when many prove it at the same moment."""
    digest = digest_of(personal, MAIL)
    crowd = [bytes([number]) * 16 for number in range(1, 9)]

    async def prove(subject: bytes) -> Refusal | None:
        async with await psycopg.AsyncConnection.connect(migrated, autocommit=True) as own:
            await personal.put(own, subject, "email", MAIL)
            await personal.claim(own, "login", digest, subject)
            return await personal.prove(own, digest, subject)

    answers = await asyncio.gather(*map(prove, crowd))
    assert sorted(map(str, answers)) == ["None"] + ["taken"] * 7
    winner = crowd[answers.index(None)]
    assert await personal.owner(connection, "login", Identifier.EMAIL, MAIL) == winner
    await personal.release(connection, digest, winner)
    loser = next(subject for subject in crowd if subject != winner)
    assert await personal.prove(connection, digest, loser) is None
    assert await personal.owner(connection, "login", Identifier.EMAIL, MAIL) == loser


async def test_a_refused_proof_leaves_the_callers_transaction_alive(
    personal: PersonalData, connection: AsyncConnection[Any]
) -> None:
    digest = digest_of(personal, MAIL)
    for subject in (ANNA, BERTA):
        await personal.put(connection, subject, "email", MAIL)
        await personal.claim(connection, "login", digest, subject)
    await personal.prove(connection, digest, ANNA)
    async with connection.transaction():
        assert await personal.prove(connection, digest, BERTA) is Refusal.TAKEN
        await personal.put(connection, BERTA, "city", Personal("Bonn"))
    assert set(await personal.values(connection, BERTA)) == {"city", "email"}


async def test_what_is_rolled_back_was_never_stored(personal: PersonalData, connection: AsyncConnection[Any]) -> None:
    async with connection.transaction(force_rollback=True):
        await personal.put(connection, ANNA, "email", MAIL)
    assert await personal.values(connection, ANNA) == {}


async def test_another_index_key_is_noticed(keyring: Keyring, connection: AsyncConnection[Any]) -> None:
    await PersonalData(keyring).require_same_keys(connection)
    await PersonalData(keyring).require_same_keys(connection)
    with pytest.raises(KeyringFault, match=r"the index key is not the one .* Restore that key"):
        await PersonalData(Keyring.read(new_document(), "")).require_same_keys(connection)


async def test_a_missing_wrapping_key_is_noticed_by_name(
    keyring: Keyring, personal: PersonalData, connection: AsyncConnection[Any]
) -> None:
    await personal.put(connection, ANNA, "email", MAIL)
    await connection.execute("UPDATE subject_keys SET wrapping_key = 'key-of-2025'")
    with pytest.raises(KeyringFault, match="lacks the wrapping key key-of-2025: put it back"):
        await personal.require_same_keys(connection)


async def test_no_table_holds_a_readable_value(
    personal: PersonalData, connection: AsyncConnection[Any], migrated: str
) -> None:
    value = Personal("anna.very-recognisable@example.com")
    await personal.put(connection, ANNA, "email", value)
    await personal.claim(connection, "login", digest_of(personal, value), ANNA)
    texts = [
        row["text"]
        async for row in await connection.execute(
            "SELECT v::text AS text FROM personal_values v UNION ALL SELECT k::text FROM subject_keys k"
            " UNION ALL SELECT i::text FROM personal_index i"
        )
    ]
    assert len(texts) == 3
    for form in (b"anna.very-recognisable", b"@example.com"):
        assert not any(form.decode() in text or form.hex() in text for text in texts)

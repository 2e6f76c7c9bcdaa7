"""Goal: keys move under the current wrapping key while everything goes on, and the old one can then be destroyed."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from runtime.personal_data import rotation
from runtime.personal_data.erasure import erase
from runtime.personal_data.keyring import Keyring, KeyringFault, add_wrapping_key, new_document
from runtime.personal_data.personal import Personal
from runtime.personal_data.rotation import rewrap_batch, wrapping_keys_in_use
from runtime.personal_data.store import PersonalData

SUBJECTS = [bytes([number]) * 16 for number in range(1, 8)]


@pytest.fixture
def rings(tmp_path: Path) -> dict[str, Keyring]:
    """Before, with a new key, and with the new key alone."""
    path = tmp_path / "keys.json"
    path.write_text(new_document())
    before = Keyring.read(path.read_text(), "")
    add_wrapping_key(path, "key-2")
    both = Keyring.read(path.read_text(), "")
    alone = Keyring.read(path.read_text(), "")
    del alone._document.wrapping_keys["key-1"]
    return {"before": before, "both": both, "alone": alone}


async def test_values_are_read_before_during_and_after_a_rotation(
    rings: dict[str, Keyring], connection: AsyncConnection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH_ROWS", 3)
    for subject in SUBJECTS:
        await PersonalData(rings["before"]).put(connection, subject, "city", Personal(subject.hex()))
    with pytest.raises(KeyringFault, match="lacks the wrapping key key-1"):
        await PersonalData(rings["alone"]).values(connection, SUBJECTS[0])
    moved = []
    while count := await rewrap_batch(connection, rings["both"]):
        moved.append(count)
        for subject in SUBJECTS:
            found = await PersonalData(rings["both"]).values(connection, subject)
            assert found == {"city": Personal(subject.hex())}
    assert moved == [3, 3, 1]
    assert await wrapping_keys_in_use(connection) == {"key-2": 7}
    await PersonalData(rings["alone"]).require_same_keys(connection)
    assert await PersonalData(rings["alone"]).values(connection, SUBJECTS[0]) == {"city": Personal(SUBJECTS[0].hex())}


async def test_an_erased_subject_stays_erased(rings: dict[str, Keyring], connection: AsyncConnection[Any]) -> None:
    for subject in SUBJECTS[:2]:
        await PersonalData(rings["before"]).put(connection, subject, "city", Personal("Köln"))
    await erase(connection, rings["before"], SUBJECTS[0], [])
    assert await rewrap_batch(connection, rings["both"]) == 1
    assert await PersonalData(rings["both"]).values(connection, SUBJECTS[0]) == {}
    assert await wrapping_keys_in_use(connection) == {"key-2": 1}


async def test_two_rotations_at_once_share_the_rows(
    rings: dict[str, Keyring], connection: AsyncConnection[Any], migrated: str
) -> None:
    """A row that somebody else is working on is left to them."""
    for subject in SUBJECTS:
        await PersonalData(rings["before"]).put(connection, subject, "city", Personal("Köln"))
    async with await psycopg.AsyncConnection.connect(migrated) as other:
        await other.execute("SELECT 1 FROM subject_keys WHERE subject_id = %s FOR UPDATE", (SUBJECTS[0].hex(),))
        assert await rewrap_batch(connection, rings["both"]) == 6
        await other.rollback()
    assert await rewrap_batch(connection, rings["both"]) == 1

"""Rotation of wrapping keys: subjects' keys move under the current one, batch by batch, while everything goes on.

The values stay as they are: only their keys are wrapped anew. A key that no row names any more may be destroyed, and
with it every older backup's way to what was erased since.
"""

from typing import Final
from uuid import UUID

from runtime.personal_data import sealing
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.rows import Connection, all_rows
from runtime.personal_data.sealing import WrappedKey

BATCH_ROWS: Final = 1_000
"""A tenth of a second: nobody who stores something waits longer for the rows of a batch."""

_NEXT: Final = """
SELECT subject_id, wrapping_key, wrapped FROM subject_keys WHERE wrapping_key <> %s
ORDER BY wrapping_key, subject_id LIMIT %s FOR UPDATE SKIP LOCKED"""
_MOVE: Final = "UPDATE subject_keys SET wrapping_key = %s, wrapped = %s WHERE subject_id = %s"
_IN_USE: Final = """
SELECT wrapping_key, count(*) FROM subject_keys WHERE wrapping_key IS NOT NULL GROUP BY wrapping_key ORDER BY 1"""


async def rewrap_batch(connection: Connection, keyring: Keyring) -> int:
    """Wrap up to BATCH_ROWS keys with the current wrapping key and commit; how many there were. Raises KeyringFault,
    Tampered.
    """
    async with connection.transaction():
        rows = await all_rows(connection, _NEXT, keyring.current, BATCH_ROWS)
        moved = [_moved(keyring, *row) for row in rows]
        async with connection.cursor() as cursor:
            await cursor.executemany(_MOVE, moved)
    return len(rows)


def _moved(keyring: Keyring, subject_id: UUID, wrapping_key: str, wrapped: bytes) -> tuple[str, bytes, UUID]:
    key = sealing.unwrap(keyring, subject_id.bytes, WrappedKey(wrapping_key, wrapped))
    return *sealing.wrap(keyring, subject_id.bytes, key), subject_id


async def wrapping_keys_in_use(connection: Connection) -> dict[str, int]:
    """Subjects by the id of the key that wraps theirs."""
    return dict(await all_rows(connection, _IN_USE))

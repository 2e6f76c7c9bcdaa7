"""Each signed request once, whichever process it comes to: its nonce is written before anything is done.

Bounded: a nonce stays for as long as its request is not too old (310 s), and each costs its caller a commit: at 1,000 a
second 310,000 rows of 120 bytes.
"""

import time
from typing import Final
from uuid import UUID

from ingest_api.identity.machines.signatures import Signed
from ingest_api.reads.migrated import MigratedDatabase

_SWEEP_EVERY_S: Final = 30
_USE: Final = "INSERT INTO api_key_nonces (key_id, nonce_hash, expires_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_SWEEP: Final = """
DELETE FROM api_key_nonces WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM api_key_nonces WHERE expires_at < now() LIMIT 50000))"""


class Nonces:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: MigratedDatabase) -> None:
        self._database = database
        self._swept_s = time.monotonic()

    async def use(self, key_id: bytes, signed: Signed) -> bool:
        """False where it was used before."""
        async with self._database.transaction() as connection:
            used = await connection.execute(_USE, (UUID(bytes=key_id), signed.nonce_hash, signed.expires_at))
            if time.monotonic() - self._swept_s > _SWEEP_EVERY_S:
                self._swept_s = time.monotonic()
                await connection.execute(_SWEEP)
        return used.rowcount == 1

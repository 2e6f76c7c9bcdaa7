"""Which accounts a call means: aliases are resolved once per Idempotency-Key and remembered before Kafka has anything.

Reads aliases and personal_index; reads and writes alias_pins. Guarantees: however often a call is repeated, and
whatever its aliases stand for meanwhile, it means the accounts that it meant first, so it has one payment id and moves
money once. A crash between pin and command leaves a pin, and the repeat goes on from it.

A pin is kept as long as its key protects anything. Where the payer is named by alias, the payment's id follows from the
pinned account, so that pin stays as long as the decision does. Where the payee alone is, the id is the same whatever
the alias stands for: after the window of the key the decision itself answers a repeat (another payee is another body,
which is refused), and the pin is swept. What compares the names of the parties is swept after the window in any case:
it is a keyed hash of them, and no name is kept for longer than it is needed.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.reads.database import Database
from payments.book import IDEMPOTENCY_WINDOW_HOURS

PIN_HOURS: Final = IDEMPOTENCY_WINDOW_HOURS + 24
"""A day more than the agents remember the key: no clock is that wrong."""

SWEEP_ROWS: Final = 5_000
"""Rows of one statement: 0.15 s on two busy cores, and no lock that a call would wait for."""

_RESOLVE: Final = """
SELECT account_id FROM aliases JOIN personal_index USING (digest, subject_id)
WHERE digest = %s AND currency = %s AND valid_to IS NULL AND proven_at IS NOT NULL"""
_FIND: Final = "SELECT parties, payer, payee FROM alias_pins WHERE request = %s"
_PIN: Final = """
INSERT INTO alias_pins (request, parties, payer, payee, payer_by_alias) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING RETURNING parties, payer, payee"""
_DUE: Final = f"""
SELECT request FROM alias_pins
WHERE parties IS NOT NULL AND pinned_at < now() - interval '{PIN_HOURS} hours' AND payer_by_alias = %s
ORDER BY pinned_at LIMIT {SWEEP_ROWS} FOR UPDATE SKIP LOCKED"""
_DROP: Final = f"DELETE FROM alias_pins WHERE request IN ({_DUE}) RETURNING request"
_BLUR: Final = f"UPDATE alias_pins SET parties = NULL WHERE request IN ({_DUE}) RETURNING request"


class Pin(NamedTuple):
    """The accounts that a call means. `parties` tells how they were named, for some days."""

    parties: bytes | None
    payer: bytes
    payee: bytes


class Pins:
    """Resolves names and remembers what they stood for. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._key = key

    async def resolve(self, digest: bytes, currency: str) -> bytes | None:
        """The account that a proved name stands for now."""
        row = await self._database.row(_RESOLVE, (digest, currency))
        return bytes(row["account_id"].bytes) if row is not None else None

    async def find(self, request: bytes) -> Pin | None:
        """What this call meant when it first came."""
        row = await self._database.row(_FIND, (request,))
        return _pin(row) if row is not None else None

    async def pin(self, request: bytes, pin: Pin, *, payer_by_alias: bool) -> Pin:
        """Remember what this call means; what counts is the first one, whoever wrote it. Two statements, because one
        does not see what was committed beside it.
        """
        row = (request, pin.parties, UUID(bytes=pin.payer), UUID(bytes=pin.payee), payer_by_alias)
        written = await self._database.row(_PIN, row)
        first = _pin(written) if written is not None else await self.find(request)
        assert first is not None  # only pins older than any repeat under way are swept
        return first

    def parties_digest(self, request: bytes, payer: bytes, payee: bytes) -> bytes:
        """How the parties of this request were named, by account or digest; no other request gives the same."""
        return hmac.digest(self._key, request + payer + payee, hashlib.sha256)

    async def sweep(self) -> bool:
        """One batch of what is past its time; False where nothing more is due."""
        dropped = await self._database.rows(_DROP, (False,))
        blurred = await self._database.rows(_BLUR, (True,))
        return max(len(dropped), len(blurred)) == SWEEP_ROWS


def request_digest(purpose: bytes, principal: str, key: str) -> bytes:
    """Who called with which Idempotency-Key, for what; the length stands in front, since both texts may hold any
    character.
    """
    name = principal.encode()
    return hashlib.sha256(purpose + b"\0" + len(name).to_bytes(4, "big") + name + key.encode()).digest()


def _pin(row: Mapping[str, Any]) -> Pin:
    return Pin(row["parties"], row["payer"].bytes, row["payee"].bytes)

"""The audit log of one API process: what is recorded, stored at once or together, and sealed every second.

Writes audit_entries; seals them (store.seal_waiting) and publishes the head (heads.py).
Guarantees: `record` is stored when it returns, with the caller's transaction where there is one. `note`, for calls that
have taken effect, is stored before their answer where Postgres answers; else it waits in memory, and a crash loses it.
`count`, for calls that the ledger tells in full, loses COUNTED_S of numbers in a crash, and never a payment.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import Final

import psycopg
from joserfc.errors import JoseError

from ingest_api.audit_log.entry import Entry, Values, new_entry
from ingest_api.audit_log.heads import HeadForged, Heads
from ingest_api.audit_log.reads import Filters, page_of, page_query
from ingest_api.audit_log.shown import AuditPage
from ingest_api.audit_log.store import Head, insert, seal_waiting
from ingest_api.reads.cursor import Cursor
from ingest_api.reads.database import Database, DatabaseUnavailable, end_asking
from ingest_api.reads.migrated import MigratedDatabase
from payments.errors import Unavailable
from runtime import migrate
from runtime.personal_data.rows import Connection
from runtime.postgres import AUDIT_LOG
from runtime.settings import Settings

LOGGER: Final = logging.getLogger("millrace.audit_log")
MIGRATIONS: Final = "ingest_api.audit_log"

SEAL_EVERY_S: Final = 1
COUNTED_S: Final = 10
"""How often calls of the hot routes are written down, summed up by caller, route and status."""

COUNTS_MAX: Final = 1_000
SUMMED_UP: Final = "summed-up"
"""In the place of a request id."""

KEPT_MAX: Final = 10_000
"""Entries that wait for Postgres, × about 1 kB = 10 MB; the oldest are then told to the process's log alone."""

_NOTE_WAIT_S: Final = 2
_HASH_AT: Final = "SELECT hash FROM audit_seals WHERE position = %s"
_FAULTS: Final = (Unavailable, psycopg.Error, TimeoutError, migrate.MigrationRefused, OSError, HeadForged, JoseError)


class AuditLog:
    """Everything runs on the loop."""

    def __init__(self, database: MigratedDatabase, heads: Heads) -> None:
        self._database = database
        self._heads = heads
        self._batch: _Batch | None = None
        self._flight = asyncio.Semaphore(1)
        self._kept: deque[Entry] = deque()
        self._counts: dict[tuple[str, str, int], int] = {}
        self._sealing: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, settings: Settings, writing: Database) -> "AuditLog":
        return cls(MigratedDatabase(writing, settings.database_url, MIGRATIONS, AUDIT_LOG), Heads(settings.home))

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()
        self._sealing = asyncio.create_task(self._seal_again_and_again())

    async def close(self) -> None:
        """Stores what was counted and kept, where Postgres answers."""
        await end_asking(self._sealing)
        try:
            self._sum_up()
            await self._store_kept()
        except _FAULTS as fault:
            LOGGER.error("%d entries of the audit log are lost: %s", len(self._kept), fault)
        await self._database.close()

    async def record(
        self,
        actor: str | None,
        action: str,
        object_: str | None,
        *,
        request_id: str,
        before: Values | None = None,
        after: Values | None = None,
        credential: str | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Somebody did something. With a connection it is part of that transaction: neither is there without the other.
        A value that is `Personal` is left out. Raises DatabaseUnavailable.
        """
        entry = new_entry(
            actor, action, object_, request_id=request_id, before=before, after=after, credential=credential
        )
        if connection is not None:
            await self._database.migrate()  # without a look: that would wait for a second connection
            await insert(connection, [entry])
            return
        async with self._database.transaction() as own:
            await insert(own, [entry])

    async def note(self, entry: Entry) -> None:
        """What a call has done. Calls of one moment share a commit."""
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            batch.storing = asyncio.create_task(self._store_batch(batch))
        batch.entries.append(entry)
        assert batch.storing is not None
        await asyncio.wait({batch.storing}, timeout=_NOTE_WAIT_S)

    def count(self, actor: str, path: str, status: int) -> None:
        """One POST more of this caller with this outcome."""
        key = actor, path, status
        self._counts[key] = self._counts.get(key, 0) + 1
        if len(self._counts) > COUNTS_MAX:
            self._sum_up()

    async def page(self, filters: Filters, after: Cursor | None, limit: int) -> AuditPage:
        """Entries, the latest first. Raises DatabaseUnavailable."""
        return page_of(await self._database.page(*page_query(filters, after, limit)), limit)

    async def _store_batch(self, batch: "_Batch") -> None:
        async with self._flight:
            self._batch = None
            self._keep(batch.entries)
            try:
                await self._store_kept()
            except _FAULTS as fault:
                LOGGER.warning("%d entries of the audit log wait: %s", len(self._kept), " ".join(str(fault).split()))

    async def _store_kept(self) -> None:
        if not self._kept:
            return
        entries = list(self._kept)
        async with self._database.transaction() as connection:
            await insert(connection, entries)
        for _ in range(min(len(entries), len(self._kept))):
            self._kept.popleft()

    def _keep(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if len(self._kept) >= KEPT_MAX:
                LOGGER.error("not in the audit log, because Postgres does not answer: %s", self._kept.popleft())
            self._kept.append(entry)

    def _sum_up(self) -> None:
        counts, self._counts = self._counts, {}
        for (actor, path, status), calls in counts.items():
            summed = {"status": status, "calls": calls}
            self._keep([new_entry(actor, f"POST {path}", None, request_id=SUMMED_UP, after=summed)])

    async def _seal_again_and_again(self) -> None:
        pass_number = 0
        while True:
            await asyncio.sleep(SEAL_EVERY_S)
            pass_number += 1
            if pass_number % COUNTED_S == 0:
                self._sum_up()
            try:
                await self.seal()
            except DatabaseUnavailable:
                LOGGER.debug("Postgres does not answer: the next pass seals")
            except _FAULTS as fault:
                LOGGER.warning("the audit log was not sealed, tried again: %s", " ".join(str(fault).split()))

    async def seal(self) -> None:
        """Bring what waits into Postgres and into the chain, and publish its head. Raises DatabaseUnavailable,
        psycopg.Error, OSError, HeadForged.
        """
        async with self._flight:
            await self._store_kept()
        head = None
        while (found := await self._seal_some()) is not None:
            head = found
        if head is not None:
            await self._publish(head)

    async def _seal_some(self) -> Head | None:
        async with self._database.transaction() as connection:
            return await seal_waiting(connection)

    async def _publish(self, head: Head) -> None:
        """Never over a head that the chain contradicts: that is the proof of what was done to it."""
        before = await asyncio.to_thread(self._heads.published)
        if before is not None:
            row = await self._database.row(_HASH_AT, (before.position,))
            if row is None or row["hash"] != before.hash:
                LOGGER.error(
                    "the audit log does not hold its published head %d: see docs/audit_log.md", before.position
                )
                return
        if before is None or before.position < head.position:
            await asyncio.to_thread(self._heads.publish, head)


class _Batch:
    """Entries of calls that share a commit."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.storing: asyncio.Task[None] | None = None

"""ledger.entries → the view: all shards, read committed, from where Postgres stood when it began.

Reads the ledger, sink_progress and sink_lanes; keeps the view. Guarantees: the view takes every committed record of
every shard once and in order, and none of a transaction that was aborted; while it is not known to keep up, `is_usable`
is false and Postgres answers alone.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from typing import Final

import psycopg
from confluent_kafka import KafkaException, Message

from ingest_api.reads.balances.ledger_moves import Told, told_by
from ingest_api.reads.balances.view import BalanceView, Lanes
from ingest_api.reads.database import Database, DatabaseUnavailable, end_asking
from payments.errors import Unavailable, UndecodableRecord
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_reader import AssignedReader, PositionLost
from runtime.settings import Settings
from schemas.topics import LEDGER

logger = logging.getLogger(__name__)

_POLL_S: Final = 0.2
_BATCH_BYTES: Final = 200_000
"""After which records go to the loop: 2,000 entries, 3 ms in which no call is served. One record may be 900 kB."""

_HAND_OVER_S: Final = 5
LOOK_S: Final = 1
"""How often Postgres is asked how far it is, 0.2 ms each time. A view that has not come as far by the next look does
not hear the brokers: what is answered from memory is two looks old at most."""

_STAND: Final = """
SELECT (SELECT jsonb_object_agg(shard, ledger_next_offset) FROM sink_progress) AS reached,
    (SELECT jsonb_object_agg(shard, commands_next_offset) FROM sink_progress) AS commands_next,
    (SELECT jsonb_agg(jsonb_build_array(shard, lane, peer, next)) FROM sink_lanes) AS lanes"""
_FAULTS: Final = (KafkaException, AccessRefused, PositionLost, UndecodableRecord, Unavailable, TimeoutError)


class Follower:
    """Everything but the thread runs on the loop."""

    def __init__(self, settings: Settings, view: BalanceView, database: Database) -> None:
        self._settings = settings
        self._view = view
        self._database = database
        self._keeping: asyncio.Task[None] | None = None
        self._thread: Reading | None = None
        self._had: Mapping[int, int] = {}
        """How far Postgres was at the last look."""
        self.is_usable = False
        self.records_behind = 0
        """What Postgres had of the ledger at the look before the last one, and the view had not at the last."""

    def start(self) -> None:
        """Waits neither for Postgres nor for Kafka."""
        self._keeping = asyncio.create_task(self._keep_up())

    async def stop(self) -> None:
        await end_asking(self._keeping)
        await self._end_reading()

    async def _keep_up(self) -> None:
        while True:
            try:
                await self._look()
            except DatabaseUnavailable:
                pass  # the view is as good as it was
            except (*_FAULTS, psycopg.Error, OSError) as error:
                logger.warning("balances are read from Postgres alone, tried again: %s", error)
                await self._end_reading()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        row = await self._database.row(_STAND)
        assert row is not None, "one row"
        reached = dict.fromkeys(range(self._settings.shards), 0) | _by_shard(row["reached"])
        if self._thread is None or not self._thread.is_alive():
            self.is_usable = False
            lanes = {(shard, lane, peer): following for shard, lane, peer, following in row["lanes"] or ()}
            self._begin(reached, _by_shard(row["commands_next"]), lanes)
        else:
            self.records_behind = sum(max(0, at - self._view.reached[shard]) for shard, at in self._had.items())
            self.is_usable = not self.records_behind
        self._had = reached

    def _begin(self, reached: Mapping[int, int], commands_next: Mapping[int, int], lanes: Lanes) -> None:
        self._view.begin(reached, commands_next, lanes)
        self._thread = Reading(self._settings, reached, asyncio.get_running_loop(), self._take)
        self._thread.start()

    def _take(self, told: list[Told]) -> None:
        for one in told:
            self._view.take(one)

    async def _end_reading(self) -> None:
        self.is_usable = False
        if self._thread is not None:
            self._thread.stopping.set()
            await asyncio.to_thread(self._thread.join, _HAND_OVER_S)
            self._thread = None


def _by_shard(found: Mapping[str, int] | None) -> dict[int, int]:
    return {int(shard): offset for shard, offset in (found or {}).items()}


class Reading(threading.Thread):
    """Reads and decodes; ends where it cannot go on. One batch at a time is on its way to the loop."""

    def __init__(
        self,
        settings: Settings,
        next_offsets: Mapping[int, int],
        loop: asyncio.AbstractEventLoop,
        take: Callable[[list[Told]], None],
    ) -> None:
        super().__init__(name="balances", daemon=True)
        self.stopping = threading.Event()
        group = f"millrace-api-{settings.api_process_id}-balances"  # a name alone: nothing is committed
        self._reader = AssignedReader(Brokers.of(settings), LEDGER.name, group)
        self._next_offsets = next_offsets
        self._loop = loop
        self._take = take

    def run(self) -> None:
        try:
            self._reader.start(self._next_offsets)
            while not self.stopping.is_set():
                batch = [_told(record) for record in self._records()]
                if batch:
                    self.hand_over(batch)
        except _FAULTS as error:
            logger.warning("balances are read from Postgres alone, tried again: %s", error)
        finally:
            self._reader.close()

    def _records(self) -> list[Message]:
        """What is here already, waiting for the first."""
        records: list[Message] = []
        size_bytes = 0
        record = self._reader.next_record(_POLL_S)
        while record is not None:
            records.append(record)
            size_bytes += len(record)
            record = self._reader.next_record(0) if size_bytes < _BATCH_BYTES else None
        return records

    def hand_over(self, batch: list[Told]) -> None:
        """Raises what taking it raises: this thread ends then, and the view begins anew."""
        if self._loop.is_closed():
            return
        taken = asyncio.run_coroutine_threadsafe(self._taken(batch), self._loop)
        while not self.stopping.is_set() and not wait([taken], _POLL_S).done:
            pass
        if taken.done():
            taken.result()

    async def _taken(self, batch: list[Told]) -> None:
        self._take(batch)


def _told(record: Message) -> Told:
    offset, value = record.offset(), record.value()
    assert offset is not None
    return told_by(offset, value or b"")

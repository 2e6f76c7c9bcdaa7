"""Decisions that the agents no longer remember: looked up in Postgres before a command is produced.

Agents remember a key for IDEMPOTENCY_WINDOW_HOURS; used again later it would be decided again under the same id, the
money would move twice, and the sink would stop on its primary key. Reads decisions and account_events, keeps the ids of
one query. Guarantees: while Postgres answers, no command whose operation was decided longer ago than REMEMBERED_HOURS
gets past; one query per batch, and one for all single calls that come while none is on its way.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from ingest_api.reads.database import SESSION_OPTIONS, Database, DatabaseUnavailable
from payments.book import IDEMPOTENCY_WINDOW_HOURS
from payments.commands import Command, CommandKind
from payments.entries import EntryKind
from payments.identifiers import NIL
from runtime.settings import Settings

logger = logging.getLogger(__name__)

_MARGIN_HOURS = 1
"""The agents forget by the broker's clock at append, this looks by the clock of Postgres before that. Between the two
lie the delivery time-out (10 s) and the difference of two clocks: an hour is far more than a clock may be wrong, and a
72nd of the window. The row has long been there: a sink that is 71 h behind shows on every dashboard."""

REMEMBERED_HOURS = IDEMPOTENCY_WINDOW_HOURS - _MARGIN_HOURS
"""A repeat of a younger decision is the agents' to answer; an older one is answered from its row."""

IDS_PER_QUERY_MAX = 1_000  # single calls that share one query; further ones wait for the next
_CONNECTIONS = 2  # one for the single calls, one for batches: reads of many pages keep nobody waiting here
_QUERY_WAITS_S = 2  # 500 ids take 1–2 ms; a call that has waited this long goes on unchecked
_PROBE_EVERY_S = 1

# An index probe per id, whatever the plan was made for: a table that was empty then may have grown since.
_OPTIONS = f"{SESSION_OPTIONS} -c enable_seqscan=off -c jit=off"

_FIND = f"""
SELECT payment_id AS operation_id, kind, payer, payee, amount_minor, currency, description, decided_at, shard,
    command_offset
FROM decisions
WHERE payment_id = ANY(%(ids)s::uuid[]) AND decided_at < now() - interval '{REMEMBERED_HOURS} hours'
UNION ALL
SELECT operation_id, kind, account_id, '{UUID(bytes=NIL)}', amount_minor, currency, NULL, decided_at, shard,
    command_offset
FROM account_events
WHERE operation_id = ANY(%(ids)s::uuid[]) AND decided_at < now() - interval '{REMEMBERED_HOURS} hours'"""

_DONE = {
    CommandKind.OPEN_ACCOUNT: EntryKind.ACCOUNT_OPENED,
    CommandKind.FREEZE_ACCOUNT: EntryKind.ACCOUNT_FROZEN,
    CommandKind.UNFREEZE_ACCOUNT: EntryKind.ACCOUNT_UNFROZEN,
    CommandKind.CLOSE_ACCOUNT: EntryKind.ACCOUNT_CLOSED,
    CommandKind.SET_OVERDRAFT_LIMIT: EntryKind.OVERDRAFT_LIMIT_SET,
}
"""What the row of an account operation that was done shows. A payment's kind follows from its payer."""


class EarlierDecision(NamedTuple):
    """What Postgres keeps of a decided command, and where that command stands in the log."""

    kind: EntryKind
    body: tuple[bytes, bytes, int, str, str]
    decided_at_us: int
    position: tuple[int, int]
    """Shard and offset in payments.commands: a Consistency-Token for what became of it."""

    def is_of(self, command: Command) -> bool:
        """True where the command says again what was decided; False where its key was used for something else."""
        body = command.payer, command.payee, command.amount_minor, command.currency, command.description
        return body == self.body and self.kind in {EntryKind.REJECTED, _DONE.get(command.kind, self.kind)}


Found = Mapping[bytes, EarlierDecision]
_NOTHING: Found = {}


class EarlierDecisions:
    """Operation id → its decision of long ago. Everything runs on the loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathering: _Gathering | None = None
        self._flight = asyncio.Semaphore(1)
        self._recovery: asyncio.Task[None] | None = None
        self._unchecked = 0

    @classmethod
    def of(cls, settings: Settings) -> "EarlierDecisions":
        return cls(Database(settings.database_url, _CONNECTIONS, settings.api_waiting_calls, _OPTIONS))

    async def open(self) -> None:
        """Does not wait for Postgres: commands are taken without it."""
        await self._database.open()

    async def close(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
        await self._database.close()

    async def find_together(self, ids: Sequence[bytes]) -> Found:
        """Those of these ids (and perhaps of others) decided long ago, in one query with the calls of this turn of the
        loop and those that come while the query before is on its way.
        """
        gathering = self._gathering
        if gathering is None or len(gathering.ids) + len(ids) > IDS_PER_QUERY_MAX:
            gathering = self._gathering = _Gathering()
            gathering.answer = asyncio.create_task(self._find_gathered(gathering))
        gathering.ids += ids
        assert gathering.answer is not None
        return await asyncio.shield(gathering.answer)

    async def _find_gathered(self, gathering: "_Gathering") -> Found:
        async with self._flight:
            if self._gathering is gathering:
                self._gathering = None
            return await self.find(gathering.ids)

    async def find(self, ids: Sequence[bytes]) -> Found:
        """Those of these ids decided long ago, in one query; nothing while Postgres does not answer."""
        if self._recovery is None and ids:
            query = asyncio.create_task(self._query(ids))
            await asyncio.wait([query], timeout=_QUERY_WAITS_S)
            # A query that hangs is left to itself: cancelling it would wait for the server as well.
            found = query.result() if query.done() else "no answer in time"
            if not isinstance(found, str):
                return found
            self._begin_outage(found)
        self._unchecked += len(ids)
        return _NOTHING

    async def _query(self, ids: Sequence[bytes]) -> Found | str:
        """What was found, or why nothing can be."""
        try:
            rows = await self._database.rows(_FIND, {"ids": "{" + ",".join([id_.hex() for id_ in ids]) + "}"})
        except DatabaseUnavailable as error:
            return str(error)
        return {row["operation_id"].bytes: _decision(row) for row in rows} if rows else _NOTHING

    def _begin_outage(self, reason: str) -> None:
        if self._recovery is None:
            logger.warning(
                "postgres does not answer (%s): commands are taken without a look for late reuse of their keys", reason
            )
            self._recovery = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        while not await self._database.reachable():
            await asyncio.sleep(_PROBE_EVERY_S)
        logger.warning("postgres answers: keys are checked again; %d were taken unchecked", self._unchecked)
        self._unchecked = 0
        self._recovery = None


class _Gathering:
    """The ids of calls that share a query."""

    __slots__ = ("answer", "ids")

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self.answer: asyncio.Task[Found] | None = None


def _decision(row: Mapping[str, Any]) -> EarlierDecision:
    return EarlierDecision(
        EntryKind(row["kind"]),
        (
            row["payer"].bytes,
            row["payee"].bytes,
            row["amount_minor"],
            row["currency"].rstrip(),  # char(3): an operation without a currency shows blanks
            row["description"] or "",
        ),
        int(row["decided_at"].timestamp() * 1_000_000),
        (row["shard"], row["command_offset"]),
    )

"""Decisions that the agents no longer remember: looked up in Postgres before a command is produced.

Agents remember a key for IDEMPOTENCY_WINDOW_HOURS; used again later it would be decided again under the same id, the
money would move twice, and the sink would stop on its primary key. Reads decisions and account_events, keeps what the
calls of one query ask for. Guarantees: while Postgres answers, no command whose operation was decided longer ago than
REMEMBERED_HOURS gets past; one query per batch, and one for all single calls that come while none is on its way.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from ingest_api.reads.database import Database, DatabaseUnavailable, Share, end_asking
from payments.book import IDEMPOTENCY_WINDOW_HOURS
from payments.commands import Command, CommandKind
from payments.entries import EntryKind
from payments.identifiers import NIL
from payments.lifecycle import DEEDS
from payments.postings import MOVEMENTS
from runtime.postgres import EARLIER_DECISIONS

logger = logging.getLogger(__name__)

_MARGIN_HOURS = 1
"""The agents forget by the broker's clock at append; this looks by the clock of Postgres, before that. Between the two
lie the delivery time-out (10 s) and the difference of two clocks. An hour is far more than both, and still leaves the
sink 71 hours to have written the row."""

REMEMBERED_HOURS = IDEMPOTENCY_WINDOW_HOURS - _MARGIN_HOURS
"""A repeat of a younger decision is the agents' to answer; an older one is answered from its row."""

IDS_PER_QUERY_MAX = 1_000  # single calls that share one query; further ones wait for the next
_QUERY_WAITS_S = 5  # 500 ids take 3 ms, 10,000 on cold pages (0.1 ms each) a second; beyond it calls go on unchecked
_PROBE_EVERY_S = 1

# A transfer that a rule held for a review is one that was reserved; any other hold is no transfer.
_KIND = f"""CASE WHEN kind = {EntryKind.HELD:d} AND EXISTS (SELECT FROM holds WHERE hold_id = payment_id AND is_review)
    THEN {EntryKind.RESERVED:d} ELSE kind END"""
_FIND = f"""
SELECT payment_id AS operation_id, {_KIND} AS kind, payer, payee, amount_minor, currency, description, decided_at,
    shard, command_offset
FROM decisions
WHERE payment_id = ANY(%(payments)s::uuid[]) AND decided_at < now() - interval '{REMEMBERED_HOURS} hours'
UNION ALL
SELECT operation_id, kind, account_id, '{UUID(bytes=NIL)}', amount_minor, currency, NULL, decided_at, shard,
    command_offset
FROM account_events
WHERE operation_id = ANY(%(account_operations)s::uuid[]) AND decided_at < now() - interval '{REMEMBERED_HOURS} hours'"""

_DONE = {kind: deed for kind, deed in DEEDS.items() if kind not in MOVEMENTS}
"""What the row of an account operation that was done shows."""

_KINDS = {kind: frozenset({EntryKind.REJECTED, deed}) for kind, deed in DEEDS.items()}
_KINDS[CommandKind.DEPOSIT] |= {EntryKind.POSTED_UNCOLLECTED}
"""What the row of a command may show. A hold with the same parties and amount is no transfer."""


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
        return body == self.body and self.kind in _KINDS[command.kind]


Asked = tuple[bytes, CommandKind | None]
"""Operation id, and what is asked for: it says which table would have the row. An instruction's (None) is in either."""

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
    def of(cls, reading: Database) -> "EarlierDecisions":
        return cls(Share(reading, EARLIER_DECISIONS))

    async def open(self) -> None:
        """Does not wait for Postgres: commands are taken without it."""
        await self._database.open()

    async def close(self) -> None:
        await end_asking(self._recovery)
        await self._database.close()

    async def find_together(self, asked: Sequence[Asked]) -> Found:
        """Those of these operations (and perhaps others) decided long ago: one query for the calls of this turn of the
        loop, and of those that came while the query before was on its way.
        """
        gathering = self._gathering
        if gathering is None or len(gathering.asked) + len(asked) > IDS_PER_QUERY_MAX:
            gathering = self._gathering = _Gathering()
            gathering.answer = asyncio.create_task(self._find_gathered(gathering))
        gathering.asked += asked
        assert gathering.answer is not None
        return await asyncio.shield(gathering.answer)

    async def _find_gathered(self, gathering: "_Gathering") -> Found:
        async with self._flight:
            if self._gathering is gathering:
                self._gathering = None
            return await self.find(gathering.asked)

    async def find(self, asked: Sequence[Asked]) -> Found:
        """Those of these operations decided long ago, in one query; nothing while Postgres does not answer."""
        if self._recovery is None and asked:
            query = asyncio.create_task(self._query(asked))
            await asyncio.wait([query], timeout=_QUERY_WAITS_S)
            # A query that hangs is left to itself: cancelling it would wait for the server as well.
            found = query.result() if query.done() else "no answer in time"
            if not isinstance(found, str):
                return found
            self._begin_outage(found)
        self._unchecked += len(asked)
        return _NOTHING

    async def _query(self, asked: Sequence[Asked]) -> Found | str:
        """What was found, or why nothing can be."""
        try:
            rows = await self._database.rows(_FIND, _parameters(asked))
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
    """What the calls that share a query ask for."""

    __slots__ = ("answer", "asked")

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: asyncio.Task[Found] | None = None


def _parameters(asked: Sequence[Asked]) -> dict[str, str]:
    payments = [id_.hex() for id_, kind in asked if kind not in _DONE]
    operations = [id_.hex() for id_, kind in asked if kind is None or kind in _DONE]
    return {"payments": f"{{{','.join(payments)}}}", "account_operations": f"{{{','.join(operations)}}}"}


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

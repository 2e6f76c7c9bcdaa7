"""News from providers: which open requests should be asked about now, and not only when their plan says so; and news
for payers: where they act.

Reads psp_events, where the API keeps what providers sent, and notes there what was acted on; writes payer_actions,
which the API shows. Only hints: where Postgres is away, or nobody here has the request, its attempts come when they are
due, and tell again where the payer acts. A request is hinted at once for each type of event: an inquiry brought forward
is one of its few attempts.
"""

import asyncio
import threading
from contextlib import suppress
from typing import Final
from uuid import UUID

import psycopg

from connectors.rounds import rounds
from schemas.tables.psp_events import HINT_LIFE

LOOK_S: Final = 1.0
_NEWS: Final = """
SELECT request_id FROM psp_events AS news
WHERE acted_at IS NULL AND request_id IS NOT NULL AND received_at > now() - %s AND NOT EXISTS (
    SELECT FROM psp_events AS earlier
    WHERE (earlier.request_id, earlier.type) = (news.request_id, news.type) AND earlier.acted_at IS NOT NULL
) LIMIT 10000"""
_ACTION: Final = """
INSERT INTO payer_actions (request_id, url) VALUES (%s, %s) ON CONFLICT (request_id) DO UPDATE SET url = excluded.url"""
_NO_ACTION: Final = "DELETE FROM payer_actions WHERE request_id = ANY(%s) OR noted_at < now() - interval '7 days'"
"""The last attempt is 4.4 days after the first."""
_TOLD_MAX: Final = 10_000
"""× 300 bytes, of an hour of trouble with Postgres at three payers a second; the oldest are told with the next attempt.
"""

_ACTED: Final = "UPDATE psp_events SET acted_at = now() WHERE request_id = ANY(%s) AND acted_at IS NULL"


class Hints:
    """Ids of requests that a provider has news about."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._acted: list[bytes] = []
        self._actions: dict[UUID, str] = {}
        self._told = asyncio.Event()
        self.request_ids: frozenset[bytes] = frozenset()

    def acted_on(self, request_id: bytes) -> None:
        """It is being asked about."""
        self.request_ids -= {request_id}
        self._acted.append(request_id)

    def payer_acts(self, request_id: bytes, url: str) -> None:
        """Where its payer acts, written at once: the world is told so, too, and then looks for the page. Empty: there
        is nothing to act at any more.
        """
        self._actions[UUID(bytes=request_id)] = url
        self._told.set()
        if len(self._actions) > _TOLD_MAX:
            del self._actions[next(iter(self._actions))]

    async def follow(self, stop: threading.Event) -> None:
        """Keep `request_ids` fresh. Never raises: money does not wait for hints."""
        await rounds(self._url, stop, self._look_and_rest, "no hints from providers")

    async def _look_and_rest(self, connection: psycopg.AsyncConnection) -> None:
        await self.look(connection)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told.wait(), LOOK_S)
        self._told.clear()

    async def look(self, connection: psycopg.AsyncConnection) -> None:
        """Note what was acted on, then see what is new. Raises psycopg.Error."""
        acted = self._acted[:]
        if acted:
            await connection.execute(_ACTED, (acted,))
            del self._acted[: len(acted)]
        await self._tell_payers(connection)
        try:
            rows = await (await connection.execute(_NEWS, (HINT_LIFE,))).fetchall()
        except psycopg.errors.UndefinedTable:  # the API makes it when the first event comes
            rows = []
        self.request_ids = frozenset(bytes(row[0]) for row in rows) - frozenset(self._acted)

    async def _tell_payers(self, connection: psycopg.AsyncConnection) -> None:
        told = dict(self._actions)
        if acting := [(request, url) for request, url in told.items() if url]:
            await connection.cursor().executemany(_ACTION, acting)
        if ended := [request for request, url in told.items() if not url]:
            await connection.execute(_NO_ACTION, (ended,))
        for request, url in told.items():
            if self._actions.get(request) == url:
                del self._actions[request]

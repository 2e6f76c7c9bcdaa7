"""News from providers: which open requests should be asked about now, and not only when their plan says so.

Reads psp_events, where the API keeps what providers sent, and notes there what was acted on. Only a hint: where
Postgres is away, or nobody here has the request, its attempts come when they are due. A request is hinted at once for
each type of event: an inquiry brought forward is one of its few attempts.
"""

import asyncio
import logging
import threading
from typing import Final

import psycopg

from schemas.tables.psp_events import HINT_LIFE

log = logging.getLogger("millrace.connectors")

LOOK_S: Final = 1.0
AGAIN_S: Final = 5.0
"""After trouble with Postgres."""

_NEWS: Final = """
SELECT request_id FROM psp_events AS news
WHERE acted_at IS NULL AND request_id IS NOT NULL AND received_at > now() - %s AND NOT EXISTS (
    SELECT FROM psp_events AS earlier
    WHERE (earlier.request_id, earlier.type) = (news.request_id, news.type) AND earlier.acted_at IS NOT NULL
) LIMIT 10000"""
_ACTED: Final = "UPDATE psp_events SET acted_at = now() WHERE request_id = ANY(%s) AND acted_at IS NULL"


class Hints:
    """Ids of requests that a provider has news about."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._acted: list[bytes] = []
        self.request_ids: frozenset[bytes] = frozenset()

    def acted_on(self, request_id: bytes) -> None:
        """It is being asked about."""
        self.request_ids -= {request_id}
        self._acted.append(request_id)

    async def follow(self, stop: threading.Event) -> None:
        """Keep `request_ids` fresh. Never raises: money does not wait for hints."""
        while not stop.is_set():
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=5
                ) as found:
                    while not stop.is_set():
                        await self.look(found)
                        await asyncio.sleep(LOOK_S)
            except psycopg.Error as error:
                log.info("no hints from providers: %s", type(error).__name__)
                await asyncio.sleep(AGAIN_S)

    async def look(self, connection: psycopg.AsyncConnection) -> None:
        """Note what was acted on, then see what is new. Raises psycopg.Error."""
        acted = self._acted[:]
        if acted:
            await connection.execute(_ACTED, (acted,))
            del self._acted[: len(acted)]
        rows = await (await connection.execute(_NEWS, (HINT_LIFE,))).fetchall()
        self.request_ids = frozenset(bytes(row[0]) for row in rows) - frozenset(self._acted)

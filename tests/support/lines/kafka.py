"""A line to a Kafka broker that knows which request it carries: one kind of request can be late, held or cut.

librdkafka keeps connections of their own to the group's and to the transaction's coordinator, beside those to the
leaders of partitions, on the same broker too. A connection belongs to a coordinator from its first such request on; so
"the worker reaches every broker but not the transaction coordinator" can be made on one broker or on three.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.support.lines.tcp import Connection, TcpLine

FETCH, END_TXN = 1, 26
TRANSACTION_COORDINATOR = frozenset({22, 24, 25, END_TXN})
"""InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn."""

GROUP_COORDINATOR = frozenset({8, 9, 11, 12, 13, 14, 28, 68})
"""OffsetCommit, OffsetFetch, JoinGroup, Heartbeat, LeaveGroup, SyncGroup, TxnOffsetCommit, ConsumerGroupHeartbeat."""

Answer = TypeVar("Answer")


class KafkaLine(TcpLine):
    """One port in front of one broker."""

    def __init__(self, host: str, port: int, own_port: int = 0) -> None:
        super().__init__(host, port, own_port)
        self._late_s: dict[int, float] = {}
        self._held: frozenset[int] = frozenset()
        self._severed: frozenset[int] = frozenset()
        self._released = asyncio.Event()

    async def mend(self) -> None:
        self._held = self._severed = frozenset()
        self._released.set()
        await super().mend()

    def delay_next(self, kind: int, late_s: float) -> None:
        """The next request of this kind, and what follows it on its connection, comes this much later; or after its
        sender has given up and closed."""
        self._late_s[kind] = late_s

    @property
    def waits_for_one_to_delay(self) -> bool:
        return bool(self._late_s)

    def hold_kinds(self, kinds: Collection[int]) -> None:
        """Connections that carry such requests stay, nothing of theirs reaches the broker until `mend`."""
        self._released.clear()
        self._held = frozenset(kinds)

    def cut_kinds(self, kinds: Collection[int]) -> None:
        """Connections that carry such requests are broken, now and with each new one until `mend`."""
        self._severed = frozenset(kinds)
        for connection in self.connections:
            if connection.kinds & self._severed:
                self._sever(connection)

    def leave_kinds_half_open(self, kinds: Collection[int]) -> int:
        """The broker loses the connections that carried such requests, the clients are not told; answers how many."""
        lost = [connection for connection in self.connections if connection.kinds & set(kinds)]
        for connection in lost:
            connection.lose_server()
        return len(lost)

    async def _next_piece(self, connection: Connection, source: asyncio.StreamReader) -> bytes:
        if source is not connection.client_reader:
            return await super()._next_piece(connection, source)
        try:
            size = await source.readexactly(4)
            request = await source.readexactly(int.from_bytes(size))
        except asyncio.IncompleteReadError:
            return b""
        await self._admit(connection, int.from_bytes(request[:2]))
        return size + request

    async def _admit(self, connection: Connection, kind: int) -> None:
        connection.kinds.add(kind)
        if connection.kinds & self._severed:
            self._sever(connection)
        if connection.kinds & self._held:
            self.hindered += 1
            await self._released.wait()
        if late_s := self._late_s.pop(kind, 0.0):
            await asyncio.sleep(late_s)

    def _sever(self, connection: Connection) -> None:
        self.hindered += 1
        connection.abort()


class LineLoop:
    """An event loop in a thread of its own, for tests that are not asynchronous themselves."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lines", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do something to a line, on its loop; its answer. Raises what it raises, TimeoutError after 10 s."""

        async def done() -> Answer:
            return await work()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(10)

    def call(self, work: Callable[[], Answer]) -> Answer:
        """As `run`, for what needs no waiting."""

        async def done() -> Answer:
            return work()

        return self.run(done)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def kafka_lines(servers: Collection[tuple[str, int, int]]) -> Iterator[tuple[LineLoop, list[KafkaLine]]]:
    """One line per (host, port, own port), open; cut at the end."""
    loop = LineLoop()
    try:
        lines = [KafkaLine(*server) for server in servers]
        for line in lines:
            loop.run(line.mend)
        yield loop, lines
        for line in lines:
            loop.run(line.cut)
    finally:
        loop.close()

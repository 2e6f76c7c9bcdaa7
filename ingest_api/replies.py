"""payments.replies → the calls that wait: one partition, read committed, from its end at start.

Keeps the waiting calls of this process (bounded). A reply that nobody waits for is dropped: the outcome stands in
Postgres anyway.
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from ingest_api.http.resources import is_final
from payments.commands import NO_REPLY
from payments.errors import Unavailable, UndecodableRecord
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.codec.replies import Reply, decode_replies, reply_address, reply_partition
from schemas.topics import REPLIES

logger = logging.getLogger(__name__)

_START_WAIT_S = 30
_POLL_S = 0.2
_CONSUME_MAX = 500
_FIRST_REQUEST_MAX = 2**46
"""Request numbers are six bytes and start anywhere below this, so that a late reply to an earlier process of the same
id meets nobody; 2⁴⁷ numbers are left, enough for 4,000 years at 1,000 calls a second."""


class Waiting:
    """One call that waits for the outcome of one operation."""

    __slots__ = ("_done", "_number", "latest", "operation_id", "reply_to")

    def __init__(self, number: int, reply_to: bytes, operation_id: bytes, done: "asyncio.Future[None] | None") -> None:
        self._number = number
        self.reply_to = reply_to
        self.operation_id = operation_id
        self.latest: Reply | None = None
        self._done = done

    def take(self, reply: Reply) -> None:
        """A reply to this operation: remember it, and wake the call where it is final."""
        if reply.operation_id != self.operation_id:
            return
        if self.latest is None or not is_final(self.latest.kind):
            self.latest = reply
        if is_final(reply.kind):
            self.cut_short()

    def cut_short(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def outcome(self, timeout_s: float) -> Reply | None:
        """The final reply, or after the time-out the latest one: None where nothing is decided yet."""
        if self._done is not None and not self._done.done() and timeout_s > 0:
            timer = self._done.get_loop().call_later(timeout_s, self.cut_short)
            try:
                await self._done
            finally:
                timer.cancel()
        return self.latest


class WaitingCalls:
    """Request number → waiting call. Everything runs on the loop."""

    def __init__(self, process_id: int, limit: int) -> None:
        self._process_id = process_id
        self._limit = limit
        self._next = 1 + secrets.randbelow(_FIRST_REQUEST_MAX)
        self._calls: dict[bytes, Waiting] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def closed(self) -> bool:
        return self._closed

    def expect(self, operation_id: bytes) -> Waiting:
        """Register before the command is sent, so that no reply can be missed. When too many wait already (or the
        process is stopping), the call gets no reply and is answered with what is known at once.
        """
        if self._closed or len(self._calls) >= self._limit:
            return Waiting(0, NO_REPLY, operation_id, None)
        number = self._next
        self._next += 1
        reply_to = reply_address(self._process_id, number)
        waiting = Waiting(number, reply_to, operation_id, asyncio.get_running_loop().create_future())
        self._calls[reply_to] = waiting
        return waiting

    def forget(self, waiting: Waiting) -> None:
        self._calls.pop(waiting.reply_to, None)

    def resolve(self, replies: list[Reply]) -> None:
        """Hand replies to their calls; those of others and of calls that gave up are dropped."""
        for reply in replies:
            waiting = self._calls.get(reply.reply_to)
            if waiting is not None:
                waiting.take(reply)

    def close(self) -> None:
        """Nobody waits any longer: every call is answered now with what is known."""
        self._closed = True
        for waiting in self._calls.values():
            waiting.cut_short()


class ReplyListener:
    """The thread that reads this process's partition of the replies."""

    def __init__(self, settings: Settings, resolve: Callable[[list[Reply]], None]) -> None:
        self._process = settings.api_process_id.to_bytes(2, "big")
        self._partition = reply_partition(reply_address(settings.api_process_id, 1))
        self._resolve = resolve
        self._brokers = Brokers.of(settings)
        self._consumer = Consumer(_configuration(settings))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="reply-listener", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failure: str | None = None
        """Why the thread has ended, where nobody told it to."""

    async def start(self) -> None:
        """Returns once the end of the partition is known: every later reply will be seen. Raises Unavailable."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._assign_at_end)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _assign_at_end(self) -> None:
        # An explicit offset: "end" would be looked up only with the first fetch, when a reply may already be there.
        partition = TopicPartition(REPLIES.name, self._partition)
        try:
            error = self._consumer.list_topics(REPLIES.name, timeout=_START_WAIT_S).topics[REPLIES.name].error
            if error is not None:
                raise Unavailable(self._brokers.explained(error, f"read {REPLIES.name}"))
            _, end = self._consumer.get_watermark_offsets(partition, timeout=_START_WAIT_S)
        except KafkaException as error:
            raise Unavailable(f"{REPLIES.name} cannot be read: {error}") from error
        self._consumer.assign([TopicPartition(REPLIES.name, self._partition, end)])

    def _listen(self) -> None:
        try:
            self._read_on()
        finally:
            if not self._stopping.is_set():
                self.failure = "replies are not read any more"
                logger.critical("ALARM %s, for a reason that nobody has thought of", self.failure)
            self._consumer.close()

    def _read_on(self) -> None:
        while not self._stopping.is_set():
            first = self._consumer.poll(_POLL_S)
            if first is None:
                continue
            # consume() with a time-out would wait for a full batch: take only what is here already
            replies = self._mine([first, *self._consumer.consume(_CONSUME_MAX, 0)])
            if replies:
                self._hand_over(replies)

    def _mine(self, records: list[Message]) -> list[Reply]:
        mine: list[Reply] = []
        for record in records:
            value: bytes | None = record.value()
            error = record.error()
            if error is not None or value is None:
                said = self._brokers.explained(error, f"read {REPLIES.name}") if error else "a record without value"
                logger.warning("replies: %s", said)
                continue
            try:
                mine += [reply for reply in decode_replies(value) if reply.reply_to[:2] == self._process]
            except UndecodableRecord as error:
                logger.error("replies: a record that is none at offset %s: %s", record.offset(), error)
        return mine

    def _hand_over(self, replies: list[Reply]) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve, replies)

    async def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 5)


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        **Brokers.of(settings).configuration(),
        "client.id": f"millrace-api-{settings.api_process_id}-replies",
        "group.id": f"millrace-api-{settings.api_process_id}",  # required by the client; nothing is committed
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "latest",
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 5,
        "queued.min.messages": 1_000,
        "socket.keepalive.enable": True,
        "logger": logger,
        "log_level": 4,
    }

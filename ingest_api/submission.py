"""One command's way: register for the reply, hand it to Kafka, wait for the log, wait for the outcome.

Guarantees: no answer before Kafka has the command on all in-sync replicas; a lost reply costs time, never truth.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from ingest_api.publisher import Publisher, Record
from ingest_api.replies import Waiting, WaitingCalls
from payments.commands import Command
from payments.identifiers import derive_operation_id
from schemas.codec.commands import encode_command
from schemas.codec.replies import Reply
from schemas.partitioning import shard_of

_TRACEPARENT_CHARS = 55


class Outcome(NamedTuple):
    """What is known of a command when its call is answered."""

    operation_id: bytes
    reply: Reply | None
    """The final reply, or after the wait the latest; None = accepted, not decided yet."""
    positions: dict[int, int]
    """Shard → offset of the command in payments.commands."""
    deadline: float
    """Until when (time.monotonic) the call may still wait for what Postgres shows."""


def record_headers(request_id: str, traceparent: str | None) -> list[tuple[str, bytes]]:
    """Kafka headers of a record: which call it came from."""
    headers = [("request_id", request_id.encode("ascii"))]
    if traceparent is not None and len(traceparent) == _TRACEPARENT_CHARS and traceparent.isascii():
        headers.append(("traceparent", traceparent.encode("ascii")))
    return headers


class Submission:
    """Sends single commands and waits for what becomes of them."""

    def __init__(self, publisher: Publisher, waiting: WaitingCalls, shards: int) -> None:
        self._publisher = publisher
        self._waiting = waiting
        self._shards = shards

    async def submit(self, command: Command, wait_s: float, headers: list[tuple[str, bytes]]) -> Outcome:
        """Raises QueueFull (nothing taken) or DeliveryUnknown (repeat with the same key)."""
        (outcome,) = await self.submit_all([command], wait_s, headers)
        return outcome

    async def submit_all(
        self, commands: Sequence[Command], wait_s: float, headers: list[tuple[str, bytes]]
    ) -> list[Outcome]:
        """The same for several commands of one account: they are decided in this order."""
        deadline = time.monotonic() + wait_s
        authority = commands[0].authority
        shard = shard_of(authority, self._shards)
        ids = [derive_operation_id(authority, command.idempotency_key, shard) for command in commands]
        calls = [self._waiting.expect(id_) for id_ in ids] if wait_s > 0 else []
        try:
            addressed = (
                [c._replace(reply_to=w.reply_to) for c, w in zip(commands, calls, strict=True)] if calls else commands
            )
            records = [Record(shard, authority, encode_command(command)) for command in addressed]
            positions = await self._publisher.send(records, headers).wait()
            replies = await _outcomes(calls, deadline) if calls else [None] * len(ids)
        finally:
            for call in calls:
                self._waiting.forget(call)
        return [Outcome(id_, reply, positions, deadline) for id_, reply in zip(ids, replies, strict=True)]


async def _outcomes(calls: Sequence[Waiting], deadline: float) -> list[Reply | None]:
    if len(calls) == 1:
        return [await calls[0].outcome(deadline - time.monotonic())]
    return list(await asyncio.gather(*(call.outcome(deadline - time.monotonic()) for call in calls)))

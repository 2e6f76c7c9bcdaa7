"""One command's way: look for a decision of long ago, register for the reply, hand the command to Kafka, wait for the
log, wait for the outcome.

Guarantees: no answer before Kafka has the command on all in-sync replicas; a lost reply costs time, never truth; a key
that the agents have forgotten is answered as they would have answered it, and not sent.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ingest_api.publisher import Publisher, Record
from ingest_api.reads.earlier_decisions import EarlierDecision, EarlierDecisions
from ingest_api.replies import Waiting, WaitingCalls
from payments.commands import NO_REPLY, Command
from payments.entries import EntryKind
from payments.identifiers import derive_operation_id
from payments.movements.instructions import Attributes, Instruction, attributed
from payments.rejections import Reason
from schemas.codec.commands import encode_command
from schemas.codec.instructions import encode_instruction
from schemas.codec.replies import Reply
from schemas.partitioning import shard_of

_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context §3.2.2. Anything else could carry what must not be kept."""


class Outcome(NamedTuple):
    """What is known of a command when its call is answered."""

    operation_id: bytes
    reply: Reply | None
    """The final reply, or after the wait the latest; None = accepted, not decided yet."""
    positions: dict[int, int]
    """Shard → offset of the request's last command in payments.commands."""
    deadline: float
    """Until when (time.monotonic) the call may still wait for what Postgres shows."""


def record_headers(request_id: str, traceparent: str | None) -> list[tuple[str, bytes]]:
    """Kafka headers of a record: which call it came from."""
    headers = [("request_id", request_id.encode("ascii"))]
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        headers.append(("traceparent", traceparent.encode("ascii")))
    return headers


class Submission:
    """Sends single commands and instructions, and waits for what becomes of them."""

    def __init__(self, publisher: Publisher, waiting: WaitingCalls, earlier: EarlierDecisions, shards: int) -> None:
        self._publisher = publisher
        self._waiting = waiting
        self._earlier = earlier
        self._shards = shards

    async def submit(
        self, command: Command, wait_s: float, headers: list[tuple[str, bytes]], attributes: Attributes | None = None
    ) -> Outcome:
        """Raises QueueFull (nothing taken) or DeliveryUnknown (repeat with the same key)."""
        (outcome,) = await self.submit_all([command], wait_s, headers, attributes)
        return outcome

    async def submit_all(
        self,
        commands: Sequence[Command],
        wait_s: float,
        headers: list[tuple[str, bytes]],
        attributes: Attributes | None = None,
    ) -> list[Outcome]:
        """The same for several commands of one account, each with a key of its own: they are decided in this order.
        `attributes`: of transfers of which it is known how they were asked for.
        """
        deadline = time.monotonic() + wait_s
        authority = commands[0].authority
        shard = shard_of(authority, self._shards)
        asked = {derive_operation_id(authority, command.idempotency_key, shard): command for command in commands}
        found = await self._earlier.find_together([(id_, command.kind) for id_, command in asked.items()])
        replies = {id_: _reply(id_, asked[id_], found[id_]) for id_ in asked if id_ in found}
        positions = dict(sorted(found[id_].position for id_ in replies))
        fresh = {
            id_: command if attributes is None else attributed(command, attributes)
            for id_, command in asked.items()
            if id_ not in replies
        }
        if fresh:
            until = deadline if wait_s > 0 else None
            positions, decided = await self._send(shard, fresh, until, headers)
            replies |= decided
        return [Outcome(id_, replies.get(id_), positions, deadline) for id_ in asked]

    async def instruct(
        self, instructions: Sequence[Instruction], wait_s: float, headers: list[tuple[str, bytes]]
    ) -> list[Outcome]:
        """The same for instructions of one authority. One of long ago is a replay: what it said then, and whether it is
        the same, is told by what became of it.
        """
        deadline = time.monotonic() + wait_s
        authority = instructions[0].authority
        shard = shard_of(authority, self._shards)
        asked = {derive_operation_id(authority, one.envelope.idempotency_key, shard): one for one in instructions}
        found = await self._earlier.find_together([(id_, None) for id_ in asked])
        replies = {id_: _replay(id_, found[id_]) for id_ in asked if id_ in found}
        positions = dict(sorted(found[id_].position for id_ in replies))
        fresh = {id_: one for id_, one in asked.items() if id_ not in replies}
        if fresh:
            positions, decided = await self._send(shard, fresh, deadline if wait_s > 0 else None, headers)
            replies |= decided
        return [Outcome(id_, replies.get(id_), positions, deadline) for id_ in asked]

    async def _send(
        self,
        shard: int,
        commands: Mapping[bytes, Command | Instruction],
        until: float | None,
        headers: list[tuple[str, bytes]],
    ) -> tuple[dict[int, int], dict[bytes, Reply]]:
        """Positions of commands by their operation ids, and what replies come until then (None: nobody waits)."""
        calls = [self._waiting.expect(id_) for id_ in commands] if until is not None else []
        addresses = [call.reply_to for call in calls] or [NO_REPLY] * len(commands)
        try:
            records = [
                Record(shard, asked.authority, _encoded(asked, reply_to))
                for asked, reply_to in zip(commands.values(), addresses, strict=True)
            ]
            positions = await self._publisher.send(records, headers).wait()
            latest = await _outcomes(calls, until) if until is not None else []
        finally:
            for call in calls:
                self._waiting.forget(call)
        return positions, {reply.operation_id: reply for reply in latest if reply is not None}


def _encoded(asked: Command | Instruction, reply_to: bytes) -> bytes:
    if isinstance(asked, Command):
        return encode_command(asked._replace(reply_to=reply_to))
    return encode_instruction(replace(asked, envelope=asked.envelope._replace(reply_to=reply_to)))


def _reply(operation_id: bytes, command: Command, earlier: EarlierDecision) -> Reply:
    """What the agent would answer if it still remembered."""
    if earlier.is_of(command):
        return _replay(operation_id, earlier)
    reason = Reason.IDEMPOTENCY_KEY_REUSED
    return Reply(NO_REPLY, operation_id, EntryKind.KEY_REUSED, reason, earlier.decided_at_us)


def _replay(operation_id: bytes, earlier: EarlierDecision) -> Reply:
    return Reply(NO_REPLY, operation_id, EntryKind.REPLAYED, Reason.NONE, earlier.decided_at_us)


async def _outcomes(calls: Sequence[Waiting], deadline: float) -> list[Reply | None]:
    if len(calls) == 1:
        return [await calls[0].outcome(deadline - time.monotonic())]
    return list(await asyncio.gather(*(call.outcome(deadline - time.monotonic()) for call in calls)))

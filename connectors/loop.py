"""connectors.requests → providers → connectors.results: every attempt of a request gives exactly one result.

Reads requests as a member of the connectors' group; keeps nothing that a crash may not lose; writes results and later
attempts, together with the offsets of what they answer, in one Kafka transaction. The provider is outside of it: what
makes a request that is sent twice happen once is its idempotency key (connectors.attempt has the rule).
"""

import asyncio
import heapq
import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from connectors.attempt import Clock, attempt, next_attempt, result_of
from connectors.contract import Answer, Provider, failed
from connectors.hints import Hints
from connectors.inbox import Inbox
from connectors.lanes import Lanes, Work
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.transaction import TransactionProducer
from schemas import topics
from schemas.codec.connectors import ConnectorRequest, Decline, Outcome, encode_request, encode_result

log = logging.getLogger("millrace.connectors")

TURN_S: Final = 0.02
"""How long a turn waits for an answer before it looks for new requests: 50 looks a second cost 1 % of a core idle, and
add at most 20 ms to a call of 300 ms and more."""

DRAIN_S: Final = 10.0
"""Most calls end within 3 s. One that is cut off is unknown until the next start repeats its key."""


class Route(NamedTuple):
    """The names of the two topics."""

    requests: str = topics.CONNECTOR_REQUESTS.name
    results: str = topics.CONNECTOR_RESULTS.name


class Answered(NamedTuple):
    """A request whose attempt has ended. Without an answer it goes back to the end of its topic as it is."""

    work: Work
    answer: Answer | None


class Connectors:
    """One process's requests, from their arrival to the commit of their results."""

    def __init__(
        self,
        inbox: Inbox,
        producer: TransactionProducer,
        providers: Mapping[str, Provider],
        slots: int,
        clock: Clock,
        failpoints: Failpoints,
        route: Route,
        hints: Hints,
    ) -> None:
        inbox.on_gone = self._forget
        self._inbox = inbox
        self._producer = producer
        self._providers = providers
        self._clock = clock
        self._failpoints = failpoints
        self._route = route
        self._hints = hints
        self._lanes = Lanes(slots)
        self._parked: list[tuple[int, int, Work]] = []
        self._calls: dict[asyncio.Task[Answer], Work] = {}

    async def run(self, stop: threading.Event) -> None:
        """Until `stop` is set, then at most DRAIN_S for what is under way; the rest is sent again at the next start.

        Raises ProviderRefusesUs, AccessRefused, InvariantViolation, KafkaException.
        """
        while not stop.is_set():
            await self.turn()
        give_up_at_s = time.monotonic() + DRAIN_S
        while self._calls and time.monotonic() < give_up_at_s:
            answered = await self._answers()
            if answered:
                self.commit(answered)
        self._inbox.leave()

    async def turn(self) -> None:
        """Take what has come, send what may be sent, tell what is known."""
        # 1. Take what is there. Crash: nothing has happened outside, the requests are read again.
        for work in self._inbox.receive():
            self._park_or_line_up(work)
        self._failpoints.reach("after_consume")
        # 2. Send. Crash from here to the commit: the provider may have done it and nobody knows; the request is read
        #    again and sent again with the same key, or, once the key or the deadline has run out, inquired about.
        self._line_up_what_is_due()
        while (started := self._lanes.start_next()) is not None:
            self._calls[asyncio.create_task(self._attempt(started))] = started
        # 3. Wait for an answer, at most a turn. The slow ones go on; they hold back only their own payment order.
        answered = await self._answers()
        self._failpoints.reach("mid_cycle")
        # 4. to 7. in `commit`: results, later attempts and offsets become true together.
        answered += self._moved_on()
        if answered or self._inbox.is_overdue():
            self.commit(answered)
        else:
            self._producer.serve_callbacks()

    def commit(self, answered: Sequence[Answered]) -> None:
        """Make these results true. Ends the process (exit 75) on any doubt, without an abort."""
        self._failpoints.reach("before_commit")
        # 4. Results and later attempts are handed to the producer. Crash: the next start aborts them and sends again.
        self._producer.open()
        for work, answer in answered:
            self._tell(work, answer)
            self._inbox.finish(work)
        # 5. All of them on the broker. Crash after: as before, they stay invisible.
        self._producer.flush()
        self._failpoints.reach("after_flush")
        # 6. Positions and the map of what is done above them join the transaction, fenced by the membership.
        ending_s = time.monotonic()
        self._producer.send_offsets(self._inbox.positions(), self._inbox.group_metadata())
        self._failpoints.reach("after_offsets")
        # 7. Commit. Crash inside: all of it or nothing; the next start reads from where the coordinator's word puts it.
        self._producer.commit()
        self._failpoints.reach("after_commit")
        # 8. The next transaction, under a new epoch if this one ended slowly.
        self._producer.renew(time.monotonic() - ending_s)

    def _tell(self, work: Work, answer: Answer | None) -> None:
        """One result and, where something is open, the attempt that finds out; both on the request's partition."""
        if answer is None:
            self._write_request(work, work.request)
            return
        now_us = self._clock()
        following = next_attempt(work.dated_request, answer, now_us)
        result = result_of(work.request, answer, now_us, attempt_follows=following is not None)
        self._producer.produce(self._route.results, encode_result(result), key=work.key, partition=work.shard)
        if result.outcome is Outcome.UNKNOWN:
            log.warning(
                "%s %s: unknown after attempt %d (%s), %s",
                *(result.operation.name.lower(), result.request_id.hex(), result.attempt, result.provider_code),
                "another follows" if result.attempt_follows else "the last: ask the provider",
            )
        if following is not None:
            self._write_request(work, following)
        if answer.action_url or (result.attempt > 1 and result.outcome is not Outcome.UNKNOWN):
            self._hints.payer_acts(result.request_id, answer.action_url)

    def _write_request(self, work: Work, request: ConnectorRequest) -> None:
        self._producer.produce(self._route.requests, encode_request(request), key=work.key, partition=work.shard)

    async def _attempt(self, work: Work) -> Answer:
        provider = self._providers.get(work.request.provider)
        if provider is None:
            return failed(Decline.PROVIDER_UNKNOWN, work.request.provider)
        return await attempt(provider, work.dated_request, self._clock)

    async def _answers(self) -> list[Answered]:
        if not self._calls:
            await asyncio.sleep(TURN_S)
            return []
        ended, _ = await asyncio.wait(self._calls, timeout=TURN_S, return_when=asyncio.FIRST_COMPLETED)
        found = [Answered(self._calls.pop(call), call.result()) for call in ended]
        for work, _ in found:
            self._lanes.end(work)
        return found

    def _park_or_line_up(self, work: Work) -> None:
        if work.request.not_before_us > self._clock():
            heapq.heappush(self._parked, (work.request.not_before_us, work.offset, work))
        else:
            self._lanes.add(work)

    def _line_up_what_is_due(self) -> None:
        if self._hints.request_ids:
            self._bring_forward()
        while self._parked and self._parked[0][0] <= self._clock():
            self._lanes.add(heapq.heappop(self._parked)[2])

    def _bring_forward(self) -> None:
        """What a provider has news about is due now. It is asked about as it would have been later."""
        hinted = [entry for entry in self._parked if entry[2].request.request_id in self._hints.request_ids]
        if hinted:
            self._parked = [entry for entry in self._parked if entry not in hinted]
            self._parked += [(0, offset, work) for _, offset, work in hinted]
            heapq.heapify(self._parked)
        for _, _, work in hinted:
            self._hints.acted_on(work.request.request_id)

    def _moved_on(self) -> list[Answered]:
        """What waits for its time at the bottom of a full window goes to the end of the topic: others come through."""
        oldest = {(shard, self._inbox.first_undone(shard)) for shard in self._inbox.full_shards()}
        moved = [entry for entry in self._parked if (entry[2].shard, entry[2].offset) in oldest]
        if moved:
            self._parked = [entry for entry in self._parked if entry not in moved]
            heapq.heapify(self._parked)
        return [Answered(work, None) for _, _, work in moved]

    def _forget(self, shards: Collection[int]) -> None:
        """These shards have left: their calls are cut off, and whoever has them next sends their requests again."""
        for call, work in [*self._calls.items()]:
            if work.shard in shards:
                call.cancel()
                del self._calls[call]
                self._lanes.end(work)
        for shard in shards:
            self._lanes.forget(shard)
        self._parked = [entry for entry in self._parked if entry[2].shard not in shards]
        heapq.heapify(self._parked)

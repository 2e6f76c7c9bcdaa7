"""The engine's driver for Faust: chunks go in as events, the barrier is Faust's acknowledgements.

Runs the engine in a thread of its own; everything that touches Faust runs on the event loop, while the engine waits.
So an agent never works while a commit is under way, and a loop that stands still ends the process at the barrier's
deadline.
"""

import asyncio
import threading
from collections.abc import Collection, Coroutine, Sequence
from typing import Any

from faust.types import TP, ConsumerMessage

from runtime.exactly_once.contract import Chunk, Produce
from runtime.exactly_once.crash import crash
from runtime.exactly_once.engine import Engine
from runtime.exactly_once.restore import Partition
from runtime.faust_app import binding_of, refuse_wrong_configuration

FLOW_WAIT_S = 0.002
"""Between looks at a flow that a rebalance has stopped; a rebalance inside Faust takes 5-20 ms."""

REBALANCE_DEADLINE_S = 60.0

DRAIN_DEADLINE_S = 15.0
"""A cycle of 50 ms, a commit bounded by 10 s, the consumer's close."""

CREATE_TIME = 1
"""The timestamp type Faust expects beside a message's time; nothing reads it for a chunk."""


class FaustDriver:
    """`engine.Driver` over one Faust consumer."""

    def __init__(self, app: Any, consumer: Any) -> None:
        self._app = app
        self._consumer = consumer
        self._loop: Any = None
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._watch: asyncio.Task[None] | None = None
        self._barrier_deadline_s = 0.0

    @property
    def produce(self) -> Produce:
        """Raises RuntimeError before the engine has started."""
        if self._engine is None:
            raise RuntimeError("nothing may be produced before the worker has joined its group")
        return self._engine.produce

    def start(self, topics: set[str]) -> None:
        """Start the engine; a second call (an agent added later) may not ask for other topics, one after the stop does
        nothing.
        """
        binding = binding_of(self._app)
        if topics != set(binding.store.input_topics):
            crash(f"agents consume {sorted(topics)}, the store's input topics are {sorted(binding.store.input_topics)}")
        if self._thread is not None or self._stop.is_set():
            return
        refuse_wrong_configuration(self._app, binding.settings)
        self._barrier_deadline_s = binding.settings.barrier_deadline_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._watch = asyncio.ensure_future(self._end_with_app())
        self._engine = Engine(self._app.conf.id, binding.store, binding.settings)
        self._thread = threading.Thread(
            target=self._engine.run, args=(self, self._stop), name="exactly-once-engine", daemon=True
        )
        self._thread.start()

    async def drain(self) -> None:
        """Finish the cycle, commit, leave the group; not waited for where it was not joined yet. Ends the process when
        that takes too long.
        """
        self._stop.set()
        if self._thread is not None and self._engine is not None and self._engine.may_own:
            await asyncio.to_thread(self._thread.join, DRAIN_DEADLINE_S)
            if self._thread.is_alive():
                crash(f"not drained within {DRAIN_DEADLINE_S:.0f} s of the stop")
        self._consumer.owned = set()
        if self._watch is not None:
            self._watch.cancel()

    def deliver(self, chunks: Sequence[Chunk]) -> None:
        self._on_loop(self._deliver(chunks), self._barrier_deadline_s, f"barrier over {len(chunks)} chunks")

    def assigned(self, partitions: Collection[Partition]) -> None:
        self._on_loop(self._take({TP(*partition) for partition in partitions}), REBALANCE_DEADLINE_S, "assignment")

    def revoked(self, partitions: Collection[Partition]) -> None:
        self._on_loop(self._give({TP(*partition) for partition in partitions}), REBALANCE_DEADLINE_S, "revocation")

    def _on_loop(self, work: Coroutine[Any, Any, None], deadline_s: float, what: str) -> None:
        """Called on the engine's thread. An exception in `work` is raised here and ends the process in `Engine.run`."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result(deadline_s)
        except TimeoutError:
            crash(f"{what}: not finished within {deadline_s:.0f} s")

    async def _deliver(self, chunks: Sequence[Chunk]) -> None:
        # Faust clears its queues during a rebalance: an event delivered then is never acknowledged.
        while not self._consumer.flow_active or self._app.rebalancing:
            await asyncio.sleep(FLOW_WAIT_S)
        messages = [self._message(chunk) for chunk in chunks]
        for message in messages:
            await self._consumer.callback(message)
        await self._acknowledged(messages)
        for message in messages:
            # Faust keeps every acknowledged offset for its own commit, which never happens
            self._consumer._acked[message.tp].clear()
            self._consumer._acked_index[message.tp].clear()

    async def _acknowledged(self, messages: Sequence[ConsumerMessage]) -> None:
        for message in messages:
            while not message.acked:
                self._consumer._waiting_for_ack = self._loop.create_future()
                await self._consumer._waiting_for_ack

    def _message(self, chunk: Chunk) -> ConsumerMessage:
        return ConsumerMessage(
            chunk.topic,
            chunk.shard,
            chunk.next_offset - 1,
            0.0,
            CREATE_TIME,
            None,
            None,
            chunk,
            None,
            0,
            0,
            TP(chunk.topic, chunk.shard),
            generation_id=self._app.consumer_generation_id,
        )

    async def _take(self, owned: set[TP]) -> None:
        """Tell Faust what is held now; it restarts its flow from a task of its own, and once stopped never again."""
        if self._stop.is_set():
            return
        self._app.on_rebalance_start()
        self._app.consumer_generation_id += 1
        self._app.assignor.own(owned)
        self._consumer.owned = owned
        await self._consumer.on_partitions_assigned(owned, self._app.consumer_generation_id)

    async def _give(self, gone: set[TP]) -> None:
        """KIP-848 may revoke without a new assignment: give Faust what is left, or its flow stays stopped."""
        if self._stop.is_set():
            return
        self._app.on_rebalance_start()
        await self._consumer.on_partitions_revoked(gone)
        await self._take(self._consumer.assignment() - gone)

    async def _end_with_app(self) -> None:
        """A crashed Faust service leaves a process that looks alive and does nothing."""
        await self._app._crashed.wait()
        crash(f"faust: {self._app.crash_reason!r}")

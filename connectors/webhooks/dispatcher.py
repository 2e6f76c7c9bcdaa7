"""The dispatcher's loop, which is the guarantee: what is queued arrives at least once, and an object's events in order.

Reads and writes deliveries through deliveries.py, calls endpoints through sending.py. Several processes may run at
once: each takes deliveries that no other has.
"""

import asyncio
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from connectors.webhooks.deliveries import Claim, Connection, Result, claim, give_up, record
from connectors.webhooks.sending import Message, Sender
from payments.identifiers import format_id
from runtime.exactly_once.failpoints import Failpoints
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.sealing import unwrap
from schemas.tables.webhooks import EVENT

POLL_S: Final = 0.2
"""How often what is due is looked for while no call ends: an idle look is one probe of an index per endpoint."""

GATHER_S: Final = 0.02
"""After the first call that ends: what ends meanwhile shares its transaction, and the look for what follows."""

UPKEEP_EVERY_S: Final = 60


class Dispatcher:
    """Calls under way and what has come of them. One loop, and one connection to Postgres at a time."""

    def __init__(self, sender: Sender, keyring: Keyring, slots: int, failpoints: Failpoints) -> None:
        self._sender = sender
        self._keyring = keyring
        self._slots = slots
        self._failpoints = failpoints
        self._under_way: dict[asyncio.Task[Result], UUID] = {}
        self._upkeep_at_s = 0.0
        self.passes = 0
        self.figures: Counter[str] = Counter()

    async def run(self, connection: Connection, stop: threading.Event) -> None:
        """Until told to stop and the calls under way have ended. Raises psycopg.Error: run it again then, with another
        connection; what has ended meanwhile is not forgotten.
        """
        while not stop.is_set() or self._under_way:
            await self._pass(connection, taking=not stop.is_set())
            self.passes += 1
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(GATHER_S)
            else:
                await asyncio.sleep(POLL_S)

    async def _pass(self, connection: Connection, *, taking: bool) -> None:
        # 1. Record what has ended, in one transaction. Only then can the next delivery of the same object be taken.
        ended = [task for task in self._under_way if task.done()]
        if ended:
            self._failpoints.reach("webhook_before_record")
            await record(connection, [task.result() for task in ended])
        # Crash up to here: it has arrived and is not marked. After LOST_AFTER it is taken again and sent once more,
        # with the same webhook-id; until then the later events of its object wait.
        for task in ended:
            del self._under_way[task]
            self._count(task.result())
        if not taking:
            return
        # 2. Take: the attempt is counted and the delivery ours for LOST_AFTER; both are committed before the call.
        free = self._slots - len(self._under_way)
        claims = await claim(connection, free, Counter(self._under_way.values())) if free else []
        # Crash here: taken and not sent. After LOST_AFTER it is due again.
        self._failpoints.reach("webhook_after_claim")
        # 3. Send.
        for claimed in claims:
            self._under_way[asyncio.create_task(self._attempt(claimed))] = claimed.endpoint_id
        # 4. Dead letters.
        if time.monotonic() >= self._upkeep_at_s:
            self._upkeep_at_s = time.monotonic() + UPKEEP_EVERY_S
            while given_up := await give_up(connection):
                self.figures["given_up"] += given_up

    async def _attempt(self, claimed: Claim) -> Result:
        began_at = datetime.now(UTC)
        if not claimed.may_see:
            return Result(claimed, began_at, None)
        secrets = tuple(unwrap(self._keyring, claimed.endpoint_id.bytes, wrapped) for wrapped in claimed.secrets)
        message = Message(claimed.url, format_id(EVENT, claimed.event_id.bytes), claimed.payload, secrets)
        return Result(claimed, began_at, await self._sender.send(message, int(began_at.timestamp())))

    def _count(self, result: Result) -> None:
        outcome = result.outcome
        self.figures["withheld" if outcome is None else "delivered" if outcome.delivered else "failed"] += 1

"""The loop of notices, which is the guarantee: each is told once per channel and device, whatever crashes, but for the
moment between a provider's yes and our note of it.

Plans through planning.py, takes and records through outbox.py, sends through channels/ in threads. Addresses are read
when a message is made, so after an erasure, or where an address was removed, nothing is sent.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from connectors.notifications.channels.contract import Message, MessageChannel, Outcome, Verdict
from connectors.notifications.outbox import Claim, Ended, claim, ended, forget, lines_of, record
from connectors.notifications.planning import Connection, Planner
from connectors.notifications.rendering import Renderer, Text, Told
from payments.identifiers import format_id
from runtime.exactly_once.failpoints import Failpoints
from runtime.personal_data.store import PersonalData
from schemas.tables.notifications import (
    DECODE_PREFERENCES,
    NOTICE,
    PREFERENCES_FIELD,
    SECURITY,
    Channel,
    NoticeKind,
    NoticeStatus,
    Preferences,
    Unsubscribing,
    unsubscribe_token,
)

POLL_S: Final = 0.5
"""How late a notice is made, on average half of it; an idle look is twelve statements, each one probe of an index."""

UPKEEP_EVERY_S: Final = 60


class Composer:
    """Claims → messages, for who is still there."""

    def __init__(self, personal: PersonalData, renderer: Renderer, link_key: bytes, public_url: str) -> None:
        self._personal = personal
        self._renderer = renderer
        self._link_key = link_key
        self._public_url = public_url.rstrip("/")

    async def message(self, connection: Connection, claimed: Claim) -> Message | None:
        """None where there is no address or device any more, or nothing to tell. Raises KeyringFault, Tampered."""
        wanted = claimed.address_field
        known = await self._personal.values(connection, claimed.user, wanted, PREFERENCES_FIELD)
        if wanted not in known:
            return None
        chosen = known.get(PREFERENCES_FIELD)
        preferences = DECODE_PREFERENCES(chosen.reveal()) if chosen is not None else Preferences()
        link = self._link(claimed)
        is_summary = claimed.told.kind is NoticeKind.DAILY_SUMMARY
        lines = await lines_of(connection, claimed.notice_id) if is_summary else []
        if is_summary and not lines:
            return None
        text = self._text(claimed, preferences, link, lines)
        return Message(format_id(NOTICE, claimed.notice_id.bytes), known[wanted], text, link)

    def _text(self, claimed: Claim, preferences: Preferences, link: str, lines: list[Told]) -> Text:
        if claimed.channel is Channel.EMAIL:
            return self._renderer.page(claimed.told, preferences, link, lines)
        return Text(*self._renderer.short(claimed.told, preferences), html="")

    async def forget_address(self, connection: Connection, claimed: Claim) -> None:
        """It is not a device of its user any more, or a contact of before that was told."""
        await self._personal.remove(connection, claimed.user, claimed.address_field)

    def _link(self, claimed: Claim) -> str:
        """Where e-mails of this kind are switched off, for those that can be."""
        kind = claimed.told.kind
        if not self._public_url or claimed.channel is not Channel.EMAIL or kind in SECURITY:
            return ""
        token = unsubscribe_token(self._link_key, Unsubscribing(claimed.user, kind))
        return f"{self._public_url}/v1/notifications/unsubscribe/{token}"


class Dispatcher:
    """Messages under way and what has come of them. One loop, and one connection to Postgres at a time; `slots` of each
    channel, so that a slow provider holds up nobody else's.
    """

    def __init__(
        self,
        planner: Planner,
        composer: Composer,
        channels: Mapping[Channel, MessageChannel],
        slots: int,
        failpoints: Failpoints,
    ) -> None:
        self._planner = planner
        self._composer = composer
        self._channels = channels
        self._slots = slots
        self._failpoints = failpoints
        self._threads = ThreadPoolExecutor(slots * len(channels), "notices")
        self._under_way: dict[asyncio.Future[Outcome], Claim] = {}
        self._not_sent: list[Ended] = []
        self._upkeep_at_s = 0.0
        self.passes = 0
        self.figures: Counter[str] = Counter()

    async def run(self, connection: Connection, stop: threading.Event) -> None:
        """Until told to stop and what is under way has ended. Raises psycopg.Error: run it again then, with another
        connection; what has ended meanwhile is not forgotten.
        """
        await self._planner.start(connection)
        while not stop.is_set() or self._under_way:
            busy = await self._pass(connection, taking=not stop.is_set())
            self.passes += 1
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            elif not busy:
                await self._rest()
                await asyncio.sleep(POLL_S)

    async def _rest(self) -> None:
        for channel in self._channels.values():
            await asyncio.get_running_loop().run_in_executor(self._threads, channel.rest)

    async def _pass(self, connection: Connection, *, taking: bool) -> bool:
        # 1. Record what has ended, in one transaction.
        await self._record(connection)
        if not taking:
            return False
        # 2. Plan: what happened becomes notices, and the place in the feed moves, in one transaction each.
        planned = await self._planner.plan(connection)
        self.figures["planned"] += planned
        self.figures["summarised"] += await self._planner.summarise(connection)
        # 3. Take: the try is counted and the notice ours for LOST_AFTER; both are committed before anything is sent.
        claims = [taken for channel in Channel for taken in await self._taken(connection, channel)]
        # Crash here: taken and not sent. After LOST_AFTER an e-mail or push is sent; a text message becomes a dead
        # letter, because nobody knows that it was not.
        if claims:
            self._failpoints.reach("notices_after_claim")
        # 4. Send.
        for claimed in claims:
            await self._begin(connection, claimed)
        if time.monotonic() >= self._upkeep_at_s:
            self._upkeep_at_s = time.monotonic() + UPKEEP_EVERY_S
            await forget(connection)
        return bool(planned or claims)

    async def _taken(self, connection: Connection, channel: Channel) -> list[Claim]:
        free = self._slots - sum(claimed.channel is channel for claimed in self._under_way.values())
        return await claim(connection, channel, free) if free else []

    async def _record(self, connection: Connection) -> None:
        done = [future for future in self._under_way if future.done()]
        results = [*self._not_sent, *(self._ended(self._under_way[future], future.result()) for future in done)]
        if not results:
            return
        # Crash here: it was sent and is not marked. After LOST_AFTER an e-mail goes out a second time, with the same
        # Message-ID, a push replaces itself on the device, a text message becomes a dead letter.
        self._failpoints.reach("notices_before_record")
        await record(connection, results)
        for future in done:
            claimed, verdict = self._under_way[future], future.result().verdict
            if verdict is Verdict.GONE or (verdict is Verdict.DELIVERED and claimed.is_to_previous):
                await self._composer.forget_address(connection, claimed)
        self._not_sent.clear()
        for future in done:
            del self._under_way[future]
        self.figures.update("again" if result.status is None else result.status.value for result in results)

    def _ended(self, claimed: Claim, outcome: Outcome) -> Ended:
        return ended(claimed, outcome, recognises_repeats=self._channels[claimed.channel].recognises_repeats)

    async def _begin(self, connection: Connection, claimed: Claim) -> None:
        channel = self._channels.get(claimed.channel)
        if channel is None:  # it was configured when the notice was made
            self._not_sent.append(Ended(claimed, NoticeStatus.FAILED, "channel_not_configured"))
            return
        if claimed.was_lost and not channel.recognises_repeats:
            self._not_sent.append(self._ended(claimed, Outcome(Verdict.UNKNOWN, "outcome_unknown")))
            return
        message = await self._composer.message(connection, claimed) if claimed.may_see else None
        if message is None:
            why = "nobody_to_tell" if claimed.may_see else "no_part_in_account"
            self._not_sent.append(Ended(claimed, NoticeStatus.WITHHELD, why))
            return
        future = asyncio.get_running_loop().run_in_executor(self._threads, channel.send, message)
        self._under_way[future] = claimed

    def close(self) -> None:
        """Give up connections and threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for channel in self._channels.values():
            channel.close()

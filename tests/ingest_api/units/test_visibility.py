"""Goal: a read that says "visible" has seen the decision, its credits and their returns, in any order of events."""

import base64
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_api.problems import Fault, Problem
from ingest_api.reads.consistency import HEADER, Visibility, await_visible, decode_token, encode_token
from ingest_api.reads.cursor import Cursor, decode_cursor, encode_cursor
from ingest_api.reads.database import Database
from schemas.codec.ledger import Lane

SHARDS = 4


class History:
    """Shards that decide commands, send each other credits and send some of them back, and what the sink shows."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.appended = dict.fromkeys(range(SHARDS), 0)
        self.decided = dict.fromkeys(range(SHARDS), 0)
        self.lanes: dict[tuple[int, int, int], int] = {}
        self._credits: dict[tuple[int, int], deque[tuple[int, int]]] = {}
        self._returns: dict[tuple[int, int], deque[tuple[int, int]]] = {}
        self.unsettled: dict[tuple[int, int], int] = {}
        """Command → its credits and returns that are still under way."""

    def _count(self, shard: int, lane: Lane, peer: int) -> None:
        self.lanes[shard, lane, peer] = self.lanes.get((shard, lane, peer), 0) + 1

    def append(self) -> None:
        self.appended[self._random.randrange(SHARDS)] += 1

    def decide(self) -> None:
        shard = self._random.randrange(SHARDS)
        if self.decided[shard] == self.appended[shard]:
            return
        command = shard, self.decided[shard]
        self.decided[shard] += 1
        peers = [peer for peer in range(SHARDS) if peer != shard and self._random.random() < 0.4]
        self.unsettled[command] = len(peers)
        for peer in peers:
            self._count(shard, Lane.CREDITS_SENT, peer)
            self._credits.setdefault((shard, peer), deque()).append(command)

    def credit(self) -> None:
        waiting = [pair for pair, queue in self._credits.items() if queue]
        if waiting:
            payer, peer = self._random.choice(waiting)
            command = self._credits[payer, peer].popleft()
            self._count(peer, Lane.CREDITS_RECEIVED, payer)
            if self._random.random() < 0.5:
                self._count(peer, Lane.RETURNS_SENT, payer)
                self._returns.setdefault((payer, peer), deque()).append(command)
            else:
                self.unsettled[command] -= 1

    def take_back(self) -> None:
        waiting = [pair for pair, queue in self._returns.items() if queue]
        if waiting:
            payer, peer = self._random.choice(waiting)
            self.unsettled[self._returns[payer, peer].popleft()] -= 1
            self._count(payer, Lane.RETURNS_RECEIVED, peer)

    def step(self) -> None:
        self._random.choice([self.append, self.decide, self.decide, self.credit, self.credit, self.take_back])()

    def drain(self) -> None:
        while self.decided != self.appended or any(self._credits.values()) or any(self._returns.values()):
            self._random.choice([self.decide, self.credit, self.take_back])()

    def settled(self, positions: Mapping[int, int]) -> bool:
        """What "visible" promises: decided, and nothing of it under way."""
        return all(self.unsettled.get(command, 1) == 0 for command in positions.items())


@hypothesis_settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(5, 120))
def test_what_is_called_visible_is_settled_and_what_is_settled_becomes_visible(seed: int, steps: int) -> None:
    random = Random(seed)
    history = History(random)
    for _ in range(steps // 2):
        history.step()
    history.append()
    written = [shard for shard, end in history.appended.items() if end]
    positions = {shard: random.randrange(history.appended[shard]) for shard in written}
    visibility = Visibility(positions)
    for _ in range(steps):
        history.step()
        if random.random() < 0.5:
            visibility.observe(history.decided, history.lanes)
        assert not visibility.complete or history.settled(positions)
    history.drain()
    visibility.observe(history.decided, history.lanes)
    assert visibility.complete, "with nothing under way, one look is enough"


@hypothesis_settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_a_stream_of_later_commands_does_not_hold_a_reader_up(seed: int) -> None:
    """Only what was sent when the decision was seen counts: traffic behind it may never end."""
    random = Random(seed)
    history = History(random)
    for _ in range(60):
        history.step()
    history.append()
    positions = {shard: end - 1 for shard, end in history.appended.items() if end}
    visibility = Visibility(positions)
    history.drain()
    visibility.observe(history.decided, history.lanes)
    for peer in range(1, SHARDS):
        history.lanes[0, Lane.CREDITS_SENT, peer] = 10**6
    visibility.observe(history.decided, history.lanes)
    assert visibility.complete


def test_what_was_seen_is_not_unseen_by_an_older_look() -> None:
    visibility = Visibility({0: 3})
    visibility.observe({0: 4}, {})
    assert visibility.complete
    visibility.observe({0: 2}, {(0, Lane.CREDITS_SENT, 1): 9})
    assert visibility.complete


def test_credits_of_others_to_the_same_peer_do_not_stand_in_for_ours() -> None:
    visibility = Visibility({0: 0})
    sent: dict[tuple[int, int, int], int] = {(0, Lane.CREDITS_SENT, 1): 1, (2, Lane.CREDITS_SENT, 1): 5}
    visibility.observe({0: 1}, sent | {(1, Lane.CREDITS_RECEIVED, 2): 5})
    assert not visibility.complete
    visibility.observe({0: 1}, sent | {(1, Lane.CREDITS_RECEIVED, 0): 1})
    assert visibility.complete


def test_no_positions_are_visible_at_once() -> None:
    assert Visibility({}).complete


class ShowsRows(Database):
    """Answers each look with the next of some rows, the last one for good."""

    def __init__(self, *looks: list[dict[str, int | None]]) -> None:
        self._looks = list(looks)
        self.queries = 0

    async def rows(
        self, query: str, parameters: object = (), *, prepare: bool | None = None
    ) -> list[dict[str, int | None]]:
        self.queries += 1
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]


def progress(shard: int, following: int) -> dict[str, int | None]:
    return {"shard": shard, "lane": None, "peer": None, "next": following}


async def test_without_a_token_nothing_is_asked() -> None:
    database = ShowsRows([])
    await await_visible(database, None)
    assert database.queries == 0


async def test_a_read_looks_until_the_position_is_there() -> None:
    lane: dict[str, int | None] = {"shard": 0, "lane": int(Lane.CREDITS_SENT), "peer": 1, "next": 1}
    arrived: dict[str, int | None] = {"shard": 1, "lane": int(Lane.CREDITS_RECEIVED), "peer": 0, "next": 1}
    database = ShowsRows([], [progress(0, 5)], [progress(0, 6), lane], [progress(0, 6), lane, arrived])
    await await_visible(database, encode_token({0: 5}))
    assert database.queries == 4


async def test_a_read_that_waits_in_vain_says_when_to_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest_api.reads.consistency.WAIT_S", 0.02)
    with pytest.raises(Problem) as late:
        await await_visible(ShowsRows([]), encode_token({0: 5}))
    assert (late.value.code, late.value.status) == (Fault.NOT_YET_VISIBLE, 503)
    assert "Ask again" in late.value.detail
    assert int(late.value.headers["Retry-After"]) >= 1


async def test_a_foreign_token_is_refused_before_the_database_is_asked() -> None:
    database = ShowsRows([])
    with pytest.raises(Problem):
        await await_visible(database, "forged")
    assert database.queries == 0


def token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0-",
        "-1",
        "0-1.",
        ".0-1",
        "0--1",
        "0-1,1-2",
        "0-1 ",
        "123456-1",
        "0-" + "9" * 20,
        "٠-1",
        "0-1\n",
        "a-1",
    ],
)
def test_a_token_of_another_grammar_is_refused_with_the_name_of_its_header(text: str) -> None:
    with pytest.raises(Problem) as refused:
        decode_token(token(text))
    assert refused.value.code is Fault.TOKEN_POSITION_INVALID
    assert HEADER in refused.value.detail
    assert token(text) == "" or token(text) not in refused.value.detail


def test_a_token_fits_a_header_line_however_many_shards_there_are() -> None:
    positions = dict.fromkeys(range(16), 2**62)
    assert len(encode_token(positions)) < 600
    assert encode_token(positions).replace("-", "").replace("_", "").isalnum()


def test_a_token_does_not_depend_on_the_order_of_its_positions() -> None:
    assert encode_token({3: 1, 0: 2}) == encode_token({0: 2, 3: 1})


def test_a_token_of_more_positions_than_shards_may_be_is_refused() -> None:
    assert len(decode_token(token(".".join(f"{shard}-1" for shard in range(4096))))) == 4096
    with pytest.raises(Problem):
        decode_token(token(".".join(f"{shard}-1" for shard in range(4097))))


@pytest.mark.parametrize("length", [0, 1, 23, 25, 48])
def test_a_cursor_of_another_length_is_refused_with_advice(length: int) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(base64.urlsafe_b64encode(bytes(length)).decode())
    assert refused.value.code is Fault.CURSOR_INVALID
    assert refused.value.errors[0].pointer == "?cursor"
    assert "next_cursor" in refused.value.detail


@pytest.mark.parametrize("year", [10_000, 300_000])
def test_a_cursor_beyond_the_calendar_is_refused(year: int) -> None:
    micros = (year - 1970) * 31_556_952 * 1_000_000
    with pytest.raises(Problem):
        decode_cursor(base64.urlsafe_b64encode(micros.to_bytes(8, "big") + bytes(16)).decode())


@pytest.mark.parametrize("changed", ["{} ", " {}", "{}\n", "*{}", "{}AAAA"])
def test_a_cursor_is_taken_as_it_came_or_not_at_all(changed: str) -> None:
    text = encode_cursor(Cursor(datetime(2026, 1, 31, tzinfo=UTC), UUID(int=7)))
    with pytest.raises(Problem):
        decode_cursor(changed.format(text))


@hypothesis_settings(max_examples=50)
@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1), timezones=st.just(UTC)), min_size=2))
def test_cursors_sort_as_their_times_do(times: list[datetime]) -> None:
    raw = [base64.urlsafe_b64decode(encode_cursor(Cursor(at, UUID(int=0)))) for at in sorted(times)]
    assert raw == sorted(raw)

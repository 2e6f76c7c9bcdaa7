"""Goal: a figure says what it claims: the median run, the clock stopped when all is final, latency from the due moment.

Method: a clock that only moves when somebody sleeps or a fake server takes its time, and a database that counts.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import modes
from benchmarks.http_load import Answer, LoadClient
from benchmarks.modes import Throughput, Wait
from benchmarks.workload import Workload
from millrace.environment import LocalEnvironment
from payments.errors import InvariantViolation, Unavailable


class Clock:
    """Moves when told, or when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        wakes_s = self.now_s + seconds
        await asyncio.sleep(0)
        self.now_s = max(self.now_s, wakes_s)


class Line:
    """A connection whose server needs these times, one after the other, and answers with these states."""

    def __init__(self, clock: Clock, latencies_s: Iterator[float], statuses: Iterator[int]) -> None:
        self._clock, self._latencies_s, self._statuses = clock, latencies_s, statuses

    async def ask(self, _: bytes) -> Answer:
        self._clock.now_s += next(self._latencies_s)
        answer = Answer()
        answer.status = next(self._statuses)
        return answer


class Client:
    """Stands where a LoadClient would; `run` takes a fixed time for the whole load."""

    def __init__(self, clock: Clock, latencies_s: Sequence[float] = (), statuses: Sequence[int] = ()) -> None:
        self._clock = clock
        self._lines = (iter(latencies_s), iter(statuses))
        self.connections: list[Line] = []
        self.ran: list[tuple[int, int]] = []
        self.takes_s: Iterator[float] = iter(())
        self.status = 202

    async def connect(self, count: int) -> None:
        self.connections = [Line(self._clock, *self._lines) for _ in range(count)]

    async def run(self, requests: Iterator[bytes], connections: int, seen: Callable[[Answer], None]) -> None:
        self.ran.append((len(list(requests)), connections))
        self._clock.now_s += next(self.takes_s)
        answer = Answer()
        answer.status = self.status
        seen(answer)


class Load:
    """Stands where a Workload would."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def singles(self, payments: int, wait_s: int) -> list[bytes]:
        self.asked.append(("singles", payments, wait_s))
        return [b"request"] * payments

    def batches(self, payments: int, lines: int) -> list[bytes]:
        self.asked.append(("batches", payments, lines))
        return [b"request"] * -(-payments // lines)


class Database:
    """Counts as a sink would: `visible_after_s` after the first question of a run, all of it is there."""

    def __init__(self, clock: Clock, payments: int, visible_after_s: Sequence[float]) -> None:
        self._clock, self._payments, self._visible_after_s = clock, payments, iter(visible_after_s)
        self._count, self._due_s = 17, 0.0
        self._running = False

    def __enter__(self) -> "Database":
        self._due_s = self._clock.now_s + next(self._visible_after_s)
        return self

    def __exit__(self, *_: object) -> None:
        self._count += self._payments

    def execute(self, query: str) -> "Database":
        assert "outcome_counts" in query
        return self

    def fetchone(self) -> tuple[int]:
        return (self._count + (self._payments if self._clock.now_s >= self._due_s else 0),)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    use(clock, monkeypatch)
    return clock


def use(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "time", clock)
    monkeypatch.setattr(modes, "asyncio", SimpleNamespace(sleep=clock.sleep, TaskGroup=asyncio.TaskGroup))


async def waited(client: Client, rate_per_s: int, seconds: int) -> Wait:
    load = cast("Workload", Load())
    return await modes.wait(cast("LoadClient", client), load, rate_per_s, seconds)


async def measured(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, runs_s: Sequence[tuple[float, float]], payments: int = 1_000
) -> Throughput:
    """A batch measurement of runs that take (accepted, visible) seconds each."""
    database = Database(clock, payments, [visible_s for _, visible_s in runs_s])
    cpu = iter([{"api": 0}, {"api": 5_000}] * len(runs_s))
    monkeypatch.setattr("benchmarks.modes.psycopg.connect", lambda *_args, **_options: database)
    monkeypatch.setattr(modes, "cpu_us", lambda _: next(cpu))
    client = Client(clock)
    client.takes_s = iter([accepted_s for accepted_s, _ in runs_s])
    env: Any = SimpleNamespace(database_url="postgresql://nobody")
    return await modes.batch(
        cast("LocalEnvironment", env), cast("LoadClient", client), cast("Workload", Load()), payments, len(runs_s)
    )


async def test_latency_is_the_time_of_each_answer(clock: Clock) -> None:
    client = Client(clock, [0.1 * (number % 10 + 1) for number in range(200)], [201] * 200)
    found = await waited(client, 1, 200)
    assert found.p50_ms == pytest.approx(550, abs=51)
    assert found.max_ms == pytest.approx(1_000, abs=0.1)
    assert (found.payments, found.final, found.rate_per_s) == (200, 200, 1)


async def test_requests_that_were_due_while_the_server_stood_still_count_from_their_due_moment(clock: Clock) -> None:
    """A generator that waits for a slow server and then measures anew hides just the time that hurts."""
    stalled = Client(clock, [5.0, *[0.0] * 9], [201] * 10)
    found = await waited(stalled, 2, 5)
    assert found.max_ms == pytest.approx(5_000, abs=1)
    assert found.p50_ms == pytest.approx(2_750, abs=1), "0.5 s apart, behind the one that took 5 s"


async def test_one_request_is_every_percentile(clock: Clock) -> None:
    """Regression: `--rate 1 --seconds 1` ended with "must have at least two data points" after minutes of load."""
    found = await waited(Client(clock, [0.25], [201]), 1, 1)
    assert (found.p50_ms, found.p90_ms, found.p99_ms, found.max_ms) == (250, 250, 250, 250)
    assert (found.payments, found.final) == (1, 1)


async def test_only_a_final_answer_is_counted_as_final(clock: Clock) -> None:
    client = Client(clock, [0.01] * 6, [201, 202, 422, 201, 503, 200])
    found = await waited(client, 2, 3)
    assert (found.payments, found.final) == (6, 2)


async def test_a_request_waits_for_its_outcome_and_no_longer_than_ten_seconds(clock: Clock) -> None:
    load = Load()
    client = Client(clock, [0.0] * 10, [201] * 10)
    await modes.wait(cast("LoadClient", client), cast("Workload", load), 5, 2)
    assert load.asked == [("singles", 10, 10)]


@given(st.lists(st.floats(min_value=0.0, max_value=0.9), min_size=2, max_size=120))
@settings(max_examples=40)
def test_percentiles_are_in_order_and_none_is_above_the_slowest(latencies_s: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        use(clock, patch)
        found = asyncio.run(waited(Client(clock, latencies_s, [201] * len(latencies_s)), 1, len(latencies_s)))
    assert 0 <= found.p50_ms <= found.p90_ms <= found.p99_ms <= found.max_ms
    assert found.max_ms == pytest.approx(max(latencies_s) * 1_000, abs=0.11)
    assert found.p50_ms >= min(latencies_s) * 1_000 - 0.11


async def test_more_open_requests_than_connections_is_said_with_what_to_do(clock: Clock) -> None:
    class Never(Line):
        async def ask(self, _: bytes) -> Answer:
            await asyncio.sleep(60)
            raise AssertionError("cancelled before")

    class Stuck(Client):
        async def connect(self, count: int) -> None:
            self.connections = [Never(clock, iter(()), iter(())) for _ in range(count)]

    with pytest.raises(ExceptionGroup) as failed:
        await waited(Stuck(clock), 2, 60)
    assert failed.group_contains(Unavailable, match=r"8 requests .*lower --rate")


async def test_the_figure_is_the_median_run_and_the_best_is_named_beside_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await measured(monkeypatch, clock, [(1.0, 8.0), (0.5, 2.0), (2.0, 4.0)])
    assert found.payments_per_s == pytest.approx(250, abs=2)
    assert found.payments_per_s_best == pytest.approx(500, abs=6)
    assert found.accepted_per_s == 500, "of the median run, not of the best one"
    assert (found.payments, found.runs) == (1_000, 3)


async def test_the_clock_stops_when_the_last_payment_is_visible_not_when_it_is_accepted(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await measured(monkeypatch, clock, [(0.1, 10.0)])
    assert found.accepted_per_s == 10_000
    assert found.payments_per_s == pytest.approx(100, abs=1)


async def test_cpu_is_divided_by_the_payments_of_the_run(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await measured(monkeypatch, clock, [(1.0, 1.0)])).cpu_us_per_payment == {"api": 5.0}


async def test_payments_that_never_become_final_are_an_error_that_counts_them(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_s = clock.now_s
    with pytest.raises(Unavailable, match="1000 payments are not final after 60 s"):
        await measured(monkeypatch, clock, [(1.0, 10_000.0)])
    assert clock.now_s - started_s == pytest.approx(61, abs=0.1)


@pytest.mark.parametrize(
    ("mode", "asked", "ran"),
    [
        (modes.batch, ("batches", 1_200, modes.BATCH_LINES), (3, modes.BATCH_CONNECTIONS)),
        (modes.single, ("singles", 1_200, 0), (1_200, modes.SINGLE_CONNECTIONS)),
    ],
)
async def test_each_mode_sends_the_load_it_documents(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, mode: Any, asked: tuple[str, int, int], ran: tuple[int, int]
) -> None:
    database = Database(clock, 1_200, [0.5, 0.5])
    monkeypatch.setattr("benchmarks.modes.psycopg.connect", lambda *_args, **_options: database)
    monkeypatch.setattr(modes, "cpu_us", lambda _: {})
    client, load = Client(clock), Load()
    client.takes_s = iter([1.0, 1.0])
    await mode(SimpleNamespace(database_url=""), client, load, 1_200, 2)
    assert load.asked == [asked] * 2, "every run has requests of its own"
    assert client.ran == [ran] * 2


async def test_a_refused_payment_ends_the_measurement(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(clock, 10, [0.5])
    monkeypatch.setattr("benchmarks.modes.psycopg.connect", lambda *_args, **_options: database)
    monkeypatch.setattr(modes, "cpu_us", lambda _: {})
    client: Any = Client(clock)
    client.takes_s, client.status = iter([1.0]), 429
    env: Any = SimpleNamespace(database_url="")
    with pytest.raises(InvariantViolation, match="refused: 429"):
        await modes.batch(env, client, cast("Workload", Load()), 10, 1)

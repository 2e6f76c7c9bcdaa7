"""What is measured: batch and single load end to end, and the wait for a final outcome at a fixed rate."""

import asyncio
import statistics
import time
from collections.abc import Callable

import msgspec
import psycopg

from benchmarks.http_load import LoadClient
from benchmarks.processes import cpu_us, used_between
from benchmarks.workload import Workload, require_accepted
from millrace.environment import LocalEnvironment
from payments.errors import Unavailable

BATCH_LINES = 500
BATCH_CONNECTIONS = 4
SINGLE_CONNECTIONS = 64
_VISIBLE_TIMEOUT_S = 60
_POLL_S = 0.02


class Throughput(msgspec.Struct, frozen=True):
    """Payments per second from the first request sent until the last payment is final and visible in Postgres."""

    payments_per_s: int
    """Of the median run."""

    payments_per_s_best: int
    accepted_per_s: int
    """Of the median run: until HTTP has accepted the last one."""

    cpu_us_per_payment: dict[str, float]
    payments: int
    runs: int


class Wait(msgspec.Struct, frozen=True):
    """Latency of `POST /v1/transfers` with `Prefer: wait`, to the final outcome, at a fixed rate (open loop)."""

    rate_per_s: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    payments: int
    final: int


class _Run:
    def __init__(self, payments: int, accepted_s: float, visible_s: float, cpu: dict[str, float]) -> None:
        self.payments = payments
        self.accepted_per_s = round(payments / accepted_s)
        self.visible_per_s = round(payments / visible_s)
        self.cpu = cpu


async def batch(env: LocalEnvironment, client: LoadClient, load: Workload, payments: int, runs: int) -> Throughput:
    """Batches of 500 lines on four connections."""
    return await _throughput(
        env, client, lambda: load.batches(payments, BATCH_LINES), BATCH_CONNECTIONS, payments, runs
    )


async def single(env: LocalEnvironment, client: LoadClient, load: Workload, payments: int, runs: int) -> Throughput:
    """One payment per request, answered when Kafka has it, on 64 connections."""
    return await _throughput(env, client, lambda: load.singles(payments, 0), SINGLE_CONNECTIONS, payments, runs)


async def wait(client: LoadClient, load: Workload, rate_per_s: int, seconds: int) -> Wait:
    """An open loop: request n starts at n / rate, whatever became of the others; latency counts from then.

    Raises Unavailable (in an ExceptionGroup) when every connection, enough for 4 s of requests, waits for an answer.
    """
    requests = load.singles(rate_per_s * seconds, 10)
    await client.connect(min(len(requests), 4 * rate_per_s))
    free = list(client.connections)
    latencies_ms: list[float] = []
    final = 0

    async def one(request: bytes, due_s: float) -> None:
        nonlocal final
        if not free:
            raise Unavailable(f"{len(client.connections)} requests wait for an answer at once: lower --rate")
        connection = free.pop()
        answer = await connection.ask(request)
        free.append(connection)
        latencies_ms.append((time.monotonic() - due_s) * 1000)
        final += answer.status == 201

    started_s = time.monotonic() + 0.1
    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            due_s = started_s + number / rate_per_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            group.create_task(one(request, due_s))
    p50_ms, p90_ms, p99_ms = _percentiles_ms(latencies_ms)
    return Wait(rate_per_s, p50_ms, p90_ms, p99_ms, round(max(latencies_ms), 1), len(requests), final)


def _percentiles_ms(latencies_ms: list[float]) -> tuple[float, float, float]:
    """50th, 90th and 99th; a single latency is all three."""
    sample = latencies_ms if len(latencies_ms) > 1 else latencies_ms * 2  # `quantiles` asks for two
    cuts = statistics.quantiles(sample, n=100, method="inclusive")  # "exclusive" may exceed the slowest
    return round(cuts[49], 1), round(cuts[89], 1), round(cuts[98], 1)


async def _throughput(
    env: LocalEnvironment,
    client: LoadClient,
    requests: Callable[[], list[bytes]],
    connections: int,
    payments: int,
    runs: int,
) -> Throughput:
    done = [await _one_run(env, client, requests(), connections, payments) for _ in range(runs)]
    done.sort(key=lambda run: run.visible_per_s)
    median = done[len(done) // 2]
    return Throughput(median.visible_per_s, done[-1].visible_per_s, median.accepted_per_s, median.cpu, payments, runs)


async def _one_run(
    env: LocalEnvironment, client: LoadClient, requests: list[bytes], connections: int, payments: int
) -> _Run:
    with psycopg.connect(env.database_url, autocommit=True) as database:
        before = _final_count(database)
        cpu_before, started_s = cpu_us(env), time.monotonic()
        await client.run(iter(requests), connections, require_accepted)
        accepted_s = time.monotonic() - started_s
        await _await_visible(database, before + payments)
        visible_s = time.monotonic() - started_s
        return _Run(payments, accepted_s, visible_s, used_between(cpu_before, cpu_us(env), payments))


async def _await_visible(database: psycopg.Connection, wanted: int) -> None:
    deadline_s = time.monotonic() + _VISIBLE_TIMEOUT_S
    while (found := _final_count(database)) < wanted:
        if time.monotonic() > deadline_s:
            raise Unavailable(f"{wanted - found} payments are not final after {_VISIBLE_TIMEOUT_S} s")
        await asyncio.sleep(_POLL_S)


def _final_count(database: psycopg.Connection) -> int:
    """Payments posted, rejected or returned so far: what the sink counts in the same transaction as the rows."""
    query = "SELECT coalesce(sum(entries), 0)::bigint FROM outcome_counts WHERE kind IN (1, 2, 4)"
    row = database.execute(query).fetchone()
    return int(row[0]) if row else 0

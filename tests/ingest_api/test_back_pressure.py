"""Too much, too fast, or no Kafka: the caller is told when to come back and whether anything was taken."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_api.app import make_app
from ingest_api.http.preferences import idempotency_key, preferred_wait_s, prefers_representation
from ingest_api.http.rate_limit import ClientRateLimit
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from ingest_api.publisher import DeliveryUnknown, Publisher, QueueFull, Record
from ingest_api.services import Services
from payments.errors import Unavailable
from runtime.settings import Settings
from tests.ingest_api.client import problem_of, transfer_line
from tests.ingest_api.conftest import Paused

PAYER = "acc_01jd5v2q7xf8k8v6n3m4p5r6st"
PAYEE = "acc_01jd5v2q7xf8k8v6n3m4p5r6ss"
BROKER = "broker"


@pytest.fixture
def tight(settings: Settings) -> Settings:
    """The least that the settings allow."""
    return settings.model_copy(
        update={
            "api_process_id": 5,
            "api_queue_bytes": 200_000,
            "api_delivery_timeout_ms": 1_000,
            "api_client_commands_per_s": 100,
            "api_client_burst": 10_000,
            "api_body_bytes": 16 * 1024 * 1024,
        }
    )


@pytest.fixture
async def tight_caller(tight: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A process of its own inside the test, with little room."""
    services = Services.of(tight)
    await services.start()
    headers = {"Authorization": f"Bearer {issue_token(tight, 'tight', ALL_SCOPES, 600)}"}
    transport = httpx.ASGITransport(make_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers, timeout=40) as caller:
        yield caller
    await services.stop()


async def post_batch(caller: httpx.AsyncClient, lines: int, description: str = "x" * 100) -> httpx.Response:
    content = b"\n".join(
        httpx.Request("POST", "http://x", json=transfer_line(PAYER, PAYEE, description=description)).content
        for _ in range(lines)
    )
    return await caller.post("/v1/transfers:batch", content=content, headers={"Content-Type": "application/x-ndjson"})


async def test_a_full_queue_is_503_and_takes_nothing(tight_caller: httpx.AsyncClient, paused: Paused) -> None:
    with paused(BROKER):
        first = asyncio.create_task(post_batch(tight_caller, 700))
        await asyncio.sleep(0.2)
        full = await post_batch(tight_caller, 700)
        problem_of(full, 503, "queue_full")
        assert int(full.headers["Retry-After"]) >= 1
    assert (await first).status_code in {202, 503}
    assert (await post_batch(tight_caller, 10)).status_code == 202


async def test_a_broker_that_does_not_answer_is_an_unknown_outcome(
    tight_caller: httpx.AsyncClient, paused: Paused
) -> None:
    body = {"from_account": PAYER, "to_account": PAYEE, "amount": "1", "currency": "EUR"}
    headers = {"Idempotency-Key": secrets.token_hex(8), "Prefer": "wait=20"}
    with paused(BROKER):
        response = await tight_caller.post("/v1/transfers", json=body, headers=headers)
    document = problem_of(response, 503, "outcome_unknown")
    assert "same key" in document["detail"]
    assert int(response.headers["Retry-After"]) >= 1
    again = await tight_caller.post("/v1/transfers", json=body, headers=headers)
    problem_of(again, 404, "account_not_found")


async def test_a_client_that_floods_is_429_and_others_are_not(tight_caller: httpx.AsyncClient, tight: Settings) -> None:
    assert (await post_batch(tight_caller, 1_000, "")).status_code == 202
    for _ in range(9):
        await post_batch(tight_caller, 1_000, "")
    flooded = await post_batch(tight_caller, 1_000, "")
    problem_of(flooded, 429, "rate_limited")
    assert 1 <= int(flooded.headers["Retry-After"]) <= 10
    other = {"Authorization": f"Bearer {issue_token(tight, 'other', ALL_SCOPES, 600)}"}
    tight_caller.headers.update(other)
    assert (await post_batch(tight_caller, 10, "")).status_code == 202


async def test_batches_that_are_still_coming_in_are_bounded(tight_caller: httpx.AsyncClient, tight: Settings) -> None:
    """Two callers without a declared length hold all there is; when they are done or gone, the next one gets in."""
    arrived = [asyncio.Event(), asyncio.Event()]
    go_on = asyncio.Event()

    async def slow_body(number: int) -> AsyncIterator[bytes]:
        arrived[number].set()
        await go_on.wait()
        yield httpx.Request("POST", "http://x", json=transfer_line(PAYER, PAYEE)).content

    headers = {"Content-Type": "application/x-ndjson"}
    assert tight.api_body_bytes == 2 * 8 * 1024 * 1024
    slow = [
        asyncio.create_task(tight_caller.post("/v1/transfers:batch", content=slow_body(number), headers=headers))
        for number in range(2)
    ]
    await asyncio.gather(*(event.wait() for event in arrived))
    refused = await post_batch(tight_caller, 1)
    problem_of(refused, 503, "queue_full")
    go_on.set()
    assert [(await task).status_code for task in slow] == [202, 202]
    assert (await post_batch(tight_caller, 1)).status_code == 202


async def test_without_postgres_commands_are_taken_and_reads_are_503(tight: Settings) -> None:
    gone = tight.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/none"})
    services = Services.of(gone)
    await services.start()
    headers = {"Authorization": f"Bearer {issue_token(gone, 'tight', ALL_SCOPES, 600)}"}
    transport = httpx.ASGITransport(make_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as caller:
        assert (await post_batch(caller, 3)).status_code == 202
        read = await caller.get("/v1/transactions")
        problem_of(read, 503, "database_unavailable")
        ready = await caller.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["postgres"]) == (503, False)
        assert ready.json()["checks"]["kafka"] is True
        assert (await caller.get("/livez")).status_code == 200
    await services.stop()


async def test_positions_are_the_last_of_each_partition(settings: Settings) -> None:
    publisher = Publisher(settings)
    await publisher.start()
    # an item that is no command: the worker puts it into quarantine
    records = [Record(shard, b"k" * 16, b"not a command") for shard in (0, 1, 0, 1, 0)]
    first = await publisher.send(records, []).wait()
    second = await publisher.send(records, []).wait()
    assert {shard: second[shard] - first[shard] for shard in first} == {0: 3, 1: 2}
    assert publisher.pending_bytes == 0
    await publisher.stop()


async def test_a_failed_delivery_is_counted_back(tight: Settings, paused: Paused) -> None:
    publisher = Publisher(tight)
    await publisher.start()
    with paused(BROKER):
        acknowledgement = publisher.send([Record(0, b"k" * 16, b"x" * 1_000)] * 3, [])
        with pytest.raises(DeliveryUnknown):
            await acknowledgement.wait()
    assert publisher.pending_bytes == 0
    with pytest.raises(QueueFull):
        publisher.send([Record(0, b"k" * 16, b"x" * 250_000)], [])
    assert publisher.pending_bytes == 0
    await publisher.stop()


async def test_another_number_of_shards_is_refused_at_start(settings: Settings) -> None:
    publisher = Publisher(settings.model_copy(update={"shards": 8}))
    with pytest.raises(Unavailable, match="has 4 partitions but MILLRACE_SHARDS is 8"):
        await publisher.start()


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms * 1_000_000


@hypothesis_settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 50)), min_size=1, max_size=60))
def test_no_client_gets_more_than_its_rate_and_a_told_wait_is_enough(steps: list[tuple[int, int]]) -> None:
    clock, per_s, burst = Clock(), 10, 50
    limit = ClientRateLimit(per_s, burst, clock)
    taken = 0
    for pause, commands in steps:
        clock.now_ms += 100 * pause
        retry_after_s = limit.retry_after_s("client", commands)
        if retry_after_s:
            clock.now_ms += 1000 * retry_after_s
            assert limit.retry_after_s("client", commands) == 0
        taken += commands
        assert 1000 * taken <= 1000 * burst + per_s * clock.now_ms


def test_clients_have_buckets_of_their_own_and_old_ones_are_forgotten() -> None:
    limit = ClientRateLimit(1, 1, Clock())
    assert limit.retry_after_s("a", 1) == 0
    assert limit.retry_after_s("a", 1) == 1
    assert all(limit.retry_after_s(f"client-{number}", 1) == 0 for number in range(10_000))
    assert limit.retry_after_s("a", 1) == 0


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("", None),
        ("wait=5", 5),
        ("respond-async, WAIT = 7", 7),
        ('wait="3"; x=y', 3),
        ("wait=0", 0),
        ("wait=99999", 30),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("await=5", None),
        ("wait", None),
    ],
)
def test_prefer_is_read_as_rfc_7240_says(header: str | None, wait_s: int | None) -> None:
    assert preferred_wait_s(header) == wait_s


def test_the_representation_is_asked_for_by_name() -> None:
    assert prefers_representation('wait=1, return="representation"')
    assert not prefers_representation("return=minimal")
    assert not prefers_representation(None)


@pytest.mark.parametrize(
    ("header", "key"), [('"a b"', "a b"), ("a-b", "a-b"), (r'"a\"b\\c"', 'a"b\\c'), (" k ", "k"), (None, None)]
)
def test_keys_are_quoted_or_bare(header: str | None, key: str | None) -> None:
    assert idempotency_key(header) == key

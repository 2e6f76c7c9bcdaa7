"""Goal: the load's bookkeeping: percentiles by payment, a bound on what runs at once, failures as themselves."""

import asyncio
import gc
import warnings
from functools import partial

import msgspec
import pytest

from millrace.demo.client import PatientClient
from millrace.demo.load import TOKEN_HEADER, BatchTiming, Load, _bounded, percentile_ms
from millrace.demo.payments_file import RealPayment
from payments.errors import InvariantViolation
from payments.identifiers import ACCOUNT, derive_account_id, format_id, parse_id, shard_of_operation
from schemas.partitioning import shard_of
from tests.demo.scripted_server import Reply, scripted_server

SHARDS = 4
PAYMENTS = [RealPayment(f"p-{number}", "PAYER", "PAYEE", 1050 + number, "EUR") for number in range(1_200)]
ACCOUNTS = {bic: format_id(ACCOUNT, derive_account_id("demo", bic)) for bic in ("PAYER", "PAYEE")}
ACCEPTED = Reply(202, '{"accepted": 500, "rejected": []}', (f"{TOKEN_HEADER}: MC0x",))


def test_a_percentile_counts_payments_not_batches() -> None:
    timings = [BatchTiming(98, 10), BatchTiming(1, 200), BatchTiming(1, 300)]
    assert [percentile_ms(timings, percent) for percent in (50, 98, 99, 100)] == [10, 10, 200, 300]
    assert percentile_ms(reversed(timings), 99) == 200
    assert percentile_ms([], 50) == 0


async def test_no_more_than_the_limit_runs_at_once() -> None:
    running, most, done = 0, 0, []

    async def job(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(number)

    await _bounded(3, [partial(job, number) for number in range(20)])
    assert most == 3
    assert sorted(done) == list(range(20))


async def test_the_first_failure_is_raised_as_itself_and_ends_the_rest() -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise InvariantViolation("opening the account of X was refused")

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(InvariantViolation, match="account of X"):
        await _bounded(2, [wait, fail])
    assert ended == ["cancelled"]


async def test_what_had_not_begun_leaves_no_warning_behind() -> None:
    async def never() -> None:
        raise AssertionError("the limit is one, and the first job fails")

    async def fail() -> None:
        raise InvariantViolation("first")

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(InvariantViolation, match="first"):
            await _bounded(1, [fail, *[never] * 5])
        gc.collect()  # other tests' garbage too, whose warnings are others
    assert [one for one in seen if "was never awaited" in str(one.message)] == []


async def test_every_batch_is_accepted_and_then_visible() -> None:
    async with scripted_server(ACCEPTED, read=Reply(200)) as (server, url), PatientClient(url, "t") as client:
        load = Load(client, PAYMENTS, SHARDS)
        load.accounts = dict(ACCOUNTS)
        accepted: list[int] = []
        visible: list[int] = []
        await load.push(accepted.append, visible.append)
        assert sorted(accepted) == sorted(visible) == [200, 500, 500]
        assert sorted(timing.payments for timing in load.timings) == [200, 500, 500]
        reads = [head.lower() for head in server.seen if head.startswith("GET ")]
        assert len(reads) == 3
        assert all("consistency-token: mc0x" in head for head in reads), "a read waits for the write before it"


async def test_what_cannot_be_read_back_is_not_visible() -> None:
    async with scripted_server(ACCEPTED, read=Reply(400)) as (_, url), PatientClient(url, "t") as client:
        load = Load(client, PAYMENTS[:10], SHARDS)
        load.accounts = dict(ACCOUNTS)
        visible: list[int] = []
        with pytest.raises(InvariantViolation, match="reading back"):
            await load.push(lambda _count: None, visible.append)
        assert (visible, load.timings) == ([], [])


async def test_a_line_says_what_the_file_says() -> None:
    async with scripted_server(Reply(200)) as (_, url), PatientClient(url, "t") as client:
        load = Load(client, PAYMENTS, SHARDS)
        load.accounts = dict(ACCOUNTS)
        assert msgspec.json.decode(msgspec.json.encode(load._line(PAYMENTS[7]))) == {
            "from_account": ACCOUNTS["PAYER"],
            "to_account": ACCOUNTS["PAYEE"],
            "amount": "10.57",
            "currency": "EUR",
            "idempotency_key": "p-7",
        }


async def test_payment_ids_follow_from_account_and_key() -> None:
    async with scripted_server(Reply(200)) as (_, url), PatientClient(url, "t") as client:
        load = Load(client, PAYMENTS, SHARDS)
        load.accounts = dict(ACCOUNTS)
        ids = load.payment_ids()
    payer = parse_id(ACCOUNT, ACCOUNTS["PAYER"])
    assert payer is not None
    assert len(set(ids)) == len(PAYMENTS)
    assert {shard_of_operation(payment_id) for payment_id in ids} == {shard_of(payer, SHARDS)}


@pytest.mark.parametrize("status", [400, 403, 422])
async def test_an_account_that_is_refused_ends_the_demo_with_its_answer(status: int) -> None:
    refusal = Reply(status, '{"code":"scope_missing"}')
    async with scripted_server(refusal) as (_, url), PatientClient(url, "t") as client:
        load = Load(client, PAYMENTS[:1], SHARDS)
        with pytest.raises(InvariantViolation, match=r"opening the account of PAYE.* was refused: .*scope_missing"):
            await load.open_accounts(lambda _count: None)

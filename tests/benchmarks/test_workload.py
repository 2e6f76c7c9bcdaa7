"""Goal: the load is real payments between accounts that exist, no key twice, and a refusal never passes as a figure."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.http_load import Answer, LoadClient
from benchmarks.workload import CURRENCY, FUNDS, Workload, require_accepted
from payments.errors import InvariantViolation
from payments.money import to_minor

ACCOUNTS = [f"acc_{number}" for number in range(5)]


def answer(status: int, body: bytes = b"{}") -> Answer:
    made = Answer()
    made.status, made.body = status, body
    return made


class Scripted(LoadClient):
    """A client without a line: answers each request by a function, and keeps the requests."""

    def __init__(self, respond: Callable[[bytes], Answer]) -> None:
        super().__init__("http://127.0.0.1:1", "t")
        self._respond = respond
        self.sent: list[bytes] = []

    async def run(self, requests: Iterator[bytes], connections: int, seen: Callable[[Answer], None]) -> None:
        for request in requests:
            self.sent.append(request)
            seen(self._respond(request))


def loaded(seed: int = 1, accounts: Iterable[str] = ACCOUNTS) -> Workload:
    load = Workload(LoadClient("http://127.0.0.1:1", "t"), 0, seed)
    load.accounts = list(accounts)
    return load


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    return first.removesuffix(" HTTP/1.1"), dict(field.split(": ", 1) for field in fields), body


def lines_of(request: bytes) -> list[dict[str, str]]:
    return [msgspec.json.decode(line, type=dict[str, str]) for line in parts(request)[2].split(b"\n")]


@given(payments=st.integers(0, 60), lines=st.integers(1, 25))
@settings(max_examples=40)
def test_batches_hold_every_payment_in_full_requests_and_one_rest(payments: int, lines: int) -> None:
    sizes = [len(lines_of(request)) for request in loaded().batches(payments, lines)]
    assert sum(sizes) == payments
    assert all(size == lines for size in sizes[:-1])
    assert all(0 < size <= lines for size in sizes)


def test_a_payment_has_two_accounts_and_an_amount_that_the_api_takes() -> None:
    [request] = loaded().batches(400, 400)
    for line in lines_of(request):
        assert line["from_account"] != line["to_account"]
        assert {line["from_account"], line["to_account"]} <= set(ACCOUNTS)
        assert line["currency"] == CURRENCY
        amount_minor = to_minor(Decimal(line["amount"]), CURRENCY)
        assert isinstance(amount_minor, int)
        assert 100 <= amount_minor < 100_000


def test_no_key_occurs_twice_in_batches_singles_and_other_runs() -> None:
    """A repeated key would be replayed, which costs less than a payment, and move nothing."""
    keys: list[str] = []
    for load in (loaded(seed=1), loaded(seed=1)):
        keys += [line["idempotency_key"] for request in load.batches(50, 7) for line in lines_of(request)]
        keys += [parts(request)[1]["Idempotency-Key"] for request in load.singles(50, 0)]
        keys += [line["idempotency_key"] for request in load.batches(50, 7) for line in lines_of(request)]
    assert len(keys) == len(set(keys)) == 300


def test_one_seed_is_one_series_of_payments_and_another_seed_another() -> None:
    def moved(seed: int) -> list[tuple[str, str, str]]:
        [request] = loaded(seed).batches(30, 30)
        return [(line["from_account"], line["to_account"], line["amount"]) for line in lines_of(request)]

    assert moved(1) == moved(1)
    assert moved(1) != moved(2)


@pytest.mark.parametrize("wait_s", [0, 10])
def test_a_single_says_its_key_in_the_header_and_how_long_it_waits(wait_s: int) -> None:
    [request] = loaded().singles(1, wait_s)
    line, headers, body = parts(request)
    assert line == "POST /v1/transfers"
    assert (headers["Prefer"], headers["Content-Type"]) == (f"wait={wait_s}", "application/json")
    assert set(msgspec.json.decode(body)) == {"from_account", "to_account", "amount", "currency"}


def test_a_batch_is_ndjson_for_the_batch_route() -> None:
    [request] = loaded().batches(3, 3)
    line, headers, body = parts(request)
    assert (line, headers["Content-Type"]) == ("POST /v1/transfers:batch", "application/x-ndjson")
    assert body.count(b"\n") == 2, "a line ends between payments, not after the last"


async def test_every_account_is_opened_once_and_funded_once() -> None:
    def respond(request: bytes) -> Answer:
        line, headers, _ = parts(request)
        if line == "POST /v1/accounts":
            return answer(201, msgspec.json.encode({"id": "of " + headers["Idempotency-Key"]}))
        return answer(202, b'{"accepted":1000,"rejected":[]}')

    client = Scripted(respond)
    load = Workload(client, 2_500, seed=1)
    await load.open_accounts()
    assert len(set(load.accounts)) == 2_500
    deposits = [line for request in client.sent if b":batch" in request for line in lines_of(request)]
    assert sorted(line["account"] for line in deposits) == sorted(load.accounts)
    assert {(line["kind"], line["amount"], line["currency"]) for line in deposits} == {("deposit", FUNDS, CURRENCY)}
    assert max(len(lines_of(request)) for request in client.sent[2_500:]) == 1_000


async def test_two_runs_open_accounts_of_their_own() -> None:
    """A key of an earlier run would be answered with the earlier account, and its old balance."""
    clients = [Scripted(lambda _: answer(200, b'{"id":"acc_x"}')) for _ in range(2)]
    for client in clients:
        await Workload(client, 20, seed=1).open_accounts()
    keys = [parts(request)[1].get("Idempotency-Key") for client in clients for request in client.sent[:20]]
    assert len(set(keys)) == 40


@pytest.mark.parametrize(
    ("refused", "words"),
    [(answer(422, b'{"code":"currency_unknown"}'), "422.*currency_unknown"), (answer(503, b"x" * 5_000), "503 x")],
)
async def test_an_account_that_is_refused_ends_the_run_with_its_answer(refused: Answer, words: str) -> None:
    client = Scripted(lambda _: refused)
    with pytest.raises(InvariantViolation, match=f"opening an account: {words}") as failed:
        await Workload(client, 3, seed=1).open_accounts()
    assert len(client.sent) == 1
    assert len(str(failed.value)) < 400, "a page of HTML is cut"


async def test_a_deposit_that_is_refused_ends_the_run() -> None:
    def respond(request: bytes) -> Answer:
        opening = parts(request)[0] == "POST /v1/accounts"
        return answer(201, b'{"id":"acc_1"}') if opening else answer(207, b'{"rejected":[{"line":1}]}')

    with pytest.raises(InvariantViolation, match="refused: 207"):
        await Workload(Scripted(respond), 3, seed=1).open_accounts()


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [
        (200, b'{"accepted":500,"rejected":[]}', True),
        (201, b'{"status":"posted"}', True),
        (202, b'{"status":"pending"}', True),
        (202, b'{"accepted":499,"rejected":[{"line":7,"code":"amount_invalid"}]}', False),
        (204, b"", False),
        (207, b'{"accepted":0,"rejected":[]}', False),
        (400, b"{}", False),
        (401, b"{}", False),
        (429, b"{}", False),
        (500, b"", False),
        (503, b"{}", False),
    ],
)
def test_only_an_answer_without_a_refusal_counts(status: int, body: bytes, accepted: bool) -> None:
    found: Any = None
    try:
        require_accepted(answer(status, body))
    except InvariantViolation as refusal:
        found = str(refusal)
    assert (found is None) is accepted
    if found is not None:
        assert str(status) in found
        assert body.decode() in found

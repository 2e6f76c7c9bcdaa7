"""Goal: threads and tasks get the same from the same core; tokens are renewed by one caller at a time.

Method: both clients over a transport of the test, which is a small API with logins: every token is good for so many
calls, a refresh token for one use.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from ingest_api.problems import Fault
from millrace.client import (
    AsyncClient,
    Bearer,
    Client,
    ClientCredentials,
    NotAuthenticated,
    NotFinal,
    OutcomeUnknown,
    Password,
    RefreshToken,
    SecondFactorRequired,
    transfer_line,
)
from millrace.client.models.money import Payment
from millrace.client.requests import Ask, Route
from tests.client.world import CUT, PAYMENT, World, answer, problem

AT_ONCE = 8


class LoginServer:
    """An API whose tokens end when the test says so. A refresh token that is used twice is an error of the client."""

    def __init__(self, *, needs_code: bool = False) -> None:
        self.asked: Counter[str] = Counter()
        self.refused: list[str] = []
        self._needs_code = needs_code
        self._lock = threading.Lock()
        self._number = 0

    @property
    def token(self) -> str:
        return f"token-{self._number}"

    def expire(self) -> None:
        """The token that is out is taken no more, and the client is not told."""
        self._number += 1

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/oauth/token":
            with self._lock:
                return self._granted(json.loads(request.content))
        time.sleep(0.002)  # calls overlap
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return _shown(problem(Fault.TOKEN_INVALID))
        return httpx.Response(200, json=PAYMENT)

    def _granted(self, fields: dict[str, str]) -> httpx.Response:
        if self._needs_code and fields["grant_type"] == "password" and fields.get("otp") != "123456":
            return _shown(problem(Fault.SECOND_FACTOR_REQUIRED))
        if fields["grant_type"] == "refresh_token" and fields["refresh_token"] != f"refresh-{self.asked.total()}":
            self.refused.append(fields["refresh_token"])
            return _shown(problem(Fault.INVALID_GRANT))
        self.asked[fields["grant_type"]] += 1
        self._number += 1
        granted = {"access_token": self.token, "expires_in": 300, "scope": "", "token_type": "Bearer"}
        return httpx.Response(200, json=granted | {"refresh_token": f"refresh-{self.asked.total()}"})


def _shown(response: Any) -> httpx.Response:
    return httpx.Response(response.status, headers=dict(response.headers), content=response.content)


def transport(server: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    return httpx.MockTransport(server)


ANNA = Password("anna", "tulip hammer seven")


def test_threads_renew_a_token_once() -> None:
    server = LoginServer()
    with Client("http://api", ANNA, http=httpx.Client(transport=transport(server))) as client:
        for _ in range(3):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                found = list(pool.map(client.transfers.get, ["pay_1"] * AT_ONCE))
            assert {payment.amount_minor for payment in found} == {1050}
            server.expire()
    assert server.asked == {"password": 1, "refresh_token": 2}
    assert server.refused == []


async def test_tasks_renew_a_token_once() -> None:
    server = LoginServer()
    async with AsyncClient("http://api", ANNA, http=httpx.AsyncClient(transport=transport(server))) as client:
        for _ in range(3):
            found = await asyncio.gather(*(client.transfers.get("pay_1") for _ in range(AT_ONCE)))
            assert {payment.amount_minor for payment in found} == {1050}
            server.expire()
    assert server.asked == {"password": 1, "refresh_token": 2}
    assert server.refused == []


async def test_a_code_is_asked_for_where_it_is_needed() -> None:
    async def later() -> str:
        return "123456"

    server = LoginServer(needs_code=True)
    http = httpx.Client(transport=transport(server))
    assert Client("http://api", Password("a", "p", otp=lambda: "123456"), http=http).transfers.get("pay_1").final
    with pytest.raises(SecondFactorRequired):
        Client("http://api", ANNA, http=http).transfers.get("pay_1")
    with pytest.raises(TypeError, match="AsyncClient"):
        Client("http://api", Password("a", "p", otp=later), http=http).transfers.get("pay_1")
    async with httpx.AsyncClient(transport=transport(server)) as tasks:
        assert (await AsyncClient("http://api", Password("a", "p", otp=later), http=tasks).transfers.get("pay_1")).final


def test_a_session_that_ended_is_begun_anew_only_with_a_password() -> None:
    server = LoginServer()
    http = httpx.Client(transport=transport(server))
    ended = RefreshToken("refresh-of-before")
    with pytest.raises(Exception, match="invalid_grant"):
        Client("http://api", ended, http=http).transfers.get("pay_1")
    client = Client("http://api", ANNA, http=http)
    client.transfers.get("pay_1")
    server.asked["elsewhere"] += 1  # somebody else has refreshed: the session has ended
    server.expire()
    assert client.transfers.get("pay_1").final
    assert server.asked["password"] == 2


def test_a_call_needs_a_fresh_second_factor_once() -> None:
    """Step-up: the code of the app with the token that there is; the call goes on with the one that it answers."""
    first = answer({"access_token": "t-1", "expires_in": 300, "scope": "", "token_type": "Bearer"})
    second = answer({"access_token": "t-2", "expires_in": 300, "scope": "", "token_type": "Bearer"})
    world = World([first, problem(Fault.SECOND_FACTOR_REQUIRED), second, answer(PAYMENT)], codes=["123456"])
    calls = world.calls(Password("anna", "p", otp=lambda: ""))
    route = Route("POST", "/v1/payouts", keyed=True)
    assert world.run(calls, calls.flow(route, Ask(body={}), Payment)).final
    assert [request.url.rpartition("/")[2] for request in world.sent] == ["token", "payouts", "step-up", "payouts"]
    assert world.header("Authorization")[1:] == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]
    assert world.header("Idempotency-Key")[1::2] == ['"k-made"'] * 2


def test_a_login_that_fails_after_a_cut_leaves_the_doubt() -> None:
    granted = answer({"access_token": "t-1", "expires_in": 300, "scope": "", "token_type": "Bearer"})
    world = World([granted, CUT, problem(Fault.TOKEN_INVALID), problem(Fault.INVALID_CLIENT)])
    calls = world.calls(ClientCredentials("till", "secret"))
    with pytest.raises(OutcomeUnknown) as unknown:
        world.run(calls, calls.flow(Route("POST", "/v1/transfers", keyed=True), Ask(body={}), Payment))
    assert isinstance(unknown.value.__cause__, NotAuthenticated)
    assert unknown.value.idempotency_key == "k-made"


def test_a_wrong_password_in_a_body_asks_for_no_other_token() -> None:
    """Each try would count against the user."""
    granted = answer({"access_token": "t-1", "expires_in": 300, "scope": "", "token_type": "Bearer"})
    world = World([granted, problem(Fault.CREDENTIALS_INVALID)])
    calls = world.calls(Password("anna", "p"))
    with pytest.raises(NotAuthenticated, match="credentials_invalid"):
        world.run(calls, calls.flow(Route("PUT", "/v1/auth/password"), Ask(body={}), Payment))
    assert len(world.sent) == 2


def test_any_path_is_called_with_its_headers() -> None:
    def server(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.headers["Idempotency-Key"], request.headers["If-Match"]) == (
            "PUT",
            '"k"',
            '"v1"',
        )
        return httpx.Response(200, json={"limit": 0.10}, headers={"ETag": '"v2"'})

    client = Client("http://api", Bearer("t"), http=httpx.Client(transport=transport(server)))
    shown = client.request("PUT", "/v1/x", body={}, headers={"If-Match": '"v1"'}, idempotency_key="k")
    assert (shown.headers["etag"], str(shown.json()["limit"])) == ('"v2"', "0.1")


def test_secrets_are_not_shown() -> None:
    for credentials in (Bearer("s3cret"), Password("anna", "s3cret"), ClientCredentials("till", "s3cret")):
        assert "s3cret" not in repr(credentials)


def _pages(request: httpx.Request) -> httpx.Response:
    """Seven events in pages of three; the last page leads on, as that of events does."""
    start, limit = int(request.url.params.get("cursor", "0")), int(request.url.params.get("limit", "3"))
    kept = [
        {"id": f"evt_{n}", "type": "payment.posted", "timestamp": "2026", "object": "pay_1", "data": {}}
        for n in range(7)
    ]
    items = kept[start : start + limit]
    return httpx.Response(
        200, json={"items": items, "has_more": start + limit < 7, "next_cursor": str(start + len(items))}
    )


async def test_pages_are_read_to_the_end_and_as_far_as_they_are_used() -> None:
    asked: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("cursor", "0"))
        return _pages(request)

    client = Client("http://api", Bearer("t"), http=httpx.Client(transport=transport(server)))
    assert [event.id for event in client.events.list(limit=3)] == [f"evt_{n}" for n in range(7)]
    assert asked == ["0", "3", "6"]
    twice = client.events.list(limit=4)
    assert list(twice) == list(twice), "each iteration begins at the start"
    asked.clear()
    listed = client.events.list(limit=3)
    begun = iter(listed)
    assert [next(begun).id for _ in range(4)] == ["evt_0", "evt_1", "evt_2", "evt_3"]
    assert (asked, listed.cursor) == (["0", "3"], "3"), "what is being read comes again after a restart"
    async with httpx.AsyncClient(transport=transport(server)) as http:
        tasks = AsyncClient("http://api", Bearer("t"), http=http)
        assert [event.id async for event in tasks.events.list(cursor="5")] == ["evt_5", "evt_6"]


def test_following_goes_on_where_the_list_ended() -> None:
    client = Client("http://api", Bearer("t"), http=httpx.Client(transport=transport(_pages)))
    followed = iter(client.events.list(limit=3).following(every_s=0))
    assert [next(followed).id for _ in range(7)][-1] == "evt_6"
    pages = client.events.list(limit=3, cursor="6").following(every_s=0).pages()
    assert [len(next(pages).items) for _ in range(4)] == [1, 0, 0, 0]


def test_a_stream_of_lines_goes_in_batches_and_bad_ones_come_back() -> None:
    sent: list[list[Any]] = []

    def server(request: httpx.Request) -> httpx.Response:
        lines = [json.loads(line) for line in request.content.splitlines()]
        sent.append(lines)
        if all(line["currency"] == "XXX" for line in lines):
            rejected = [{"line": n, "code": "currency_unknown", "detail": "", "pointer": ""} for n in (1, 2)]
            document = json.loads(problem(Fault.BATCH_REFUSED).content) | {"accepted": 0, "rejected": rejected}
            return httpx.Response(422, json=document)
        return httpx.Response(202, json={"accepted": len(lines), "rejected": [], "positions": []})

    def lines() -> Iterator[dict[str, Any]]:
        for number in range(7):
            currency = "XXX" if number in (2, 3) else "EUR"
            yield transfer_line("acc_1", "acc_2", "0.10", currency, idempotency_key=f"k-{number}")

    client = Client("http://api", Bearer("t"), http=httpx.Client(transport=transport(server)))
    receipts = [
        (batch.first, receipt.accepted, len(receipt.rejected)) for batch, receipt in client.send_batches(lines(), 2)
    ]
    assert receipts == [(1, 2, 0), (3, 0, 2), (5, 2, 0), (7, 1, 0)]
    assert [line["idempotency_key"] for batch in sent for line in batch] == [f"k-{n}" for n in range(7)]
    assert sent[0][0]["amount"] == "0.10"
    with pytest.raises(ValueError, match="line 1 has no idempotency_key"):
        list(client.send_batches([{"amount": "1"}]))


def test_a_wait_ends_with_the_outcome_or_says_that_there_is_none() -> None:
    pending = PAYMENT | {"final": False, "status": "in_review"}
    answers = iter([pending, pending, PAYMENT])
    client = Client(
        "http://api",
        Bearer("t"),
        http=httpx.Client(transport=transport(lambda _: httpx.Response(200, json=next(answers)))),
    )
    assert client.transfers.wait("pay_1").status == "posted"
    client = Client(
        "http://api", Bearer("t"), http=httpx.Client(transport=transport(lambda _: httpx.Response(200, json=pending)))
    )
    with pytest.raises(NotFinal, match="still in_review") as caught:
        client.transfers.wait("pay_1", timeout_s=0)
    assert caught.value.payment.id == "pay_1"


def test_the_client_loads_nothing_of_the_services() -> None:
    """In a process of its own: here they are loaded already."""
    heavy = {"confluent_kafka", "psycopg", "faust", "fastapi", "pydantic", "cryptography", "ingest_api", "runtime"}
    code = f"import sys, millrace.client; print(sorted({heavy!r} & {{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_bare_text_is_no_credentials(kind: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"say what it is, Bearer\(token\) or ApiKey\(key\)"):
        kind("https://pay.example", "mk_a_key")

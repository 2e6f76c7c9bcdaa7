"""Goal: the demo's client repeats what may be repeated, with the same key, and gives up with the reason."""

from datetime import UTC, datetime

import pytest

from millrace.demo import client as under_test
from millrace.demo.client import PatientClient, pause_of_s
from payments.errors import Unavailable
from tests.demo.scripted_server import Reply, scripted_server

KEY = {"Idempotency-Key": "k-1"}


@pytest.mark.parametrize(
    "refused",
    [
        Reply(503, headers=("Retry-After: 0",)),
        Reply(429, headers=("Retry-After: 0",)),
        Reply(500, headers=("Retry-After: 0",)),
        Reply(0),
    ],
    ids=["queue full", "too fast", "broken", "cut"],
)
async def test_a_refusal_for_now_is_repeated_with_the_same_key(refused: Reply) -> None:
    async with scripted_server(refused, refused, Reply(201)) as (server, url), PatientClient(url, "t") as client:
        response = await client.call("POST", "/v1/transfers", headers=KEY, json={})
        assert response.status_code == 201
        assert client.repeated == 2
        assert len(server.seen) == 3
        assert all("idempotency-key: k-1" in head.lower() for head in server.seen)
        assert all("authorization: bearer t" in head.lower() for head in server.seen)


@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 422])
async def test_an_answer_is_an_answer(status: int) -> None:
    async with scripted_server(Reply(status)) as (server, url), PatientClient(url, "t") as client:
        assert (await client.call("GET", "/v1/transactions", headers={})).status_code == status
        assert (client.repeated, len(server.seen)) == (0, 1)


async def test_patience_ends_with_the_last_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "PATIENCE_S", 0.3)
    full = Reply(503, body='{"code":"queue_full"}', headers=("Retry-After: 0",))
    async with scripted_server(full) as (_, url), PatientClient(url, "t") as client:
        with pytest.raises(Unavailable, match=r"POST /v1/transfers: no answer .* last: 503 .*queue_full"):
            await client.call("POST", "/v1/transfers", headers=KEY, json={})


async def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "PATIENCE_S", 0.0)
    async with scripted_server(Reply(200)) as (_, url):
        pass
    async with PatientClient(url, "t") as client:
        with pytest.raises(Unavailable, match="ConnectError"):
            await client.call("GET", "/livez", headers={})


NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("retry_after", "pause_s"),
    [
        (None, 0.2),
        ("0", 0.0),
        ("3", 3.0),
        (" 3 ", 3.0),
        ("60", 5.0),
        ("9" * 5_000, 5.0),  # more digits than Python reads as an integer
        ("Sat, 21 Nov 2026 12:00:02 GMT", 2.0),
        ("Sat, 21 Nov 2026 13:00:00 GMT", 5.0),
        ("Sat, 21 Nov 2026 11:59:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 12:00:02", 2.0),  # without a zone: HTTP knows GMT alone
        ("-1", 0.2),
        ("0.5", 0.2),
        ("nan", 0.2),
        ("²", 0.2),
        ("soon", 0.2),
        ("", 0.2),
    ],
)
def test_both_forms_of_retry_after_are_read_and_no_other(retry_after: str | None, pause_s: float) -> None:
    """RFC 9110 §10.2.3: whole seconds or a date. What is neither counts as not said."""
    assert pause_of_s(retry_after, NOON) == pause_s


async def test_a_refusal_until_a_date_is_repeated() -> None:
    """Regression: a proxy that answered with the date form ended the demo with a ValueError."""
    refused = Reply(503, headers=("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",))
    async with scripted_server(refused, Reply(201)) as (server, url), PatientClient(url, "t") as client:
        assert (await client.call("POST", "/v1/transfers", headers=KEY, json={})).status_code == 201
        assert (client.repeated, len(server.seen)) == (1, 2)

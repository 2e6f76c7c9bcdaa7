"""Goal: an event is kept once and only if Stripe signed it just now; it makes its request due, and decides nothing."""

import time
from typing import Any

import msgspec
import psycopg
import pytest

from connectors.hints import Hints
from connectors.sandbox.webhooks import signature
from schemas.tables.psp_events import REQUEST_ID
from tests.ingest_api.owners.world import World
from tests.ingest_api.psp_webhooks.conftest import BEFORE, SECRET

REQUEST = b"\x31" * 16
PATH = "/v1/psp/stripe/webhooks"


def event(id_: str = "evt_1", type_: str = "payment_intent.succeeded", request: bytes = REQUEST) -> str:
    made = {"id": "pi_1", "metadata": {REQUEST_ID: request.hex()}, "receipt_email": "anna@example.com"}
    return msgspec.json.encode({"id": id_, "object": "event", "type": type_, "data": {"object": made}}).decode()


async def send(world: World, body: str, secret: str = SECRET, at_s: float | None = None, path: str = PATH) -> Any:
    signed = signature(body, secret, int(time.time() if at_s is None else at_s))
    headers = {"Stripe-Signature": signed, "Content-Type": "application/json"}
    return await world._http.post(path, content=body, headers=headers)


def kept(world: World) -> list[dict[str, Any]]:
    return world.rows("SELECT * FROM psp_events ORDER BY event_id")


async def test_kept_once_and_without_the_body(world: World) -> None:
    first, second = await send(world, event()), await send(world, event(), BEFORE)
    assert (first.status_code, first.json()) == (200, {"event": "evt_1", "replayed": False})
    assert (second.status_code, second.json()) == (200, {"event": "evt_1", "replayed": True})
    (row,) = kept(world)
    assert (row["psp"], row["object_id"], bytes(row["request_id"]), row["acted_at"]) == (
        "stripe",
        "pi_1",
        REQUEST,
        None,
    )
    assert "anna@example.com" not in str(row)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"secret": "whsec_of_somebody_else"}, 400, "psp_signature_invalid"),
        ({"at_s": time.time() - 301}, 400, "psp_signature_invalid"),
        ({"path": "/v1/psp/adyen/webhooks"}, 404, "psp_not_found"),
    ],
    ids=["another secret", "sent again later", "another provider"],
)
async def test_what_stripe_did_not_sign_just_now_is_refused(
    world: World, changes: dict[str, Any], status: int, code: str
) -> None:
    await send(world, event("evt_0"))
    answer = await send(world, event(), **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert [row["event_id"] for row in kept(world)] == ["evt_0"]


async def test_a_changed_body_or_none_of_an_event_is_refused(world: World) -> None:
    headers = {"Stripe-Signature": signature(event(), SECRET, int(time.time()))}
    changed = await world._http.post(PATH, content=event("evt_2"), headers=headers)
    assert changed.json()["code"] == "psp_signature_invalid"
    assert (await world._http.post(PATH, content=event())).json()["code"] == "psp_signature_invalid"
    assert (await send(world, '{"id": "evt_3"}')).json()["code"] == "json_malformed"


async def test_an_ending_is_a_hint_once_and_other_news_is_none(world: World) -> None:
    for id_, type_ in (("evt_1", "payment_intent.succeeded"), ("evt_2", "payment_intent.processing")):
        await send(world, event(id_, type_, REQUEST if id_ == "evt_1" else b"\x32" * 16))
    url = world.services.settings.database_url
    hints = Hints(url)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await hints.look(connection)
        assert hints.request_ids == {REQUEST}
        hints.acted_on(REQUEST)
        assert hints.request_ids == frozenset()
        await hints.look(connection)
        await send(world, event("evt_3"))
        await hints.look(connection)
        assert hints.request_ids == frozenset(), "the same news again would cost another attempt"
    assert [row["acted_at"] is not None for row in kept(world)] == [True, False, False]

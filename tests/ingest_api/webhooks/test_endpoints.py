"""Endpoints: made, changed, rotated, tried out, deleted; their deliveries, and once more."""

import base64
import time
from typing import Any

import pytest
from standardwebhooks import Webhook

from connectors.webhooks.signing import headers
from ingest_api.identity.tokens import Scope
from ingest_api.webhook_endpoints.register import ENDPOINTS_MAX
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.sealing import WrappedKey, unwrap
from tests.connectors.webhooks.desk import Desk
from tests.connectors.webhooks.receiver import Answer, receiving
from tests.ingest_api.client import problem_of
from tests.ingest_api.owners.world import World
from tests.ingest_api.webhooks.hooks import URL, happen, posted
from tests.support.waiting import eventually

ENDPOINTS = "/v1/webhook-endpoints"


async def made(world: World, url: str = URL, **fields: Any) -> dict[str, Any]:
    answer = await world.anna("POST", ENDPOINTS, {"url": url, **fields})
    assert answer.status_code == 201, answer.text
    resource: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{ENDPOINTS}/{resource['id']}"
    return resource


def valid_secrets(world: World) -> list[bytes]:
    query = "SELECT * FROM webhook_secrets WHERE valid_until IS NULL OR valid_until > now() ORDER BY made_at DESC"
    keyring = Keyring.of(world.services.settings)
    return [
        unwrap(keyring, row["endpoint_id"].bytes, WrappedKey(row["wrapping_key"], row["wrapped"]))
        for row in world.rows(query)
    ]


def raw(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


async def test_the_secret_is_told_once_and_kept_sealed(world: World) -> None:
    endpoint = await made(world, description="till", event_types=["payment.returned", "payment.posted"])
    assert endpoint["event_types"] == ["payment.posted", "payment.returned"]
    assert valid_secrets(world) == [raw(endpoint["secret"])]
    assert raw(endpoint["secret"]) not in b"".join(
        row["wrapped"] for row in world.rows("SELECT * FROM webhook_secrets")
    )
    one, listed = await world.anna("GET", f"{ENDPOINTS}/{endpoint['id']}"), await world.anna("GET", ENDPOINTS)
    del endpoint["secret"]
    assert one.json() == endpoint
    assert listed.json() == {"items": [endpoint]}


async def test_after_a_rotation_both_secrets_sign_and_after_another_the_last_two(world: World) -> None:
    endpoint = await made(world)
    told = [endpoint["secret"]]
    for _ in range(2):
        rotated = (await world.anna("POST", f"{ENDPOINTS}/{endpoint['id']}/rotate-secret")).json()
        assert rotated["previous_secret_until"]
        told.append(rotated["secret"])
    valid = valid_secrets(world)
    assert valid == [raw(told[2]), raw(told[1])]
    signed = {name.decode(): value.decode() for name, value in headers(valid, "evt_1", int(time.time()), b'{"a":1}')}
    for secret in told[1:]:
        assert Webhook(secret).verify(b'{"a":1}', signed) == {"a": 1}
    world.rows("UPDATE webhook_secrets SET valid_until = now() WHERE valid_until IS NOT NULL RETURNING 1")
    assert valid_secrets(world) == [raw(told[2])]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "ftp://shop.example/"}, "/url"),
        ({"url": "https://"}, "/url"),
        ({"url": "https://user:pw@shop.example/"}, "/url"),
        ({"url": "https://shop.example/#part"}, "/url"),
        ({"url": "https://shop.example:99999/"}, "/url"),
        ({"url": "https://[::1/"}, "/url"),
        ({"url": "https://shöp.example/"}, "/url"),
        ({"url": "https://shop.example/\r\nHost: x"}, "/url"),
        ({"url": "https://shop.example/" + "a" * 2_048}, "/url"),
        ({"url": URL, "event_types": ["payment.posted", "payment.lost"]}, "/event_types/1"),
        ({"url": URL, "description": "x" * 201}, "/description"),
    ],
)
async def test_what_can_not_be_an_endpoint_is_refused_by_its_place(world: World, body: Any, pointer: str) -> None:
    answer = await world.anna("POST", ENDPOINTS, body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_an_address_of_no_public_network_is_refused_at_once(world: World) -> None:
    """It was taken, and every delivery failed for days until somebody looked."""
    vars(world.services)["settings"] = world.services.settings.model_copy(update={"webhook_local_receivers": False})
    for host in ("127.0.0.1", "169.254.169.254", "10.0.0.1:8443", "[::1]", "localhost", "hooks.internal"):
        answer = await world.anna("POST", ENDPOINTS, {"url": f"https://{host}/hooks"})
        assert problem_of(answer, 422, "field_invalid")["detail"].startswith("Send a host of the public"), host
    assert (await world.anna("POST", ENDPOINTS, {"url": "https://1.1.1.1/hooks"})).status_code == 201


async def test_plain_http_is_for_ones_own_machine_alone(world: World) -> None:
    assert (await world.anna("POST", ENDPOINTS, {"url": "http://127.0.0.1:1/"})).status_code == 201
    vars(world.services)["settings"] = world.services.settings.model_copy(update={"webhook_local_receivers": False})
    answer = await world.anna("POST", ENDPOINTS, {"url": "http://127.0.0.1:1/"})
    assert answer.status_code == 422


async def test_a_caller_has_so_many_and_no_more(world: World) -> None:
    for _ in range(ENDPOINTS_MAX):
        await made(world)
    answer = await world.anna("POST", ENDPOINTS, {"url": URL})
    assert answer.json()["code"] == "too_many_webhook_endpoints"


async def test_whose_events_an_endpoint_gets(world: World) -> None:
    await made(world)
    assert (await world.operator("POST", ENDPOINTS, {"url": URL})).status_code == 201
    till = world.caller("till-7", Scope.WEBHOOKS_WRITE)
    assert (await till("POST", ENDPOINTS, {"url": URL})).json()["code"] == "scope_insufficient"
    annas, bertas = await world.account_of(world.anna), await world.account_of(world.berta)
    carlas = await world.account_of(world.carla)
    events = [posted(1, annas, bertas), posted(2, bertas, carlas)]
    assert happen(world, events) == 3, "both to the operator, one to Anna"


async def test_changed_disabled_and_enabled_again(world: World) -> None:
    endpoint = await made(world)
    path = f"{ENDPOINTS}/{endpoint['id']}"
    changed = (await world.anna("PATCH", path, {"url": f"{URL}/2", "status": "disabled"})).json()
    assert (changed["url"], changed["status"], changed["disabled_reason"]) == (f"{URL}/2", "disabled", "by_owner")
    refused = await world.anna("POST", f"{path}/test")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_endpoint_disabled")
    world.rows("UPDATE webhook_endpoints SET failures = 9, failing_since = now(), paused_until = now() RETURNING 1")
    enabled = (await world.anna("PATCH", path, {"status": "enabled"})).json()
    assert "disabled_reason" not in enabled
    assert "failing_since" not in enabled
    (row,) = world.rows("SELECT failures, paused_until FROM webhook_endpoints")
    assert row == {"failures": 0, "paused_until": None}


async def test_of_two_changes_to_the_same_look_one_is_made(world: World) -> None:
    path = f"{ENDPOINTS}/{(await made(world))['id']}"
    look = (await world.anna("GET", path)).headers["etag"]
    first = await world.anna("PATCH", path, {"description": "till"}, If_Match=look)
    assert first.status_code == 200, first.text
    for method, body in (("PATCH", {"description": "shop"}), ("DELETE", None)):
        lost = await world.anna(method, path, body, If_Match=look)
        assert (lost.status_code, lost.json()["code"]) == (412, "precondition_failed")
    rotated = await world.anna("POST", f"{path}/rotate-secret")
    assert rotated.headers["etag"] == (await world.anna("GET", path)).headers["etag"]
    assert (await world.anna("DELETE", path, If_Match=rotated.headers["etag"])).json()["status"] == "deleted"


async def test_a_deleted_endpoint_is_gone(world: World) -> None:
    endpoint = await made(world)
    path = f"{ENDPOINTS}/{endpoint['id']}"
    assert (await world.anna("DELETE", path)).json()["status"] == "deleted"
    assert (await world.anna("GET", path)).status_code == 404
    assert (await world.anna("PATCH", path, {"status": "enabled"})).status_code == 404
    assert (await world.anna("GET", ENDPOINTS)).json() == {"items": []}


async def test_a_test_event_arrives_and_is_sent_again(world: World) -> None:
    with receiving() as receiver:
        receiver.answers = lambda _: Answer(200, b"thanks")
        endpoint = await made(world, receiver.url, event_types=["payment.posted"])
        path = f"{ENDPOINTS}/{endpoint['id']}"
        queued = await world.anna("POST", f"{path}/test")
        assert (queued.status_code, queued.json()["type"]) == (201, "webhook.test")
        desk = Desk(world.services.settings)
        delivery = f"{path}/deliveries/{queued.json()['id']}"
        with desk.dispatching():
            eventually(lambda: desk.statuses() == ["delivered"])
            again = await world.anna("POST", f"{delivery}/redeliver")
            assert again.json()["status"] == "pending"
            eventually(lambda: desk.statuses() == ["delivered"])
        assert receiver.ids() == [queued.json()["event"]] * 2
        assert Webhook(endpoint["secret"]).verify(receiver.received[1].body, receiver.received[1].headers)
    shown = (await world.anna("GET", delivery)).json()
    assert [(one["attempt"], one["http_status"], one["response"]) for one in shown["tries"]] == [
        (1, 200, "thanks"),
        (2, 200, "thanks"),
    ]


async def test_deliveries_in_pages(world: World) -> None:
    endpoint = await made(world)
    account, payee = await world.account_of(world.anna), await world.account_of(world.carla)
    happen(world, [posted(number, account, payee) for number in range(1, 6)])
    world.rows("UPDATE webhook_deliveries SET status = 'failed', ended_at = now() WHERE position = 2 RETURNING 1")
    path = f"{ENDPOINTS}/{endpoint['id']}/deliveries"
    first = (await world.anna("GET", f"{path}?limit=3")).json()
    second = (await world.anna("GET", f"{path}?limit=3&cursor={first['next_cursor']}")).json()
    found = [each["object"] for each in first["items"] + second["items"]]
    assert found == [posted(number, account, payee).object for number in (5, 4, 3, 2, 1)]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    failed = (await world.anna("GET", f"{path}?status=failed")).json()["items"]
    assert [each["object"] for each in failed] == [posted(2, account, payee).object]
    assert (await world.anna("GET", f"{path}?cursor=x")).json()["code"] == "cursor_invalid"

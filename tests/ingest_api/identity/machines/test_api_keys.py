"""Goal: a machine gets in with its key alone, with what its maker may do, and not a second longer than it should."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ingest_api.aliases.parties import USER
from ingest_api.identity.machines.key import hash_of, new_text, prefix_of
from ingest_api.identity.machines.known import KEPT_S, KnownKeys
from ingest_api.identity.machines.register import KEYS_MAX
from ingest_api.identity.roles import UserRole
from ingest_api.identity.users.user import Field, UserStatus
from payments.identifiers import parse_id
from runtime.personal_data.personal import Personal
from tests.ingest_api.owners.world import ANNA, World


async def make(world: World, *scopes: str, **fields: Any) -> dict[str, Any]:
    body = {"name": "till", "scopes": scopes or ("accounts:read", "accounts:write")} | fields
    answer = await world.anna("POST", "/v1/api-keys", body)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def shown(world: World, authorization: str, method: str = "GET", body: Any = None) -> httpx.Response:
    path = f"/v1/users/{ANNA}/accounts" if method == "GET" else "/v1/accounts"
    headers = {"Authorization": authorization, "Idempotency-Key": "k"}
    return await world._http.request(method, path, json=body, headers=headers)


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:".encode()).decode()


async def test_a_key_speaks_for_its_maker_as_bearer_and_as_basic_user(world: World) -> None:
    account = await world.account_of(world.anna)
    key = await make(world)
    for authorization in (f"Bearer {key['secret']}", f"bearer {key['secret']}", basic(key["secret"])):
        answer = await shown(world, authorization)
        assert answer.status_code == 200, answer.text
        assert account in answer.text
    assert re.fullmatch(r"mk_[0-9a-f]{12}_[\w-]{43}", key["secret"])
    assert key["secret"].startswith(key["prefix"])


async def test_the_secret_is_told_once_and_kept_as_a_hash(world: World) -> None:
    key = await make(world)
    assert "secret" not in (await world.anna("GET", f"/v1/api-keys/{key['id']}")).json()
    assert "secret" not in (await world.anna("GET", "/v1/api-keys")).json()["items"][0]
    kept = str(world.rows("SELECT * FROM api_keys")) + str(world.rows("SELECT * FROM audit_entries"))
    assert key["secret"] not in kept
    [row] = world.rows("SELECT secret_hash FROM api_keys")
    assert row["secret_hash"] == hash_of(key["secret"])


async def test_what_a_key_does_is_in_the_audit_log_under_both_names(world: World) -> None:
    key = await make(world)
    opened = await shown(world, f"Bearer {key['secret']}", "POST", {"currency": "EUR"})
    assert opened.status_code == 201, opened.text
    rows = world.rows("SELECT actor, credential, action, object FROM audit_entries ORDER BY at")
    assert {"actor": ANNA, "credential": None, "action": "api_key.created", "object": key["id"]} in rows
    account = opened.json()["id"]
    assert {"actor": ANNA, "credential": key["id"], "action": "POST /v1/accounts", "object": account} in rows


async def test_a_revoked_key_is_refused(world: World) -> None:
    key = await make(world)
    assert (await shown(world, f"Bearer {key['secret']}")).status_code == 200
    for _ in range(2):
        revoked = await world.anna("DELETE", f"/v1/api-keys/{key['id']}")
        assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    answer = await shown(world, f"Bearer {key['secret']}")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert (await shown(world, basic(key["secret"]))).status_code == 401
    [revocation] = world.rows("SELECT actor FROM audit_entries WHERE action = 'api_key.revoked'")
    assert revocation["actor"] == ANNA


async def test_a_key_that_another_process_has_revoked_is_refused_after_a_second(world: World) -> None:
    key = await make(world)
    now = [0]
    other = KnownKeys(world.services.machines.register, world.services.identity.users, lambda: now[0])
    assert await other.by_prefix(key["prefix"]) is not None
    await world.anna("DELETE", f"/v1/api-keys/{key['id']}")
    assert await other.by_prefix(key["prefix"]) is not None, "looked up less than a second ago"
    now[0] += KEPT_S
    assert await other.by_prefix(key["prefix"]) is None


WRONG: dict[str, Callable[[str], str]] = {
    "another secret": lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
    "another prefix": lambda text: "mk_" + "0" * 12 + text[15:],
    "too short": lambda text: text[:-1],
    "empty": lambda _: "mk_",
    "not ASCII": lambda text: text[:-1] + "é",
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_no_key_is_401(world: World, name: str) -> None:
    text = WRONG[name]((await make(world))["secret"])
    headers = {b"Authorization": b"Bearer " + text.encode("latin-1")}
    answer = await world._http.get(f"/v1/users/{ANNA}/accounts", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid"), answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("authorization", ["Basic", "Basic ", "Basic %%%", "Basic YW5uYTpwYXNz"])
async def test_basic_with_anything_else_is_401(world: World, authorization: str) -> None:
    assert (await shown(world, authorization)).status_code == 401


async def test_a_key_has_no_more_than_its_maker_and_never_makes_keys(world: World) -> None:
    for scope, status in [("accounts:operate", 403), ("api_keys:write", 422), ("everything", 422)]:
        answer = await world.anna("POST", "/v1/api-keys", {"name": "till", "scopes": [scope]})
        assert answer.status_code == status, answer.text
    key = await make(world, "accounts:read")
    assert (await shown(world, f"Bearer {key['secret']}", "POST", {"currency": "EUR"})).status_code == 403


async def test_a_key_loses_what_its_maker_loses(world: World) -> None:
    users, anna = world.services.identity.users, parse_id(USER, ANNA)
    assert anna is not None
    await users.create(anna, {Field.USERNAME: Personal("anna")}, [UserRole.CUSTOMER], None, "test")
    key = await make(world)
    assert (await shown(world, f"Bearer {key['secret']}")).status_code == 200
    await users.set_roles(anna, [UserRole.RISK_ANALYST])
    world.services.machines.known.forget()
    assert (await shown(world, f"Bearer {key['secret']}", "POST", {"currency": "EUR"})).status_code == 403
    await users.set_status(anna, UserStatus.SUSPENDED)
    world.services.machines.known.forget()
    assert (await shown(world, f"Bearer {key['secret']}")).status_code == 401


async def test_an_expired_key_is_refused(world: World) -> None:
    key = await make(world, expires_in_days=1)
    expires = datetime.fromisoformat(key["expires_at"])
    assert timedelta(hours=23) < expires - datetime.now(UTC) <= timedelta(days=1)
    world.rows("UPDATE api_keys SET expires_at = now() - interval '1 second' RETURNING 1")
    assert (await shown(world, f"Bearer {key['secret']}")).status_code == 401
    assert (await world.anna("GET", f"/v1/api-keys/{key['id']}")).json()["status"] == "expired"


async def test_a_rolled_key_gives_way_to_the_next_one(world: World) -> None:
    key = await make(world)
    after = (await world.anna("POST", f"/v1/api-keys/{key['id']}/roll", {"overlap_s": 3600})).json()
    for text in (key["secret"], after["secret"]):
        assert (await shown(world, f"Bearer {text}")).status_code == 200
    assert (await world.anna("GET", f"/v1/api-keys/{key['id']}")).json()["rolled_to"] == after["id"]
    last = (await world.anna("POST", f"/v1/api-keys/{after['id']}/roll", {})).json()
    assert (await shown(world, f"Bearer {after['secret']}")).status_code == 401
    assert (await shown(world, f"Bearer {last['secret']}")).status_code == 200
    again = await world.anna("POST", f"/v1/api-keys/{after['id']}/roll", {})
    assert (again.status_code, again.json()["code"]) == (409, "api_key_ended")


async def test_a_key_works_from_its_networks_alone(world: World) -> None:
    near = await make(world, networks=["127.0.0.0/8", "2001:db8::/32"])
    far = await make(world, networks=["192.0.2.0/24"])
    assert (await shown(world, f"Bearer {near['secret']}")).status_code == 200
    answer = await shown(world, f"Bearer {far['secret']}")
    assert (answer.status_code, answer.json()["code"]) == (403, "network_refused")
    refused = await world.anna("POST", "/v1/api-keys", {"name": "x", "scopes": ["accounts:read"], "networks": ["any"]})
    assert refused.json()["errors"][0]["pointer"] == "/networks/0"


async def test_the_last_use_is_told(world: World) -> None:
    key = await make(world)
    assert "last_used_at" not in key
    await shown(world, f"Bearer {key['secret']}")
    assert "last_used_at" in (await world.anna("GET", f"/v1/api-keys/{key['id']}")).json()


async def test_pages_lead_through_all_keys_once(world: World) -> None:
    made = [(await make(world))["id"] for _ in range(3)]
    first = (await world.anna("GET", "/v1/api-keys?limit=2")).json()
    rest = (await world.anna("GET", f"/v1/api-keys?limit=2&cursor={first['next_cursor']}")).json()
    assert [key["id"] for key in first["items"] + rest["items"]] == made[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)


async def test_keys_are_bounded(world: World) -> None:
    await make(world)
    world.rows(
        "INSERT INTO api_keys (key_id, name, subject, scopes, algorithm, prefix, secret_hash)"
        " SELECT gen_random_uuid(), name, subject, scopes, algorithm, 'mk_' || number, secret_hash"
        " FROM api_keys, generate_series(2, %s) AS number RETURNING 1",
        KEYS_MAX,
    )
    answer = await world.anna("POST", "/v1/api-keys", {"name": "x", "scopes": ["accounts:read"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_api_keys")


async def test_what_is_kept_of_keys_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest_api.identity.machines.known.KEPT_MAX", 2)
    known = KnownKeys(world.services.machines.register, world.services.identity.users)
    for _ in range(4):
        prefix = prefix_of(new_text())
        assert prefix is not None
        assert await known.by_prefix(prefix) is None
    assert len(known._kept) == 2
    assert known._asking == {}

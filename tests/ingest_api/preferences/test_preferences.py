"""Goal: a user chooses what to be told, but not to miss what keeps the login safe; a link allows what it names alone.

Method: the app in memory on a real Postgres; what it keeps is read as the process that tells users reads it.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ingest_api.identity.tokens import Scope
from payments.identifiers import USER, format_id, parse_id
from runtime.personal_data.keyring import Keyring
from runtime.settings import Settings
from schemas.tables.notifications import (
    DEVICES_MAX,
    NOTICE,
    Channel,
    Mode,
    NoticeKind,
    Unsubscribing,
    unsubscribe_token,
)
from tests.ingest_api.owners.world import ANNA, World, running_world

PREFERENCES = "/v1/notification-preferences"
DEVICES = "/v1/notification-devices"


@pytest.fixture
async def world(tmp_path: Path, migrated: str) -> AsyncIterator[World]:
    async with running_world(Settings(home=tmp_path, database_url=migrated, shards=1)) as running:
        yield running


def anna() -> bytes:
    user = parse_id(USER, ANNA)
    assert user is not None
    return user


async def test_what_is_chosen_is_in_force_and_sealed(world: World) -> None:
    fresh = await world.anna("GET", PREFERENCES)
    assert fresh.json()["notices"]["payment_received"] == {"email": "daily", "sms": "off", "push": "now"}
    body = {
        "language": "de",
        "zone": "Europe/Berlin",
        "quiet_hours": {"from": "22:00", "until": "07:00"},
        "notices": {"payment_received": {"email": "now", "sms": "now"}},
    }
    answer = await world.anna("PUT", PREFERENCES, body, If_Match=fresh.headers["etag"])
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["notices"]["payment_received"] == {"email": "now", "sms": "now", "push": "now"}
    assert (shown["language"], shown["quiet_hours"]) == ("de", body["quiet_hours"])
    assert (await world.anna("GET", PREFERENCES)).json() == shown
    assert (await world.berta("GET", PREFERENCES)).json() == fresh.json()
    stale = await world.anna("PUT", PREFERENCES, {}, If_Match=fresh.headers["etag"])
    assert stale.json()["code"] == "precondition_failed"
    [entry] = world.rows("SELECT action, object, after FROM audit_entries WHERE action = 'notifications.changed'")
    assert entry == {
        "action": "notifications.changed",
        "object": ANNA,
        "after": {"payment_received.email": "now", "payment_received.sms": "now"},
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"zone": "Berlin"}, "/zone"),
        ({"summary_at": "8:00"}, "/summary_at"),
        ({"quiet_hours": {"from": "22:00", "until": "24:00"}}, "/quiet_hours/until"),
        ({"notices": {"nothing": {}}}, "/notices"),
        ({"notices": {"daily_summary": {"email": "off"}}}, "/notices"),
        ({"notices": {"payment_sent": {"fax": "now"}}}, "/notices/payment_sent"),
        ({"notices": {"payment_sent": {"push": "daily"}}}, "/notices/payment_sent"),
        ({"notices": {"password_changed": {"email": "off"}}}, "/notices/password_changed"),
    ],
)
async def test_what_can_not_be_chosen(world: World, body: Any, pointer: str) -> None:
    answer = await world.anna("PUT", PREFERENCES, body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_devices_are_the_users_own_and_few(world: World) -> None:
    first = (await world.anna("POST", DEVICES, {"token": "phone"})).json()
    assert (await world.anna("POST", DEVICES, {"token": "phone"})).json() == first
    for number in range(DEVICES_MAX - 1):
        assert (await world.anna("POST", DEVICES, {"token": f"{number}"})).status_code == 201
    assert (await world.anna("POST", DEVICES, {"token": "one more"})).json()["code"] == "too_many_devices"
    assert (await world.anna("POST", DEVICES, {"token": "a\nb"})).status_code == 422
    left = (await world.anna("DELETE", f"{DEVICES}/{first['id']}")).json()["items"]
    assert len(left) == DEVICES_MAX - 1
    assert (await world.anna("DELETE", f"{DEVICES}/{first['id']}")).json()["code"] == "device_not_found"
    assert (await world.caller("till-7", Scope.USERS_READ)("GET", DEVICES)).json()["code"] == "user_not_found"


async def test_a_link_switches_off_what_it_names_and_a_look_at_it_nothing(world: World) -> None:
    key = Keyring.of(world.services.settings).index_key
    link = "/v1/notifications/unsubscribe/"
    failed = link + unsubscribe_token(key, Unsubscribing(anna(), NoticeKind.PAYMENT_FAILED))
    summary = link + unsubscribe_token(key, Unsubscribing(anna(), NoticeKind.DAILY_SUMMARY))
    page = await world.berta("GET", failed)
    assert page.headers["content-type"].startswith("text/html")
    chosen = await world.services.notices.preferences(anna())
    assert chosen.mode(NoticeKind.PAYMENT_FAILED, Channel.EMAIL) is Mode.NOW
    forged = link + unsubscribe_token(b"x" * 32, Unsubscribing(anna(), NoticeKind.PAYMENT_FAILED))
    assert (await world.berta("POST", forged)).json()["code"] == "notice_not_found"
    assert (await world.berta("POST", failed)).json() == {"kind": "payment_failed"}
    assert (await world.berta("POST", summary)).status_code == 200
    chosen = await world.services.notices.preferences(anna())
    assert chosen.mode(NoticeKind.PAYMENT_FAILED, Channel.EMAIL) is Mode.OFF
    assert chosen.mode(NoticeKind.PAYMENT_RECEIVED, Channel.EMAIL) is Mode.OFF
    assert chosen.mode(NoticeKind.PAYMENT_RECEIVED, Channel.PUSH) is Mode.NOW


async def test_operators_see_what_failed_and_send_it_again(world: World) -> None:
    ids = [uuid4() for _ in range(3)]
    with psycopg.connect(world.services.settings.database_url) as connection:
        for number, id_ in enumerate(ids):
            connection.execute(
                "INSERT INTO notices (notice_id, cause, user_id, channel, target, kind, details, happened_at, status,"
                " due_at, attempts, failure, queued_at, ended_at) VALUES"
                " (%s, %s, %s, 'email', '', 'payment_failed', %s, now(), 'failed', now(), 7, 'smtp_451', %s, now())",
                (*(id_, f"events:{number}", UUID(bytes=anna())), Jsonb({"object": "pay_1"}), _at(number)),
            )
    shown = [format_id(NOTICE, id_.bytes) for id_ in reversed(ids)]
    first = (await world.operator("GET", "/v1/failed-notices?limit=2")).json()
    rest = (await world.operator("GET", f"/v1/failed-notices?cursor={first['next_cursor']}")).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == shown
    again = await world.operator("POST", f"/v1/failed-notices/{shown[0]}/resend")
    assert (again.json()["status"], again.json()["attempts"]) == ("pending", 0)
    assert (await world.operator("POST", f"/v1/failed-notices/{shown[0]}/resend")).json()["code"] == "notice_not_found"
    own = (await world.anna("GET", "/v1/notifications")).json()["items"]
    assert [one["status"] for one in own] == ["pending", "failed", "failed"]
    assert (await world.berta("GET", "/v1/notifications")).json()["items"] == []


def _at(minute: int) -> datetime:
    return datetime(2026, 11, 22, 12, minute, tzinfo=UTC)

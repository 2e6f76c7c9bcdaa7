"""Goal: a schedule pays for nobody who no longer may pay, until somebody who may lets it go on."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.ingest_api.owners.world import ANNA, BERTA, Caller, World

PATH = "/v1/scheduled-transfers"


async def ordered(caller: Caller, payer: str, payee: str) -> str:
    """Path of a schedule that this caller has made."""
    starts = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    body = {"from_account": payer, "to_account": payee, "amount": "1.00", "currency": "EUR", "starts": starts}
    answer = await caller("POST", PATH, body)
    assert answer.status_code == 201, answer.text
    path: str = answer.headers["Location"]
    return path


async def status(world: World, path: str) -> str:
    found: str = (await world.operator("GET", path)).json()["status"]
    return found


@pytest.mark.parametrize("role", ["viewer", None], ids=["demoted", "removed"])
async def test_the_schedules_of_who_may_no_longer_pay_stand_still(world: World, role: str | None) -> None:
    joint, own = await world.account_of(world.anna), await world.account_of(world.berta)
    await world.shares(joint, BERTA, "co_owner", world.anna)
    annas, bertas = await ordered(world.anna, joint, own), await ordered(world.berta, joint, own)
    elsewhere = await ordered(world.berta, own, joint)
    if role is not None:
        await world.shares(joint, BERTA, role, world.anna)
    else:
        assert (await world.anna("DELETE", f"/v1/accounts/{joint}/owners/{BERTA}")).status_code == 200
    assert [await status(world, path) for path in (annas, bertas, elsewhere)] == ["active", "paused", "active"]
    assert (await world.berta("PATCH", bertas, {"status": "active"})).status_code == (403 if role else 404)
    assert (await world.anna("PATCH", bertas, {"status": "active"})).json()["status"] == "active"


async def test_who_hands_an_account_over_and_stays_co_owner_pays_on(world: World) -> None:
    joint, other = await world.account_of(world.anna), await world.account_of(world.berta)
    path = await ordered(world.anna, joint, other)
    await world.shares(joint, BERTA, "owner", world.anna)
    assert await status(world, path) == "active"
    assert (await world.berta("DELETE", f"/v1/accounts/{joint}/owners/{ANNA}")).status_code == 200
    assert await status(world, path) == "paused"


async def test_what_the_owner_has_let_go_on_does_not_stop_with_who_ordered_it(world: World) -> None:
    joint, own = await world.account_of(world.anna), await world.account_of(world.berta)
    await world.shares(joint, BERTA, "co_owner", world.anna)
    path = await ordered(world.berta, joint, own)
    assert (await world.anna("PATCH", path, {"amount": "2.00"})).status_code == 200
    assert (await world.anna("DELETE", f"/v1/accounts/{joint}/owners/{BERTA}")).status_code == 200
    assert await status(world, path) == "active"

"""Goal: no way around a second factor leads a user's money out, and a dispute is no way to call any payment back.

Method: the app in memory with Postgres; what would be sent to the partition is looked at.
"""

from typing import Any, Final

import pytest

from payments.accounts import AccountType
from payments.identifiers import ACCOUNT, format_id
from payments.terms.methods import Method, method_account
from tests.ingest_api.owners.world import World, raw

WIRE: Final = format_id(ACCOUNT, method_account(Method.WIRE, "EUR"))
LATER: Final = "2099-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("path", "more"),
    [("/v1/holds", {"expires_at": LATER}), ("/v1/scheduled-transfers", {"starts": "2099-01-01"})],
    ids=["a hold", "a schedule"],
)
async def test_promises_of_money_out_need_a_second_factor(world: World, path: str, more: dict[str, Any]) -> None:
    account, limit = await world.account_of(world.anna), world.services.settings.auth_second_factor_above
    body = {"from_account": account, "to_account": WIRE, "currency": "EUR", **more}
    refused = await world.anna("POST", path, body | {"amount": f"{limit}.01"})
    assert (refused.status_code, refused.json()["code"]) == (401, "second_factor_required"), refused.text
    free = await world.anna("POST", path, body | {"amount": f"{limit}.00"})
    assert free.json().get("code") != "second_factor_required"
    inside = await world.anna("POST", path, body | {"amount": f"{limit}.01", "to_account": account})
    assert inside.json().get("code") != "second_factor_required"


@pytest.mark.parametrize(
    ("path", "names"),
    [("/v1/transfers", ("from_account", "to_account")), ("/v1/transaction", ("fromId", "toId"))],
)
async def test_money_out_by_a_transfer_needs_a_second_factor(world: World, path: str, names: tuple[str, str]) -> None:
    """The wallet document's name of the same operation asked for none."""
    account, limit = await world.account_of(world.anna), world.services.settings.auth_second_factor_above
    body = {**dict(zip(names, (account, WIRE), strict=True)), "currency": "EUR"}
    dated = {"transactionDate": "2026-11-01T00:00:00Z"} if path == "/v1/transaction" else {}
    refused = await world.anna("POST", path, body | dated | {"amount": f"{limit}.01"})
    assert (refused.status_code, refused.json()["code"]) == (401, "second_factor_required"), refused.text
    assert refused.json()["detail"].startswith("Log in"), "who has no session can't give a factor in it"
    free = await world.anna("POST", path, body | dated | {"amount": f"{limit}.00"})
    assert free.json().get("code") != "second_factor_required"


async def test_a_schedule_is_not_raised_above_the_limit_later(world: World) -> None:
    account, limit = await world.account_of(world.anna), world.services.settings.auth_second_factor_above
    body = {"from_account": account, "to_account": WIRE, "currency": "EUR", "amount": "1.00", "starts": "2099-01-01"}
    path = f"/v1/scheduled-transfers/{(await world.anna('POST', '/v1/scheduled-transfers', body)).json()['id']}"
    raised = await world.anna("PATCH", path, {"amount": f"{limit}.01"})
    assert raised.json()["code"] == "second_factor_required"
    assert (await world.anna("PATCH", path, {"status": "paused"})).status_code == 200


async def test_a_batch_takes_no_line_that_needs_a_second_factor(world: World) -> None:
    account, limit = await world.account_of(world.anna), world.services.settings.auth_second_factor_above
    lines = [
        {"from_account": account, "to_account": payee, "currency": "EUR", "amount": amount, "idempotency_key": amount}
        for payee, amount in ((WIRE, f"{limit}.01"), (WIRE, f"{limit}.00"), (account, f"{limit}.02"))
    ]
    receipt = (await world.anna.batch(lines[:2])).json()
    assert receipt["accepted"] == 1
    assert [(line["line"], line["code"], line["pointer"]) for line in receipt["rejected"]] == [
        (1, "second_factor_required", "/amount")
    ]


async def test_customers_contest_alone_what_they_have_bought_lately(world: World) -> None:
    account, shop = await world.account_of(world.anna), await world.account_of(world.carla)
    payment = world.paid(account, shop, b"\x31" * 16)

    async def refusal(**fields: str) -> str:
        answer = await world.anna("POST", "/v1/disputes", {"payment": payment, **fields})
        return str(answer.json().get("detail")) if answer.status_code == 403 else ""

    assert "no merchant" in await refusal()
    world.rows("UPDATE accounts SET type = %s WHERE account_id = %s RETURNING 1", AccountType.MERCHANT, raw(shop).hex())
    assert await refusal() == ""
    assert "1,000 EUR" in await refusal(amount="1000.01")
    world.rows(
        "INSERT INTO disputes SELECT gen_random_uuid(), %s, gen_random_uuid(), %s, 1, 'EUR', false, true, now(), now(),"
        " 0, 0, number FROM generate_series(1, 5) AS number RETURNING 1",
        *(raw(shop).hex(), raw(account).hex()),
    )
    assert "5 disputes" in await refusal()
    world.rows("UPDATE disputes SET is_open = false RETURNING 1")
    world.rows("UPDATE decisions SET decided_at = now() - interval '121 days' RETURNING 1")
    assert "120 days" in await refusal()

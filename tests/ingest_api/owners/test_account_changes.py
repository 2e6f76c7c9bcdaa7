"""Goal: types, standings, limits and tiers come through the API to the partition that decides them, once each."""

from typing import Any

import pytest

from ingest_api.account_changes.changing import key_of
from payments.accounts import AccountStatus, AccountType
from payments.entries import EntryKind
from payments.identifiers import derive_operation_id
from payments.items.details import RiskTerms
from payments.risk.limits import NO_LIMIT, Tier
from tests.ingest_api.owners.world import World, raw


def terms(world: World) -> RiskTerms:
    """Of the last entry."""
    (found,) = [detail for detail in world.partition.entries[-1].details if isinstance(detail, RiskTerms)]
    return found


@pytest.mark.parametrize("type_", AccountType)
async def test_an_account_has_its_type_from_the_start(world: World, type_: AccountType) -> None:
    account = await world.account_of(world.anna, type=type_.name.lower())
    assert world.partition.book.accounts[raw(account)].type is type_
    assert (await world.anna("GET", f"/v1/accounts/{account}")).json()["type"] == type_.name.lower()


async def test_a_repeated_opening_of_another_type_is_another_body(world: World) -> None:
    bodies = [{"currency": "EUR", "type": type_} for type_ in ("wallet", "wallet", "savings", "checking")]
    answers = [await world.anna("POST", "/v1/accounts", body, Idempotency_Key="k") for body in bodies]
    assert [answer.status_code for answer in answers] == [201, 200, 422, 422]
    assert answers[1].json()["type"] == "wallet"


STANDINGS = {
    "debits_frozen": AccountStatus.DEBITS_FROZEN,
    "frozen": AccountStatus.FROZEN,
    "dormant": AccountStatus.DORMANT,
    "open": AccountStatus.OPEN,
    "closed": AccountStatus.CLOSED,
}


async def test_every_standing_can_be_set_and_a_closed_account_stays_closed(world: World) -> None:
    account = await world.account_of(world.anna)
    path = f"/v1/accounts/{account}"
    for word, status in STANDINGS.items():
        assert (await world.operator("PUT", path, {"status": word})).status_code == 200
        assert world.partition.book.accounts[raw(account)].status is status
        assert (await world.anna("GET", path)).json()["status"] == word
    refused = await world.operator("PUT", path, {"status": "dormant"})
    assert refused.json()["code"] == "account_closed"
    assert refused.json()["commands"][0]["command"] == "set_standing"


async def test_limits_are_set_all_at_once_in_the_currency_of_the_account(world: World) -> None:
    account = await world.account_of(world.anna, "KWD")
    path = f"/v1/accounts/{account}"
    limits = {"tier": "verified", "per_transaction": "1.005", "daily": 0}
    seen = (await world.anna("GET", path)).headers["etag"]
    changed = await world.operator("PUT", path, {"limits": limits})
    assert [command["command"] for command in changed.json()["commands"]] == ["set_limits"]
    assert terms(world) == RiskTerms(1_005, 0, NO_LIMIT, Tier.VERIFIED)
    shown = await world.anna("GET", path)
    assert shown.json()["limits"] == {"tier": "verified", "per_transaction": "1.005", "daily": "0.000"}
    late = await world.operator("PUT", path, {"limits": {"tier": "basic"}}, If_Match=seen)
    assert late.status_code == 412
    await world.operator("PUT", path, {"limits": {"tier": "basic"}}, If_Match=shown.headers["etag"])
    assert terms(world) == RiskTerms(NO_LIMIT, NO_LIMIT, NO_LIMIT, Tier.BASIC)


async def test_an_account_is_opened_with_limits_by_operators_alone(world: World) -> None:
    limits = {"tier": "basic", "monthly": "100"}
    await world.account_of(world.operator, limits=limits)
    assert [entry.kind for entry in world.partition.entries] == [EntryKind.ACCOUNT_OPENED, EntryKind.LIMITS_SET]
    assert terms(world).monthly_minor == 10_000
    refused = await world.anna("POST", "/v1/accounts", {"currency": "EUR", "limits": limits})
    assert refused.json()["code"] == "scope_insufficient"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"limits": {"tier": "gold"}}, "/limits/tier"),
    ({"limits": {"tier": "basic", "daily": "-1"}}, "/limits/daily"),
    ({"limits": {"tier": "basic", "monthly": "0.001"}}, "/limits/monthly"),
    ({"limits": {"daily": "1"}}, "/limits/tier"),
    ({"status": "asleep"}, "/status"),
]


@pytest.mark.parametrize(("body", "pointer"), WRONG, ids=range(len(WRONG)))
async def test_a_wrong_change_is_named_and_not_sent(world: World, body: dict[str, Any], pointer: str) -> None:
    account = await world.account_of(world.anna)
    answer = await world.operator("PUT", f"/v1/accounts/{account}", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert len(world.partition.entries) == 1


async def test_a_change_of_what_has_changed_is_refused(world: World) -> None:
    path = f"/v1/accounts/{await world.account_of(world.anna)}"
    seen = (await world.operator("GET", path)).headers["etag"]
    assert (await world.operator("PUT", path, {"status": "frozen"}, If_Match=seen)).status_code == 200
    late = await world.operator("PUT", path, {"status": "open"}, If_Match=seen)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")


LONG_AGO = """
INSERT INTO account_events VALUES (%s, %s, %s, 0, %s, '', now() - interval '90 hours', 0, 0, 0, 7, 0) RETURNING 1"""
DECIDED: list[tuple[dict[str, Any], str, EntryKind, int]] = [
    ({"status": "dormant"}, "set_standing", EntryKind.STANDING_SET, int(AccountStatus.DORMANT)),
    ({"limits": {"tier": "basic"}}, "set_limits", EntryKind.LIMITS_SET, 0),
]


@pytest.mark.parametrize(("body", "name", "kind", "minor"), DECIDED, ids=[name for _, name, *_ in DECIDED])
async def test_a_change_decided_long_ago_is_answered_and_not_sent(
    world: World, body: dict[str, Any], name: str, kind: EntryKind, minor: int
) -> None:
    """The agents have forgotten the key: decided again, its row would be there twice."""
    account = await world.account_of(world.anna)
    operation = derive_operation_id(raw(account), key_of(name, "old"), 0)
    world.rows(LONG_AGO, operation.hex(), raw(account).hex(), int(kind), minor)
    answer = await world.operator("PUT", f"/v1/accounts/{account}", body, Idempotency_Key="old")
    assert (answer.status_code, answer.headers["idempotency-replayed"]) == (200, "true")
    other = await world.operator("PUT", f"/v1/accounts/{account}", {"status": "debits_frozen"}, Idempotency_Key="old")
    assert (other.status_code == 200) is (name != "set_standing"), "a key of its own for each instruction"
    assert len(world.partition.entries) == (1 if name == "set_standing" else 2)

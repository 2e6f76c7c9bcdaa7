"""Goal: whoever may be on a list gives no money until analysts have decided, whatever order things happen in, and
whichever process dies between them. Real Postgres, the API in memory, the commands as an operator runs them.
"""

from typing import Any

import httpx
import pytest

from ingest_api.screening.blocks import Blocks
from ingest_api.screening.desk import Screening
from payments.identifiers import format_id
from runtime.settings import Settings
from tests.ingest_api.owners.world import ANNA, BERTA, Caller, World, running_world
from tests.ingest_api.screening.conftest import Command

LISTED = {"type": "person", "names": ["Tarik Osmanow"]}
UNLISTED = {"type": "person", "names": ["Jane Belkin"]}
FALSE = {"decision": "false_positive", "reason": "born in 1990"}
TRUE = {"decision": "true_match", "reason": "the same passport"}
BORN, BORN_OTHERWISE = "<dateOfBirth>12 May 1960<", "<dateOfBirth>13 May 1960<"


async def named(world: World, party: str, body: Any = LISTED) -> str:
    answer = await world.operator("PUT", f"/v1/parties/{party}", body)
    assert answer.status_code == 200, answer.text
    status: str = answer.json()["status"]
    return status


async def hits(analyst: Caller, status: str = "open") -> list[dict[str, Any]]:
    answer = await analyst("GET", f"/v1/screening/hits?status={status}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def decides(analyst: Caller, hit: dict[str, Any], body: dict[str, str]) -> httpx.Response:
    return await analyst("POST", f"/v1/screening/hits/{hit['id']}/decision", body)


async def standing(world: World, account: str) -> str:
    shown: str = (await world.operator("GET", f"/v1/accounts/{account}")).json()["status"]
    return shown


async def pays(world: World, account: str) -> str:
    """The code of a payment's refusal: an empty account that may pay has not enough money."""
    payee = await world.account_of(world.operator)
    body = {"from_account": account, "to_account": payee, "amount": "1.00", "currency": "EUR"}
    code: str = (await world.anna("POST", "/v1/transfers", body)).json()["code"]
    return code


async def test_a_hit_from_the_list_to_the_analyst_and_back_again(
    world: World, load: Command, command: Command, ana: Caller
) -> None:
    """Load → hit → blocked → false positive → clear → the entry changes → hit again."""
    account = await world.account_of(world.anna)
    assert load()["added"] == 3
    assert await named(world, ANNA) == "waiting_for_verification"
    assert await standing(world, account) == "debits_frozen"
    assert await pays(world, account) == "account_debits_frozen"
    [hit] = await hits(ana)
    assert (hit["party"], hit["names"], hit["listed_name"]) == (ANNA, ["Tarik Osmanow"], "Tarik OSMANOW")
    decided = await decides(ana, hit, FALSE)
    assert decided.json()["status"] == "false_positive"
    assert [(one["by"], one["reason"]) for one in decided.json()["decisions"]] == [("ana", "born in 1990")]
    assert await standing(world, account) == "open"
    assert await pays(world, account) == "insufficient_funds"

    load("AURORA 3", "AURORA 4")
    assert command("rescreen") == {"versions": [1, 2], "comparisons": 1, "new_hits": 0}
    load(BORN, BORN_OTHERWISE)
    assert command("rescreen")["new_hits"] == 1
    await world.services.screening.look()
    assert await standing(world, account) == "debits_frozen"
    assert [hit["uid"] for hit in await hits(ana)] == ["101"]
    figures = command("status")
    assert figures["due"] == figures["unscreened"] == 0
    assert (figures["parties"], figures["open_hits"], figures["blocked_accounts"]) == (1, 1, 1)


async def test_who_is_not_on_a_list_goes_on(world: World, load: Command, ana: Caller) -> None:
    account = await world.account_of(world.anna)
    load()
    assert await named(world, ANNA, UNLISTED) == "clear"
    assert await standing(world, account) == "open"
    assert await hits(ana) == []


async def test_a_true_match_is_released_by_two_analysts(world: World, load: Command, ana: Caller, ben: Caller) -> None:
    account = await world.account_of(world.anna)
    load()
    await named(world, ANNA)
    [hit] = await hits(ana)
    assert (await decides(ana, hit, TRUE)).json()["status"] == "true_match"
    assert await named(world, ANNA, UNLISTED) == "true_match", "nobody is named out of a true match"
    assert (await decides(ben, hit, FALSE)).json()["status"] == "true_match"
    again = await decides(ben, hit, FALSE)
    assert (again.status_code, again.json()["code"]) == (422, "reviewer_repeated")
    assert await standing(world, account) == "debits_frozen"
    assert (await decides(ana, hit, FALSE)).json()["status"] == "false_positive"
    assert await standing(world, account) == "open"
    late = await decides(ben, hit, TRUE)
    assert (late.status_code, late.json()["code"]) == (409, "screening_hit_decided")


async def test_an_account_of_who_waits_is_opened_frozen(world: World, load: Command, ana: Caller) -> None:
    load()
    await named(world, ANNA)
    opened = await world.anna("POST", "/v1/accounts", {"currency": "EUR"})
    assert opened.json()["status"] == "debits_frozen"
    account = opened.json()["id"]
    assert await standing(world, account) == "debits_frozen"
    await decides(ana, (await hits(ana))[0], FALSE)
    assert await standing(world, account) == "open"


async def test_a_part_in_an_account_freezes_it_and_its_end_releases_it(world: World, load: Command) -> None:
    load()
    account = await world.account_of(world.berta)
    await named(world, ANNA)
    await world.shares(account, ANNA, "viewer", world.berta)
    assert await standing(world, account) == "open"
    await world.shares(account, ANNA, "co_owner", world.berta)
    assert await standing(world, account) == "debits_frozen"
    await world.berta("DELETE", f"/v1/accounts/{account}/owners/{ANNA}")
    await world.services.screening.look()
    assert await standing(world, account) == "open"


async def test_the_holder_of_a_linked_account_blocks_its_user(world: World, load: Command, ana: Caller) -> None:
    load()
    account = await world.account_of(world.anna)
    body = {"user": ANNA, "type": "bank_account", "value": "DE89370400440532013000", "account": account}
    alias = (await world.anna("POST", "/v1/aliases", body)).json()["id"]
    assert await named(world, ANNA, UNLISTED) == "clear"
    assert await named(world, alias) == "waiting_for_verification"
    assert await standing(world, account) == "debits_frozen"
    [hit] = await hits(ana)
    assert (hit["party"], hit["user"]) == (alias, ANNA)
    unknown = await world.operator("PUT", f"/v1/parties/{format_id('als', bytes(16))}", LISTED)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "party_not_found")


async def test_what_an_operator_has_frozen_stays_frozen(world: World, load: Command, ana: Caller) -> None:
    load()
    frozen = await world.account_of(world.anna)
    opened_again = await world.account_of(world.anna)
    await world.operator("PUT", f"/v1/accounts/{frozen}", {"status": "frozen"})
    await named(world, ANNA)
    await world.operator("PUT", f"/v1/accounts/{opened_again}", {"status": "open"})
    await world.services.screening.look()
    assert [await standing(world, one) for one in (frozen, opened_again)] == ["frozen", "debits_frozen"]
    await decides(ana, (await hits(ana))[0], FALSE)
    assert [await standing(world, one) for one in (frozen, opened_again)] == ["frozen", "open"]


@pytest.mark.parametrize(
    ("part", "step"), [(Screening, "_compare"), (Blocks, "enforce")], ids=["before screening", "before freezing"]
)
async def test_a_process_that_dies_between_naming_and_screening_leaves_nobody_unscreened(
    world: World, load: Command, ana: Caller, monkeypatch: pytest.MonkeyPatch, part: type, step: str
) -> None:
    account = await world.account_of(world.anna)
    load()
    with monkeypatch.context() as dying:
        dying.setattr(part, step, _dies)
        answer = await world.operator("PUT", f"/v1/parties/{ANNA}", LISTED)
        assert answer.status_code == 500
    assert (await world.operator("GET", f"/v1/parties/{ANNA}")).json()["status"] == "waiting_for_verification"
    assert (await world.anna("POST", "/v1/accounts", {"currency": "EUR"})).json()["status"] == "debits_frozen"
    world.rows("UPDATE screening_parties SET named_at = now() - interval '1 minute' RETURNING 1")
    await world.services.screening.look()
    assert [hit["party"] for hit in await hits(ana)] == [ANNA]
    assert await standing(world, account) == "debits_frozen"


def _dies(*_: object) -> None:
    raise RuntimeError("the process is gone")


async def test_parties_named_before_a_list_meet_it_once(world: World, load: Command, command: Command) -> None:
    assert await named(world, ANNA) == "clear"
    assert await named(world, BERTA, UNLISTED) == "clear"
    load()
    assert command("status")["due"] == 2
    assert command("rescreen") == {"versions": [1], "comparisons": 2, "new_hits": 1}
    assert command("rescreen") == {"versions": [], "comparisons": 0, "new_hits": 0}


async def test_who_was_screened_against_a_version_is_not_compared_with_it_again(
    world: World, load: Command, command: Command
) -> None:
    await named(world, BERTA, UNLISTED)
    load()
    await named(world, ANNA)
    assert command("rescreen") == {"versions": [1], "comparisons": 1, "new_hits": 0}


async def test_where_names_are_needed_nobody_has_an_account_without(settings: Settings) -> None:
    async with running_world(settings.model_copy(update={"screening_names_needed": True})) as world:
        await named(world, BERTA, UNLISTED)
        account = await world.account_of(world.berta)
        opening = await world.anna("POST", "/v1/accounts", {"currency": "EUR"})
        part = await world.berta("POST", f"/v1/accounts/{account}/owners", {"user": ANNA, "role": "co_owner"})
        assert [(one.status_code, one.json()["code"]) for one in (opening, part)] == [(409, "party_names_needed")] * 2
        assert len(world.rows("SELECT FROM account_owners")) == 1
        await named(world, ANNA, UNLISTED)
        await world.shares(account, ANNA, "co_owner", world.berta)


async def test_a_name_is_nowhere_in_the_clear(world: World, load: Command) -> None:
    load()
    await named(world, ANNA, {"type": "person", "names": ["Tarik Wasilij Osmanow"]})
    for table in ("screening_parties", "screening_hits", "personal_values"):
        assert "asilij" not in str(world.rows(f"SELECT {table}::text FROM {table}"))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"type": "ship", "names": ["Aurora"]}, "/type"),
        ({"type": "person", "names": []}, "/names"),
        ({"type": "person", "names": ["x" * 501]}, "/names/0"),
    ],
)
async def test_a_body_that_is_not_understood(world: World, body: Any, pointer: str) -> None:
    answer = await world.operator("PUT", f"/v1/parties/{ANNA}", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


async def test_an_erased_user_has_nothing_to_compare(world: World, load: Command, command: Command) -> None:
    await named(world, ANNA)
    world.rows("UPDATE subject_keys SET wrapping_key = NULL, wrapped = NULL, erased_at = now() RETURNING 1")
    world.rows("DELETE FROM personal_values RETURNING 1")
    load()
    assert command("rescreen") == {"versions": [1], "comparisons": 0, "new_hits": 0}
    assert command("status")["due"] == 0
    answer = await world.operator("PUT", f"/v1/parties/{ANNA}", UNLISTED)
    assert (answer.status_code, answer.json()["code"]) == (409, "user_erased")

"""Goal: a quote converts once, at its rate, until it expires; a fee is what its schedule says."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from payments.identifiers import ACCOUNT, QUOTE, format_id, system_account
from payments.money import format_minor
from payments.postings import SystemAccount
from runtime.settings import Settings
from tests.ingest_api.client import problem_of
from tests.ingest_api.owners.world import World, raw, running_world

TERMS = """
quote_s = 60
[[rates]]
sell = "EUR"
buy = "USD"
rate = "1.0837"
spread_basis_points = 50
[[fees]]
name = "wire"
version = 1
currency = "EUR"
tiers = [{ basis_points = 100 }]
"""


@pytest.fixture
async def world(tmp_path: Path, migrated: str) -> AsyncIterator[World]:
    terms = tmp_path / "terms.toml"
    terms.write_text(TERMS)
    async with running_world(Settings(home=tmp_path, database_url=migrated, shards=1, terms_file=terms)) as running:
        yield running


async def quoted(world: World, amount: str = "100.00", **fields: str) -> Any:
    body = {"sell_currency": "EUR", "buy_currency": "USD", "amount": amount, **fields}
    answer = await world.anna("POST", "/v1/fx/quotes", body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def pair(world: World, currency: str = "USD") -> dict[str, str]:
    """An account with 200.00 EUR that pays one of the other currency."""
    payer, payee = await world.account_of(world.anna), await world.account_of(world.berta, currency)
    funds = {"amount": "200.00", "currency": "EUR"}
    assert (await world.operator("POST", f"/v1/accounts/{payer}/deposit", funds)).status_code == 201
    return {"from_account": payer, "to_account": payee}


def legs(world: World) -> list[tuple[bytes, int, str]]:
    """Of the last entry."""
    return [tuple(leg) for detail in world.partition.entries[-1].details for leg in getattr(detail, "legs", ())]


def available(world: World, account: str) -> str:
    found = world.partition.book.accounts[raw(account)]
    return format_minor(found.available_minor, found.currency)


async def test_what_is_sold_and_bought_is_quoted_to_the_cent(world: World) -> None:
    sold = await quoted(world)
    assert (sold["sell_amount"], sold["buy_amount"], sold["rate"]) == ("100.00", "107.83", "1.0837")
    bought = await quoted(world, "108.37", fixed_side="buy")
    assert (bought["sell_amount"], bought["buy_amount"]) == ("100.50", "108.37")
    seen = (await world.anna("GET", f"/v1/fx/quotes/{sold['id']}")).json()
    assert (seen, seen["used"]) == (sold, False)


async def test_a_quote_converts_one_transfer_and_its_repeats(world: World) -> None:
    parties, quote, key = await pair(world), await quoted(world), secrets.token_hex(8)
    body = parties | {"amount": "100.00", "currency": "EUR", "quote_id": quote["id"]}
    paid = await world.anna("POST", "/v1/transfers", body, Idempotency_Key=key)
    assert paid.status_code == 202, paid.text  # the world has no payees' side
    positions = {code: format_id(ACCOUNT, system_account(SystemAccount.FX_POSITION, code)) for code in ("EUR", "USD")}
    assert legs(world) == [
        (raw(parties["from_account"]), -10_000, "EUR"),
        (raw(positions["EUR"]), 10_000, "EUR"),
        (raw(positions["USD"]), -10_783, "USD"),
        (raw(parties["to_account"]), 10_783, "USD"),
    ]
    again = await world.anna("POST", "/v1/transfers", body, Idempotency_Key=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert available(world, parties["from_account"]) == "100.00"
    problem_of(await world.anna("POST", "/v1/transfers", body), 422, "quote_used")
    assert (await world.anna("GET", f"/v1/fx/quotes/{quote['id']}")).json()["used"] is True


async def test_a_quote_and_a_fee_are_one_transfer(world: World) -> None:
    """The fee is the payer's, on top of what is sold; a fee that there is none of leaves the quote for another call."""
    parties, quote = await pair(world), await quoted(world)
    body = parties | {"amount": "100.00", "currency": "EUR", "quote_id": quote["id"]}
    problem_of(await world.anna("POST", "/v1/transfers", body | {"fee": "gift"}), 422, "fee_schedule_not_found")
    paid = await world.anna("POST", "/v1/transfers", body | {"fee": "wire"})
    assert (paid.status_code, paid.json()["amount"]) == (202, "101.00"), paid.text
    posted = {(account, currency): minor for account, minor, currency in legs(world)}
    assert posted[raw(parties["from_account"]), "EUR"] == -10_100
    assert posted[raw(parties["to_account"]), "USD"] == 10_783
    assert posted[system_account(SystemAccount.FEES, "EUR"), "EUR"] == 100


async def test_an_expired_quote_moves_nothing(world: World) -> None:
    parties, quote = await pair(world), await quoted(world)
    world.rows("UPDATE fx_quotes SET expires_at = now() - interval '1 second' RETURNING 1")
    body = parties | {"amount": "100.00", "currency": "EUR", "quote_id": quote["id"]}
    problem_of(await world.anna("POST", "/v1/transfers", body), 422, "quote_expired")
    assert available(world, parties["from_account"]) == "200.00"


async def test_a_quote_is_its_callers_and_for_its_amount(world: World) -> None:
    parties, quote = await pair(world), await quoted(world)
    body = parties | {"amount": "100.00", "currency": "EUR", "quote_id": quote["id"]}
    problem_of(await world.anna("POST", "/v1/transfers", body | {"amount": "99.00"}), 422, "field_invalid")
    problem_of(await world.operator("POST", "/v1/transfers", body), 404, "quote_not_found")
    nobodys = body | {"quote_id": format_id(QUOTE, b"7" * 16)}
    problem_of(await world.anna("POST", "/v1/transfers", nobodys), 404, "quote_not_found")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"buy_currency": "JPY"}, "rate_not_found"),
        ({"amount": "0"}, "amount_not_positive"),
        ({"amount": "9999999999999.99"}, "field_invalid"),
        ({"fixed_side": "both"}, "field_invalid"),
    ],
    ids=["pair", "zero", "too much", "side"],
)
async def test_what_is_not_quoted(world: World, fields: dict[str, str], code: str) -> None:
    body = {"sell_currency": "EUR", "buy_currency": "USD", "amount": "1.00"} | fields
    problem_of(await world.anna("POST", "/v1/fx/quotes", body), 422, code)


async def test_a_fee_is_on_top_and_the_operators(world: World) -> None:
    parties = await pair(world, "EUR")
    body = parties | {"amount": "50.00", "currency": "EUR", "fee": "wire"}
    paid = await world.anna("POST", "/v1/transfers", body)
    assert (paid.status_code, paid.json()["amount"]) == (202, "50.50"), paid.text
    fees = system_account(SystemAccount.FEES, "EUR")
    assert legs(world)[2] == (fees, 50, "EUR")
    problem_of(await world.anna("POST", "/v1/transfers", body | {"fee": "gift"}), 422, "fee_schedule_not_found")

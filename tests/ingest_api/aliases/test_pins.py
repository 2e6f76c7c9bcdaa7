"""Goal: a call means the accounts that it meant first, whatever its aliases stand for when it is repeated.

The money side of it, through Kafka, is in test_transfers_by_alias.py.
"""

import asyncio
from typing import Any

import msgspec
import pytest
from psycopg import AsyncConnection

from ingest_api.aliases import pins
from ingest_api.aliases.service import Aliases, names_an_alias
from ingest_api.http.bodies import TransferBody
from ingest_api.problems import Fault, Problem
from ingest_api.reads.database import WRITING, Database, DatabaseUnavailable
from payments.identifiers import ACCOUNT, format_id
from payments.rejections import Reason
from runtime.personal_data.erasure import erase
from runtime.personal_data.keyring import Keyring, KeyringFault, new_document
from tests.ingest_api.aliases.conftest import ANNA, BERTA, FIRST, MAIL, SECOND, THIRD, Clerk

BY_MAIL = f"email:{MAIL}"


def account(value: bytes) -> str:
    return format_id(ACCOUNT, value)


def transfer(payer: str | bytes, payee: str | bytes, currency: str = "EUR") -> TransferBody:
    payer, payee = (account(party) if isinstance(party, bytes) else party for party in (payer, payee))
    return TransferBody(payer, payee, msgspec.Raw(b'"1.00"'), currency)


async def meant(aliases: Aliases, body: TransferBody, key: str = "k", principal: str = "app") -> tuple[str, str]:
    found = await aliases.resolved(principal, key, body)
    assert (found.amount, found.currency, found.description) == (body.amount, body.currency, body.description)
    return found.from_account, found.to_account


async def problem(aliases: Aliases, body: TransferBody, key: str = "k") -> Problem:
    with pytest.raises(Problem) as raised:
        await aliases.resolved("app", key, body)
    return raised.value


PARTIES = [(BY_MAIL, THIRD), (THIRD, BY_MAIL)]


@pytest.mark.parametrize("parties", PARTIES, ids=["payer", "payee"])
async def test_a_repeat_means_the_first_account_after_the_alias_was_changed(
    clerk: Clerk, aliases: Aliases, parties: tuple[str | bytes, str | bytes]
) -> None:
    await clerk.registers(FIRST)
    body = transfer(*parties)
    before = await meant(aliases, body)
    assert account(FIRST) in before
    await clerk.registers(SECOND)
    assert await meant(aliases, body) == before
    assert account(SECOND) in await meant(aliases, body, key="another key")
    assert account(SECOND) in await meant(aliases, body, principal="another caller")


async def test_a_repeat_means_the_first_account_after_the_alias_was_ended_or_its_person_erased(
    clerk: Clerk, aliases: Aliases, keyring: Keyring, connection: AsyncConnection[Any]
) -> None:
    registered = await clerk.registers(FIRST)
    before = await meant(aliases, transfer(THIRD, BY_MAIL))
    await aliases.register.end(registered.alias.alias, "clerk")
    assert await meant(aliases, transfer(THIRD, BY_MAIL)) == before
    assert await erase(connection, keyring, ANNA, []) is not None
    assert await meant(aliases, transfer(THIRD, BY_MAIL)) == before
    assert (await problem(aliases, transfer(THIRD, BY_MAIL), "new")).code is Fault.ALIAS_UNKNOWN


async def test_many_calls_with_one_key_mean_one_account_while_the_alias_changes_under_them(
    clerk: Clerk, aliases: Aliases
) -> None:
    await clerk.registers(FIRST)
    calls = [meant(aliases, transfer(BY_MAIL, THIRD)) for _ in range(30)]
    *found, _ = await asyncio.gather(*calls, clerk.registers(SECOND))
    assert len(set(found)) == 1


async def test_of_many_pins_of_one_call_the_first_counts_for_all(aliases: Aliases) -> None:
    """Tries of one call that resolved its alias on either side of a change."""
    request = pins.request_digest(b"alias pin", "app", "k")
    wanted = [pins.Pin(b"p", bytes([number]) * 16, THIRD) for number in range(1, 9)]
    found = await asyncio.gather(*(aliases._pins.pin(request, pin, payer_by_alias=True) for pin in wanted))
    assert len(set(found)) == 1
    assert found[0] in wanted
    assert await aliases._pins.find(request) == found[0]


async def test_another_way_to_name_the_parties_is_another_body(clerk: Clerk, aliases: Aliases) -> None:
    """Even where it stands for the same account; another spelling of one name is the same name."""
    await clerk.registers(FIRST)
    await clerk.registers(FIRST, value="second@example.com")
    before = await meant(aliases, transfer(THIRD, BY_MAIL))
    assert await meant(aliases, transfer(THIRD, "email:  anna@EXAMPLE.com")) == before
    for other in (transfer(THIRD, "email:second@example.com"), transfer(BY_MAIL, THIRD), transfer(FIRST, BY_MAIL)):
        assert (await problem(aliases, other)).code is Reason.IDEMPOTENCY_KEY_REUSED


async def test_both_parties_may_be_named_by_alias(clerk: Clerk, aliases: Aliases) -> None:
    await clerk.registers(FIRST)
    await clerk.registers(SECOND, subject=BERTA, value="berta@example.com")
    assert await meant(aliases, transfer(BY_MAIL, "email:berta@example.com")) == (account(FIRST), account(SECOND))


async def test_a_name_stands_for_one_account_per_currency(clerk: Clerk, aliases: Aliases) -> None:
    await clerk.registers(FIRST)
    await clerk.registers(SECOND, currency="JPY")
    assert (await meant(aliases, transfer(THIRD, BY_MAIL), "euros"))[1] == account(FIRST)
    assert (await meant(aliases, transfer(THIRD, BY_MAIL, "JPY"), "yen"))[1] == account(SECOND)
    assert (await problem(aliases, transfer(THIRD, BY_MAIL, "USD"))).code is Fault.ALIAS_UNKNOWN


async def test_a_name_that_stands_for_nothing_pins_nothing(
    clerk: Clerk, aliases: Aliases, connection: AsyncConnection[Any]
) -> None:
    await clerk.registers(SECOND, verified=False)
    told = await problem(aliases, transfer(THIRD, BY_MAIL))
    assert told.code is Fault.ALIAS_UNKNOWN
    assert [error.pointer for error in told.errors] == ["/to_account"]
    assert await (await connection.execute("SELECT 1 FROM alias_pins")).fetchall() == []
    await clerk.registers(FIRST)
    assert (await meant(aliases, transfer(THIRD, BY_MAIL)))[1] == account(FIRST)


@pytest.mark.parametrize(
    "party", ["email:no address", "phone:110", "user:", "bank_account:DE00", "emale:a@b.c", "x", ""]
)
async def test_what_is_no_party_is_refused_at_its_place_and_not_repeated(aliases: Aliases, party: str) -> None:
    for body, pointer in ((transfer(party, THIRD), "/from_account"), (transfer(THIRD, party), "/to_account")):
        assert names_an_alias(body)
        told = await problem(aliases, body)
        assert [(error.pointer, error.code) for error in told.errors] == [(pointer, Fault.FIELD_INVALID)]
        assert not party.partition(":")[2] or party.partition(":")[2] not in told.detail


async def test_the_usual_call_is_not_looked_up() -> None:
    assert not names_an_alias(transfer(FIRST, SECOND))
    assert not names_an_alias(transfer("acc_nonsense", SECOND))


async def test_keys_of_another_database_are_noticed_before_a_name_is_looked_up(clerk: Clerk, migrated: str) -> None:
    await clerk.registers(FIRST)
    stranger = Aliases(Database(migrated, 1, 10, WRITING), Keyring.read(new_document(), ""))
    await stranger.open()
    try:
        with pytest.raises(KeyringFault, match="the index key"):
            await stranger.resolved("app", "k", transfer(THIRD, BY_MAIL))
    finally:
        await stranger.close()


async def test_without_postgres_a_call_by_alias_is_told_to_come_again(keyring: Keyring) -> None:
    cut_off = Aliases(Database("postgresql://127.0.0.1:1/nothing", 1, 10, WRITING), keyring)
    await cut_off.open()
    try:
        with pytest.raises(DatabaseUnavailable):
            await cut_off.resolved("app", "k", transfer(THIRD, BY_MAIL))
    finally:
        await cut_off.close()


async def age(connection: AsyncConnection[Any], hours: int) -> None:
    await connection.execute("UPDATE alias_pins SET pinned_at = pinned_at - %s * interval '1 hour'", (hours,))


async def test_the_sweep_keeps_what_still_protects_a_payment(
    clerk: Clerk, aliases: Aliases, connection: AsyncConnection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payer's pin stays without the names; a payee's goes, because there the decision itself answers."""
    await clerk.registers(FIRST)
    paying, receiving = transfer(BY_MAIL, THIRD), transfer(THIRD, BY_MAIL)
    before = await meant(aliases, paying, "paying")
    await meant(aliases, receiving, "receiving")
    await age(connection, pins.PIN_HOURS - 1)
    await meant(aliases, receiving, "young")
    assert not await aliases._pins.sweep()
    assert await count(connection) == (3, 3)
    await age(connection, 1)
    assert not await aliases._pins.sweep()
    assert await count(connection) == (2, 1)
    await clerk.registers(SECOND)
    assert await meant(aliases, paying, "paying") == before
    assert (await meant(aliases, receiving, "receiving"))[1] == account(SECOND)


async def count(connection: AsyncConnection[Any]) -> tuple[int, int]:
    """Pins, and pins that still know the names."""
    rows = await connection.execute("SELECT count(*) AS pins, count(parties) AS named FROM alias_pins")
    [row] = await rows.fetchall()
    return row["pins"], row["named"]


async def test_a_sweep_takes_a_bounded_batch_and_says_that_there_is_more(
    aliases: Aliases, connection: AsyncConnection[Any]
) -> None:
    await connection.execute(
        "INSERT INTO alias_pins (request, parties, payer, payee, payer_by_alias, pinned_at)"
        " SELECT sha256(n::text::bytea), 'p', gen_random_uuid(), gen_random_uuid(), n %% 2 = 0, 'epoch'"
        " FROM generate_series(1, %s) AS n",
        (2 * pins.SWEEP_ROWS + 2,),
    )
    assert await aliases._pins.sweep()
    assert await count(connection) == (pins.SWEEP_ROWS + 2, 2)
    assert not await aliases._pins.sweep()
    assert await count(connection) == (pins.SWEEP_ROWS + 1, 0)

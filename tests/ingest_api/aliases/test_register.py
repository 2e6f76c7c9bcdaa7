"""Goal: the register tells for any time which account a name stood for, forgets names in time, and lets one person have
a name.
"""

import asyncio
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import AsyncConnection

from ingest_api.aliases.parties import USER, alias_name, is_account_id
from ingest_api.aliases.register import Alias, Registered
from ingest_api.aliases.service import Aliases
from ingest_api.aliases.shown import shown_page
from ingest_api.reads.cursor import decode_cursor
from payments.identifiers import ACCOUNT, format_id
from runtime.personal_data.erasure import erase, verify_certificate
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import Refusal
from tests.ingest_api.aliases.conftest import ANNA, BERTA, FIRST, MAIL, SECOND, Clerk


async def history(aliases: Aliases, **of: bytes) -> list[tuple[Alias, Personal | None]]:
    return await aliases.register.page(of.get("account"), of.get("subject"), None, 100)


async def test_a_change_ends_the_one_before_and_forgets_its_value(clerk: Clerk, aliases: Aliases) -> None:
    first = await clerk.registers(FIRST)
    second = await clerk.registers(SECOND)
    assert not first.replayed
    assert not second.replayed
    (now, value), (before, nothing) = await history(aliases, subject=ANNA)
    assert (now.account, now.verified, now.valid_to, value) == (SECOND, True, None, Personal(MAIL))
    assert (before.account, before.verified, nothing) == (FIRST, False, None)
    assert before.valid_from == first.alias.valid_from < now.valid_from == before.valid_to


async def test_the_same_again_changes_nothing(clerk: Clerk, aliases: Aliases) -> None:
    first = await clerk.registers(FIRST)
    again = await clerk.registers(FIRST, value="anna@EXAMPLE.com")
    assert again == Registered(first.alias, True)
    [(_, value)] = await history(aliases, account=FIRST)
    assert value == Personal(MAIL)


async def test_an_id_means_what_it_meant_first(clerk: Clerk, aliases: Aliases) -> None:
    """Also after the alias has ended: a repeat that comes late does not bring it back."""
    asked = await clerk.asked(FIRST)
    first = await aliases.register.register(asked, "clerk")
    await clerk.registers(SECOND)
    late = await aliases.register.register(asked._replace(account=SECOND), "clerk")
    assert isinstance(first, Registered)
    assert isinstance(late, Registered)
    assert (late.replayed, late.alias.account) == (True, FIRST)
    assert late.alias.valid_to is not None


async def test_many_registrations_under_one_id_are_one(clerk: Clerk, aliases: Aliases) -> None:
    """Whatever they ask for: who comes second is told what the id means, and can see that it means something else."""
    asked = await clerk.asked(FIRST)
    others = [asked._replace(account=SECOND), asked._replace(subject=BERTA), *[asked] * 6]
    found = await asyncio.gather(*(aliases.register.register(one, "clerk") for one in others))
    registered = [one for one in found if isinstance(one, Registered)]
    assert len(registered) == 8
    assert [one.replayed for one in registered].count(False) == 1
    assert len({one.alias for one in registered}) == 1


async def test_a_name_that_somebody_has_proved_is_nobody_elses(
    clerk: Clerk, aliases: Aliases, connection: AsyncConnection[Any]
) -> None:
    first = await clerk.registers(FIRST)
    assert await clerk.tries(SECOND, subject=BERTA) is Refusal.TAKEN
    kept = await connection.execute(
        "SELECT subject_id FROM personal_values UNION SELECT subject_id FROM personal_index"
    )
    assert await kept.fetchall() == [{"subject_id": UUID(bytes=ANNA)}], "something of a refused claim was kept"
    claimed = await clerk.registers(SECOND, subject=BERTA, verified=False)
    assert not claimed.alias.verified
    assert await clerk.tries(SECOND, subject=BERTA) is Refusal.TAKEN
    assert len(await history(aliases, subject=BERTA)) == 1
    await aliases.register.end(first.alias.alias, "clerk")
    proved = await clerk.registers(SECOND, subject=BERTA)
    assert (proved.alias.alias, proved.alias.verified) == (claimed.alias.alias, True)


async def test_an_end_frees_the_name_once_no_currency_uses_it(clerk: Clerk, aliases: Aliases) -> None:
    euros, yen = await clerk.registers(FIRST), await clerk.registers(SECOND, currency="JPY")
    ended = await aliases.register.end(euros.alias.alias, "clerk")
    assert ended is not None
    assert ended.valid_to is not None
    assert await aliases.register.end(euros.alias.alias, "somebody") == ended
    assert await clerk.tries(FIRST, subject=BERTA) is Refusal.TAKEN
    await aliases.register.end(yen.alias.alias, "clerk")
    assert (await clerk.registers(FIRST, subject=BERTA)).alias.verified
    assert await aliases.register.end(b"unknown 16 bytes", "clerk") is None


async def test_a_name_that_is_registered_while_it_ends_elsewhere_stays_proved(clerk: Clerk, aliases: Aliases) -> None:
    """An end frees the name only when nothing uses it, also not what is being committed just now."""
    for number in range(1, 21):
        value = f"anna{number}@example.com"
        first = await clerk.registers(FIRST, value=value)
        yen = await clerk.asked(SECOND, value=value, currency="JPY")
        await asyncio.gather(aliases.register.end(first.alias.alias, "clerk"), aliases.register.register(yen, "clerk"))
        [(alias, _)] = await aliases.register.page(SECOND, None, None, 1)
        assert (alias.alias, alias.verified) == (yen.alias, True)


async def test_two_changes_at_once_leave_one_current_alias(clerk: Clerk, aliases: Aliases) -> None:
    await asyncio.gather(*(clerk.registers(bytes([0x30 + number]) * 16) for number in range(12)))
    found = await history(aliases, subject=ANNA)
    assert len(found) == 12
    assert [alias.valid_to is None for alias, _ in found].count(True) == 1
    assert [value for _, value in found].count(None) == 11
    for (later, _), (earlier, _) in pairwise(found):
        assert earlier.valid_to == later.valid_from


async def test_an_erased_person_has_no_alias_and_gets_none(
    clerk: Clerk, aliases: Aliases, keyring: Keyring, connection: AsyncConnection[Any]
) -> None:
    current, other = await clerk.registers(FIRST), await clerk.registers(SECOND, currency="JPY")
    await clerk.registers(SECOND)
    certificate = await erase(connection, keyring, ANNA, [])
    assert certificate is not None
    told = verify_certificate(certificate, keyring.certificate_key)
    assert told.indexes == {"aliases": 1}
    assert len(told.fields) == 2
    assert current.alias.digest is not None
    assert current.alias.digest.hex() not in str(told)
    rows = await (await connection.execute("SELECT digest FROM aliases")).fetchall()
    assert rows == [{"digest": None}] * 3
    for alias, value in await history(aliases, subject=ANNA):
        assert (alias.verified, value) == (False, None)
        assert alias.valid_to is not None
    assert await clerk.tries(FIRST) is Refusal.SUBJECT_ERASED
    assert await aliases.register.end(other.alias.alias, "clerk") is not None
    assert (await clerk.registers(FIRST, subject=BERTA)).alias.verified


async def test_pages_lead_through_everything_once(clerk: Clerk, aliases: Aliases) -> None:
    for number in range(7):
        await clerk.registers(FIRST, value=f"anna{number}@example.com")
    seen: list[str | None] = []
    cursor: str | None = None
    while True:
        after = decode_cursor(cursor) if cursor else None
        page = shown_page(await aliases.register.page(FIRST, ANNA, after, 3 + 1), 3)
        seen += [item.value for item in page.items]
        assert page.has_more == (page.next_cursor is not None)
        if not page.has_more:
            break
        cursor = page.next_cursor
    assert seen == [f"anna{number}@example.com" for number in reversed(range(7))]
    assert await history(aliases, account=FIRST, subject=BERTA) == []


KINDS = [
    (Identifier.USER, "usr_01jd5v2q7xf8k8v6n3m4p5r6st", "usr_01jd5v2q7xf8k8v6n3m4p5r6st"),
    (Identifier.USER, "anna.s", "user:Anna.S"),
    (Identifier.PHONE, "+49 151 23456789", "phone:+4915123456789"),
    (Identifier.EMAIL, "anna@example.com", "email:anna@example.com"),
    (Identifier.BANK_ACCOUNT, "DE89 3704 0044 0532 0130 00", "bank_account:DE89370400440532013000"),
    (Identifier.BANK_ACCOUNT, "021000021/123456789", "bank_account:021000021/123456789"),
]


@pytest.mark.parametrize(("kind", "value", "party"), KINDS, ids=range(len(KINDS)))
async def test_every_kind_of_name_leads_to_its_account(
    clerk: Clerk, aliases: Aliases, kind: Identifier, value: str, party: str
) -> None:
    await clerk.registers(FIRST, kind=kind, value=value)
    named = alias_name(party)
    assert named is not None
    assert named.kind is kind
    assert await aliases._pins.resolve(await aliases.digest(named, ""), "EUR") == FIRST


@given(st.binary(min_size=16, max_size=16))
def test_an_account_id_is_no_alias_and_a_user_id_is_one(value: bytes) -> None:
    assert is_account_id(format_id(ACCOUNT, value))
    assert alias_name(format_id(ACCOUNT, value)) is None
    named = alias_name(format_id(USER, value))
    assert named is not None
    assert named.value == Personal(format_id(USER, value))


@given(st.text(max_size=60) | st.tuples(st.sampled_from(Identifier), st.sampled_from(["", ":", ": x"])).map("".join))
def test_any_text_names_an_alias_or_does_not(text: str) -> None:
    named = alias_name(text)
    assert (named is not None) == ((":" in text and text.split(":")[0] in set(Identifier)) or text.startswith("usr_"))

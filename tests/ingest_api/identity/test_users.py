"""Goal: a user is found by what only this user has, and nothing in Postgres tells who it is."""

import psycopg
import pytest

from ingest_api.identity.roles import UserRole
from ingest_api.identity.service import Identity
from ingest_api.identity.users.user import Field, Refused, User, UserFault, UserStatus, Values
from runtime.personal_data.erasure import erase
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.personal import Personal
from runtime.settings import Settings

ANNA, BERTA = bytes([1]) * 16, bytes([2]) * 16
ANNAS: Values = {
    Field.USERNAME: Personal("Anna"),
    Field.EMAIL: Personal("Anna@Example.com"),
    Field.PHONE: Personal("+49 151 23456789"),
    Field.ADDRESS: Personal("Tulpenweg 1, Ulm"),
}


async def made(identity: Identity, user: bytes = ANNA, values: Values = ANNAS) -> User:
    user_made = await identity.users.create(user, values, [UserRole.CUSTOMER], None, "a test")
    assert isinstance(user_made, User), user_made
    return user_made


@pytest.mark.parametrize(
    ("field", "spelling"),
    [(Field.USERNAME, "ANNA"), (Field.EMAIL, "anna@EXAMPLE.com"), (Field.PHONE, "+4915123456789")],
)
async def test_a_user_is_found_by_every_spelling(identity: Identity, field: Field, spelling: str) -> None:
    user = await made(identity)
    assert await identity.users.find_by(field, Personal(spelling)) == user == await identity.users.find(ANNA)
    assert await identity.users.find_by(field, Personal("nobody")) is None
    assert await identity.users.values(ANNA) == ANNAS


@pytest.mark.parametrize("field", [Field.USERNAME, Field.EMAIL, Field.PHONE])
async def test_what_another_user_has_is_taken(identity: Identity, field: Field) -> None:
    await made(identity)
    values = {Field.USERNAME: Personal("berta"), field: ANNAS[field]}
    refused = await identity.users.create(BERTA, values, [UserRole.CUSTOMER], None, "a test")
    assert refused == Refused(UserFault.TAKEN, field)
    assert await identity.users.find(BERTA) is None
    await made(identity, BERTA, {Field.USERNAME: Personal("berta")})
    assert await identity.users.change(BERTA, {field: ANNAS[field]}) == Refused(UserFault.TAKEN, field)
    assert set(await identity.users.values(BERTA)) == {Field.USERNAME}


async def test_what_a_user_gave_up_is_free_for_others(identity: Identity) -> None:
    await made(identity)
    changed = await identity.users.change(ANNA, {Field.USERNAME: Personal("anna2")}, removed=[Field.EMAIL])
    assert isinstance(changed, User)
    assert await identity.users.find_by(Field.EMAIL, ANNAS[Field.EMAIL]) is None
    await made(identity, BERTA, {field: ANNAS[field] for field in (Field.USERNAME, Field.EMAIL)})
    found = await identity.users.find_by(Field.USERNAME, Personal("anna"))
    assert found is not None
    assert found.user == BERTA


async def test_a_value_that_is_not_of_its_kind_is_refused(identity: Identity) -> None:
    values = {Field.USERNAME: Personal("two words")}
    refused = await identity.users.create(ANNA, values, [UserRole.CUSTOMER], None, "a test")
    assert refused == Refused(UserFault.MALFORMED, Field.USERNAME)
    assert await identity.users.find(ANNA) is None


async def test_a_known_id_answers_what_there_is(identity: Identity) -> None:
    user = await made(identity)
    assert await made(identity, values={Field.USERNAME: Personal("other")}) == user


async def test_no_row_tells_who_a_user_is(identity: Identity, settings: Settings) -> None:
    await made(identity)
    tables = ("users", "personal_values", "personal_index", "subject_keys")
    with psycopg.connect(settings.database_url) as connection:
        rows = b"".join(str(connection.execute(f"SELECT * FROM {table}").fetchall()).encode() for table in tables)
    for value in ANNAS.values():
        assert value.reveal().casefold().encode() not in rows.lower()


async def test_an_erased_user_is_found_by_the_id_alone(identity: Identity, settings: Settings) -> None:
    await made(identity)
    async with await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as connection:
        await erase(connection, Keyring.of(settings), ANNA, [])
    assert await identity.users.find_by(Field.EMAIL, ANNAS[Field.EMAIL]) is None
    found = await identity.users.find(ANNA)
    assert found is not None
    assert found.status is UserStatus.ERASED
    assert await identity.users.change(ANNA, ANNAS) == Refused(UserFault.ERASED)


async def test_roles_and_standing_change(identity: Identity) -> None:
    await made(identity)
    await identity.users.set_roles(ANNA, [UserRole.FINANCE, UserRole.CUSTOMER])
    user = await identity.users.set_status(ANNA, UserStatus.SUSPENDED)
    assert user is not None
    assert (user.roles, user.is_active) == (frozenset({UserRole.FINANCE, UserRole.CUSTOMER}), False)

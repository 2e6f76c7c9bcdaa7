"""What is Anna's among users, bank accounts and transfers over a bank, and how a stranger would name it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from ingest_api.aliases.parties import USER
from ingest_api.identity.roles import UserRole
from ingest_api.identity.users.user import Field, User
from payments.identifiers import ACCOUNT, BANK_ACCOUNT, EXTERNAL_BANK, PAYMENT, format_id
from runtime.personal_data.personal import Personal
from tests.ingest_api.owners.world import ANNA, Caller, World, raw

BANK = b"\x79" * 16
TRANSFER = b"\x7a" * 16
NOBODYS = {
    "bank_id": format_id(EXTERNAL_BANK, BANK),
    "bank_account_id": format_id(BANK_ACCOUNT, b"\x7b" * 16),
    "transfer_id": format_id(PAYMENT, b"\x7c" * 16),
}
_NUMBER = {"bankName": "First Bank", "bankAccountNumber": "123456789", "bankRoutingNumber": "021000021"}
_PAYEE = format_id(ACCOUNT, b"\x7d" * 16)
_AMOUNT = {"amount": "1.00", "currency": "EUR"}
_TRANSFER = """
INSERT INTO bank_transfers VALUES (%s, %s, %s, %s, false, 100, 'EUR', 'test') ON CONFLICT DO NOTHING RETURNING 1"""
_ONE = "/v1/user/{user_id}/accounts/{bank_account_id}"

BODIES: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("PUT", "/v1/user"): lambda its: {"userId": its.user_id, "address": "1 Main Street"},
    ("PUT", "/v1/user/{user_id}"): lambda its: {"address": "1 Main Street"} | _NUMBER,
    ("POST", "/v1/user/{user_id}/accounts"): lambda its: _NUMBER,
    ("POST", f"{_ONE}/verify"): lambda its: {},
    ("POST", "/v1/transaction"): lambda its: {"fromId": its.account_id, "toId": _PAYEE, "amount": "1.00"},
    ("POST", "/v1/external-banks/{bank_id}/transfers"): lambda its: (
        _AMOUNT | {"from_account": its.account_id, "to_account": its.bank_account_id}
    ),
}
NAME_NOTHING = {
    ("POST", "/v1/user"): "makes a user; test_people has what is taken",
    ("POST", "/v1/users"): "as POST /user",
    ("GET", "/v1/external-banks"): "names of banks, for everybody",
}
FOR_OPERATORS = {("POST", "/v1/external-banks")}


async def things_of(world: World, anna: Caller, account: str) -> dict[str, str]:
    """Anna as a user, a bank account that she has linked and proved, and a transfer to it."""
    values = {Field.USERNAME: Personal("anna.of.the.matrix")}
    user = await world.services.identity.users.create(raw(ANNA, USER), values, [UserRole.CUSTOMER], None, "test")
    assert isinstance(user, User)
    credentials = Personal('{"client_id": "millrace", "client_secret": "secret"}')
    await world.services.people.banks.enter(BANK, "Second Bank", "https://bank.example.com", credentials, "test")
    body = {"bankAccountNumber": "DE89370400440532013000", "externalBankId": NOBODYS["bank_id"], "accountId": account}
    answer = await anna("POST", f"/v1/user/{ANNA}/accounts", body)
    assert answer.status_code == 201, answer.text
    linked = answer.json()["bankAccountId"]
    await world.services.aliases.register.prove(raw(linked, BANK_ACCOUNT))
    row = UUID(bytes=TRANSFER), UUID(bytes=BANK), UUID(bytes=raw(linked, BANK_ACCOUNT)), UUID(bytes=raw(account))
    world.rows(
        _TRANSFER,
        *row,
    )
    return {"bank_id": NOBODYS["bank_id"], "bank_account_id": linked, "transfer_id": format_id(PAYMENT, TRANSFER)}

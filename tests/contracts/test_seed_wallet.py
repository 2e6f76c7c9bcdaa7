"""Goal: document 0, the payment system with users, linked bank accounts and transactions, works as it is written.

Method: a user signs up, links a bank account, sends and receives money, looks at everything, and unlinks.
"""

from datetime import UTC, datetime
from typing import Any

from ingest_api.seed_routes.words import WORDS
from runtime.settings import Settings
from tests.connectors.banks.bank_process import SECRET, BankProcess
from tests.contracts.visitor import Visitor, fields_of, signed_up
from tests.support.waiting import eventually

BANK_DETAILS = {
    "bankName": "Heron Savings",
    "bankPhoneNumber": "+12125550100",
    "bankEmail": "desk@heron.example.com",
    "bankAcountNumber": "000123456789",
    "bankRoutingNumber": "021000021",
}
NUMBER = "021000021/000123456789"
SPANS = "startTime=2026-01-01T00:00:00Z&endtime=2100-01-01T00:00:00Z"


def transaction(payer: str, payee: str, amount: float) -> dict[str, Any]:
    """The body of POST /v1/transaction."""
    now = datetime.now(UTC).isoformat()
    return {"fromId": payer, "toId": payee, "transactionDate": now, "amount": amount}


def is_transaction(shown: dict[str, Any], amount: int, status: str) -> None:
    fields_of(shown, transactionId=str, fromId=str, toId=str, transactionDate=str, amount=int, status=str)
    assert datetime.fromisoformat(shown["transactionDate"]).tzinfo is not None
    assert (shown["amount"], shown["status"]) == (amount, status), shown


def test_money_between_users(visitor: Visitor, operator: Visitor) -> None:
    card = {"phoneNumber": "+12125550123", "debitCardId": "pm_card_visa_debit"}
    anna, anna_user = signed_up(visitor, "anna", **card)
    berta, berta_user = signed_up(visitor, "berta")
    anna_id, berta_id = anna_user["userId"], berta_user["userId"]
    operator(f"POST /v1/accounts/{anna_user['accountId']}/deposit", {"amount": "50", "currency": "USD"}, 201)

    shown = anna.until(f"GET /v1/user/{anna_id}?{SPANS}", balance=5_000)
    fields_of(shown, userId=str, createTime=str, email=str, phoneNumber=str, debitCardId=str, balance=int)
    fields_of(shown, bankacounts=list)
    assert (shown["email"], shown["phoneNumber"]) == ("anna@example.com", "+12125550123")
    assert shown["debitCardId"] == card["debitCardId"]

    asked = transaction(anna_id, berta_id, 10.5)
    sent = anna("POST /v1/transaction", asked)
    is_transaction(sent, 1_050, "accepted")
    assert anna("POST /v1/transaction", asked)["transactionId"] == sent["transactionId"]
    is_transaction(anna("POST /v1/transaction", transaction(anna_id, berta_id, 2.0)), 200, "accepted")
    berta.until(f"GET /v1/user/{berta_id}", balance=1_250)
    is_transaction(anna("POST /v1/transaction", transaction(anna_id, berta_id, 1_000.0)), 100_000, "declined")
    nobody = anna.refused("POST /v1/transaction", transaction(anna_id, "usr_" + "0" * 26, 1.0), 404, "alias_not_found")
    fields_of(nobody, errorMessage=str)
    assert nobody["errors"][0]["pointer"] == "/toId"
    foreign = transaction(anna_id, berta_id, 1.0)
    fields_of(berta.refused("POST /v1/transaction", foreign, 404, "account_not_found"), errorMessage=str)

    history = f"GET /v1/transactions/{anna_id}?{SPANS}"
    eventually(lambda: len(anna(history)["transactions"]) == 4, "the deposit and three transactions")
    listed = anna(history)["transactions"]
    for shown, amount, status in zip(listed, (100_000, 200, 1_050), ("declined", "accepted", "accepted"), strict=False):
        is_transaction(shown, amount, status)
    assert anna(f"GET /v1/transactions/{anna_id}?endtime=2026-01-01T00:00:00Z")["transactions"] == []
    first = anna(f"{history}&limit=2")
    second = anna(f"{history}&limit=2&cursor={first['nextCursor']}")
    assert [first["hasMore"], second["hasMore"]] == [True, False]
    assert first["transactions"] + second["transactions"] == listed
    assert [one["amount"] for one in berta(f"GET /v1/transactions/{berta_id}")["transactions"][-2:]] == [200, 1_050]
    assert {words.wallet for words in WORDS.values()} == {"declined", "accepted", "waiting for verification"}


def test_money_between_a_user_and_the_users_bank(visitor: Visitor, operator: Visitor, bank: BankProcess) -> None:
    operator("POST /v1/external-banks", registration(bank), 201)
    carla, user = signed_up(visitor, "carla")
    id_, account = user["userId"], user["accountId"]
    operator(f"POST /v1/accounts/{account}/deposit", {"amount": "50", "currency": "USD"}, 201)

    linked = carla(f"POST /v1/user/{id_}/accounts", BANK_DETAILS, 201)
    fields_of(linked, BankAcountId=str, userId=str, createTime=str, bankName=str, bankPhoneNumber=str, bankEmail=str)
    told = {name: linked[name] for name in ("bankName", "bankPhoneNumber", "bankEmail")}
    assert told.items() <= BANK_DETAILS.items()
    bank_account = linked["BankAcountId"]
    early = transaction(id_, bank_account, 5.0)
    fields_of(carla.refused("POST /v1/transaction", early, 422, "bank_account_unverified"), errorMessage=str)

    verification = f"POST /v1/user/{id_}/accounts/{bank_account}/verify"
    assert carla(verification, {}, 202)["status"] == "pending"
    eventually(lambda: len(sent_to(bank, NUMBER)) == 2, "both amounts are at the bank")
    assert carla(verification, {"amounts": sent_to(bank, NUMBER)})["status"] == "verified"
    too_much = transaction(id_, bank_account, Settings().auth_second_factor_above + 1.0)
    carla.refused("POST /v1/transaction", too_much, 401, "second_factor_required")
    is_transaction(done(carla, transaction(id_, bank_account, 5.0)), 500, "accepted")
    is_transaction(done(carla, transaction(bank_account, id_, 7.25)), 725, "accepted")
    carla.until(f"GET /v1/user/{id_}", balance=5_225)

    for spelling in ("bankAccounts", "bankAccuonts"):
        shown = carla(f"GET /v1/{spelling}/{id_}?{SPANS}")
        assert [one["BankAcountId"] for one in shown["bankacounts"]] == [bank_account]
    assert [one["BankAcountId"] for one in carla(f"GET /v1/user/{id_}?{SPANS}")["bankacounts"]] == [bank_account]
    assert carla(f"DELETE /v1/user/{id_}/accounts/{bank_account}")["status"] == "unlinked"
    gone = transaction(id_, bank_account, 5.0)
    fields_of(carla.refused("POST /v1/transaction", gone, 422, "bank_account_unverified"), errorMessage=str)


def test_a_bank_account_is_proved_by_its_bank_at_once(visitor: Visitor, operator: Visitor, bank: BankProcess) -> None:
    operator("POST /v1/external-banks", registration(bank), 201)
    dora, user = signed_up(visitor, "dora")
    path = f"/v1/user/{user['userId']}"
    (linked,) = dora(f"PUT {path}", BANK_DETAILS)["bankacounts"]
    verification = f"POST {path}/accounts/{linked['BankAcountId']}/verify"
    wrong = dora.refused(verification, {"code": "made up"}, 422, "bank_account_verification")
    assert "Tries left: 2" in wrong["errorMessage"]
    bank.tell("accounts", number=NUMBER, holder="Somebody Else")
    foreign = bank.tell("codes", number=NUMBER)["code"]
    dora.refused(verification, {"code": foreign}, 422, "bank_account_verification")
    bank.tell("accounts", number=NUMBER, holder="Dora")
    proved = dora(verification, bank.tell("codes", number=NUMBER))
    assert proved["status"] == "verified"

    assert dora(f"PUT {path}", {"unlinkBankAccountId": linked["BankAcountId"]})["bankacounts"] == []
    again = dora(f"POST {path}/accounts", BANK_DETAILS, 201)
    assert dora(f"DELETE /v1/account/{again['BankAcountId']}")["status"] == "unlinked"
    assert dora(f"GET /v1/bankAccuonts/{user['userId']}")["bankacounts"] == []


def registration(bank: BankProcess) -> dict[str, Any]:
    credentials = {"client_id": "millrace", "client_secret": SECRET}
    return {"bank_name": BANK_DETAILS["bankName"], "api_url": bank.url, "auth_credentials": credentials}


def sent_to(bank: BankProcess, number: str) -> list[str]:
    """Amounts that have come in at an account of the bank."""
    return [one["amount"] for one in bank.transfers() if (one["number"], one["direction"]) == (number, "credit")]


def done(visitor: Visitor, asked: dict[str, Any]) -> dict[str, Any]:
    """The transaction once the bank has done it: the same body is the same transaction."""
    shown: dict[str, Any] = {}

    def is_done() -> bool:
        shown.update(visitor("POST /v1/transaction", asked))
        return bool(shown["status"] != "waiting for verification")

    eventually(is_done, "the bank has done it")
    return shown

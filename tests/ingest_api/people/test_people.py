"""Goal: people sign up, see themselves and nobody else, link bank accounts and prove them; numbers never go out whole.

Method: the app with a real Postgres; the partition that decides is in memory.
"""

from typing import Any

import httpx
import pytest

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Scope
from ingest_api.identity.users.user import Field, Refused, UserFault
from payments.entries import EntryKind
from payments.identifiers import BANK_ACCOUNT, parse_id
from runtime.personal_data.personal import Personal
from schemas.tables.bank_verifications import Finding, ToldBank
from tests.ingest_api.client import problem_of
from tests.ingest_api.owners.world import CUSTOMER, Caller, World, raw

SIGN_UP = {
    "username": "anna.k",
    "email": "Anna@Example.com",
    "phone": "+49 151 23456789",
    "address": "Kastanienallee 7, 10435 Berlin",
    "name": "Anna Kowalska",
    "password": "a heron under the bridge",
}
IBAN = "DE89 3704 0044 0532 0130 00"
BANK = {
    "bank_name": "First Bank",
    "api_url": "https://api.bank.example.com/v1",
    "auth_credentials": {"client_id": "millrace", "client_secret": "s3cret of the bank"},
}


async def signed_up(world: World, **fields: str) -> tuple[Caller, dict[str, Any]]:
    """A user who has signed up, with a token of theirs and an account."""
    answer = await world.nobody("POST", "/v1/user", SIGN_UP | fields)
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    caller = world.caller(user["userId"], *CUSTOMER, Scope.USERS_READ, Scope.USERS_WRITE)
    await world.account_of(caller)
    return caller, user


async def linked(caller: Caller, user: dict[str, Any], **fields: str) -> httpx.Response:
    body = {"bankName": "First Bank", "bankAcountNumber": IBAN, "bankRoutingNumber": ""} | fields
    return await caller("POST", f"/v1/user/{user['userId']}/accounts", body)


async def test_who_signs_up_is_found_by_each_name(world: World) -> None:
    caller, user = await signed_up(world)
    for name in (user["userId"], "ANNA@example.com", "+4915123456789", "Anna.K"):
        shown = await caller("GET", f"/v1/user/{name}")
        assert shown.status_code == 200, (name, shown.text)
        assert shown.json()["userId"] == user["userId"]
    assert shown.json()["balance"] == 0
    assert shown.json()["bankAccounts"] == shown.json()["bankacounts"] == []


@pytest.mark.parametrize("taken", ["username", "email", "phone"])
async def test_what_another_user_has_is_taken(world: World, taken: str) -> None:
    await signed_up(world)
    other = {
        "username": "otto",
        "email": "otto@example.com",
        "phone": "+4915123456780",
        "password": SIGN_UP["password"],
    }
    answer = await world.nobody("POST", "/v1/users", other | {taken: SIGN_UP[taken]})
    problem = problem_of(answer, 409, "user_taken")
    assert SIGN_UP[taken] not in answer.text
    assert problem["errors"][0]["pointer"] == {"phone": "/phoneNumber"}.get(taken, f"/{taken}")


async def test_a_repeated_sign_up_is_one_user(world: World) -> None:
    first = await world.nobody("POST", "/v1/user", SIGN_UP, Idempotency_Key="once")
    again = await world.nobody("POST", "/v1/user", SIGN_UP, Idempotency_Key="once")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["userId"] == again.json()["userId"]
    other = await world.nobody("POST", "/v1/user", SIGN_UP | {"email": "x@example.com"}, Idempotency_Key="once")
    problem_of(other, 422, "idempotency_key_reused")
    guessed = SIGN_UP | {"password": "another heron elsewhere"}
    problem_of(await world.nobody("POST", "/v1/user", guessed, Idempotency_Key="once"), 422, "idempotency_key_reused")


async def test_a_stranger_is_told_the_same_of_users_who_exist_and_who_don_t(world: World) -> None:
    _, user = await signed_up(world)
    berta = world.caller("usr_" + "2" * 26, *CUSTOMER, Scope.USERS_READ)
    texts = set()
    for name in (user["userId"], "anna@example.com", "+4915123456789", "anna.k", "nobody", "nobody@example.com"):
        answer = await berta("GET", f"/v1/user/{name}")
        problem = problem_of(answer, 404, "user_not_found")
        texts.add(problem["detail"])
    assert len(texts) == 1


async def test_a_short_password_or_a_bad_address_is_refused_with_its_place(world: World) -> None:
    short = await world.nobody("POST", "/v1/user", SIGN_UP | {"password": "hunter2"})
    assert problem_of(short, 422, "password_refused")["errors"][0]["pointer"] == "/password"
    named = SIGN_UP | {"name": "Berta Rumpelstilz", "password": "rumpelstilz-is-here-1"}
    problem_of(await world.nobody("POST", "/v1/user", named), 422, "password_refused")
    bad = await world.nobody("POST", "/v1/user", SIGN_UP | {"email": "anna at home"})
    assert problem_of(bad, 422, "field_invalid")["errors"][0]["pointer"] == "/email"


async def test_addresses_change_and_a_taken_one_is_refused(world: World) -> None:
    caller, user = await signed_up(world)
    changed = await caller("PUT", f"/v1/user/{user['userId']}", {"email": "new@example.com", "address": ""})
    assert (changed.json()["email"], changed.json()["address"]) == ("new@example.com", "")
    other, _ = await signed_up(world, username="otto", email="otto@example.com", phone="+4915123456780")
    problem_of(await other("PUT", "/v1/user", {"email": "new@example.com"}), 409, "user_taken")


async def test_a_change_is_made_to_what_was_seen_and_a_payment_does_not_count(world: World) -> None:
    caller, user = await signed_up(world)
    path = f"/v1/user/{user['userId']}"
    first = (await caller("GET", path)).headers["etag"]
    account = (await caller("GET", path)).json()["accountId"]
    world.rows("UPDATE accounts SET changed_at = now() WHERE account_id = %s RETURNING 1", raw(account).hex())
    changed = await caller("PUT", path, {"email": "new@example.com"}, If_Match=first)
    assert (changed.status_code, changed.json()["email"]) == (200, "new@example.com"), changed.text
    lost = await caller("PUT", "/v1/user", {"address": "Elsewhere 1"}, If_Match=first)
    problem_of(lost, 412, "precondition_failed")
    assert (await caller("GET", path)).headers["etag"] == changed.headers["etag"]
    seen = await world.services.identity.users.find(raw(user["userId"], USER))
    assert seen is not None
    asked = [{Field.ADDRESS: Personal(text)} for text in ("Hill 1", "Dale 2")]
    change = world.services.identity.users.change
    both = [await change(seen.user, values, seen_at=seen.changed_at) for values in asked]
    assert both[1] == Refused(UserFault.CHANGED)


async def test_a_linked_account_is_pending_masked_and_listed_under_both_spellings(world: World) -> None:
    caller, user = await signed_up(world)
    answer = await linked(caller, user)
    assert answer.status_code == 201, answer.text
    account = answer.json()
    assert (account["status"], account["number"]) == ("pending", "DE…3000")
    assert account["BankAcountId"] == account["bankAccountId"]
    for spelling in ("bankAccounts", "bankAccuonts"):
        listed = await caller("GET", f"/v1/{spelling}/{user['userId']}?startTime=2020-01-01T00:00:00Z")
        assert listed.json()["bankacounts"] == [account]
        late = await caller("GET", f"/v1/{spelling}/{user['userId']}?endtime=2020-01-01T00:00:00Z")
        assert late.json()["bankAccounts"] == []
    assert "370400440532013000" not in repr(world.rows("SELECT * FROM linked_bank_accounts")) + listed.text


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"bankAcountNumber": "DE89 3704 0044 0532 0130 01"}, "/bankAccountNumber"),
        ({"bankAcountNumber": "123456789", "bankRoutingNumber": "021000022"}, "/bankRoutingNumber"),
        ({"bankAcountNumber": "12", "bankRoutingNumber": "021000021"}, "/bankAccountNumber"),
        ({"externalBankId": "xbk_" + "0" * 26}, "/externalBankId"),
    ],
)
async def test_a_number_that_can_t_be_one_is_refused(world: World, fields: dict[str, str], pointer: str) -> None:
    caller, user = await signed_up(world)
    answer = await linked(caller, user, **fields)
    assert problem_of(answer, 422, "field_invalid")["errors"][0]["pointer"] == pointer


async def test_put_links_and_unlinks_as_document_0_says(world: World) -> None:
    caller, user = await signed_up(world)
    path = f"/v1/user/{user['userId']}"
    routed = {"bankName": "Chase", "bankAcountNumber": "123456789", "bankRoutingNumber": "021000021"}
    (account,) = (await caller("PUT", path, routed)).json()["bankacounts"]
    assert (account["bankName"], account["number"]) == ("Chase", "…6789")
    gone = await caller("PUT", path, {"unlinkBankAccountId": account["bankAccountId"]})
    assert gone.json()["bankacounts"] == []
    again = await caller("DELETE", f"/v1/account/{account['bankAccountId']}")
    assert again.json()["status"] == "unlinked"


async def with_bank(world: World) -> str:
    answer = await world.operator("POST", "/v1/external-banks", BANK)
    assert answer.status_code == 201, answer.text
    bank_id: str = answer.json()["id"]
    assert "s3cret" not in answer.text
    return bank_id


async def test_two_small_amounts_prove_it_once_sent_and_within_three_tries(world: World) -> None:
    await with_bank(world)
    caller, user = await signed_up(world)
    account = (await linked(caller, user)).json()["bankAccountId"]
    path = f"/v1/user/{user['userId']}/accounts/{account}/verify"
    early = await caller("POST", path, {"amounts": ["0.10", "0.20"]})
    problem_of(early, 422, "bank_account_verification")
    before = len(world.partition.entries)
    for _ in range(2):
        sent = await caller("POST", path, {})
        assert (sent.status_code, sent.json()["status"]) == (202, "pending")
    link_id = parse_id(BANK_ACCOUNT, account)
    assert link_id is not None
    amounts = world.services.people.small_amounts.of(link_id)
    reserved = {entry.operation_id: entry.amount_minor for entry in world.partition.entries[before:]}
    assert sorted(reserved.values())[-3:-1] == sorted(amounts) or set(amounts) <= set(reserved.values())
    wrong = [f"0.{(amounts[0] + 1) % 100 + 1:02}", f"0.{amounts[1]:02}"]
    problem_of(await caller("POST", path, {"amounts": wrong}), 422, "bank_account_verification")
    right = [f"{amounts[1] / 100:.2f}", f"{amounts[0] / 100:.2f}"]
    proved = await caller("POST", path, {"amounts": right})
    assert (proved.status_code, proved.json()["status"]) == (200, "verified")


async def test_after_three_wrong_tries_the_right_one_is_too_late(world: World) -> None:
    await with_bank(world)
    caller, user = await signed_up(world)
    account = (await linked(caller, user)).json()["bankAccountId"]
    path = f"/v1/user/{user['userId']}/accounts/{account}/verify"
    await caller("POST", path, {})
    amounts = world.services.people.small_amounts.of(parse_id(BANK_ACCOUNT, account) or b"")
    for _ in range(3):
        await caller("POST", path, {"amounts": ["0.99", f"{max(1, (amounts[0] + 50) % 99) / 100:.2f}"]})
    right = [f"{amount / 100:.2f}" for amount in amounts]
    answer = await caller("POST", path, {"amounts": right})
    assert "Unlink" in problem_of(answer, 422, "bank_account_verification")["detail"]


async def test_a_code_is_one_question_and_one_that_nobody_answers_is_no_try(world: World) -> None:
    await with_bank(world)
    caller, user = await signed_up(world)
    id_ = parse_id(BANK_ACCOUNT, (await linked(caller, user)).json()["bankAccountId"]) or b""
    register, questions = world.services.people.linked, world.services.people.verifications
    link = await register.find(id_)
    assert link is not None
    assert link.told.bank is not None
    first, again = [await questions.ask(link, link.told.bank, ToldBank("Anna", "1")) for _ in range(2)]
    assert isinstance(first, bytes)
    assert first == again
    assert await questions.finding(link, first) is None
    world.rows("UPDATE bank_verifications SET asked_at = asked_at - interval '1 hour' RETURNING 1")
    assert await questions.finding(link, first) is Finding.UNANSWERED
    await questions.give_back(link, first)
    asked = [await questions.ask(link, link.told.bank, ToldBank("Anna", code)) for code in "12345"]
    assert [one is not None for one in asked] == [True] * 3 + [False] * 2
    assert "Anna" not in repr(world.rows("SELECT * FROM bank_verifications"))


async def test_no_money_leaves_to_an_account_that_is_not_verified(world: World) -> None:
    bank = await with_bank(world)
    caller, user = await signed_up(world)
    account = (await caller("GET", f"/v1/user/{user['userId']}")).json()["accountId"]
    linked_id = (await linked(caller, user)).json()["bankAccountId"]
    body = {"from_account": account, "to_account": linked_id, "amount": "1.00", "currency": "EUR"}
    before = len(world.partition.entries)
    refused = await caller("POST", f"/v1/external-banks/{bank}/transfers", body)
    problem_of(refused, 422, "bank_account_unverified")
    assert len(world.partition.entries) == before


async def test_a_payout_goes_to_a_verified_bank_account_alone(world: World) -> None:
    """Regression: a seller could name any token of a provider, whoever's bank account it was."""
    bank = await with_bank(world)
    caller, user = await signed_up(world)
    account = (await caller("GET", f"/v1/user/{user['userId']}")).json()["accountId"]
    paid = {"amount": "20.00", "currency": "EUR"}
    assert (await world.operator("POST", f"/v1/accounts/{account}/deposit", paid)).status_code == 201
    linked_id = (await linked(caller, user)).json()["bankAccountId"]
    asked = {"account": account, "amount": "5.00", "currency": "EUR"}
    for destination in ("ba_1", linked_id):
        refused = await caller("POST", "/v1/payouts", asked | {"destination": destination}, Prefer="wait=0")
        problem_of(refused, 422, "bank_account_unverified")
    await world.services.aliases.register.prove(parse_id(BANK_ACCOUNT, linked_id) or b"")
    sent = await caller("POST", "/v1/payouts", asked | {"destination": linked_id}, Prefer="wait=0")
    assert (sent.status_code, sent.json()["provider"]) == (202, "bank"), sent.text
    [requested] = [entry for entry in world.partition.entries if entry.kind is EntryKind.JOURNAL_OPENED]
    assert f"{bank}/{linked_id}" in repr(requested)
    theirs = await world.account_of(world.berta)
    foreign = asked | {"account": theirs, "destination": linked_id}
    problem_of(await world.berta("POST", "/v1/payouts", foreign), 404, "bank_account_not_found")


async def test_document_0_s_transaction_is_a_transfer_in_its_words(world: World) -> None:
    caller, user = await signed_up(world)
    account = (await caller("GET", f"/v1/user/{user['userId']}")).json()["accountId"]
    paid = {"amount": "20.00", "currency": "EUR"}
    assert (await world.operator("POST", f"/v1/accounts/{account}/deposit", paid)).status_code == 201
    payee = await world.account_of(world.berta)
    body = {"fromId": user["userId"], "toId": payee, "transactionDate": "2026-01-02T03:04:05Z", "amount": 10.5}
    sent = (await caller("POST", "/v1/transaction", body)).json()
    assert (sent["fromId"], sent["toId"], sent["amount"]) == (account, payee, 1_050)
    assert sent["status"] in {"accepted", "waiting for verification"}
    too_much = await caller("POST", "/v1/transaction", body | {"amount": 999})
    assert (too_much.status_code, too_much.json()["status"]) == (200, "declined")
    nobody = await caller("POST", "/v1/transaction", body | {"toId": "email:nobody@example.com"})
    assert nobody.status_code == 404
    assert nobody.json()["errorMessage"]


async def test_a_transaction_to_the_own_bank_is_held_until_the_bank_has_done_it(world: World) -> None:
    await with_bank(world)
    caller, user = await signed_up(world)
    account = (await caller("GET", f"/v1/user/{user['userId']}")).json()["accountId"]
    await world.operator("POST", f"/v1/accounts/{account}/deposit", {"amount": "20.00", "currency": "EUR"})
    linked_id = (await linked(caller, user)).json()["bankAccountId"]
    body = {"fromId": user["userId"], "toId": linked_id, "transactionDate": "2026-01-02T03:04:05Z", "amount": 5}
    problem_of(await caller("POST", "/v1/transaction", body), 422, "bank_account_unverified")
    await world.services.aliases.register.prove(parse_id(BANK_ACCOUNT, linked_id) or b"")
    sent = (await caller("POST", "/v1/transaction", body, prefer="wait=0")).json()
    assert (sent["status"], sent["toId"], sent["amount"]) == ("waiting for verification", linked_id, 500)
    assert world.partition.entries[-1].amount_minor == 500
    berta = await caller("POST", "/v1/transaction", body | {"toId": "bnk_" + "1" * 26})
    problem_of(berta, 404, "bank_account_not_found")


async def test_a_user_s_transactions_are_the_user_s_alone(world: World) -> None:
    caller, user = await signed_up(world)
    account = (await caller("GET", f"/v1/user/{user['userId']}")).json()["accountId"]
    payee = await world.account_of(world.berta)
    world.paid(account, payee, b"\x31" * 16)
    path = f"/v1/transactions/{user['userId']}"
    listed = (await caller("GET", path + "?startTime=2020-01-01T00:00:00Z")).json()
    assert [(one["fromId"], one["toId"], one["amount"]) for one in listed["transactions"]] == [(account, payee, 100)]
    assert (await caller("GET", path + "?endtime=2020-01-01T00:00:00Z")).json()["transactions"] == []
    problem_of(await world.berta("GET", path), 404, "user_not_found")

"""Commands through the whole installation: what a caller is told is what happened."""

import secrets
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from ingest_api.identity.tokens import Scope
from payments.identifiers import parse_id
from payments.lifecycle import PaymentStatus
from runtime.settings import Settings
from schemas.codec.commands import decode_body, items
from schemas.partitioning import shard_of
from tests.ingest_api.client import ApiClient, command_record, problem_of
from tests.ingest_api.conftest import Paused


def test_a_posted_transfer_is_answered_201_with_its_journal_entry(api: ApiClient) -> None:
    payer, payee = api.funded_account("100.00"), api.open_account()
    response = api.transfer(payer, payee, "12.50", description="Rent, März")
    assert response.status_code == 201, response.text
    payment = response.json()
    assert payment["status"] == PaymentStatus.POSTED
    assert payment["final"] is True
    assert (payment["amount"], payment["amount_minor"]) == ("12.50", 1250)
    assert payment["journal_id"] == payment["id"].replace("pay_", "jnl_")
    assert response.headers["Location"] == f"/v1/transfers/{payment['id']}"
    seen = api.get(response.headers["Location"], response).json()
    assert seen | {"decided_at": None} == payment | {"decided_at": None}


def test_balances_show_a_write_to_the_caller_who_sends_its_token(api: ApiClient) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    for sent in range(1, 6):
        response = api.transfer(payer, payee, "1.00", wait_s=0)
        assert response.status_code == 202
        assert api.balance_minor(payee, response) == 100 * sent
        assert api.balance_minor(payer, response) == 1000 - 100 * sent


def test_the_same_key_and_body_answer_the_first_outcome_again(api: ApiClient) -> None:
    payer, payee, key = api.funded_account("10.00"), api.open_account(), secrets.token_hex(8)
    first = api.transfer(payer, payee, "4.00", key=key)
    again = api.transfer(payer, payee, "4.00", key=f'"{key}"')
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["status"] == PaymentStatus.POSTED
    assert api.balance_minor(payer, again) == 600


def test_a_replay_of_a_refusal_is_the_same_refusal(api: ApiClient) -> None:
    payer, payee, key = api.open_account(), api.open_account(), secrets.token_hex(8)
    first = problem_of(api.transfer(payer, payee, "4.00", key=key), 422, "insufficient_funds")
    api.deposit(payer, "100.00")
    replay = api.transfer(payer, payee, "4.00", key=key)
    again = problem_of(replay, 422, "insufficient_funds")
    assert again["payment"]["id"] == first["payment"]["id"]
    assert replay.headers["Idempotency-Replayed"] == "true"


def test_the_same_key_with_another_body_moves_nothing(api: ApiClient) -> None:
    payer, payee, key = api.funded_account("10.00"), api.open_account(), secrets.token_hex(8)
    api.transfer(payer, payee, "4.00", key=key)
    response = api.transfer(payer, payee, "4.01", key=key)
    problem_of(response, 422, "idempotency_key_reused")
    assert api.balance_minor(payer, response) == 600


def test_many_callers_with_one_key_move_the_money_once(api: ApiClient) -> None:
    payer, payee, key = api.funded_account("100.00"), api.open_account(), secrets.token_hex(8)
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(api.transfer(payer, payee, "10.00", key=key))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert api.balance_minor(payee, answers[-1]) == 1000


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("0.1", "EUR", 10), ("1e2", "EUR", 10_000), ("7", "JPY", 7), ("1.234", "KWD", 1234), ('"0.30"', "EUR", 30)],
)
def test_amounts_are_read_as_exact_decimals(api: ApiClient, amount: str, currency: str, minor: int) -> None:
    account = api.open_account(currency)
    body = f'{{"amount": {amount}, "currency": "{currency}"}}'
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k", "Prefer": "wait=20"}
    response = api.http.post(f"/v1/accounts/{account}/deposit", content=body, headers=headers)
    assert response.status_code == 201, response.text
    assert response.json()["amount_minor"] == minor


def test_a_refusal_holds_the_payment(api: ApiClient) -> None:
    payer, payee = api.funded_account("1.00"), api.open_account()
    response = api.transfer(payer, payee, "1.01")
    payment = problem_of(response, 422, "insufficient_funds")["payment"]
    assert (payment["status"], payment["final"]) == (PaymentStatus.REJECTED, True)
    seen = api.get(f"/v1/transfers/{payment['id']}/status", response).json()
    assert seen == {
        "id": payment["id"],
        "status": PaymentStatus.REJECTED,
        "transfer_status": "failed",
        "final": True,
        "reason": "insufficient_funds",
    }


def test_money_comes_back_from_a_payee_that_cannot_take_it(api: ApiClient, settings: Settings) -> None:
    """In the same partition the two steps are one; the payees are chosen so that both ways are taken."""
    payer = api.funded_account("10.00")
    here = shard_of(parse_id("acc", payer) or b"", settings.shards)
    frozen: dict[bool, str] = {}
    while len(frozen) < 2:
        payee = api.open_account()
        frozen[shard_of(parse_id("acc", payee) or b"", settings.shards) == here] = payee
    for payee in frozen.values():
        assert api.http.put(f"/v1/accounts/{payee}", json={"status": "frozen"}).status_code == 200
        response = api.transfer(payer, payee, "3.00")
        assert problem_of(response, 422, "payee_frozen")["payment"]["status"] == PaymentStatus.RETURNED
        assert api.balance_minor(payer, response) == 1000


def test_unknown_accounts_are_404(api: ApiClient) -> None:
    payer, nobody = api.funded_account("10.00"), "acc_01jd5v2q7xf8k8v6n3m4p5r6st"
    problem_of(api.transfer(nobody, payer, "1.00"), 404, "account_not_found")
    problem_of(api.transfer(payer, nobody, "1.00"), 404, "payee_not_found")
    problem_of(api.deposit(nobody, "1.00"), 404, "payee_not_found")
    problem_of(api.get(f"/v1/accounts/{nobody}"), 404, "account_not_found")
    problem_of(api.get("/v1/accounts/acc_nonsense/balance"), 404, "account_not_found")
    problem_of(api.get("/v1/transfers/pay_01jd5v2q7xf8k8v6n3m4p5r6st"), 404, "payment_not_found")


def test_without_a_decision_in_time_the_answer_is_202_and_the_payment_goes_on(api: ApiClient, paused: Paused) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    with paused("worker-0"):
        started_s = time.monotonic()
        response = api.transfer(payer, payee, "1.00", wait_s=1)
        assert 0.9 < time.monotonic() - started_s < 5
    assert response.status_code == 202
    assert response.json()["status"] == PaymentStatus.RECEIVED
    assert response.headers["Preference-Applied"] == "wait=1"
    assert api.get(response.headers["Location"], response).json()["status"] == PaymentStatus.POSTED


def test_the_record_names_its_call_and_its_trace(api: ApiClient, settings: Settings) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"from_account": payer, "to_account": payee, "amount": "1", "currency": "EUR"}
    response = api.post("/v1/transfers", body, "order-1", traceparent=trace, x_request_id="call-7", prefer="wait=20")
    seen = api.get(f"/v1/transactions/{response.json()['id']}", response).json()
    step = seen["timeline"][0]
    record = command_record(settings.kafka_bootstrap, step["partition"], step["offset"])
    assert dict(record.headers() or []) == {"request_id": b"call-7", "traceparent": trace.encode()}
    assert record.key() == parse_id("acc", payer)
    (command,) = [decode_body(item) for item in items(record.value() or b"")]
    assert (command.idempotency_key, command.amount_minor) == ("order-1", 100)


def test_the_paths_work_without_the_version(api: ApiClient) -> None:
    opened = api.post("/accounts", {"currency": "EUR"}, prefer="wait=20")
    assert opened.status_code == 201
    account = opened.json()["id"]
    body = {"from_account": account, "to_account": api.open_account(), "amount": "1", "currency": "EUR"}
    problem_of(api.post("/transfers", body, prefer="wait=20"), 422, "insufficient_funds")
    assert api.get(f"/accounts/{account}/balance", opened).status_code == 200
    assert api.get("/transactions", opened, account=account).status_code == 200


def test_an_account_is_opened_once_per_caller_and_key(api: ApiClient) -> None:
    key = secrets.token_hex(8)
    first = api.post("/v1/accounts", {"currency": "EUR", "overdraft_limit": "5"}, key, prefer="wait=20")
    again = api.post("/v1/accounts", {"currency": "EUR", "overdraft_limit": "5"}, key, prefer="wait=20")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    problem_of(api.post("/v1/accounts", {"currency": "JPY"}, key, prefer="wait=20"), 422, "idempotency_key_reused")
    keyless = [api.http.post("/v1/accounts", json={"currency": "EUR"}).json()["id"] for _ in range(2)]
    assert len({first.json()["id"], *keyless}) == 3


def test_an_account_is_frozen_unfrozen_limited_and_closed(api: ApiClient) -> None:
    account, payee = api.funded_account("1.00"), api.open_account()
    path = f"/v1/accounts/{account}"
    problem_of(api.http.put(path, json={"status": "closed"}), 422, "balance_not_zero")
    assert api.http.put(path, json={"status": "frozen"}).status_code == 200
    problem_of(api.transfer(account, payee, "1.00"), 422, "account_frozen")
    changed = api.http.put(path, json={"status": "open", "overdraft_limit": "5.00"})
    assert [command["command"] for command in changed.json()["commands"]] == ["set_overdraft_limit", "unfreeze_account"]
    assert api.get(path, changed).json()["overdraft_limit_minor"] == 500
    drawn = api.transfer(account, payee, "6.00")
    assert drawn.status_code == 201
    assert api.get(f"{path}/balance", drawn).json()["available"] == "-5.00"
    refused = problem_of(api.http.put(path, json={"overdraft_limit": "4.99"}), 422, "overdraft_in_use")
    assert refused["commands"][0]["code"] == "overdraft_in_use"
    assert api.deposit(account, "5.00").status_code == 201
    closed = api.http.put(path, json={"status": "closed"})
    assert api.get(path, closed).json()["status"] == "closed"
    problem_of(api.deposit(account, "1.00"), 422, "payee_closed")


def test_a_change_of_an_account_is_repeated_safely(api: ApiClient) -> None:
    account = api.open_account()
    headers = {"Idempotency-Key": "freeze-1"}
    first = api.http.put(f"/v1/accounts/{account}", json={"status": "frozen"}, headers=headers)
    api.http.put(f"/v1/accounts/{account}", json={"status": "open"})
    again = api.http.put(f"/v1/accounts/{account}", json={"status": "frozen"}, headers=headers)
    assert (first.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert api.get(f"/v1/accounts/{account}", again).json()["status"] == "open"


def test_writing_needs_its_scope(caller_with: Callable[..., ApiClient], api: ApiClient) -> None:
    account = api.open_account()
    paid_in = api.deposit(account, "1.00")
    reader = caller_with(Scope.ACCOUNTS_ANY, Scope.ACCOUNTS_READ, Scope.PAYMENTS_READ)
    response = reader.transfer(account, account, "1.00")
    problem_of(response, 403, "scope_insufficient")
    assert Scope.PAYMENTS_WRITE in response.headers["WWW-Authenticate"]
    assert reader.get(f"/v1/accounts/{account}/balance", paid_in).status_code == 200

"""Goal: the sandbox is as strict as Stripe where our safety rests on it: keys, balances, refunds, lists, kills.

Method: Stripe's own SDK against its process; what the SDK can't be made to send goes over plain HTTP.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from connectors.sandbox.exchange import MAX_KEY_CHARS
from connectors.sandbox.faults import FaultKind
from connectors.sandbox.server import LISTS
from tests.connectors.sandbox_process import API_KEY, SandboxProcess
from tests.support.waiting import eventually

PAID = {"amount": 1_000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
HOUR_S = 3_600


def post(sandbox: SandboxProcess, path: str, fields: dict[str, str], key: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {API_KEY}"} | ({"Idempotency-Key": key} if key else {})
    return httpx.post(f"{sandbox.url}{path}", data=fields, headers=headers)


def pay(sandbox: SandboxProcess, key: str = "", **fields: Any) -> Any:
    return sandbox.sdk().payment_intents.create(PAID | fields, {"idempotency_key": key or None})


def test_the_same_key_is_answered_the_same_and_says_so(sandbox: SandboxProcess) -> None:
    fields = {"amount": "700", "currency": "usd"}
    first, second = (post(sandbox, "/v1/payment_intents", fields, "same") for _ in range(2))
    assert first.json() == second.json()
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/payment_intents", {"amount": "701", "currency": "usd"}),
        ("/v1/payouts", {"amount": "700", "currency": "usd"}),
    ],
    ids=["other amount", "other path"],
)
def test_a_key_with_other_parameters_is_refused(sandbox: SandboxProcess, path: str, fields: dict[str, str]) -> None:
    post(sandbox, "/v1/payment_intents", {"amount": "700", "currency": "usd"}, "other")
    refused = post(sandbox, path, fields, "other")
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "idempotency_error")


def test_two_at_once_with_one_key_meet_a_409_and_one_charge(sandbox: SandboxProcess) -> None:
    sandbox.fault(FaultKind.LATENCY, seconds=1.0)
    fields = {"amount": "700", "currency": "usd", "metadata[race]": "yes"}
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: post(sandbox, "/v1/payment_intents", fields, "race"), range(2))
    assert sorted([first.status_code, second.status_code]) == [200, 409]
    assert sum(intent["metadata"].get("race") == "yes" for intent in sandbox.all("payment_intents")) == 1


def test_a_decline_is_remembered_by_its_key(sandbox: SandboxProcess) -> None:
    declined = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as refused:
            pay(sandbox, "decline", payment_method="pm_card_chargeDeclined")
        declined.append(refused.value.json_body)
    assert declined[0] == declined[1]


def test_a_parameter_that_is_wrong_leaves_the_key_free(sandbox: SandboxProcess) -> None:
    assert post(sandbox, "/v1/payment_intents", {"amount": "many", "currency": "usd"}, "free").status_code == 400
    assert post(sandbox, "/v1/payment_intents", {"amount": "700", "currency": "usd"}, "free").status_code == 200


def test_a_500_is_remembered_although_the_work_was_done(sandbox: SandboxProcess) -> None:
    sandbox.fault(FaultKind.ERROR_AFTER)
    fields = {"amount": "700", "currency": "usd", "metadata[error]": "after"}
    statuses = [post(sandbox, "/v1/payment_intents", fields, "error").status_code for _ in range(3)]
    assert statuses == [500, 500, 500]
    assert sum(intent["metadata"].get("error") == "after" for intent in sandbox.all("payment_intents")) == 1


def test_a_key_is_forgotten_after_a_day(own_sandbox: SandboxProcess) -> None:
    first = pay(own_sandbox, "old")
    own_sandbox.outside("clock", {"seconds": 23 * HOUR_S})
    assert pay(own_sandbox, "old").id == first.id
    own_sandbox.outside("clock", {"seconds": HOUR_S})
    assert pay(own_sandbox, "old").id != first.id


def test_a_key_has_at_most_so_many_characters(sandbox: SandboxProcess) -> None:
    fields = {"amount": "700", "currency": "usd"}
    assert post(sandbox, "/v1/payment_intents", fields, "k" * (MAX_KEY_CHARS + 1)).status_code == 400


@pytest.mark.parametrize("authorization", ["", "Bearer sk_live_1", "Basic c2tfdGVzdA==", "Basic x"])
def test_only_test_keys_are_let_in(sandbox: SandboxProcess, authorization: str) -> None:
    refused = httpx.get(f"{sandbox.url}/v1/balance", headers={"Authorization": authorization})
    assert refused.status_code == 401


def test_a_test_key_is_taken_as_the_user_of_basic_too(sandbox: SandboxProcess) -> None:
    """As Stripe's own examples with `curl -u` have it."""
    assert httpx.get(f"{sandbox.url}/v1/balance", auth=("sk_test_of_mine", "")).status_code == 200


@pytest.mark.parametrize("fault", [FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER])
def test_a_kill_leaves_all_of_a_request_or_nothing(own_sandbox: SandboxProcess, fault: FaultKind) -> None:
    kept = pay(own_sandbox, "kept")
    own_sandbox.fault(fault)
    with pytest.raises(stripe.APIConnectionError):
        pay(own_sandbox, "cut off")
    own_sandbox.wait_killed()
    own_sandbox.start()
    assert pay(own_sandbox, "kept").id == kept.id
    assert len(own_sandbox.all("charges")) == (2 if fault is FaultKind.KILL_AFTER else 1)
    repeated = pay(own_sandbox, "cut off")
    assert [charge["payment_intent"] for charge in own_sandbox.all("charges")] == [repeated.id, kept.id]


def test_refunds_at_the_same_time_never_exceed_the_charge(sandbox: SandboxProcess) -> None:
    intent = pay(sandbox)
    fields = {"payment_intent": intent.id, "amount": "600"}
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: post(sandbox, "/v1/refunds", fields, f"{intent.id}{n}"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]


def test_the_balance_is_the_sum_of_what_moved(own_sandbox: SandboxProcess) -> None:
    intent = pay(own_sandbox, amount=10_000)
    sdk = own_sandbox.sdk()
    sdk.refunds.create({"payment_intent": intent.id, "amount": 1_000})
    sdk.payouts.create({"amount": 2_000, "currency": "usd"})
    sdk.transfers.create({"amount": 500, "currency": "usd", "destination": "acct_1"})
    transactions = own_sandbox.all("balance_transactions")
    assert [(one["type"], one["amount"], one["fee"]) for one in transactions] == [
        ("transfer", -500, 0),
        ("payout", -2_000, 0),
        ("refund", -1_000, 0),
        ("charge", 10_000, 320),
    ]
    assert sdk.balance.retrieve().available[0].amount == sum(one["net"] for one in transactions) == 6_180


@pytest.mark.parametrize(
    ("evidence", "status", "left"), [("winning_evidence", "won", 0), ("losing_evidence", "lost", -1)]
)
def test_a_dispute_takes_the_money_and_evidence_may_bring_it_back(
    own_sandbox: SandboxProcess, evidence: str, status: str, left: int
) -> None:
    intent = pay(own_sandbox, payment_method="pm_card_createDispute")
    sdk = own_sandbox.sdk()
    (dispute,) = own_sandbox.all("disputes", payment_intent=intent.id)
    assert (dispute["status"], dispute["reason"]) == ("needs_response", "fraudulent")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sdk.refunds.create({"payment_intent": intent.id})
    assert refused.value.code == "charge_disputed"
    closed = sdk.disputes.update(dispute["id"], {"evidence": {"uncategorized_text": evidence}})
    assert closed.status == status
    assert sdk.balance.retrieve().available[0].amount == 1_000 - 59 - 1_500 + left * 1_000
    with pytest.raises(stripe.InvalidRequestError):
        sdk.disputes.close(dispute["id"])


def test_lists_are_paged_newest_first_and_filtered(own_sandbox: SandboxProcess) -> None:
    made = [pay(own_sandbox, metadata={"n": str(n)}).id for n in range(5)]
    sdk = own_sandbox.sdk()
    page = sdk.payment_intents.list({"limit": 2})
    assert ([one.id for one in page.data], page.has_more) == ([made[4], made[3]], True)
    assert [one.id for one in page.auto_paging_iter()] == made[::-1]
    rest = sdk.payment_intents.list({"limit": 2, "starting_after": made[1]})
    assert ([one.id for one in rest.data], rest.has_more) == ([made[0]], False)
    assert [charge["payment_intent"] for charge in own_sandbox.all("charges", payment_intent=made[2])] == [made[2]]
    assert own_sandbox.all("payment_intents", created={"gt": 2**40}) == []
    found = sdk.payment_intents.search({"query": "metadata['n']:'3'", "expand": ["data.latest_charge"]})
    assert [(one.id, one.latest_charge.amount) for one in found.data] == [(made[3], 1_000)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount": "1000"}, "parameter_missing"),
        ({"amount": "10.00", "currency": "usd"}, "parameter_invalid_integer"),
        ({"amount": "-5", "currency": "usd"}, "parameter_invalid_integer"),
        ({"amount": "49", "currency": "usd"}, "amount_too_small"),
        ({"amount": "101", "currency": "isk"}, "invalid_charge_amount_no_decimal_compatible"),
        ({"amount": "1005", "currency": "kwd"}, "invalid_charge_amount_no_decimal_compatible"),
        ({"amount": "1000", "currency": "USD"}, "invalid_currency"),
        ({"amount": "1000", "currency": "usd", "card_number": "4242"}, "parameter_unknown"),
        ({"amount": "1000", "currency": "usd", "capture_method": "later"}, "parameter_invalid_enum"),
        ({"amount": "1000", "currency": "usd", "confirm": "true"}, "parameter_missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_parameters_are_refused(sandbox: SandboxProcess, fields: dict[str, str], code: str) -> None:
    refused = post(sandbox, "/v1/payment_intents", fields)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize("path", LISTS)
def test_what_is_not_there_is_a_404(sandbox: SandboxProcess, path: str) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    missing = httpx.get(f"{sandbox.url}{path}/zz_1", headers=headers)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "resource_missing")


def test_an_unknown_fault_is_refused(sandbox: SandboxProcess) -> None:
    assert httpx.post(f"{sandbox.url}/_sandbox/faults", json={"kind": "earthquake"}).status_code == 400


def test_a_hang_ends_with_its_caller(sandbox: SandboxProcess) -> None:
    """And leaves the key free: nothing was done."""
    sandbox.fault(FaultKind.HANG_BEFORE)
    fields = {"amount": "700", "currency": "usd"}
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": "hang"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sandbox.url}/v1/payment_intents", data=fields, headers=headers, timeout=0.3)
    eventually(lambda: post(sandbox, "/v1/payment_intents", fields, "hang").status_code == 200, "the key is free")


def test_one_slow_call_holds_back_no_other(sandbox: SandboxProcess) -> None:
    sandbox.fault(FaultKind.LATENCY, seconds=2.0)
    slow = threading.Thread(target=pay, args=(sandbox, "slow"))
    slow.start()
    eventually(lambda: post(sandbox, "/v1/payment_intents", {"amount": "700", "currency": "usd"}).status_code == 200)
    assert slow.is_alive()
    slow.join()

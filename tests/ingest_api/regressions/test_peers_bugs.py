"""Bugs that users of other payment systems have reported, as they would show through the API: docs/peers_bugs.md."""

import secrets
import threading
from collections.abc import Callable

import httpx
import pytest

from payments.lifecycle import PaymentStatus
from tests.ingest_api.client import ApiClient, problem_of

WRITERS = 50


def at_once(calls: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Every call in a thread of its own, let go together."""
    answers: list[httpx.Response] = []
    gate = threading.Barrier(len(calls))

    def make(call: Callable[[], httpx.Response]) -> None:
        gate.wait()
        answers.append(call())

    threads = [threading.Thread(target=make, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(calls), "a call was left without an answer"
    return answers


def test_fifty_writers_with_one_key_are_all_answered_with_the_payment(api: ApiClient) -> None:
    """Formance ledger 364: 200 with an empty body, and a duplicate key, under 50 writers at once."""
    payer, payee, key = api.funded_account("100.00"), api.open_account(), secrets.token_hex(8)
    answers = at_once([lambda: api.transfer(payer, payee, "10.00", key=key)] * WRITERS)
    assert sorted(answer.status_code for answer in answers) == [200] * (WRITERS - 1) + [201]
    assert {answer.json()["status"] for answer in answers} == {PaymentStatus.POSTED}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert api.balance_minor(payee, answers[-1]) == 1_000


def test_fifty_writers_with_keys_of_their_own_all_move_their_money(api: ApiClient) -> None:
    """The same without a shared key: no writer is refused, or answered empty, because of the others."""
    payer, payee = api.funded_account("100.00"), api.open_account()
    answers = at_once([lambda: api.transfer(payer, payee, "1.00")] * WRITERS)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == WRITERS
    shown = [api.balance_minor(payee, answer) for answer in answers]
    assert max(shown) == WRITERS * 100


def test_two_debits_that_do_not_fit_together_are_not_both_posted(api: ApiClient) -> None:
    """Hyperswitch 13182: $60 and $60 at once against $100; Blnk 182: what was rejected was posted afterwards."""
    for _ in range(5):
        payer, payee = api.funded_account("100.00"), api.open_account()
        answers = at_once([lambda a=payer, b=payee: api.transfer(a, b, "60.00")] * 2)  # type: ignore[misc]
        posted, refused = sorted(answers, key=lambda answer: answer.status_code)
        assert posted.status_code == 201
        problem_of(refused, 422, "insufficient_funds")
        assert refused.json()["payment"]["status"] == PaymentStatus.REJECTED
        assert api.balance_minor(payer, posted) == 4_000
        again = api.get(f"/v1/transfers/{refused.json()['payment']['id']}", refused).json()
        assert again["status"] == PaymentStatus.REJECTED


def test_transfers_in_both_directions_at_once_lose_no_update(api: ApiClient) -> None:
    """Blnk 238 and 239: only the source was locked, so the destination's balance was written from a stale read."""
    one, other = api.funded_account("50.00"), api.funded_account("50.00")
    there, back = [lambda: api.transfer(one, other, "1.00")] * 20, [lambda: api.transfer(other, one, "2.00")] * 20
    answers = at_once([*there, *back])
    assert {answer.status_code for answer in answers} == {201}
    balances = [[api.balance_minor(account, answer) for answer in answers][-1] for account in (one, other)]
    assert sum(balances) == 10_000
    assert balances == [7_000, 3_000]


def test_a_payment_that_was_answered_is_found_at_once(api: ApiClient) -> None:
    """Midaz 1816: 404 for a transaction that had been answered 201."""
    payer, payee = api.funded_account("100.00"), api.open_account()
    for _ in range(20):
        answer = api.transfer(payer, payee, "1.00")
        found = api.get(answer.headers["Location"], answer)
        assert found.status_code == 200, found.text
        assert found.json()["status"] == PaymentStatus.POSTED


def test_a_caller_that_gave_up_gets_its_payment_when_it_repeats(api: ApiClient) -> None:
    """Formance stack 1636: a time-out and then the same key crashed the server."""
    payer, payee = api.funded_account("100.00"), api.open_account()
    body = {"from_account": payer, "to_account": payee, "amount": "1.00", "currency": "EUR"}
    gave_up = 0
    for attempt in range(20):
        key = secrets.token_hex(8)
        try:
            api.http.post("/v1/transfers", json=body, headers={"Idempotency-Key": key}, timeout=0.001 + attempt / 4_000)
        except httpx.TimeoutException:
            gave_up += 1
        repeated = api.transfer(payer, payee, "1.00", key=key)
        assert repeated.status_code in {200, 201}
        assert repeated.json()["status"] == PaymentStatus.POSTED
    assert gave_up, "nobody gave up"
    assert api.balance_minor(payee, repeated) == 2_000


@pytest.mark.parametrize("times", [1, 2])
def test_a_transfer_to_oneself_is_refused_once_and_says_so(api: ApiClient, times: int) -> None:
    """Blnk pull 360: a transfer to the same account was retried five times as a lock conflict."""
    account, key = api.funded_account("1.00"), secrets.token_hex(8)
    for _ in range(times):
        refused = api.transfer(account, account, "1.00", key=key)
        problem_of(refused, 422, "same_account")
    assert api.balance_minor(account, refused) == 100

"""Goal: two callers at once, who don't know of each other, never get more than one could: over HTTP, on a real broker.

The same cases decided one by one, in each order: tests/payments/movements/test_regressions.py.
"""

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from payments.lifecycle import PaymentStatus
from tests.ingest_api.client import ApiClient, problem_of
from tests.ingest_api.disputes.test_disputes import contest
from tests.ingest_api.holds.test_holds import available, in_, look, place
from tests.ingest_api.refunds.test_refunds import refund, sale
from tests.ingest_api.regressions.test_peers_bugs import at_once
from tests.support.waiting import eventually

PAIRS = 5
GiveBack = Callable[..., httpx.Response]


@pytest.mark.parametrize("kinds", [(refund, refund), (refund, contest)], ids=["two refunds", "refund and chargeback"])
def test_60_and_60_of_100_at_once_are_not_both_given_back(api: ApiClient, kinds: tuple[GiveBack, GiveBack]) -> None:
    """The merchant could afford both: it is the payment that is used up."""
    for _ in range(PAIRS):
        customer, shop, paid = sale(api)
        api.deposit(shop, "100.00")
        answers = at_once([partial(kind, api, paid, amount="60.00") for kind in kinds])
        done, refused = sorted(answers, key=lambda answer: answer.status_code)
        assert done.status_code == 201, done.text
        problem_of(refused, 422, "refund_exceeds_payment")
        assert api.balance_minor(shop, done) == 140_00
        assert api.balance_minor(customer, done) in {0, 60_00}, "what is contested lies with neither side"


def test_two_bodies_at_once_under_one_key_move_the_money_of_one(api: ApiClient) -> None:
    for _ in range(PAIRS):
        payer, payee, key = api.funded_account("100.00"), api.open_account(), secrets.token_hex(8)
        calls: list[Callable[[], httpx.Response]] = [
            partial(api.transfer, payer, payee, amount, key=key) for amount in ("10.00", "20.00")
        ]
        posted, refused = sorted(at_once(calls), key=lambda answer: answer.status_code)
        assert (posted.status_code, posted.json()["status"]) == (201, PaymentStatus.POSTED), posted.text
        problem_of(refused, 422, "idempotency_key_reused")
        assert api.balance_minor(payee, posted) == posted.json()["amount_minor"]


def test_captures_that_race_an_expiry_take_what_they_were_told_and_the_rest_is_the_payers(api: ApiClient) -> None:
    """From before the expiry until after it, four callers capture as fast as they can."""
    payer, payee = api.funded_account("100.00"), api.open_account()
    hold = place(api, payer, payee, "90.00", expires_at=in_(seconds=8))
    assert hold.status_code == 201, hold.text
    path, give_up_at_s = f"/v1/holds/{hold.json()['id']}/capture", time.monotonic() + 60
    codes: list[str] = []

    def capture_until_it_is_over() -> None:
        while not {"hold_expired", "hold_not_found"} & set(codes) and time.monotonic() < give_up_at_s:
            answer = api.post(path, {"amount": "0.01"}, prefer="wait=20")
            codes.append("captured" if answer.status_code == 201 else answer.json()["code"])

    with ThreadPoolExecutor(4) as callers:
        for ended in [callers.submit(capture_until_it_is_over) for _ in range(4)]:
            ended.result()
    captured_minor = codes.count("captured")
    assert set(codes) - {"captured"} <= {"hold_expired", "hold_not_found"}, codes
    assert 0 < captured_minor < 90_00
    eventually(lambda: look(api, hold, hold)["status"] in {"expired", "captured"}, "the expiry is shown")
    after = api.transfer(payer, payee, "0.01")
    assert api.balance_minor(payee, after) == captured_minor + 1
    assert available(api, payer, after) == f"{(100_00 - captured_minor - 1) / 100:.2f}"

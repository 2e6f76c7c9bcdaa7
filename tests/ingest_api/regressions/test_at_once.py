"""Goal: two callers at once, who don't know of each other, never get more than one could: over HTTP, on a real broker.

The same cases decided one by one, in each order: tests/payments/movements/test_regressions.py.
"""

import secrets
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from payments.lifecycle import PaymentStatus
from tests.ingest_api.client import ApiClient, problem_of
from tests.ingest_api.disputes.test_disputes import contest
from tests.ingest_api.refunds.test_refunds import refund, sale
from tests.ingest_api.regressions.test_peers_bugs import at_once

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

"""Checkouts, refunds and payouts from the command to the provider and back: what is charged is what is posted."""

import httpx
import pytest

from connectors.sandbox.faults import FaultKind
from payments.commerce.connector import Decline, Outcome
from payments.items.details import OrderStatus
from payments.rejections import Reason
from tests.pipeline.commerce.shop import ACTS, BANK, CONNECTED, REFUNDS_FAIL, KeptShop, order
from tests.support.waiting import eventually

TOO_LITTLE_MINOR = 1
"""Stripe takes 50 cents and more."""


def test_of_three_orders_one_is_declined_and_the_others_are_paid(shop: KeptShop) -> None:
    paid = [order(shop.seller(), amount_minor) for amount_minor in (1_000, 2_000)]
    declined = order(shop.seller(), TOO_LITTLE_MINOR)
    shop.check_out(paid[0], declined, paid[1])
    shop.await_status(OrderStatus.SUCCESS, *paid)
    shop.await_status(OrderStatus.FAILED, declined)
    assert [shop.charged(one) for one in (*paid, declined)] == [1, 1, 0]
    assert shop.order(declined).reason is Reason.PROVIDER_DECLINED
    [charge] = shop.requests_of(declined)
    assert charge.decline is Decline.AMOUNT_UNSUPPORTED
    shop.close_the_books()


def test_a_charge_that_nobody_answered_for_is_unknown_then_found_and_posted_once(shop: KeptShop) -> None:
    """It is done, and every answer is lost; then so is the answer to the inquiry. After that the line is good again."""
    one = order(shop.seller(), 4_200)
    shop.sandbox.fault(FaultKind.HANG_AFTER, times=3)
    shop.sandbox.fault(FaultKind.HANG_BEFORE, method="GET")
    shop.check_out(one)
    shop.await_outcome(one, Outcome.UNKNOWN)
    assert shop.order(one).status is OrderStatus.EXECUTING, "the unknown is not failed"
    shop.await_status(OrderStatus.SUCCESS, one)
    [charge] = shop.requests_of(one)
    assert charge.attempt > 1
    assert shop.charged(one) == 1
    shop.close_the_books()


def test_a_payer_who_acts_at_the_provider_is_charged_and_posted_once(shop: KeptShop) -> None:
    """The page is known while it is needed, and no longer."""
    one = order(shop.seller(), 4_200)
    shop.check_out(one, token=ACTS)
    shop.await_outcome(one, Outcome.REQUIRES_ACTION)
    eventually(lambda: shop.page_of(one), "a page to act at")
    page = shop.page_of(one)
    assert [httpx.post(page, data={"success": "true"}).status_code for _ in range(2)] == [303, 410]
    shop.await_status(OrderStatus.SUCCESS, one)
    assert (shop.charged(one), shop.postings_of(one)) == (1, 1)
    eventually(lambda: not shop.page_of(one), "the page is forgotten")
    shop.close_the_books()


def test_the_world_is_told_once_that_a_payer_has_to_act_and_finds_the_page(shop: KeptShop) -> None:
    """The page is asked for until it is there; without it nobody could send the payer anywhere."""
    one = order(shop.seller(), 4_200)
    with shop.telling():
        shop.check_out(one, token=ACTS)
        shop.await_outcome(one, Outcome.REQUIRES_ACTION)
        eventually(lambda: "order.requires_action" in shop.told_of(one), "the event")
        eventually(lambda: shop.page_of(one), "a page to act at")
        assert shop.told_of(one) == ["order.placed", "order.executing", "order.requires_action"]
        httpx.post(shop.page_of(one), data={"success": "true"})
        eventually(lambda: "order.succeeded" in shop.told_of(one), "the end of it")
        assert shop.told_of(one).count("order.requires_action") == 1


@pytest.mark.parametrize("on_delivery", [False, True], ids=["at once", "on delivery"])
def test_refunds_go_out_until_the_order_is_used_up(shop: KeptShop, on_delivery: bool) -> None:
    one = order(shop.seller(), 5_000, on_delivery=on_delivery)
    checkout = shop.check_out(one)
    shop.await_status(OrderStatus.SUCCESS, one)
    for amount_minor in (2_000, 3_001, 3_000, 1):
        shop.refund(checkout, one, amount_minor)
    shop.await_answers(one, 3)
    assert shop.order(one).refunded_minor == 5_000
    assert shop.refunded(one) == [2_000, 3_000]
    shop.close_the_books()


def test_a_refund_that_the_provider_refuses_is_not_counted(shop: KeptShop) -> None:
    one = order(shop.seller(), 5_000)
    checkout = shop.check_out(one, token=REFUNDS_FAIL)
    shop.await_status(OrderStatus.SUCCESS, one)
    shop.refund(checkout, one, 700)
    shop.await_answers(one, 2)
    assert shop.order(one).refunded_minor == 0
    shop.close_the_books()


def test_payouts_at_once_days_later_and_back(shop: KeptShop) -> None:
    """To a connected account, to a bank that takes it, to one that does not; and of more than there is."""
    one = order(shop.seller(), 9_000)
    shop.check_out(one)
    shop.await_status(OrderStatus.SUCCESS, one)
    shop.pay_out(one.seller, 1_000, CONNECTED)
    shop.pay_out(one.seller, 2_000, BANK)
    shop.pay_out(one.seller, 3_000, BANK)
    shop.pay_out(one.seller, 3_001, CONNECTED)
    shop.await_payouts(one.seller, {1_000: Outcome.SUCCEEDED, 2_000: Outcome.PENDING, 3_000: Outcome.PENDING})
    on_its_way = {payout["amount"]: payout["id"] for payout in shop.sandbox.all("payouts")}
    shop.sandbox.outside(f"payouts/{on_its_way[2_000]}/arrive", {"paid": True})
    shop.sandbox.outside(f"payouts/{on_its_way[3_000]}/arrive", {"paid": False})
    shop.await_payouts(one.seller, {1_000: Outcome.SUCCEEDED, 2_000: Outcome.SUCCEEDED, 3_000: Outcome.FAILED})
    shop.close_the_books()
    assert shop.balance_minor(one.seller) == 6_000

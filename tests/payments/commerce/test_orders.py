"""Goal: an order is charged once or not at all, and what is given back of it never exceeds it, whatever crosses what.

Every entry is held against the independent model (tests/model), which raises on the first that it would have answered
otherwise.
"""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.accounts import AccountStatus
from payments.book import is_receipt, receipt_fingerprint, receipt_id, received
from payments.commerce.connector import Outcome
from payments.entries import EntryKind
from payments.items.details import OrderStatus, ProviderRequest
from payments.rejections import Reason
from tests.model.world import Deliver, home
from tests.payments.commerce.shop import CHECKOUT, CLEARING, ORDER_ID, OTHER, SELLER, START_US, Shop, order


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.world.come_to_rest()


def test_each_order_of_a_checkout_lives_alone(shop: Shop) -> None:
    """One seller does not exist, one charge fails, one succeeds."""
    shop.place(order("order 2", b"\x70" * 16), order("order 3", OTHER), order())
    shop.deliver()
    assert len(shop.world.provider.requests) == 2
    place = next(
        at for at, (_, asked) in enumerate(shop.world.provider.requests) if asked.payment_order_id == "order 3"
    )
    shop.provider(Outcome.FAILED, place)
    assert shop.status() is OrderStatus.EXECUTING
    shop.provider(Outcome.SUCCEEDED)
    assert shop.status() is OrderStatus.SUCCESS
    assert shop.available() == 100_00
    assert shop.kinds(CHECKOUT).count(EntryKind.JOURNAL_CANCELLED) == 2


@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.UNKNOWN, Outcome.REQUIRES_ACTION])
def test_what_is_not_certain_moves_nothing(shop: Shop, outcome: Outcome) -> None:
    shop.place()
    shop.deliver()
    shop.provider(outcome)
    assert shop.status() is OrderStatus.EXECUTING
    assert shop.available() == 0
    shop.provider(Outcome.SUCCEEDED)
    assert shop.available() == 100_00


@pytest.mark.parametrize("first", [Outcome.SUCCEEDED, Outcome.FAILED])
@pytest.mark.parametrize("again", list(Outcome))
def test_an_answer_counts_once_whatever_its_repetition_says(shop: Shop, first: Outcome, again: Outcome) -> None:
    shop.place()
    shop.deliver()
    shop.provider(first)
    shop.provider(again, is_repeated=True)
    assert shop.kinds(CHECKOUT)[-1] is EntryKind.REPLAYED
    assert shop.available() == (100_00 if first is Outcome.SUCCEEDED else 0)


def test_an_earlier_attempt_is_not_acted_on_when_a_later_one_was_heard(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    shop.provider(Outcome.UNKNOWN)
    shop.provider(Outcome.PENDING)
    shop.provider(Outcome.SUCCEEDED, place=0, is_repeated=True)
    assert shop.status() is OrderStatus.EXECUTING


def test_an_order_that_is_cancelled_before_its_seller_has_answered_is_never_charged(shop: Shop) -> None:
    shop.place()
    assert shop.cancel().kind is EntryKind.NOTED
    assert (shop.status(), shop.order().reason) == (OrderStatus.FAILED, Reason.ORDER_CANCELLED)
    shop.deliver()
    assert shop.world.provider.requests == []
    assert shop.kinds(SELLER)[-1] is EntryKind.LEG_RELEASED


def test_a_cancelled_order_stays_cancelled_where_its_seller_refuses_as_well(shop: Shop) -> None:
    shop.standing(AccountStatus.FROZEN)
    shop.place()
    shop.cancel()
    shop.deliver()
    assert shop.order().reason is Reason.ORDER_CANCELLED


def test_a_cancellation_waits_for_the_provider_and_then_gives_all_back(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    assert shop.cancel().reason is Reason.ORDER_EXECUTING
    shop.provider(Outcome.SUCCEEDED)
    shop.refund(30_00)
    assert shop.cancel().kind is EntryKind.JOURNAL_OPENED
    shop.deliver()
    shop.provider(Outcome.SUCCEEDED)
    shop.provider(Outcome.SUCCEEDED)
    assert (shop.order().refunded_minor, shop.available()) == (100_00, 0)
    assert shop.cancel().reason is Reason.REFUND_EXCEEDS_PAYMENT


def test_what_has_failed_is_neither_cancelled_nor_refunded(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    assert shop.refund(1).reason is Reason.ORDER_EXECUTING
    shop.provider(Outcome.FAILED)
    assert shop.order().reason is Reason.PROVIDER_DECLINED
    assert (shop.cancel().reason, shop.refund(1).reason) == (Reason.ORDER_FAILED, Reason.ORDER_FAILED)


def test_two_refunds_under_way_never_exceed_the_order(shop: Shop) -> None:
    """60.00 and 60.00 of 100.00, before and after the seller has answered; the second may when the first has failed."""
    shop.sold()
    assert shop.refund(60_00).kind is EntryKind.JOURNAL_OPENED
    assert shop.refund(60_00).reason is Reason.REFUND_EXCEEDS_PAYMENT
    shop.deliver()
    assert shop.refund(60_00).reason is Reason.REFUND_EXCEEDS_PAYMENT
    shop.provider(Outcome.FAILED)
    assert (shop.order().refunded_minor, shop.available()) == (0, 100_00)
    assert shop.refund(60_00).kind is EntryKind.JOURNAL_OPENED
    shop.deliver()
    shop.provider(Outcome.SUCCEEDED)
    assert (shop.order().refunded_minor, shop.available()) == (60_00, 40_00)


def test_a_refund_and_a_chargeback_that_cross_never_exceed_the_order(shop: Shop) -> None:
    """The checkout's shard does not know of the dispute, the seller's does."""
    shop.sold()
    assert shop.refund(60_00).kind is EntryKind.JOURNAL_OPENED
    assert shop.dispute(60_00).kind is EntryKind.DEBITED
    shop.deliver()
    assert shop.order().refunded_minor == 0
    assert shop.world.provider.requests == []
    assert shop.refund(40_00).kind is EntryKind.JOURNAL_OPENED
    shop.deliver()
    assert shop.dispute(1).reason is Reason.REFUND_EXCEEDS_PAYMENT


def test_an_order_on_delivery_is_available_when_it_is_released(shop: Shop) -> None:
    shop.sold(is_on_delivery=True)
    assert shop.available() == 0
    assert shop.close().reason is Reason.ACCOUNT_HAS_OPEN_ITEMS
    assert shop.release().kind is EntryKind.COLLECTED
    assert shop.available() == 100_00


def test_a_refund_takes_first_what_is_not_available_yet(shop: Shop) -> None:
    shop.sold(is_on_delivery=True)
    shop.fund(50_00)
    shop.refund(30_00)
    shop.deliver()
    shop.provider(Outcome.SUCCEEDED)
    assert shop.available() == 50_00
    shop.release()
    assert shop.available() == 50_00 + 70_00
    shop.refund(70_00)
    shop.deliver()
    assert shop.available() == 50_00


@pytest.mark.parametrize(
    ("end", "available"),
    [("won, released", 100_00), ("released, won", 100_00), ("lost, released", 40_00), ("released, lost", 40_00)],
)
def test_a_dispute_takes_first_what_is_not_available_yet(shop: Shop, end: str, available: int) -> None:
    """It was taken from what was available, or owed, while the same money could still be released and paid out."""
    shop.sold(is_on_delivery=True)
    shop.fund(50_00)
    dispute = shop.dispute(60_00)
    assert shop.available() == 50_00
    for step in end.split(", "):
        if step == "released":
            shop.release()
        else:
            shop.resolve(dispute, is_won=step == "won")
            assert shop.available() - 50_00 in {0, available}, "what is won waits for the delivery, too"
    assert shop.available() == 50_00 + available


def test_no_debt_is_paid_of_what_waits(shop: Shop) -> None:
    """Else a deposit that bounces after its dispute was won took more than was waiting."""
    shop.sold(is_on_delivery=True)
    shop.resolve(shop.dispute(60_00, fee_minor=5_00), is_won=True)
    assert shop.available() == 0
    shop.release()
    assert shop.available() == 100_00
    assert [debt.amount_minor for debt in shop.debts()] == [5_00]


def test_a_dispute_of_all_that_waits_ends_with_it(shop: Shop) -> None:
    shop.sold(is_on_delivery=True)
    shop.resolve(shop.dispute(100_00), is_won=False)
    assert shop.release().reason is Reason.DEPOSIT_NOT_FOUND
    assert shop.close().kind is EntryKind.ACCOUNT_CLOSED


def test_an_order_that_is_refunded_before_its_delivery_waits_for_none(shop: Shop) -> None:
    shop.sold(is_on_delivery=True)
    for amount_minor in (40_00, 60_00):
        shop.refund(amount_minor)
    shop.deliver()
    shop.provider(Outcome.SUCCEEDED)
    assert shop.close().reason is Reason.ACCOUNT_HAS_OPEN_ITEMS, "the other refund may still fail"
    shop.provider(Outcome.SUCCEEDED)
    assert shop.release().reason is Reason.DEPOSIT_NOT_FOUND
    assert shop.close().kind is EntryKind.ACCOUNT_CLOSED


@pytest.mark.parametrize("is_released", [False, True])
def test_a_refund_that_fails_puts_back_what_it_took_where_it_would_be_by_now(shop: Shop, is_released: bool) -> None:
    """Released meanwhile, it must not wait for a release that has been."""
    shop.sold(is_on_delivery=True)
    shop.refund(60_00)
    shop.deliver()
    if is_released:
        shop.release()
    shop.provider(Outcome.FAILED)
    assert shop.available() == (100_00 if is_released else 0)
    if not is_released:
        shop.release()
        assert shop.available() == 100_00


def test_a_seller_without_the_money_refuses_the_refund_and_may_give_it_later(shop: Shop) -> None:
    shop.sold()
    shop.pay_out(80_00)
    assert shop.refund(60_00).kind is EntryKind.JOURNAL_OPENED
    shop.deliver()
    assert shop.order().refunded_minor == 0
    shop.fund(40_00)
    shop.refund(60_00)
    shop.deliver()
    assert shop.available() == 0


def test_a_seller_that_was_asked_cannot_close_and_is_credited_even_when_frozen(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    assert shop.close().reason is Reason.ACCOUNT_HAS_OPEN_ITEMS
    shop.standing(AccountStatus.FROZEN)
    shop.provider(Outcome.SUCCEEDED)
    assert shop.available() == 100_00


def test_a_seller_that_closed_before_it_was_asked_fails_the_order(shop: Shop) -> None:
    shop.place()
    shop.close()
    shop.deliver()
    assert (shop.status(), shop.order().reason) == (OrderStatus.FAILED, Reason.PAYEE_CLOSED)


def test_a_seller_that_has_closed_gives_nothing_back(shop: Shop) -> None:
    shop.sold()
    shop.pay_out(100_00)
    shop.provider(Outcome.SUCCEEDED)
    assert shop.close().kind is EntryKind.ACCOUNT_CLOSED
    shop.refund(1)
    shop.deliver()
    assert shop.order().refunded_minor == 0


def test_an_order_is_placed_once_whatever_became_of_it(shop: Shop) -> None:
    shop.place(key="checkout")
    shop.deliver()
    shop.provider(Outcome.FAILED)
    assert shop.place(key="checkout").kind is EntryKind.REPLAYED
    assert shop.place(order(amount_minor=1), key="checkout").kind is EntryKind.KEY_REUSED
    assert shop.place(order(amount_minor=1)).reason is Reason.ORDER_EXISTS


def test_a_charge_is_remembered_as_the_payment_of_its_order(shop: Shop) -> None:
    """On delivery its entry names no amount, because nothing is available yet; what may be given back is all of it."""
    shop.sold(is_on_delivery=True)
    seller = shop.world.shards[home(SELLER)]
    settled = next(entry for entry in seller.log if entry.kind is EntryKind.LEG_SETTLED)
    assert (settled.amount_minor, received(settled)) == (0, (100_00, "EUR"))
    assert (is_receipt(settled), receipt_id(settled)) == (True, ORDER_ID)
    assert seller.book.receipts.fingerprint_of(ORDER_ID) == receipt_fingerprint(CLEARING, SELLER, 100_00, "EUR")
    shop.refund(100_00)
    shop.deliver()
    shop.provider(Outcome.SUCCEEDED)
    assert [entry.kind for entry in seller.log if is_receipt(entry)] == [EntryKind.LEG_SETTLED], "a refund is none"


def test_a_request_tells_what_is_known_of_it(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    shop.provider(Outcome.REQUIRES_ACTION)
    [item] = [
        item
        for item in shop.world.shards[1].book.items.of(CHECKOUT)
        if isinstance(item, ProviderRequest) and item.item_id == ORDER_ID
    ]
    assert (item.attempt, item.outcome, item.attempt_follows) == (1, Outcome.REQUIRES_ACTION, True)
    assert item.provider_reference == "CHARGE 1", "where the buyer has to act"


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.integers(1, 120_00)),
        st.tuples(st.just("dispute"), st.integers(1, 120_00)),
        st.tuples(st.just("pay_out"), st.integers(1, 120_00)),
        st.tuples(st.sampled_from(("cancel", "release", "place")), st.none()),
        st.tuples(st.just("deliver"), st.integers(0, 3)),
        st.tuples(st.just("provider"), st.tuples(st.sampled_from(Outcome), st.integers(0, 3), st.booleans())),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.booleans(), ACTIONS)
def test_whatever_crosses_what(is_on_delivery: bool, is_sold: bool, actions: list[tuple[str, object]]) -> None:
    """Around one order; the model says at every step what has to happen, and that the money is all there."""
    shop = Shop()
    if is_sold:
        shop.sold(is_on_delivery)
    for name, argument in actions:
        if name == "deliver":
            assert isinstance(argument, int)
            shop.world.play(Deliver(argument, START_US))
        elif isinstance(argument, tuple):
            shop.provider(*argument)
        else:
            getattr(shop, name)(*([] if argument is None else [argument]))
        shop.world.watcher.ledger.state.check()
    shop.world.come_to_rest()

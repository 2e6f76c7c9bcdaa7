"""Goal: what is remembered of a payment ends by itself, not before nothing of it can be given back any more, and no
money comes out twice because of it.

Every entry is held against the independent model (tests/model), which raises on the first that it would have answered
otherwise.
"""

from collections.abc import Iterator

import pytest

from payments.commerce.connector import Outcome
from payments.entries import EntryKind, Source
from payments.items.details import GivenBack, OrderStatus, PaymentOrder
from payments.items.endings import GRACE_US, KEPT_US
from payments.movements.deeds import Deed
from payments.movements.disputes import resolve
from payments.movements.instructions import Envelope, ResolveDispute
from payments.rejections import Reason
from tests.model.world import home
from tests.payments.commerce.shop import CHECKOUT, ORDER_ID, SELLER, START_US, Shop, order


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    shop.sold()
    yield shop
    shop.world.come_to_rest()


def given_back(shop: Shop) -> GivenBack | None:
    return shop.world.shards[home(SELLER)].book.items.find(GivenBack, SELLER, ORDER_ID)


def is_kept(shop: Shop) -> bool:
    return shop.world.shards[home(CHECKOUT)].book.items.find(PaymentOrder, CHECKOUT, ORDER_ID) is not None


def newer_receipt(shop: Shop) -> None:
    """A receipt is forgotten when a newer one comes."""
    shop.fund(1)


def test_a_payment_ends_with_its_receipt_and_nothing_of_it_is_given_back_again(shop: Shop) -> None:
    shop.refund(60_00)
    shop.deliver()
    shop.provider(Outcome.SUCCEEDED)
    shop.now_us = START_US + KEPT_US - 1
    newer_receipt(shop)
    assert shop.tick(SELLER) + shop.tick(CHECKOUT) == []
    shop.now_us += 1
    assert [entry.kind for entry in shop.tick(SELLER) + shop.tick(CHECKOUT)] == [EntryKind.NOTED] * 2
    assert (given_back(shop), is_kept(shop)) == (None, False)
    assert shop.refund(40_00).reason is Reason.ORDER_NOT_FOUND
    assert shop.dispute(100_00).reason is Reason.PAYMENT_NOT_REFUNDABLE
    assert shop.available() == 40_01


def test_as_long_as_the_receipt_is_there_what_was_given_back_is_too(shop: Shop) -> None:
    """No newer receipt: the shard has forgotten nothing, so it must know that 60.00 are gone."""
    shop.dispute(60_00)
    shop.now_us = START_US + KEPT_US
    (moved,) = shop.tick(SELLER)
    found = given_back(shop)
    assert found is not None
    assert (moved.kind, found.ends_at_us) == (EntryKind.NOTED, shop.now_us + GRACE_US)
    assert shop.dispute(60_00).reason is Reason.REFUND_EXCEEDS_PAYMENT


def test_an_open_dispute_keeps_what_was_given_back(shop: Shop) -> None:
    opened = shop.dispute(60_00)
    shop.now_us = START_US + KEPT_US
    newer_receipt(shop)
    shop.tick(SELLER)
    assert given_back(shop) is not None
    shop.resolve(opened, is_won=True)
    shop.now_us += GRACE_US
    shop.tick(SELLER)
    assert given_back(shop) is None
    assert shop.available() == 100_01


def test_a_refund_under_way_keeps_its_order_and_can_still_fail(shop: Shop) -> None:
    shop.now_us = START_US + KEPT_US - 14 * 24 * 3_600_000_000 - 1  # within 180 days
    shop.refund(60_00)
    shop.deliver()
    shop.now_us += KEPT_US
    newer_receipt(shop)
    shop.tick(SELLER)
    shop.tick(CHECKOUT)
    assert is_kept(shop)
    shop.provider(Outcome.FAILED)
    assert (shop.order().refunded_minor, shop.available()) == (0, 100_01)
    shop.now_us += GRACE_US
    shop.tick(SELLER)
    shop.tick(CHECKOUT)
    assert (given_back(shop), is_kept(shop)) == (None, False)


def test_an_order_without_an_outcome_is_never_forgotten() -> None:
    shop = Shop()
    shop.place(order())
    shop.deliver()
    for _ in range(3):
        shop.now_us += KEPT_US
        assert [entry.kind for entry in shop.tick(CHECKOUT)] == [EntryKind.NOTED]
    assert shop.status() is OrderStatus.EXECUTING
    shop.provider(Outcome.SUCCEEDED)
    assert shop.available() == 100_00
    shop.world.come_to_rest()


def test_a_settlement_is_remembered_as_long_as_its_order() -> None:
    shop = Shop()
    shop.place()
    shop.deliver()
    shop.lose_sight()
    for operator in (1, 2):
        shop.settle(operator, is_succeeded=False)
    shop.now_us = START_US + KEPT_US
    assert [entry.kind for entry in shop.tick(CHECKOUT)] == [EntryKind.NOTED] * 2
    assert list(shop.world.shards[home(CHECKOUT)].book.items.of(CHECKOUT)) == []
    shop.world.come_to_rest()


@pytest.mark.parametrize("is_won", [True, False])
def test_a_dispute_of_which_nothing_is_remembered_is_resolved(is_won: bool) -> None:
    """Of before matters under way were counted: the payment may be forgotten first, which must not end the shard."""
    shop = Shop()
    shop.sold()
    opened = shop.dispute(60_00)
    book = shop.world.shards[home(SELLER)].book
    remembered = given_back(shop)
    assert remembered is not None
    book.items.put(remembered._replace(is_open=False))
    asked = ResolveDispute(envelope=Envelope("late"), merchant=SELLER, dispute_id=opened.operation_id, is_won=is_won)
    decided = resolve(book, opened.operation_id, asked, Source(1, 0, START_US))
    assert isinstance(decided, Deed)
    assert not any(isinstance(detail, GivenBack) for detail in decided.details)

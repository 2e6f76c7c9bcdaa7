"""Goal: a payout leaves the account once the provider has done it, comes back when it surely has not, and is not paid
beyond what is there; and the provider is asked for exactly what was decided.
"""

from collections.abc import Iterator

import pytest

from payments.commands import NO_REPLY
from payments.commerce.connector import ConnectorOperation, ConnectorRequest, ConnectorResult, Outcome
from payments.commerce.requests import CHARGE_DEADLINE_US
from payments.entries import EntryKind, Source
from payments.errors import InvariantViolation
from payments.identifiers import PAYMENT, format_id
from payments.items.details import Legs, Posting
from payments.movements.deciding import conclude, requests_of
from payments.rejections import Reason
from tests.model.provider import answered
from tests.model.world import home
from tests.payments.commerce.shop import CHECKOUT, CLEARING, ORDER_ID, SELLER, START_US, Shop, order

SOURCE = Source(1, 0, START_US)
WAITING = b"\0\1waiting"[:8]


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    shop.fund(100_00)
    yield shop
    shop.world.come_to_rest()


def test_a_payout_is_reserved_asked_for_and_posted(shop: Shop) -> None:
    assert shop.pay_out(60_00).kind is EntryKind.JOURNAL_OPENED
    assert shop.available() == 40_00
    shop.provider(Outcome.SUCCEEDED)
    assert shop.available() == 40_00
    [posted] = [entry for entry in shop.world.shards[home(SELLER)].log if entry.kind is EntryKind.JOURNAL_POSTED]
    assert posted.details[0] == Legs((Posting(SELLER, -60_00, "EUR"), Posting(CLEARING, 60_00, "EUR")))


def test_no_more_is_paid_out_than_is_there(shop: Shop) -> None:
    assert shop.pay_out(60_00).kind is EntryKind.JOURNAL_OPENED
    assert shop.pay_out(60_00).reason is Reason.INSUFFICIENT_FUNDS
    shop.provider(Outcome.FAILED)
    assert shop.available() == 100_00
    assert shop.pay_out(100_00).kind is EntryKind.JOURNAL_OPENED


def test_a_payout_that_may_have_happened_is_not_given_back(shop: Shop) -> None:
    shop.pay_out(60_00)
    shop.provider(Outcome.UNKNOWN)
    assert shop.available() == 40_00
    shop.provider(Outcome.SUCCEEDED)
    assert shop.available() == 40_00
    assert shop.close().reason is Reason.BALANCE_NOT_ZERO


def test_an_account_with_a_payout_under_way_stays_open(shop: Shop) -> None:
    shop.pay_out(100_00)
    assert shop.close().reason is Reason.ACCOUNT_HAS_OPEN_ITEMS
    shop.provider(Outcome.SUCCEEDED)
    assert shop.close().kind is EntryKind.ACCOUNT_CLOSED


def test_the_provider_is_asked_for_what_was_decided() -> None:
    shop = Shop()
    shop.sold()
    refund, payout = shop.refund(30_00), shop.pay_out(20_00)
    shop.deliver()
    asked = {
        request.operation: (key, request)
        for shard in shop.world.shards
        for entry in shard.log
        for key, request in requests_of(entry)
    }
    [refund_text, payout_text] = [format_id(PAYMENT, entry.operation_id) for entry in (refund, payout)]
    charge = ConnectorRequest(ORDER_ID, "stripe", ConnectorOperation.CHARGE, "order 1", 100_00, "EUR", "order 1")
    charge = charge._replace(token="pm_card_visa", deadline_us=START_US + CHARGE_DEADLINE_US)
    assert asked == {
        ConnectorOperation.CHARGE: (CHECKOUT, charge),
        ConnectorOperation.REFUND: (
            CHECKOUT,
            charge._replace(
                request_id=refund.operation_id,
                operation=ConnectorOperation.REFUND,
                amount_minor=30_00,
                idempotency_key=refund_text,
                token="",
                provider_reference="CHARGE 1",
                deadline_us=0,
            ),
        ),
        ConnectorOperation.PAYOUT: (
            SELLER,
            charge._replace(
                request_id=payout.operation_id,
                operation=ConnectorOperation.PAYOUT,
                payment_order_id=payout_text,
                amount_minor=20_00,
                idempotency_key=payout_text,
                token="ba_1",
                deadline_us=0,
            ),
        ),
    }


@pytest.mark.parametrize("outcome", list(Outcome))
def test_who_waits_hears_of_the_last_word(shop: Shop, outcome: Outcome) -> None:
    shop.pay_out(60_00, WAITING)
    [(owner, request)] = shop.world.provider.requests
    book = shop.world.shards[home(SELLER)].book
    entry, reply_to = conclude(book, owner, answered(request, outcome), SOURCE)
    assert reply_to == (WAITING if outcome in (Outcome.SUCCEEDED, Outcome.FAILED) else NO_REPLY)
    assert entry.operation_id == request.request_id


def test_an_answer_to_what_was_not_asked_stops_the_shard(shop: Shop) -> None:
    """The order is placed, and its seller has not answered yet."""
    shop.place(order())
    request = ConnectorRequest(ORDER_ID, "stripe", ConnectorOperation.CHARGE, "order 1", 100_00, "EUR", "order 1")
    result: ConnectorResult = answered(request, Outcome.SUCCEEDED)
    with pytest.raises(InvariantViolation):
        conclude(shop.world.shards[home(CHECKOUT)].book, CHECKOUT, result, SOURCE)

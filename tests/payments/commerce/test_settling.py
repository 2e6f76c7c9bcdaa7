"""Goal: people settle what a provider leaves open, two of them and once; and what it keeps is posted once.

Every entry is held against the independent model (tests/model), which raises on the first that it would have answered
otherwise.
"""

from collections.abc import Iterator

import pytest

from payments.commerce.connector import Outcome
from payments.entries import Entry, EntryKind
from payments.identifiers import system_account
from payments.items.details import AttemptSettlement, OrderStatus
from payments.postings import Posting, SystemAccount, postings
from payments.rejections import Reason
from tests.model.world import home
from tests.payments.commerce.shop import CHECKOUT, ORDER_ID, Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.world.come_to_rest()


def last(shop: Shop) -> Entry:
    """The newest entry of the checkout's shard."""
    return shop.world.shards[home(CHECKOUT)].log[-1]


def settlement(shop: Shop) -> AttemptSettlement | None:
    return shop.world.shards[home(CHECKOUT)].book.items.find(AttemptSettlement, CHECKOUT, ORDER_ID)


def test_two_people_settle_a_charge_that_nobody_hears_of_any_more(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    shop.lose_sight()
    assert shop.settle(1).kind is EntryKind.NOTED
    assert (shop.status(), shop.available()) == (OrderStatus.EXECUTING, 0)
    assert shop.settle(1).reason is Reason.REVIEWER_REPEATED
    assert shop.settle(2).kind is EntryKind.NOTED
    assert (shop.status(), shop.order().provider_reference, shop.available()) == (OrderStatus.SUCCESS, "pi_1", 100_00)
    assert shop.settle(3).reason is Reason.ATTEMPT_NOT_FOUND


def test_who_says_otherwise_proposes_anew(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    shop.lose_sight()
    shop.settle(1)
    shop.settle(2, is_succeeded=False)
    assert shop.status() is OrderStatus.EXECUTING
    shop.settle(1, is_succeeded=False)
    assert (shop.status(), shop.order().reason, shop.available()) == (
        OrderStatus.FAILED,
        Reason.PROVIDER_DECLINED,
        0,
    )


def test_nothing_is_settled_while_attempts_go_on(shop: Shop) -> None:
    shop.place()
    assert shop.settle(1).reason is Reason.ORDER_EXECUTING
    shop.provider(Outcome.PENDING)
    assert shop.settle(1).reason is Reason.ORDER_EXECUTING


def test_a_provider_that_answers_what_is_only_proposed_is_believed(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    shop.lose_sight()
    shop.settle(1)
    shop.provider(Outcome.FAILED)
    assert (shop.status(), settlement(shop)) == (OrderStatus.FAILED, None)
    assert shop.settle(2).reason is Reason.ATTEMPT_NOT_FOUND


def test_a_late_result_that_contradicts_is_noted_for_reconciliation_and_moves_nothing(shop: Shop) -> None:
    """Settled as failed, although the provider has charged."""
    shop.place()
    shop.deliver()
    shop.lose_sight()
    shop.settle(1, is_succeeded=False)
    shop.settle(2, is_succeeded=False)
    shop.provider(Outcome.SUCCEEDED)
    assert (last(shop).kind, last(shop).reason) == (EntryKind.NOTED, Reason.SETTLEMENT_CONTRADICTED)
    found = settlement(shop)
    assert found is not None
    assert found.contradiction.startswith("succeeded CHARGE")
    shop.provider(Outcome.SUCCEEDED, is_repeated=True)
    assert last(shop).kind is EntryKind.REPLAYED
    assert (shop.status(), shop.available()) == (OrderStatus.FAILED, 0)


def test_a_late_result_that_agrees_posts_nothing_a_second_time(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    shop.lose_sight()
    for operator in (1, 2):
        shop.settle(operator, reference="CHARGE 3")
    shop.provider(Outcome.SUCCEEDED)
    assert last(shop).kind is EntryKind.REPLAYED
    assert shop.available() == 100_00
    assert shop.kinds(CHECKOUT).count(EntryKind.JOURNAL_POSTED) == 1


def test_a_refund_that_is_settled_as_failed_is_the_sellers_again(shop: Shop) -> None:
    shop.sold()
    refund = shop.refund(60_00)
    shop.deliver()
    shop.lose_sight()
    for operator in (1, 2):
        shop.settle(operator, is_succeeded=False, of=refund.operation_id)
    assert (shop.order().refunded_minor, shop.available()) == (0, 100_00)


def test_what_the_provider_keeps_is_posted_once_with_the_result_that_tells_it(shop: Shop) -> None:
    """The model's provider keeps 0.03 USD of a charge of 100.00 EUR: settled in another currency."""
    shop.sold()
    shop.provider(Outcome.SUCCEEDED, is_repeated=True)
    posted = [entry for entry in shop.world.shards[home(CHECKOUT)].log if entry.kind is EntryKind.POSTED]
    assert [postings(entry) for entry in posted] == [
        (
            Posting(system_account(SystemAccount.PROVIDER_FEES, "USD"), -3, "USD"),
            Posting(system_account(SystemAccount.STRIPE_CLEARING, "USD"), 3, "USD"),
        )
    ]


def test_what_the_provider_keeps_for_a_dispute_is_the_operators_expense(shop: Shop) -> None:
    shop.sold()
    opened = shop.dispute(100_00, fee_minor=15_00, provider_fee_minor=12_00)
    expense = Posting(system_account(SystemAccount.PROVIDER_FEES, "EUR"), -12_00, "EUR")
    assert expense in postings(opened)
    assert sum(leg.amount_minor for leg in postings(opened)) == 0
    assert shop.debts()[0].amount_minor == 15_00

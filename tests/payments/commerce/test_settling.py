"""Goal: people settle what a provider leaves open, two of them and once; and what it keeps is posted once.

Every entry is held against the independent model (tests/model), which raises on the first that it would have answered
otherwise.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from payments.commerce.connector import Outcome
from payments.entries import Entry, EntryKind
from payments.identifiers import system_account
from payments.items.details import AttemptSettlement, OrderStatus
from payments.movements.instructions import Envelope, SettleAttempt
from payments.postings import Posting, SystemAccount, postings
from payments.rejections import Reason
from tests.model.provider import answered
from tests.model.world import home
from tests.payments.commerce.shop import CHECKOUT, ORDER_ID, Shop, order


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


def test_a_request_whose_next_attempt_is_lost_is_settled_like_any_other(shop: Shop) -> None:
    """The first of all is lost, and one after an answer that was not certain."""
    shop.place()
    shop.deliver()
    assert shop.settle(1, lost_attempt=1).kind is EntryKind.NOTED
    shop.provider(Outcome.PENDING)
    assert shop.settle(2, lost_attempt=1).reason is Reason.ORDER_EXECUTING, "it came after all, between the two people"
    assert shop.settle(2, lost_attempt=3).reason is Reason.ORDER_EXECUTING
    assert shop.settle(2, lost_attempt=2).kind is EntryKind.NOTED
    assert (shop.status(), shop.available()) == (OrderStatus.SUCCESS, 100_00)
    shop.provider(Outcome.FAILED)
    assert last(shop).reason is Reason.SETTLEMENT_CONTRADICTED, "lost, and there after all: it moves nothing"
    assert (shop.status(), shop.available()) == (OrderStatus.SUCCESS, 100_00)


def test_the_attempt_that_was_called_lost_is_believed_where_it_comes_between_the_two_people(shop: Shop) -> None:
    shop.place()
    shop.deliver()
    shop.settle(1, lost_attempt=1)
    shop.provider(Outcome.FAILED)
    assert (shop.status(), settlement(shop)) == (OrderStatus.FAILED, None)
    assert shop.settle(2, lost_attempt=1).reason is Reason.ATTEMPT_NOT_FOUND


def test_nothing_is_lost_of_what_its_provider_was_not_asked_yet(shop: Shop) -> None:
    """The leg of the seller is not reserved: a settlement would post what nobody has agreed to."""
    shop.place()
    assert shop.settle(1, lost_attempt=1).reason is Reason.ORDER_EXECUTING
    assert shop.settle(1, lost_attempt=1).kind is EntryKind.NOTED


def test_what_a_later_version_has_added_leaves_the_fingerprints_of_before_as_they_were() -> None:
    """Keys are compared with what was decided before the new field was there, and a replay decides it again."""
    named = SettleAttempt(
        envelope=Envelope("k"),
        owner=CHECKOUT,
        request_id=ORDER_ID,
        is_succeeded=True,
        provider_reference="pi_1",
        operator=bytes(16),
    )
    assert named.fingerprint.hex() == "cffd21a521abf6d5"
    assert replace(named, lost_attempt=1).fingerprint != named.fingerprint


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


def settled_then_told(shop: Shop, amount_minor: int, is_succeeded: bool, outcome: Outcome) -> list[tuple[Posting, ...]]:
    """People settle a charge, then its provider tells what became of it, twice: what was posted of its fee."""
    shop.place(order(amount_minor=amount_minor))
    shop.deliver()
    shop.lose_sight()
    for operator in (1, 2):
        shop.settle(operator, is_succeeded, reference="CHARGE 3")
    shop.provider(outcome)
    shop.provider(outcome, place=-1, is_repeated=True)
    return fees_posted(shop)


def fees_posted(shop: Shop) -> list[tuple[Posting, ...]]:
    log = shop.world.shards[home(CHECKOUT)].log
    return [postings(entry) for entry in log if entry.kind is EntryKind.POSTED]


def kept(amount_minor: int, currency: str) -> tuple[Posting, Posting]:
    """Dr provider fees, Cr clearing; the other way round below 0."""
    fees, clearing = (
        system_account(code, currency) for code in (SystemAccount.PROVIDER_FEES, SystemAccount.STRIPE_CLEARING)
    )
    legs = Posting(fees, -amount_minor, currency), Posting(clearing, amount_minor, currency)
    return legs if amount_minor > 0 else legs[::-1]


def test_a_late_result_that_agrees_posts_nothing_a_second_time(shop: Shop) -> None:
    """The model's provider tells no fee of 102.00."""
    assert settled_then_told(shop, 102_00, True, Outcome.SUCCEEDED) == []
    assert last(shop).kind is EntryKind.REPLAYED
    assert (shop.available(), settlement(shop) is not None) == (102_00, True)
    assert shop.kinds(CHECKOUT).count(EntryKind.JOURNAL_POSTED) == 1


@pytest.mark.parametrize(
    ("amount_minor", "is_succeeded", "fee"),
    [(100_00, True, kept(3, "USD")), (98_14, True, kept(-1, "EUR")), (100_00, False, kept(3, "USD"))],
    ids=["kept", "given back", "kept of what has failed"],
)
def test_what_a_provider_keeps_and_tells_after_people_is_posted_once(
    shop: Shop, amount_minor: int, is_succeeded: bool, fee: tuple[Posting, Posting]
) -> None:
    outcome = Outcome.SUCCEEDED if is_succeeded else Outcome.FAILED
    assert settled_then_told(shop, amount_minor, is_succeeded, outcome) == [fee]
    assert settlement(shop) is None, "nobody waits for more"
    assert (shop.available(), last(shop).kind) == (amount_minor if is_succeeded else 0, EntryKind.REPLAYED)


def test_what_a_provider_keeps_of_what_contradicts_people_is_left_to_reconciliation(shop: Shop) -> None:
    assert settled_then_told(shop, 100_00, False, Outcome.SUCCEEDED) == []
    found = settlement(shop)
    assert found is not None
    assert found.contradiction == "succeeded CHARGE 3"


def test_a_fee_of_what_has_not_ended_is_posted_with_its_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be posted when people settle, and again when the provider tells it with the end."""
    shop.place()
    shop.deliver()
    owner, request = shop.world.provider.requests[0]
    early = answered(request, Outcome.SUCCEEDED)._replace(outcome=Outcome.PENDING, attempt_follows=False)
    with monkeypatch.context() as patch:
        patch.setattr(shop.world.provider, "answer", lambda *_: (owner, early))
        shop.provider(Outcome.PENDING)
    for operator in (1, 2):
        shop.settle(operator, reference="CHARGE 1")
    assert (fees_posted(shop), shop.status()) == ([], OrderStatus.SUCCESS)
    shop.provider(Outcome.SUCCEEDED)
    assert fees_posted(shop) == [kept(3, "USD")]


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
    assert fees_posted(shop) == [kept(3, "USD")]


def test_what_the_provider_keeps_for_a_dispute_is_the_operators_expense(shop: Shop) -> None:
    shop.sold()
    opened = shop.dispute(100_00, fee_minor=15_00, provider_fee_minor=12_00)
    expense = Posting(system_account(SystemAccount.PROVIDER_FEES, "EUR"), -12_00, "EUR")
    assert expense in postings(opened)
    assert sum(leg.amount_minor for leg in postings(opened)) == 0
    assert shop.debts()[0].amount_minor == 15_00

"""Worker, connectors and provider killed with orders in flight: each is charged once, posted once, refunded once."""

import random
from datetime import UTC, datetime

import psycopg
import pytest

from connectors.psp.stripe import ORDER_ID
from connectors.sandbox.faults import FaultKind
from payments.commerce.connector import Outcome
from payments.items.details import OrderStatus
from reconciliation.breaks import reads
from reconciliation.internal.repairing import By, Done, repair
from reconciliation.internal.writing import id_of
from reconciliation.matching.breaks import BreakType
from tests.pipeline.commerce.losing import (
    forge_a_question,
    forge_an_inquiry,
    look_at,
    look_through_the_connectors,
    lose_the_answer,
    refusals,
    refused_questions,
)
from tests.pipeline.commerce.shop import DECLINED, KeptShop, order
from tests.pipeline.slots import Slot, ended_afterwards
from tests.support.side_by_side import sampled
from tests.support.waiting import eventually

ORDERS = 8
SEED = 20_261_122
STEPS = ("mid_cycle", "after_flush", "mid_endtxn", "after_commit")
"""Nothing on the broker; all of it, undecided; the decision under way; decided, and nobody was told."""


@pytest.mark.parametrize("step", sampled(STEPS, 2))
def test_a_worker_killed_at_this_step_charges_and_posts_once(shop: KeptShop, step: str) -> None:
    """In a cycle that holds requests, or results, or both: orders come one by one."""
    shop.worker.restart(f"{step}:3")
    orders = [order(shop.seller(), 1_000 + number) for number in range(ORDERS)]
    for one in orders:
        shop.check_out(one)
    shop.await_status(OrderStatus.SUCCESS, *orders)
    assert shop.worker.exit_codes == [-9], "the step was never reached, or more than that went wrong"
    assert [shop.charged(one) for one in orders] == [1] * ORDERS
    assert [shop.postings_of(one) for one in orders] == [1] * ORDERS
    shop.close_the_books()


def test_worker_connectors_and_provider_killed_in_turn(shop: KeptShop) -> None:
    """With calls that hang and answers that are lost."""
    chance = random.Random(SEED)
    good, bad = [], []
    for victim in (shop.worker, shop.connectors, shop.sandbox, shop.worker):
        paid = [order(shop.seller(), chance.randrange(100, 9_999)) for _ in range(3)]
        refused = order(shop.seller(), 500)
        shop.sandbox.fault(chance.choice((FaultKind.RESET_AFTER, FaultKind.HANG_AFTER, FaultKind.ERROR_BEFORE)))
        shop.check_out(*paid)
        shop.check_out(refused, token=DECLINED)
        shop.await_asked(paid[0])
        victim.kill()
        if shop.sandbox.process.poll() is not None:
            shop.sandbox.start()
        good += paid
        bad.append(refused)
    shop.await_status(OrderStatus.SUCCESS, *good)
    shop.await_status(OrderStatus.FAILED, *bad)
    assert [shop.charged(one) for one in (*good, *bad)] == [1] * len(good) + [0] * len(bad)
    assert [shop.postings_of(one) for one in good] == [1] * len(good)
    shop.close_the_books()


def test_a_refund_and_a_payout_go_out_once_when_both_sides_are_killed(shop: KeptShop) -> None:
    one = order(shop.seller(), 9_000)
    checkout = shop.check_out(one)
    shop.await_status(OrderStatus.SUCCESS, one)
    shop.sandbox.fault(FaultKind.LATENCY, times=2, seconds=1)
    shop.refund(checkout, one, 2_500)
    shop.pay_out(one.seller, 1_500)
    eventually(lambda: shop.sandbox.is_met(FaultKind.LATENCY), "a call under way")
    shop.connectors.kill()
    shop.worker.kill()
    shop.await_answers(one, 2)
    shop.await_payouts(one.seller, {1_500: Outcome.SUCCEEDED})
    assert (shop.refunded(one), shop.transferred(one.seller)) == ([2_500], [1_500])
    shop.close_the_books()
    assert shop.balance_minor(one.seller) == 5_000


def test_an_attempt_that_is_there_after_all_pays_nothing_twice_and_tells_its_fee_once(shop: KeptShop) -> None:
    """Charged, and nothing heard of it: people settle it, the worker is killed, and the connectors ask after all."""
    one = order(shop.seller(), 4_200)
    lose_the_answer(shop, one)
    [intent] = [i for i in shop.sandbox.all("payment_intents") if i["metadata"][ORDER_ID] == one.payment_order_id]
    for operator in (1, 2):
        shop.settle(one, operator, intent["id"], lost_attempt=1)
    shop.worker.kill()
    shop.worker.tend()
    eventually(lambda: shop.order(one).status is OrderStatus.SUCCESS, "a settlement")
    assert shop.fees_posted(one) == [], "nobody has told it"
    shop.connectors.restart("after_commit")
    shop.await_fee(one)
    shop.close_the_books()
    assert shop.fees_posted(one) == [152], "2.9 % and 0.30"
    assert (shop.charged(one), shop.postings_of(one)) == (1, 1)


def test_a_charge_whose_answer_is_lost_is_found_and_repaired_by_one_inquiry(shop: KeptShop) -> None:
    """Charged, and request and result are lost. Two days later it is asked about, and never sent."""
    one = order(shop.seller(), 4_200)
    lose_the_answer(shop, one)
    with psycopg.connect(shop.stage.database_url, autocommit=True) as books:
        [found] = look_at(shop, books, days=2).findings
        assert (found.type, found.subject.bytes) == (BreakType.CAPTURED_NOT_POSTED, shop.order(one).item_id)
        asked = [repair(books, [id_of(found)], By("fatima", datetime.now(UTC)))[0].done for _ in range(2)]
        assert asked == [Done.ASKED, Done.UNDER_WAY]
        forge_an_inquiry(books)
        shop.sandbox.fault(FaultKind.ERROR_BEFORE, method="POST")
        later = Slot(shop.stage, "connectors", program="tests.pipeline.commerce.days_later")
        with ended_afterwards(later):
            eventually(lambda: shop.order(one).status is OrderStatus.SUCCESS, "an inquiry that is answered")
            eventually(lambda: refusals(books), "an inquiry that is refused")
            forge_a_question(books)
            result = look_through_the_connectors(shop, books)
            assert (result.providers_asked > 0, result.providers_silent, result.findings) == (True, 0, [])
            eventually(lambda: refused_questions(books), "a question that is refused")
        assert not shop.sandbox.is_met(FaultKind.ERROR_BEFORE), "it was sent again"
        assert "does not ask a provider for" in refusals(books)[0]
        assert "does not ask a provider for" in refused_questions(books)[0]
        shop.close_the_books()
        assert look_at(shop, books, days=3).findings == []
        assert repair(books, [id_of(found)], By("fatima", datetime.now(UTC)))[0].done is Done.ENDED
        told = reads.events_of(books, id_of(found))[-1].because
    assert told.startswith("repaired by inquiry: attempt 2 was answered succeeded")
    assert (shop.charged(one), shop.postings_of(one), shop.requests_of(one)[0].attempt) == (1, 1, 2)

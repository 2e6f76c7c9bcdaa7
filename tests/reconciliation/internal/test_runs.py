"""Goal: of every kind of inconsistency that is in the tables exactly one finding; a clean ledger has none; breaks open
and close by themselves, and repairs are done once.

Method: real Postgres with the rows of the sink, one side changed at a time; providers answer from a dictionary.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection

from payments.commerce.connector import ConnectorOperation, Outcome
from payments.items.details import OrderStatus
from reconciliation.breaks import desk, posting, reads
from reconciliation.breaks.desk import Deed
from reconciliation.breaks.living import Changes
from reconciliation.breaks.machine import Status
from reconciliation.internal import reading
from reconciliation.internal.reads import Wanted, find_finding, inquiries_of, page_of_findings
from reconciliation.internal.repairing import ANSWERED_WITHIN, By, Done, repair
from reconciliation.internal.run import Asked, Result, TooManyFindings, compute
from reconciliation.internal.views import Movement, ProviderView
from reconciliation.internal.writing import id_of, write
from reconciliation.matching.breaks import BreakType
from reconciliation.matching.rules import RulesFault
from reconciliation.runs.rules import read_rules
from tests.reconciliation.internal.books import change, charge, remove, reserve
from tests.reconciliation.internal.views import DAY, NOW, PLACED, SELLER
from tests.reconciliation.ledger import RULES

T = BreakType
OTHER_SELLER = UUID(int=SELLER.int + 1)
TAKEN = ProviderView(Outcome.SUCCEEDED, True, "pi_x", "", 10_00, "EUR", NOW)
REFUSED = ProviderView(Outcome.FAILED, True, "pi_x", "card_declined", None, "", NOW)
Said = dict[UUID, ProviderView]


def run(books: Connection, said: Said | None = None, now: datetime = NOW, **asked: Any) -> tuple[Result, Changes]:
    """What is asked about and has no answer in `said` gives none."""

    def ask(suspicious: Sequence[Movement]) -> Said:
        return {one.id: (said or {})[one.id]._replace(asked_at=now) for one in suspicious if one.id in (said or {})}

    result = compute(books, Asked(now, now - 30 * DAY, "fatima", **asked), ask)
    return result, write(books, result)


def found(result: Result) -> set[tuple[BreakType, UUID]]:
    return {(one.type, one.subject) for one in result.findings}


def only(result: Result) -> UUID:
    [finding] = result.findings
    return id_of(finding)


def at_the_desk(books: Connection, id_: UUID) -> tuple[str, list[str]]:
    one = reads.find_break(books, id_)
    assert one is not None
    return one.status, [event.because for event in reads.events_of(books, id_)]


def test_each_inconsistency_is_found_once_and_nothing_else(books: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each kind among charges that are as they should be; batches are so small that several are needed."""
    monkeypatch.setattr(reading, "BATCH", 3)
    states = OrderStatus.SUCCESS, OrderStatus.FAILED, OrderStatus.SUCCESS
    for number in range(60):
        charge(books, number, PLACED, states[number % 3])
    fresh = charge(books, 60, NOW - timedelta(minutes=20), OrderStatus.EXECUTING)
    clean, _ = run(books, {})
    assert (clean.movements, clean.wallets, clean.findings) == (61, 1, [])

    done = [UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + number) for number in range(0, 60, 3)]
    stuck = charge(books, 100, PLACED, OrderStatus.EXECUTING)
    lost = charge(books, 101, PLACED, OrderStatus.EXECUTING)
    failed = charge(books, 102, PLACED, OrderStatus.FAILED)
    off = charge(books, 103, PLACED, seller=OTHER_SELLER)
    books.execute("UPDATE balances SET available_minor = available_minor + 5 WHERE account_id = %s", (OTHER_SELLER,))
    remove(books, "journal_entries", "journal_id", done[0])
    books.execute("UPDATE balances SET posted_minor = posted_minor - 1000, available_minor = available_minor - 1000")
    books.execute(
        "UPDATE balances SET posted_minor = 1000, available_minor = 1005 WHERE account_id = %s", (OTHER_SELLER,)
    )
    change(books, "provider_requests", "request_id", done[1], outcome="failed")
    change(books, "payment_orders", "order_id", done[2], status=int(OrderStatus.EXECUTING))
    remove(books, "provider_requests", "request_id", done[3])
    remove(books, "payment_orders", "order_id", done[4])
    change(books, "payment_orders", "order_id", done[5], amount_minor=11_00)
    change(books, "provider_requests", "request_id", done[6], currency="USD")
    change(books, "payment_orders", "order_id", done[7], refunded_minor=2_00)
    change(books, "reserved_legs", "journal_id", done[8], is_open=True)
    on_its_way = reserve(books, 1, PLACED)
    reserve(books, 2, PLACED, is_returned=True)
    reserve(books, 3, NOW - timedelta(minutes=20))
    said = {lost: TAKEN, failed: TAKEN, done[9]: REFUSED, done[1]: REFUSED, fresh: TAKEN}
    seeded = {
        (T.STUCK_EXECUTING, stuck),
        (T.STUCK_EXECUTING, on_its_way),
        (T.CAPTURED_NOT_POSTED, lost),
        (T.CAPTURED_NOT_POSTED, failed),
        (T.CAPTURED_NOT_POSTED, done[0]),
        (T.POSTED_NOT_CAPTURED, done[1]),
        (T.POSTED_NOT_CAPTURED, done[9]),
        (T.STATUS_MISMATCH, done[2]),
        (T.ORDER_WITHOUT_ATTEMPT, done[3]),
        (T.ATTEMPT_WITHOUT_ORDER, done[4]),
        (T.AMOUNT_MISMATCH, done[5]),
        (T.CURRENCY_MISMATCH, done[6]),
        (T.REFUND_MISMATCH, done[7]),
        (T.WALLET_MISMATCH, done[8]),
        (T.WALLET_MISMATCH, OTHER_SELLER),
    }
    result, changes = run(books, said, day=PLACED.date())
    assert found(result) == seeded
    assert len(result.findings) == len(seeded) == changes.opened
    assert off not in {one.subject for one in result.findings}
    again, changes = run(books, said, day=PLACED.date())
    assert (again.result_hash, changes) == (result.result_hash, Changes())


def test_a_lost_result_is_inquired_about_once_and_its_break_closes_with_the_reason(books: Connection) -> None:
    lost = charge(books, 1, PLACED, OrderStatus.EXECUTING)
    result, changes = run(books)
    assert (found(result), changes) == ({(T.STUCK_EXECUTING, lost)}, Changes(opened=1))
    id_ = only(result)
    assert [one.done for one in repair(books, [id_], By("fatima", NOW, is_dry=True))] == [Done.WOULD_ASK]
    assert inquiries_of(books, id_) == []
    result, changes = run(books, {lost: TAKEN})
    assert (found(result), changes, only(result)) == ({(T.CAPTURED_NOT_POSTED, lost)}, Changes(changed=1), id_)
    outcomes = [repair(books, [id_], By("fatima", NOW))[0] for _ in range(2)]
    assert [(one.done, one.attempt) for one in outcomes] == [(Done.ASKED, 2), (Done.UNDER_WAY, 2)]
    [late] = repair(books, [id_], By("fatima", NOW + ANSWERED_WITHIN * 2))
    assert (late.done, late.attempt) == (Done.ASKED, 3), "an inquiry that nobody answers is not waited for"
    books.execute("UPDATE recon_inquiries SET sent_at = now() WHERE attempt = 2")
    for table in ("payment_orders", "provider_requests", "journals", "reserved_legs"):
        books.execute(f"DELETE FROM {table}".encode())
    books.execute("DELETE FROM item_events")
    charge(books, 1, PLACED)
    books.execute("UPDATE provider_requests SET attempt = 2")
    result, changes = run(books, {}, NOW + DAY)
    assert (result.findings, changes) == ([], Changes(closed=1))
    status, trail = at_the_desk(books, id_)
    assert status == Status.CLOSED
    assert trail[-1] == "repaired by inquiry: attempt 2 was answered succeeded (pi_1)"
    assert repair(books, [id_, UUID(int=1)], By("fatima", NOW))[0].done is Done.ENDED


def test_what_no_answer_can_post_is_proposed_as_a_journal_for_a_second_person(books: Connection) -> None:
    charge(books, 1, PLACED, OrderStatus.FAILED)
    paid = charge(books, 2, PLACED, OrderStatus.FAILED)
    result, _ = run(books, {paid: TAKEN}, day=PLACED.date())
    id_ = only(result)
    assert [repair(books, [id_], By("anna", NOW))[0].done for _ in range(2)] == [Done.PROPOSED, Done.UNDER_WAY]
    assert desk.approve(books, id_, Deed("bert", "seen it at the provider"), 4) is Status.APPROVED
    [to_post] = posting.to_post(books)
    assert [leg.amount_minor for leg in to_post.asked.legs] == [-10_00, 10_00]
    assert repair(books, [id_], By("anna", NOW))[0].done is Done.UNDER_WAY


def test_an_answer_counts_until_something_changes_and_is_not_asked_for_twice(books: Connection) -> None:
    """A run that asks nobody takes what was said before; once our side has changed, that says nothing any more."""
    paid = charge(books, 1, PLACED, OrderStatus.FAILED)
    run(books, {paid: TAKEN}, day=PLACED.date())
    quiet = compute(books, Asked(NOW, NOW - 30 * DAY, "api"))
    assert found(quiet) == {(T.CAPTURED_NOT_POSTED, paid)}
    change(books, "provider_requests", "request_id", paid, changed_at=NOW + DAY)
    assert compute(books, Asked(NOW + 2 * DAY, NOW, "api")).findings == []


def test_what_people_have_settled_and_the_provider_contradicts_is_found_unasked(books: Connection) -> None:
    """Settled as failed a year ago; the provider's own word that it was paid came later."""
    paid = charge(books, 1, NOW - 365 * DAY, OrderStatus.FAILED)
    books.execute(
        "INSERT INTO attempt_settlements VALUES (%s, %s, false, '', '[]', 'succeeded pi_1', true, %s, %s, 0, 9, 0)",
        (paid, SELLER, PLACED, PLACED),
    )
    result, _ = run(books)
    assert found(result) == {(T.CAPTURED_NOT_POSTED, paid)}
    assert repair(books, [only(result)], By("anna", NOW))[0].done is Done.PROPOSED


def test_a_break_of_long_ago_is_looked_at_until_it_has_ended(books: Connection) -> None:
    old = charge(books, 1, PLACED)
    change(books, "payment_orders", "order_id", old, amount_minor=12_00)
    id_ = only(run(books)[0])
    later, changes = run(books, now=NOW + 300 * DAY)
    assert (only(later), changes) == (id_, Changes())
    assert [one.break_id for one in page_of_findings(books, Wanted("AMOUNT_MISMATCH", "high", "none"), 10)] == [id_]
    assert page_of_findings(books, Wanted(repair="inquire"), 10) == []
    change(books, "payment_orders", "order_id", old, amount_minor=10_00)
    assert run(books, now=NOW + 301 * DAY)[1] == Changes(closed=1)
    one = find_finding(books, id_)
    assert one is not None
    assert one.status == Status.CLOSED


def test_refunds_and_payouts_are_compared_as_charges_are(books: Connection) -> None:
    """A refund under way, one that the order does not count; a payout that nobody answered."""
    order = charge(books, 1, PLACED)
    for number, is_open in ((2, True), (3, False)):
        refund = charge(books, number, NOW - DAY / 2, OrderStatus.SUCCESS if not is_open else OrderStatus.EXECUTING)
        change(
            books, "provider_requests", "request_id", refund, operation=int(ConnectorOperation.REFUND), order_id=order
        )
        remove(books, "payment_orders", "order_id", refund)
    change(books, "payment_orders", "order_id", order, refunded_minor=10_00)
    payout = charge(books, 4, PLACED, OrderStatus.EXECUTING)
    change(
        books, "provider_requests", "request_id", payout, operation=int(ConnectorOperation.PAYOUT), order_id=UUID(int=0)
    )
    remove(books, "payment_orders", "order_id", payout)
    result, _ = run(books)
    assert found(result) == {(T.REFUND_MISMATCH, order), (T.STUCK_EXECUTING, payout)}


def test_more_findings_than_people_could_look_at_are_refused_whole(
    books: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciliation.internal.run.FINDINGS_MAX", 2)
    for number in range(3):
        charge(books, number, PLACED, OrderStatus.EXECUTING)
    with pytest.raises(TooManyFindings):
        run(books)
    assert books.execute("SELECT count(*) FROM recon_runs").fetchone() == (0,)


def test_no_rules_of_files_are_called_internal() -> None:
    with pytest.raises(RulesFault, match="choose another"):
        read_rules(RULES.replace("stripe-daily", "internal"))

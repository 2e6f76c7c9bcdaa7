"""Joins across shards: payments that end twice, never began, or end as another; records that no shard sent."""

import pytest

from millrace.audit.ledger.entry_batch import EntryBatch
from millrace.audit.ledger.lanes import LaneKey, LaneLog
from millrace.audit.ledger.settlement import Settlement
from millrace.audit.report import AuditReport, Difference, Differs, Invariant
from payments.commands import NO_REPLY
from payments.entries import Credit, Entry, EntryKind
from schemas.codec.ledger import Lane
from tests.audit.records import ALICE, BOB, deposited, entry, record

RESERVED, POSTED, RETURNED = EntryKind.RESERVED, EntryKind.POSTED, EntryKind.RETURNED


def concluded(*entries: Entry) -> AuditReport:
    settlement, report = Settlement(), AuditReport()
    for one in entries:
        settlement.add(EntryBatch([(0, record(one))]), report)
    settlement.conclude(report)
    return report


def difference_in(*entries: Entry) -> Difference:
    with pytest.raises(Differs) as raised:
        concluded(*entries)
    return raised.value.difference


def test_payments_that_end_once() -> None:
    report = concluded(
        *(entry(RESERVED, number) for number in (1, 2, 3)),
        entry(POSTED, 1),
        entry(RETURNED, 2),
        deposited(ALICE, 5, 5),
        entry(EntryKind.REJECTED, 4),
    )
    counts = report.payments, report.posted, report.returned, report.rejected, report.in_flight, report.deposits
    assert counts == (4, 1, 1, 1, 1, 1)


def test_no_entries_are_no_payments() -> None:
    assert concluded().payments == 0


@pytest.mark.parametrize("again", [entry(RESERVED, 1), deposited(BOB, 100, 100, operation=1)])
def test_an_operation_that_moved_money_twice(again: Entry) -> None:
    difference = difference_in(entry(RESERVED, 1), again)
    assert (difference.invariant, difference.found) == (Invariant.IDEMPOTENCY, "2")
    assert "01" * 16 in difference.place


@pytest.mark.parametrize("again", [entry(POSTED, 1), entry(RETURNED, 1)])
def test_a_payment_that_ends_twice(again: Entry) -> None:
    difference = difference_in(entry(RESERVED, 1), entry(POSTED, 1), again)
    assert (difference.invariant, difference.found) == (Invariant.ONE_OUTCOME, "2")


def test_a_payment_that_was_never_reserved() -> None:
    difference = difference_in(entry(RESERVED, 1), entry(POSTED, 2))
    assert (difference.invariant, difference.found) == (Invariant.ONE_OUTCOME, "none")
    assert "02" * 16 in difference.place


@pytest.mark.parametrize(
    "changed",
    [
        entry(POSTED, 1, amount=101),
        entry(POSTED, 1, credit=b"C" * 16),
        entry(RETURNED, 1, debit=b"C" * 16),
        entry(POSTED, 1, currency="USD"),
    ],
)
def test_a_payment_that_ends_as_another(changed: Entry) -> None:
    difference = difference_in(entry(RESERVED, 1), changed)
    assert (difference.invariant, difference.found) == (Invariant.ONE_OUTCOME, "one that differs")


def test_an_id_that_ends_in_zeros_is_told_apart() -> None:
    first = entry(RESERVED)._replace(operation_id=b"\1" * 15 + b"\0")
    assert concluded(first, entry(RESERVED)).in_flight == 2
    assert difference_in(first, first).found == "2"


KEY = LaneKey(Lane.CREDITS_SENT, 0, 1)
CREDIT = Credit(b"p" * 16, ALICE, BOB, 100, "EUR", NO_REPLY)


def test_a_credit_that_was_sent_and_is_nowhere() -> None:
    lanes = LaneLog()
    lanes.send(KEY, 0, [CREDIT])
    with pytest.raises(Differs, match="no such record on the topic") as raised:
        lanes.compare()
    assert raised.value.difference.invariant is Invariant.ONE_OUTCOME


def test_a_credit_whose_topic_has_lost_its_beginning_is_not_asked_for() -> None:
    lanes = LaneLog()
    lanes.send(KEY, 0, [CREDIT])
    lanes.kept_from_start(Lane.CREDITS_RECEIVED, 1, complete=False)
    lanes.compare()

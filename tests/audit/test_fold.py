"""The independent fold: it adds up what is right, and names the entry at which something is not."""

import pytest

from millrace.audit.ledger.fold import Fold, Position
from millrace.audit.report import Differs, Invariant
from payments.accounts import AccountStatus
from payments.entries import Entry, EntryKind
from payments.identifiers import NIL
from tests.audit.records import ALICE, BOB, CLEARING, deposited, entry, opened, record


def folded(*entries: Entry) -> Fold:
    fold = Fold()
    fold.add(record(*entries), "ledger[0] offset 7")
    return fold


def test_a_payment_is_available_once_and_posted_once() -> None:
    fold = folded(opened(ALICE), opened(BOB), deposited(ALICE, 500, 500), entry(EntryKind.RESERVED, after=400))
    assert fold.in_flight() == {"EUR": 100}
    assert fold.sums() == ({"EUR": 0}, {"EUR": 0})
    fold.add(record(entry(EntryKind.POSTED, after=100)), "next")
    assert fold.positions() == {
        ALICE: Position("EUR", 400, 400, 5),
        BOB: Position("EUR", 100, 100, 5),
        CLEARING: Position("EUR", -500, -500, 5),
    }
    assert (fold.in_flight(), fold.sums()) == ({}, ({"EUR": 0}, {"EUR": 0}))


def test_a_returned_payment_leaves_nothing_posted() -> None:
    reserved, returned = entry(EntryKind.RESERVED, after=400), entry(EntryKind.RETURNED, after=500)
    fold = folded(opened(ALICE), deposited(ALICE, 500, 500), reserved, entry(EntryKind.REFUSED), returned)
    assert fold.positions()[ALICE] == Position("EUR", 500, 500, 5)
    assert BOB not in fold.positions()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (entry(EntryKind.RESERVED, after=401), "available_after_minor 400"),
        (entry(EntryKind.RETURNED, after=400), "available_after_minor 600"),
        (entry(EntryKind.POSTED, after=99), "available_after_minor 100"),
    ],
)
def test_a_stated_balance_that_is_no_sum(wrong: Entry, expected: str) -> None:
    with pytest.raises(Differs) as raised:
        folded(opened(ALICE), opened(BOB), deposited(ALICE, 500, 500), wrong)
    invariant, place, wanted, _ = raised.value.difference
    assert (invariant, place) == (Invariant.CONSERVATION, "ledger[0] offset 7 entry 3")
    assert wanted.startswith(expected)


@pytest.mark.parametrize(("limit", "negative"), [(0, 1), (99, 1), (100, 0)])
def test_an_account_below_its_limit_is_named_at_its_first_entry(limit: int, negative: int) -> None:
    below, further = entry(EntryKind.RESERVED, after=-100), entry(EntryKind.RESERVED, 2, amount=1, after=-101)
    fold = folded(opened(ALICE, limit), below)
    assert len(fold.below_limit) == negative
    fold.add(record(further), "later")
    assert len(fold.below_limit) == 1
    difference = fold.below_limit[ALICE].difference
    assert difference.invariant is Invariant.LIMITS
    assert difference.place == ("ledger[0] offset 7 entry 1" if negative else "later entry 0")


def test_a_limit_lowered_below_what_is_used() -> None:
    lowered = entry(EntryKind.OVERDRAFT_LIMIT_SET, 3, ALICE, NIL, 50)
    assert folded(opened(ALICE, 100), entry(EntryKind.RESERVED, after=-100), lowered).below_limit.keys() == {ALICE}


def test_money_that_is_posted_without_a_reservation_shows_in_the_sum() -> None:
    postings, held = folded(opened(ALICE), opened(BOB), entry(EntryKind.POSTED, after=100)).sums()
    assert postings == {"EUR": 0}
    assert held == {"EUR": 0}  # in flight went below zero: the join by payment finds it, see test_settlement
    assert folded(opened(BOB), entry(EntryKind.POSTED, after=100)).in_flight() == {"EUR": -100}


def test_an_account_that_nobody_opened() -> None:
    with pytest.raises(Differs, match="opened before"):
        folded(entry(EntryKind.RESERVED, after=-100))


def test_an_account_opened_twice() -> None:
    with pytest.raises(Differs, match="opened once"):
        folded(opened(ALICE), opened(ALICE))


def test_standing_follows_the_entries() -> None:
    kinds = (EntryKind.ACCOUNT_FROZEN, EntryKind.ACCOUNT_UNFROZEN, EntryKind.ACCOUNT_CLOSED)
    fold = folded(opened(ALICE))
    seen = []
    for kind in kinds:
        fold.add(record(entry(kind, 4, ALICE, NIL, 0)), "next")
        seen.append(fold.accounts[ALICE].status)
    assert seen == [AccountStatus.FROZEN, AccountStatus.OPEN, AccountStatus.CLOSED]

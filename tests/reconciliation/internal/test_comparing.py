"""Goal: each disagreement has one name and the repair that is safe; what agrees, and what is in flight, has none.

Method: pure; a charge that went well, or one that waits, with one side changed.
"""

from datetime import timedelta
from uuid import UUID

import pytest

from payments.commerce.connector import ConnectorOperation, Outcome
from payments.items.details import OrderStatus
from reconciliation.internal.comparing import compare, compare_wallet
from reconciliation.internal.findings import Repair
from reconciliation.internal.views import Movement, Wallet
from reconciliation.matching.breaks import BreakType
from tests.reconciliation.internal.views import (
    ATTEMPT,
    CLEAN,
    CLEARING,
    DAY,
    HOUR,
    LEDGER,
    MOMENT,
    NOW,
    ORDER,
    PLACED,
    REFUSED,
    SAID,
    SELLER,
    WAITING,
    WALLET,
)

T = BreakType
NO_TRACE = SAID._replace(outcome=Outcome.UNKNOWN, has_trace=False, reference="", moved_minor=None)
PAYOUT = ATTEMPT._replace(operation=ConnectorOperation.PAYOUT, has_order=False)
OPEN = ATTEMPT._replace(is_open=True, outcome=Outcome.UNKNOWN, attempt=3)

CASES: dict[str, tuple[Movement, list[tuple[BreakType, Repair, int]]]] = {
    "nothing was heard": (WAITING, [(T.STUCK_EXECUTING, Repair.INQUIRE, 10_00)]),
    "the provider was never asked": (
        WAITING._replace(attempt=OPEN._replace(attempt=0, outcome=None, asked_at=None, asked_in=None)),
        [(T.STUCK_EXECUTING, Repair.NONE, 10_00)],
    ),
    "another attempt follows": (
        WAITING._replace(attempt=OPEN._replace(attempt_follows=True, changed_at=NOW - DAY)),
        [(T.STUCK_EXECUTING, Repair.NONE, 10_00)],
    ),
    "the attempt that was to follow is lost": (
        WAITING._replace(attempt=OPEN._replace(attempt_follows=True, changed_at=PLACED + HOUR)),
        [(T.STUCK_EXECUTING, Repair.INQUIRE, 10_00)],
    ),
    "lost, and captured": (
        WAITING._replace(provider=SAID),
        [(T.CAPTURED_NOT_POSTED, Repair.REPLAY_RESULT, -10_00)],
    ),
    "called failed, and captured": (
        REFUSED._replace(provider=SAID),
        [(T.CAPTURED_NOT_POSTED, Repair.ADJUST, -10_00)],
    ),
    "answered, and no entry": (CLEAN._replace(ledger=None), [(T.CAPTURED_NOT_POSTED, Repair.NONE, -10_00)]),
    "posted, and refused": (
        CLEAN._replace(provider=SAID._replace(outcome=Outcome.FAILED, moved_minor=None)),
        [(T.POSTED_NOT_CAPTURED, Repair.ADJUST, 10_00)],
    ),
    "posted, and without a trace": (
        CLEAN._replace(provider=NO_TRACE),
        [(T.POSTED_NOT_CAPTURED, Repair.ADJUST, 10_00)],
    ),
    "posted without an answer": (
        CLEAN._replace(attempt=OPEN, provider=None),
        [(T.POSTED_NOT_CAPTURED, Repair.NONE, 10_00)],
    ),
    "posted and captured, attempts say failed": (
        CLEAN._replace(attempt=ATTEMPT._replace(outcome=Outcome.FAILED)),
        [(T.STATUS_MISMATCH, Repair.NONE, 10_00)],
    ),
    "an order that still waits": (
        CLEAN._replace(order=ORDER._replace(status=OrderStatus.EXECUTING)),
        [(T.STATUS_MISMATCH, Repair.NONE, 10_00)],
    ),
    "an order without an attempt": (
        WAITING._replace(attempt=None, journal=None, wallet=None),
        [(T.ORDER_WITHOUT_ATTEMPT, Repair.NONE, 10_00)],
    ),
    "an attempt without an order": (
        CLEAN._replace(order=None, attempt=ATTEMPT._replace(has_order=False)),
        [(T.ATTEMPT_WITHOUT_ORDER, Repair.NONE, 10_00)],
    ),
    "the provider took more": (
        CLEAN._replace(provider=SAID._replace(moved_minor=12_00)),
        [(T.AMOUNT_MISMATCH, Repair.ADJUST, -2_00)],
    ),
    "an entry of another amount": (
        CLEAN._replace(ledger=LEDGER._replace(amount_minor=9_00), provider=None),
        [(T.AMOUNT_MISMATCH, Repair.NONE, -1_00)],
    ),
    "another currency at the provider": (
        CLEAN._replace(provider=SAID._replace(moved_currency="USD")),
        [(T.CURRENCY_MISMATCH, Repair.NONE, 10_00)],
    ),
    "a refund that the order does not count": (
        CLEAN._replace(order=ORDER._replace(refunds_minor=3_00)),
        [(T.REFUND_MISMATCH, Repair.NONE, -3_00)],
    ),
    "posted, and the wallet waits": (
        CLEAN._replace(wallet=WALLET._replace(is_open=True)),
        [(T.WALLET_MISMATCH, Repair.NONE, 10_00)],
    ),
    "a payout that the bank sent back": (
        CLEAN._replace(order=None, attempt=PAYOUT, provider=SAID._replace(outcome=Outcome.FAILED, moved_minor=None)),
        [(T.POSTED_NOT_CAPTURED, Repair.ADJUST, 10_00)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_side_that_differs_is_one_finding(name: str) -> None:
    movement, expected = CASES[name]
    found = compare(movement, MOMENT)
    assert [(one.type, one.repair, one.difference_minor) for one in found] == expected
    assert all(one.evidence for one in found)


AGREEING: dict[str, Movement] = {
    "all agree": CLEAN,
    "not asked": CLEAN._replace(provider=None),
    "refused": REFUSED,
    "a payout": CLEAN._replace(order=None, attempt=PAYOUT),
    "a search that is behind": CLEAN._replace(provider=NO_TRACE._replace(asked_at=PLACED + HOUR)),
    "asked before it changed": CLEAN._replace(provider=SAID._replace(outcome=Outcome.FAILED, asked_at=PLACED - HOUR)),
    "young": WAITING._replace(attempt=OPEN._replace(asked_at=NOW - HOUR / 2)),
    "a young refund": WAITING._replace(
        attempt=OPEN._replace(operation=ConnectorOperation.REFUND, asked_at=NOW - 24 * HOUR)
    ),
    "at the provider": WAITING._replace(attempt=OPEN._replace(outcome=Outcome.PENDING, asked_at=NOW - 23 * HOUR)),
}


@pytest.mark.parametrize("name", AGREEING)
def test_what_agrees_or_may_still_agree_is_none(name: str) -> None:
    assert compare(AGREEING[name], MOMENT) == []


def test_what_has_just_changed_is_in_flight() -> None:
    broken = CLEAN._replace(ledger=None)
    assert compare(broken, MOMENT)
    young = broken._replace(order=ORDER._replace(changed_at=NOW - timedelta(minutes=4)))
    assert compare(young, MOMENT) == []


def test_the_journal_that_puts_it_right_is_that_of_the_movement_or_its_opposite() -> None:
    """Captured 2.00 more: the rest is posted as the charge was. Never captured: the charge is turned round."""
    [more] = compare(CLEAN._replace(provider=SAID._replace(moved_minor=12_00)), MOMENT)
    assert more.legs == ((CLEARING, -2_00, "EUR"), (SELLER, 2_00, "EUR"))
    [less] = compare(CLEAN._replace(provider=SAID._replace(moved_minor=9_00)), MOMENT)
    assert less.legs == ((CLEARING, 1_00, "EUR"), (SELLER, -1_00, "EUR"))
    [never] = compare(CLEAN._replace(provider=NO_TRACE), MOMENT)
    assert never.legs == ((CLEARING, 10_00, "EUR"), (SELLER, -10_00, "EUR"))


def test_a_wallet_is_the_sum_of_its_entries() -> None:
    wallet = Wallet(UUID(int=9), "EUR", 5_00, 4_00, 5_00, 4_00, PLACED)
    assert compare_wallet(wallet) == []
    [posted] = compare_wallet(wallet._replace(posted_minor=6_00, available_minor=5_00))
    [available] = compare_wallet(wallet._replace(available_minor=3_00))
    assert [(one.type, one.difference_minor) for one in (posted, available)] == [
        (T.WALLET_MISMATCH, 1_00),
        (T.WALLET_MISMATCH, -1_00),
    ]

"""Goal: kill -9 at every step of a pass, and two schedulers at once: each occurrence is paid exactly once."""

import time

import pytest

from runtime.exactly_once.failpoints import SCHEDULE_NAMES
from tests.pipeline.conftest import assert_books_balance
from tests.pipeline.slots import Slot, ended_afterwards
from tests.schedules.orders import Orders
from tests.support.side_by_side import sampled

PATIENCE_S = 120


def await_settled(orders: Orders, *schedulers: Slot) -> None:
    """Until every schedule has ended."""
    deadline_s = time.monotonic() + PATIENCE_S
    while left := orders.all("SELECT count(*) AS n FROM schedules WHERE status <> 'ended'")[0]["n"]:
        assert time.monotonic() < deadline_s, f"{left} schedules have not ended"
        for scheduler in schedulers:
            scheduler.tend()
        time.sleep(0.1)


@pytest.mark.parametrize("step", sampled(SCHEDULE_NAMES, 2))
def test_a_scheduler_killed_at_this_step_pays_everything_once(orders: Orders, step: str) -> None:
    *payers, _ = orders.accounts(40)
    for place, payer in enumerate(payers):
        orders.place(payer, payers[place - 1], expression="@daily", times=3)
    before = assert_books_balance(orders.stage).replayed
    victim = Slot(orders.stage, "scheduler", failpoint=f"{step}:2")
    with ended_afterwards(victim):
        await_settled(orders, victim)
        assert victim.exit_codes == [-9], "the failpoint was never reached, or more than that went wrong"
    assert [orders.paid(payer) for payer in payers] == [3] * len(payers)
    outcomes = orders.all("SELECT outcome, count(*) AS n FROM schedule_occurrences GROUP BY outcome")
    assert outcomes == [{"outcome": "posted", "n": 3 * len(payers)}]
    sent_twice = assert_books_balance(orders.stage).replayed - before
    assert (sent_twice > 0) == (step == "schedule_after_send")


def test_two_schedulers_over_two_thousand_due_occurrences_pay_each_once(orders: Orders) -> None:
    *payers, _ = orders.accounts(40)
    for place, payer in enumerate(payers):
        for _ in range(10):
            orders.place(payer, payers[place - 1], expression="@daily", times=5)
    first, second = Slot(orders.stage, "scheduler"), Slot(orders.stage, "scheduler", failpoint="schedule_after_send:8")
    with ended_afterwards(first, second):
        await_settled(orders, first, second)
        assert (first.exit_codes, second.exit_codes) == ([], [-9])
    assert [orders.paid(payer) for payer in payers] == [50] * len(payers)
    rows = orders.all("SELECT count(*) AS n, count(DISTINCT payment_id) AS ids FROM schedule_occurrences")
    assert rows == [{"n": 2_000, "ids": 2_000}]
    assert_books_balance(orders.stage)

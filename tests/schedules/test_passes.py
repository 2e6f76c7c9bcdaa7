"""Goal: what follows from outcomes, from a stop, from a clock that jumps, and from hours without an answer."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from ingest_api.schedules import sending
from payments.identifiers import shard_of_operation
from payments.terms.schedules import MissedRuns
from runtime.exactly_once.failpoints import InjectedBug
from tests.schedules.orders import Orders


def outcomes(orders: Orders, schedule: UUID) -> list[tuple[str, str | None]]:
    return [(row["outcome"], row["reason"]) for row in orders.occurrences(schedule)]


def test_what_is_due_is_paid_with_the_terms_of_that_time(orders: Orders) -> None:
    payer, payee, _ = orders.accounts(2)
    schedule = orders.place(payer, payee, 70)
    orders.settle()
    [tried] = orders.occurrences(schedule)
    [payment] = orders.all("SELECT * FROM payments WHERE payment_id = %s", tried["payment_id"])
    assert (payment["amount_minor"], payment["description"], payment["payee"].bytes) == (70, "rent", payee)
    assert (tried["outcome"], tried["reason"]) == ("posted", None)
    assert orders.schedule(schedule)["end_reason"] == "finished"
    assert orders.figures.late_s > 0


def test_too_little_money_is_tried_again_until_there_is_enough(orders: Orders) -> None:
    payer, payee, _ = orders.accounts(2, funds_minor=100)
    patient = orders.place(payer, payee, 160, retries=3, retry_hours=24)
    skipping = orders.place(payer, payee, 160)
    refused = ("rejected", "insufficient_funds")
    orders.settle()
    assert outcomes(orders, patient) == outcomes(orders, skipping) == [refused]
    assert orders.schedule(skipping)["end_reason"] == "finished"
    orders.later(hours=23)
    orders.settle()
    assert outcomes(orders, patient) == [refused]
    orders.later(hours=2)
    orders.settle()
    assert outcomes(orders, patient) == [refused] * 2
    orders.pay_in(payer, 100)
    orders.later(hours=25)
    orders.settle()
    assert outcomes(orders, patient) == [refused, refused, ("posted", None)]
    assert [row["attempt"] for row in orders.occurrences(patient)] == [0, 1, 2]
    assert orders.schedule(patient)["end_reason"] == "finished"
    assert orders.paid(payer) == 1


def test_a_schedule_ends_where_no_payment_can_ever_succeed(orders: Orders) -> None:
    payer, payee, unknown = orders.accounts(2)
    to_nobody = orders.place(payer, unknown, expression="@daily")
    from_nobody = orders.place(unknown, payee, expression="@daily")
    fine = orders.place(payer, payee, expression="@daily", starts=orders.midnight())
    orders.settle()
    orders.settle()
    ends = {name: orders.schedule(name)["end_reason"] for name in (to_nobody, from_nobody, fine)}
    assert ends == {to_nobody: "payee_not_found", from_nobody: "account_not_found", fine: None}
    many = len(orders.occurrences(to_nobody))
    orders.later(days=3)
    orders.settle()
    assert len(orders.occurrences(to_nobody)) == many


@pytest.mark.parametrize(("missed", "expected"), [("each", 10), ("last", 1), ("none", 0)])
def test_after_a_stop_its_rule_says_what_is_made_up_for(orders: Orders, missed: str, expected: int) -> None:
    payer, payee, _ = orders.accounts(2)
    starts = datetime(2026, 1, 1, 9)
    schedule = orders.place(payer, payee, expression="0 9 * * *", starts=starts, missed=MissedRuns(missed))
    orders.now = datetime(2026, 1, 10, 20, tzinfo=UTC)
    orders.settle()
    assert len(orders.occurrences(schedule)) == expected
    orders.now = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)
    orders.settle()
    assert outcomes(orders, schedule) == [("posted", None)] * (expected + 1)


def test_what_was_missed_goes_out_in_bounded_passes(orders: Orders) -> None:
    payer, payee, _ = orders.accounts(2)
    for _ in range(4):
        orders.place(payer, payee, expression="* * * * *", times=70)
    for sent in (30, 60, 90):
        orders.run_pass(limit=30)
        assert orders.figures.sent == sent
        assert orders.figures.issued - sent <= 100 + 30


def test_a_clock_that_jumps_an_hour_either_way_pays_nothing_twice(orders: Orders) -> None:
    payer, payee, _ = orders.accounts(2)
    hourly = orders.place(payer, payee, expression="@hourly", starts=datetime(2026, 1, 1))
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for hours in (0, 1, 0, -1, 1, 0, 2, 1):
        orders.now = noon + timedelta(hours=hours, minutes=5)
        orders.run_pass()
    orders.settle()
    walls = [row["wall"] for row in orders.occurrences(hourly)]
    assert walls == [datetime(2026, 1, 1, hour) for hour in range(15)]
    assert orders.paid(payer) == 15


def test_days_on_which_the_clocks_change_have_one_occurrence_each(orders: Orders) -> None:
    payer, payee, _ = orders.accounts(2)
    spring, autumn = [
        orders.place(payer, payee, zone="Europe/Berlin", expression="30 2 * * *", starts=starts, times=3)
        for starts in (datetime(2026, 3, 28), datetime(2026, 10, 24))
    ]
    for start in (datetime(2026, 3, 27, 22, tzinfo=UTC), datetime(2026, 10, 23, 22, tzinfo=UTC)):
        for minutes in range(0, 3 * 24 * 60, 30):
            orders.now = start + timedelta(minutes=minutes)
            orders.run_pass()
    orders.settle()
    due = [[row["due_at"] for row in orders.occurrences(schedule)] for schedule in (spring, autumn)]
    assert due[0] == [datetime(2026, 3, day, hour, minute, tzinfo=UTC) for day, hour, minute in SPRING]
    assert due[1] == [datetime(2026, 10, day, hour, 30, tzinfo=UTC) for day, hour in ((24, 0), (25, 0), (26, 1))]
    assert orders.paid(payer) == 6


SPRING = ((28, 1, 30), (29, 1, 0), (30, 0, 30))
"""On the 29th, 02:30 is skipped: due when the skip ends."""


def test_a_change_meanwhile_is_not_for_what_was_issued(orders: Orders) -> None:
    """Another amount under the same key would be refused, and never be paid."""
    payer, payee, _ = orders.accounts(2)
    schedule = orders.place(payer, payee, 5)
    with pytest.raises(InjectedBug):
        orders.run_pass(failpoint="schedule_after_send:1:raise")
    orders.all("UPDATE schedules SET amount_minor = 6 RETURNING 1")
    orders.settle()
    assert [(row["amount_minor"], row["outcome"]) for row in orders.occurrences(schedule)] == [(5, "posted")]


class TestDoubts:
    """Nobody knows whether it was sent, and its key may be forgotten."""

    AGE = timedelta(hours=sending.ARRIVED_HOURS + 2)

    def age(self, orders: Orders) -> None:
        orders.all("UPDATE schedule_occurrences SET unsent_at = unsent_at - %s RETURNING 1", self.AGE)

    def test_what_postgres_shows_is_not_sent_again(self, orders: Orders) -> None:
        payer, payee, _ = orders.accounts(2)
        schedule = orders.place(payer, payee)
        with pytest.raises(InjectedBug):
            orders.run_pass(failpoint="schedule_after_send:1:raise")
        orders.await_decided(orders.occurrences(schedule)[0]["payment_id"])
        self.age(orders)
        orders.settle()
        assert outcomes(orders, schedule) == [("posted", None)]
        assert orders.figures.sent == 0

    def test_what_was_never_sent_is_sent_once_postgres_has_everything_of_that_time(self, orders: Orders) -> None:
        payer, payee, _ = orders.accounts(2)
        orders.place(payer, payee)
        with pytest.raises(InjectedBug):
            orders.run_pass(failpoint="schedule_after_issue:1:raise")
        self.age(orders)
        orders.pay_in(payer, 1)  # later than anything that may have been sent: by the brokers' clock, two hours ago
        orders.settle()
        assert orders.figures.sent == 1
        assert orders.paid(payer) == 1

    def test_while_the_sink_is_behind_it_waits(self, orders: Orders) -> None:
        payer, payee, _ = orders.accounts(2)
        schedule = orders.place(payer, payee)
        with pytest.raises(InjectedBug):
            orders.run_pass(failpoint="schedule_after_issue:1:raise")
        self.age(orders)
        shard = shard_of_operation(orders.occurrences(schedule)[0]["payment_id"].bytes)
        orders.pay_in(payer, 1)
        with orders.sink_behind(shard):
            orders.run_pass()
            assert (orders.figures.doubtful, orders.figures.sent) == (1, 0)
        orders.settle()
        assert orders.paid(payer) == 1

    def test_between_the_two_times_it_waits(self, orders: Orders) -> None:
        payer, payee, _ = orders.accounts(2)
        orders.place(payer, payee)
        with pytest.raises(InjectedBug):
            orders.run_pass(failpoint="schedule_after_issue:1:raise")
        orders.all(
            "UPDATE schedule_occurrences SET unsent_at = unsent_at - %s RETURNING 1",
            timedelta(hours=sending.SENT_AGAIN_HOURS, minutes=1),
        )
        orders.run_pass()
        assert (orders.figures.doubtful, orders.figures.sent) == (0, 0)


def test_a_process_that_stood_still_sends_nothing(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    payer, payee, _ = orders.accounts(2)
    schedule = orders.place(payer, payee)
    with monkeypatch.context() as still:
        still.setattr(sending, "TAKEN_S", -1)
        orders.run_pass()
    assert (orders.figures.sent, orders.figures.unsent) == (0, 1)
    assert orders.occurrences(schedule)[0]["sent_at"] is None
    orders.settle()
    assert orders.paid(payer) == 1


def test_paused_and_ended_schedules_issue_nothing(orders: Orders) -> None:
    payer, payee, _ = orders.accounts(2)
    paused, ended = (orders.place(payer, payee, expression="@daily", times=3) for _ in range(2))
    stands = "UPDATE schedules SET status = %s, end_reason = %s WHERE schedule_id = %s RETURNING 1"
    orders.all(stands, "paused", None, paused)
    orders.all(stands, "ended", "cancelled", ended)
    orders.run_pass()
    assert orders.figures.issued == 0

"""Goal: no night is left out or run twice, whatever the calendar, the clocks and the hours that nobody was there."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from reconciliation.matching.rules import RulesFault
from reconciliation.nightly.times import Arrived, due_at, due_days, missing
from tests.reconciliation.nightly.plans import PLAN, plan_in

FRIDAY, SATURDAY, MONDAY, TUESDAY = (date(2026, 11, day) for day in (20, 21, 23, 24))


def test_business_days_alone_have_a_night(tmp_path: Path) -> None:
    """02:30 of Berlin's winter is 01:30 UTC."""
    [night] = plan_in(tmp_path).nights
    assert due_at(night.times, MONDAY) == datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
    weekend = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert due_days(night.times, None, weekend) == [FRIDAY]
    assert due_days(night.times, FRIDAY, weekend) == []
    assert due_days(night.times, FRIDAY, datetime(2026, 11, 23, 1, 29, tzinfo=UTC)) == []
    assert due_days(night.times, FRIDAY, datetime(2026, 11, 24, 1, 30, tzinfo=UTC)) == [MONDAY, TUESDAY]


def test_an_hour_that_the_clocks_leave_out_or_repeat_has_one_night(tmp_path: Path) -> None:
    """Berlin has no 02:30 on 2026-03-29, and two of it on 2026-10-25."""
    [night] = plan_in(tmp_path, PLAN.replace('at: "02:30"', 'at: "02:30"\n    calendar: EVERY_DAY')).nights
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)
    assert due_at(night.times, spring) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert due_days(night.times, date(2026, 3, 28), datetime(2026, 3, 29, 12, tzinfo=UTC)) == [spring]
    assert due_at(night.times, autumn) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert due_days(night.times, autumn, datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) == []


def test_a_file_is_missing_from_its_deadline_until_it_comes(tmp_path: Path) -> None:
    [night] = plan_in(tmp_path).nights
    came = Arrived("stripe", "payouts-20.csv", datetime(2026, 11, 20, 0, 30, tzinfo=UTC))
    deadline = datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert missing(night, [came], datetime(2026, 11, 23, 0, 59, tzinfo=UTC)) == []
    [late] = missing(night, [came], deadline)
    assert (late.source, late.name, late.day, late.due_at) == ("stripe", "payouts-*.csv", MONDAY, deadline)
    others = [came._replace(source="adyen", at=deadline), came._replace(name="fees-23.csv", at=deadline)]
    assert missing(night, [came, *others], deadline) == [late]
    assert missing(night, [came, came._replace(at=datetime(2026, 11, 23, 7, tzinfo=UTC))], deadline) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (PLAN.replace("02:30", "24:30"), "at"),
        (PLAN.replace("stripe.yaml", "none.yaml"), "none.yaml"),
        (PLAN.replace('at: "02:30"', 'at: "02:30"\n    zone: Europe/Atlantis'), "Atlantis"),
        (PLAN + '  - {rules: stripe.yaml, at: "03:00"}\n', "each rule set once"),
        (PLAN + 'internal: {at: "03:00", zone: Mars}\n', "Mars"),
        (PLAN + 'internal: {at: "03:00", ask_max: 501}\n', "ask_max"),
        ("version: 1\ninbox: inbox\n", "nothing to run"),
    ],
)
def test_a_plan_that_can_not_be_carried_out_is_refused(tmp_path: Path, wrong: str, said: str) -> None:
    with pytest.raises(RulesFault, match=said):
        plan_in(tmp_path, wrong)

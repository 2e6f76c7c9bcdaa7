"""Goal: no way leads from a break to money but through a second person, and every status has a way out."""

from datetime import date

import pytest

from reconciliation.breaks.ageing import BUCKETS, age_days, bucket_of, days_of
from reconciliation.breaks.automatic import Open, chosen
from reconciliation.breaks.machine import LIVE, Action, Kind, Refusal, Standing, Status, after, found_again
from reconciliation.matching.calendars import Calendar
from reconciliation.matching.rules import RulesFault
from reconciliation.runs.rules import read_rules
from tests.reconciliation.ledger import RULES

AUTOMATIC = """
breaks:
  run_limit_minor: 100
  automatic:
    - {type: FEE_DIFFERENCE, currency: EUR, up_to_minor: 50, debit: losses, credit: stripe_clearing}
"""


def test_who_proposes_never_approves() -> None:
    proposed = Standing(Status.PROPOSED, "bert", "anna", Kind.ADJUST)
    assert after(proposed, Action.APPROVE, "anna") is Refusal.FOUR_EYES
    assert after(proposed, Action.APPROVE, "bert") is Status.APPROVED
    assert after(proposed._replace(kind=Kind.EXPLAIN), Action.APPROVE, "bert") is Status.RESOLVED
    assert after(proposed, Action.WITHDRAW, "bert") is Refusal.STATUS
    assert after(proposed, Action.WITHDRAW, "anna") is Status.ASSIGNED


def test_a_journal_is_posted_only_of_what_is_approved() -> None:
    leads = {
        (status, action)
        for status in Status
        for action in Action
        if after(Standing(status, "o", "p", Kind.WRITE_OFF), action, "x") in (Status.RESOLVED, Status.WRITTEN_OFF)
        and status in LIVE
    }
    assert leads == {(Status.APPROVED, Action.POST)}
    only = {
        status
        for status in Status
        if after(Standing(status, "", "p", Kind.ADJUST), Action.APPROVE, "x") is not Refusal.STATUS
    }
    assert only == {Status.PROPOSED}


def test_every_status_has_a_way_out_and_a_signed_period_is_not_reopened() -> None:
    for status in Status:
        standing = Standing(status, "", "p", Kind.ADJUST)
        assert any(after(standing, action, "x") not in (status, *Refusal) for action in Action), status
    signed = Standing(Status.RESOLVED, is_signed=True)
    assert after(signed, Action.REOPEN, "x") is Refusal.PERIOD_SIGNED
    assert after(signed._replace(is_signed=False), Action.REOPEN, "x") is Status.OPEN


def test_what_was_resolved_stays_so_while_it_is_the_same() -> None:
    for status in (Status.RESOLVED, Status.WRITTEN_OFF):
        assert found_again(Standing(status), differs=False) is None
        assert found_again(Standing(status), differs=True) is Action.REOPEN
    assert found_again(Standing(Status.CLOSED), differs=False) is Action.REOPEN
    assert found_again(Standing(Status.ASSIGNED), differs=False) is None
    assert after(Standing(Status.PROPOSED, "", "p"), Action.CHANGE, "run") is Status.OPEN
    assert after(Standing(Status.APPROVED, "", "p"), Action.CHANGE, "run") is Status.APPROVED


def test_days_of_a_bucket_are_those_whose_age_is_in_it() -> None:
    """For every day of two years before a Sunday and a Monday, in a calendar with holidays."""
    for today in (date(2026, 11, 22), date(2026, 11, 23)):
        for back in range(730):
            day = date.fromordinal(today.toordinal() - back)
            bucket = bucket_of(age_days(day, today, Calendar.TARGET))
            holding = [
                one
                for one in BUCKETS
                for oldest, youngest in (days_of(one, today, Calendar.TARGET),)
                if (oldest is None or oldest <= day) and (youngest is None or day <= youngest)
            ]
            assert holding == [bucket], (today, day)


def test_rules_adjust_the_smallest_first_until_the_limit_of_the_run() -> None:
    rules = read_rules(RULES + AUTOMATIC).rules.breaks
    ids = [Open(id_, "FEE_DIFFERENCE", minor, "EUR") for id_, minor in zip("abcd", (0, -40, 50, 20), strict=True)]  # type: ignore[arg-type]
    others = [
        ids[1]._replace(type="AMOUNT_MISMATCH"),
        ids[1]._replace(currency="USD"),
        ids[1]._replace(difference_minor=51),
    ]
    assert [one.break_id for one, _ in chosen([*others, *ids], rules)] == ["b", "c"]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (
            "breaks: {automatic: [{type: TIMING, currency: EUR, up_to_minor: 1, debit: fees, credit: losses}]}",
            "people",
        ),
        (
            "breaks: {automatic: [{type: FEE_DIFFERENCE, currency: EUR, up_to_minor: 1, debit: fee, credit: losses}]}",
            "'fee'",
        ),
        ("zone: Mars", "zone"),
        ("statements: {sources: []}", "statements.sources"),
    ],
)
def test_rules_that_are_wrong_say_where(part: str, says: str) -> None:
    name = part.partition(":")[0]
    text = "\n".join(line for line in RULES.splitlines() if not line.startswith(f"{name}:"))
    with pytest.raises(RulesFault, match=says):
        read_rules(f"{text}\n{part}\n")

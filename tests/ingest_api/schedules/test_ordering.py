"""Goal: what a change makes of a schedule; above all, nothing of a pause is made up for."""

from datetime import UTC, datetime

import pytest

from ingest_api.problems import Fault, Problem
from ingest_api.schedules.ordering import changed, request_of, require_start_ahead
from ingest_api.schedules.register import Stored
from ingest_api.schedules.rows import ScheduledTransfer, Status, Terms, microseconds
from ingest_api.schedules.shown import ScheduleChangeBody, shown_preview
from payments.terms.occurrences import Progress, due
from payments.terms.schedules import MissedRuns, Schedule

DAILY = Schedule(bytes(16), "UTC", datetime(2026, 1, 1, 9), "0 9 * * *")
TERMS = Terms(b"\1" * 16, b"\2" * 16, 100, "EUR", "rent")
ISSUED = Progress(datetime(2026, 1, 3, 9), 3)


def stored(status: Status, now: datetime, schedule: Schedule = DAILY) -> Stored:
    return Stored(ScheduledTransfer(schedule, TERMS, ISSUED, status), bytes(32), now, now)


@pytest.mark.parametrize("missed", MissedRuns)
def test_what_came_due_in_a_pause_is_left_out(missed: MissedRuns) -> None:
    now = datetime(2026, 1, 6, 12, tzinfo=UTC)
    paused = stored(Status.PAUSED, now, DAILY._replace(missed=missed))
    resumed = changed(ScheduleChangeBody(status="active"), paused)
    assert due(resumed.schedule, resumed.progress, microseconds(now))[0] == ()
    assert resumed.next_due_us == microseconds(datetime(2026, 1, 7, 9, tzinfo=UTC))
    assert resumed.progress.issued == 3
    assert [each.at for each in shown_preview(paused, 1).items] == ["2026-01-07T09:00:00"]


def test_a_change_of_a_paused_schedule_leaves_it_paused() -> None:
    paused = stored(Status.PAUSED, datetime(2026, 1, 6, 12, tzinfo=UTC))
    after = changed(ScheduleChangeBody(retries=3), paused)
    assert (after.status, after.progress, after.schedule.retries) == (Status.PAUSED, ISSUED, 3)


def test_saying_again_that_it_is_active_leaves_nothing_out() -> None:
    active = stored(Status.ACTIVE, datetime(2026, 1, 6, 12, tzinfo=UTC))
    assert changed(ScheduleChangeBody(status="active"), active) == active.transfer


def test_an_end_in_front_of_the_start_is_refused() -> None:
    with pytest.raises(Problem) as raised:
        changed(ScheduleChangeBody(ends="2025-12-31"), stored(Status.ACTIVE, datetime(2026, 1, 6, tzinfo=UTC)))
    assert (raised.value.code, raised.value.errors[0].pointer) == (Fault.FIELD_INVALID, "/ends")


def test_a_start_is_today_or_later_in_its_own_zone() -> None:
    now = datetime(2026, 6, 2, 9, tzinfo=UTC)
    today = DAILY._replace(zone="Pacific/Kiritimati", starts=datetime(2026, 6, 2))
    require_start_ahead(today, now)
    with pytest.raises(Problem):
        require_start_ahead(today._replace(starts=datetime(2026, 6, 1, 22)), now)


def test_a_repeat_has_to_ask_for_the_same() -> None:
    transfer = ScheduledTransfer(DAILY, TERMS)
    assert request_of(transfer) == request_of(transfer._replace(progress=ISSUED, status=Status.PAUSED))
    others = [
        transfer._replace(terms=TERMS._replace(amount_minor=101)),
        transfer._replace(terms=TERMS._replace(memo="")),
        transfer._replace(schedule=DAILY._replace(retries=1)),
        transfer._replace(schedule=DAILY._replace(starts=datetime(2026, 1, 1, 10))),
    ]
    assert request_of(transfer) not in {request_of(other) for other in others}

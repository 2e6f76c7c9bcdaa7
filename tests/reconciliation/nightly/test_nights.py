"""Goal: in the morning files are in, the run is there with its report, and what did not come is told.

Method: a folder and real Postgres; nights pass by the clock that each look is given.
"""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from millrace.reconciliation.nightly.alarm import NightsAlarm
from reconciliation.nightly.nights import After, Nights, arrivals, is_ours, standing
from runtime.settings import Settings
from tests.reconciliation.ledger import RULES, charge, report
from tests.reconciliation.nightly.plans import PLAN, plan_in

NOW = datetime.now(UTC).replace(hour=23)
"""Files are brought by the clock of Postgres; on every day of the calendar 23:00 is after the time of the night."""

EVERY_DAY = RULES.replace("WEEKDAYS", "EVERY_DAY").replace("Europe/Berlin", "UTC")
TOMORROW_S = PLAN.replace("formats: [csv]", "formats: [csv]\n    calendar: EVERY_DAY")


def nights_of(books: Connection, folder: Path) -> Nights:
    def send(_: Connection) -> None:
        sent.append(1)

    sent: list[int] = []
    after = After(lambda _, run, format_: f"{run} {format_}".encode(), send)
    return Nights(books, plan_in(folder, TOMORROW_S, EVERY_DAY), after, 1)


def put(folder: Path, name: str, text: str) -> None:
    path = folder / "inbox" / "stripe" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_night_from_the_files_to_the_report(books: Connection, tmp_path: Path) -> None:
    charge(books, 1, 10_00, "2026-11-16")
    good = report(("order-1", "9.00", "2026-11-16", "charge"))
    for name, text in (("payouts-1.csv", good), ("copy.csv", good), ("wrong.csv", "a,b\n1,2\n")):
        put(tmp_path, name, text)
    nights = nights_of(books, tmp_path)
    first = nights.look(NOW)
    assert (first.files, len(first.runs)) == ([], 1)
    second = nights.look(NOW + timedelta(seconds=10))
    told = {file.name: file.status.name for file in second.files}
    assert told == {"payouts-1.csv": "REFUSED", "copy.csv": "IMPORTED", "wrong.csv": "QUARANTINED"}
    assert second.runs == [], "the night was run already"
    third = nights.look(NOW + timedelta(days=1))
    [run] = third.runs
    rows = books.execute("SELECT type, difference_minor FROM recon_run_breaks WHERE run_id = %s", (run,)).fetchall()
    assert rows == [("AMOUNT_MISMATCH", 1_00)]
    day = (NOW + timedelta(days=1)).date()
    assert (tmp_path / "reports" / "stripe-daily" / f"{day}.csv").read_text() == f"{run} csv"


def test_nights_that_nobody_ran_are_covered_by_one_run(books: Connection, tmp_path: Path) -> None:
    nights_of(books, tmp_path).look(NOW)
    later = nights_of(books, tmp_path)
    [run] = later.look(NOW + timedelta(days=4)).runs
    assert later.look(NOW + timedelta(days=4, minutes=1)).runs == []
    rows = books.execute("SELECT run_id, was_missed FROM recon_nights ORDER BY day").fetchall()
    assert [row[1] for row in rows] == [False, True, True, True, False]
    assert {row[0] for row in rows[1:]} == {run}
    stands = standing(books, plan_in(tmp_path, TOMORROW_S, EVERY_DAY).nights[0], NOW + timedelta(days=4), [])
    next_at = (NOW + timedelta(days=5)).replace(hour=2, minute=30, second=0, microsecond=0)
    assert (stands.last_run, stands.missed, stands.due, stands.next_at) == (run, 3, [], next_at)


def test_a_crash_before_the_commit_runs_the_night_again(
    books: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> UUID:
        raise psycopg.OperationalError("gone")

    with monkeypatch.context() as patched:
        patched.setattr("reconciliation.nightly.nights.due_at", crash)
        with pytest.raises(psycopg.OperationalError):
            nights_of(books, tmp_path).look(NOW)
    assert books.execute("SELECT count(*) FROM recon_runs").fetchone() == (0,)
    assert len(nights_of(books, tmp_path).look(NOW).runs) == 1


def test_what_does_not_come_is_told_once(books: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nights = nights_of(books, tmp_path)
    with caplog.at_level(logging.ERROR):
        nights.look(NOW)
        nights.look(NOW)
    [alarm] = [record.getMessage() for record in caplog.records if "ALARM" in record.getMessage()]
    assert "stripe: no file payouts-*.csv" in alarm


def test_the_watch_tells_of_files_and_of_nights_that_nobody_has_run(migrated: str, tmp_path: Path) -> None:
    plan_in(tmp_path, TOMORROW_S, EVERY_DAY)
    settings = Settings(home=tmp_path, database_url=migrated, recon_plan_file=tmp_path / "plan.yaml")
    file, night = NightsAlarm(settings)._asked(NOW)
    assert "stripe: no file payouts-*.csv" in file
    assert f"stripe-daily: the night of {NOW.date()} has not run" in night
    (tmp_path / "plan.yaml").write_text("version: 2")
    assert "can't be read" in NightsAlarm(settings).alarms()[0]
    assert NightsAlarm(settings.model_copy(update={"recon_plan_file": None})).alarms() == []


def test_one_runner_at_a_time(books: Connection, migrated: str) -> None:
    assert is_ours(books)
    with psycopg.connect(migrated, autocommit=True) as other:
        assert not is_ours(other)
    assert arrivals(books, NOW) == []

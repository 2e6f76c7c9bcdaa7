"""Goal: in the morning files are in, the run is there with its report, and what did not come is told.

Method: a folder and real Postgres; nights pass by the clock that each look is given.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from ingest_api.reconciliation.reports.report import report_of
from millrace.reconciliation.nightly.alarm import NightsAlarm
from payments.commerce.connector import Outcome
from payments.items.details import OrderStatus
from reconciliation.internal.questions import Stopped
from reconciliation.internal.views import Movement, ProviderView
from reconciliation.nightly.nights import AGAIN, After, AskThem, Nights, arrivals, is_ours, standing
from runtime import migrate
from runtime.settings import Settings
from tests.reconciliation.internal import books as services
from tests.reconciliation.ledger import RULES, charge, report
from tests.reconciliation.nightly.plans import PLAN, plan_in

NOW = datetime.now(UTC).replace(hour=23)
"""Files are brought by the clock of Postgres; on every day of the calendar 23:00 is after the time of the night."""

EVERY_DAY = RULES.replace("WEEKDAYS", "EVERY_DAY").replace("Europe/Berlin", "UTC")
INTERNAL = """
version: 1
inbox: inbox
reports: reports
internal: {at: "02:30"}
"""
TOMORROW_S = PLAN.replace("formats: [csv]", "formats: [csv]\n    calendar: EVERY_DAY")


def nights_of(books: Connection, folder: Path, plan: str = TOMORROW_S, ask: AskThem = lambda *_: {}) -> Nights:
    def send(_: Connection) -> None:
        sent.append(1)

    sent: list[int] = []
    after = After(lambda _, run, format_: f"{run} {format_}".encode(), send, ask)
    return Nights(books, plan_in(folder, plan, EVERY_DAY), after, 1)


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


def test_our_own_services_are_compared_every_night_and_providers_asked(books: Connection, tmp_path: Path) -> None:
    """The provider answers the first time, about one of the two; what it does not know is still found."""
    migrate.up(books.info.dsn, "reconciliation.internal")
    stuck = [services.charge(books, number, NOW - timedelta(days=2), OrderStatus.EXECUTING) for number in (1, 2)]
    asked: list[list[UUID]] = []

    def ask(_: Connection, some: Sequence[Movement]) -> dict[UUID, ProviderView]:
        asked.append([one.id for one in some])
        return {stuck[0]: ProviderView(Outcome.SUCCEEDED, True, "pi_1", "", 10_00, "EUR", NOW)}

    [run] = nights_of(books, tmp_path, INTERNAL, ask).look(NOW).runs
    rows = books.execute("SELECT type FROM recon_run_breaks WHERE run_id = %s ORDER BY type", (run,)).fetchall()
    assert ([row[0] for row in rows], asked) == (["CAPTURED_NOT_POSTED", "STUCK_EXECUTING"], [stuck])
    assert books.execute("SELECT rule_set, run_id FROM recon_nights").fetchall() == [("internal", run)]
    day = NOW.date()
    assert (tmp_path / "reports" / "internal" / f"{day}.csv").read_text() == f"{run} csv"
    later = nights_of(books, tmp_path, INTERNAL, ask)
    assert len(later.look(NOW + timedelta(days=3)).runs) == 1
    assert later.look(NOW + timedelta(days=3, minutes=1)).runs == []
    assert asked[1] == [stuck[1], stuck[0]], "who was never asked about comes first"
    stands = standing(books, plan_in(tmp_path, INTERNAL).all[0], NOW + timedelta(days=3), [])
    assert (stands.rules, stands.missed, stands.due) == ("internal", 2, [])


def test_files_do_not_wait_for_providers(books: Connection, tmp_path: Path) -> None:
    """The night of the files first: its run stands when the one that asks providers is broken off."""

    def stop(*_: object) -> dict[UUID, ProviderView]:
        raise Stopped

    migrate.up(books.info.dsn, "reconciliation.internal")
    services.charge(books, 1, NOW - timedelta(days=2), OrderStatus.EXECUTING)
    with pytest.raises(Stopped):
        nights_of(books, tmp_path, f'{TOMORROW_S}internal: {{at: "00:30"}}\n', stop).look(NOW)
    assert books.execute("SELECT rule_set FROM recon_nights").fetchall() == [("stripe-daily",)]


def test_too_many_findings_are_an_alarm_and_tried_again_an_hour_later(
    books: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    migrate.up(books.info.dsn, "reconciliation.internal")
    services.charge(books, 1, NOW - timedelta(days=2), OrderStatus.EXECUTING)
    nights = nights_of(books, tmp_path, INTERNAL)
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr("reconciliation.internal.run.FINDINGS_MAX", 0)
        assert [nights.look(NOW + timedelta(seconds=ten)).runs for ten in (0, 10)] == [[], []]
    assert sum("ALARM internal" in record.getMessage() for record in caplog.records) == 1
    assert nights.look(NOW + AGAIN / 2).runs == []
    assert len(nights.look(NOW + AGAIN).runs) == 1


def test_the_report_of_our_own_services_speaks_of_them(books: Connection, tmp_path: Path) -> None:
    """A run without files: the same sections, and no line of files is claimed."""
    migrate.up(books.info.dsn, "reconciliation.internal")
    services.charge(books, 1, NOW - timedelta(days=2), OrderStatus.EXECUTING)
    [run] = nights_of(books, tmp_path, INTERNAL).look(NOW).runs
    sections = report_of(books, run)
    assert sections is not None
    header = {row[0]: row[1] for row in sections[0].rows}
    assert (header["movements and wallets"], header["asked of providers"]) == (1, 0)
    assert "lines of files" not in header


def test_the_watch_tells_of_a_night_of_our_own_services_that_nobody_has_run(migrated: str, tmp_path: Path) -> None:
    plan_in(tmp_path, INTERNAL)
    settings = Settings(home=tmp_path, database_url=migrated, recon_plan_file=tmp_path / "plan.yaml")
    [night] = NightsAlarm(settings)._asked(NOW)
    assert f"internal: the night of {NOW.date()} has not run (due at 02:30Z)" in night

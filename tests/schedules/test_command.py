"""Goal: schedules can be looked at and run from the command line, and a dry run changes nothing."""

import json
import os
import subprocess
import sys
from typing import Any
from uuid import UUID

from payments.identifiers import SCHEDULE, format_id
from tests.schedules.orders import Orders


def millrace(orders: Orders, *arguments: str, code: int = 0) -> str:
    """`millrace schedule …` beside the stage; what it printed."""
    variables = {**os.environ, "MILLRACE_HOME": str(orders.stage.settings.home)}
    command = [sys.executable, "-m", "millrace", "schedule", *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def told(orders: Orders, *arguments: str) -> Any:
    return json.loads(millrace(orders, *arguments, "--json"))


def named(schedule: UUID) -> str:
    return format_id(SCHEDULE, schedule.bytes)


def test_a_dry_run_shows_what_a_run_issues(orders: Orders) -> None:
    payer, payee, _ = orders.accounts(2)
    schedule = orders.place(payer, payee, 5, expression="0 9 1 * *", times=2)
    assert [item["id"] for item in told(orders, "list")] == [named(schedule)]
    due = told(orders, "run", "--dry-run")
    assert [each["at"] for each in due[named(schedule)]] == ["2026-01-01T09:00:00", "2026-02-01T09:00:00"]
    assert "2026-02-01" in millrace(orders, "run", "--dry-run")
    assert orders.occurrences(schedule) == []
    figures = told(orders, "run")
    assert (figures["issued"], figures["sent"]) == (2, 2)
    orders.settle()
    shown = told(orders, "show", named(schedule))
    assert shown["schedule"]["end_reason"] == "finished"
    assert [one["status"] for one in shown["occurrences"]] == ["posted", "posted"]
    assert "posted" in millrace(orders, "show", named(schedule))
    assert "finished" in millrace(orders, "list", "--status", "ended")
    assert told(orders, "list") == []
    assert "Nothing is due" in millrace(orders, "run", "--dry-run")


def test_what_is_no_schedule_is_said_so(orders: Orders) -> None:
    assert "no schedule is called sch_1" in millrace(orders, "show", "sch_1", code=1)
    assert "one of active" in millrace(orders, "list", "--status", "late", code=2)

"""Goal: what a provider leaves open is an alarm in `millrace status` until two people have settled it.

The installation runs; the provider's word is written by hand.
"""

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from ingest_api.attempts.shown import ATTEMPT
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.attempts import AttemptsAlarm
from millrace.quarantine.alarm import QuarantineAlarm
from payments.commerce.connector import Outcome
from payments.identifiers import format_id
from runtime.settings import Settings
from tests.ingest_api.attempts.provider import placed, told
from tests.ingest_api.client import ApiClient
from tests.support.waiting import eventually

EXIT_ALARM = 4
LINE = "requests to providers wait for people to settle them: GET /v1/attempts"


def status_of(settings: Settings) -> tuple[int, list[str]]:
    """Exit code of `millrace status`, and its alarms of attempts."""
    command = [sys.executable, "-m", "millrace", "status", "--json"]
    variables = {**os.environ, "MILLRACE_HOME": str(settings.home)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    shown: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, [alarm for alarm in shown["alarms"] if LINE in alarm]


def waiting(settings: Settings) -> int:
    """Requests of other tests may be open, too."""
    query = "SELECT count(*) FROM provider_requests WHERE is_open AND NOT attempt_follows"
    with psycopg.connect(settings.database_url) as tables:
        [[count]] = tables.execute(query).fetchall()
    return int(count)


def test_what_a_provider_leaves_open_is_an_alarm_until_people_have_settled_it(
    api: ApiClient, settings: Settings, api_url: str
) -> None:
    alarm, before = AttemptsAlarm(settings, every_s=0), waiting(settings)
    name = placed(api, api.open_account(type="merchant"))
    eventually(lambda: api.get(f"/v1/payments/{name}").json()["payment_order_status"] == "EXECUTING", "a request")
    assert waiting(settings) == before, "its provider is asked about it"
    request_id = told(settings, name, Outcome.UNKNOWN)
    expected = [f"{before + 1} {LINE}"]
    eventually(lambda: alarm.alarms() == expected, "an alarm")
    eventually(lambda: status_of(settings) == (EXIT_ALARM, expected), "an alarm of the watchdog")
    for person in ("fatima", "george"):
        caller = ApiClient(api_url, issue_token(settings, person, ALL_SCOPES, 600))
        path = f"/v1/attempts/{format_id(ATTEMPT, request_id)}/settle"
        settled = caller.post(path, {"outcome": "failed"}, prefer="wait=20")
        assert settled.status_code == 200, settled.text
    assert alarm.alarms() == ([f"{before} {LINE}"] if before else [])
    eventually(lambda: status_of(settings)[1] == alarm.alarms(), "the watchdog is quiet again")


def test_a_count_is_kept_while_postgres_does_not_answer(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = settings.model_copy(update={"database_url": "postgresql://127.0.0.1:9/nowhere"})
    alarm = AttemptsAlarm(nowhere, every_s=0)
    assert alarm.alarms() == []
    alarm._lines = [f"3 {LINE}"]
    assert alarm.alarms() == [f"3 {LINE}"]
    assert caplog.messages[-1].startswith("what providers leave open can't be counted: ")


def test_before_anything_has_run_there_is_no_alarm(settings: Settings, database: str) -> None:
    """A database without tables: what was said last does not stand, as it would while nobody answers."""
    alarm = AttemptsAlarm(settings.model_copy(update={"database_url": database}), every_s=0)
    alarm._lines = [f"3 {LINE}"]
    assert alarm.alarms() == []


class Counted(QuarantineAlarm):
    """Counts its looks, and fails at the second."""

    looks = 0

    def _look(self) -> list[str]:
        self.looks += 1
        if self.looks == 2:
            raise psycopg.OperationalError("no\n  answer")
        return [f"look {self.looks}"]


def test_an_alarm_asks_once_in_its_interval_also_after_a_question_that_failed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [100.0]
    monkeypatch.setattr("millrace.asked_alarm.time", SimpleNamespace(monotonic=lambda: clock_s[-1]))
    alarm, told_at = Counted(settings, every_s=10), []
    for now_s in (100.0, 109.9, 110.0, 119.9, 120.0):
        clock_s.append(now_s)
        told_at.append((alarm.alarms(), alarm.looks))
    assert told_at == [(["look 1"], 1), (["look 1"], 1), (["look 1"], 2), (["look 1"], 2), (["look 3"], 3)]

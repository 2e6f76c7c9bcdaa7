"""An open case is an alarm in `millrace status` until it is resolved."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from millrace.environment.layout import home_of
from millrace.quarantine.alarm import QuarantineAlarm
from runtime.settings import Settings
from tests.quarantine.conftest import Operator
from tests.support.waiting import eventually

EXIT_ALARM = 4


def status_of(operator: Operator) -> tuple[int, list[str]]:
    """Exit code and alarms of `millrace status`."""
    command = [sys.executable, "-m", "millrace", "status", "--json"]
    variables = {**os.environ, "MILLRACE_HOME": str(operator.settings.home)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    shown: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, [alarm for alarm in shown["alarms"] if "quarantine" in alarm]


def waiting_in_metrics(settings: Settings) -> int:
    """What Prometheus is told."""
    lines = home_of(settings).quarantine_metrics.read_text().splitlines()
    [value] = [line for line in lines if not line.startswith("#")]
    name, waiting = value.split()
    assert name == "millrace_quarantine_waiting"
    return int(waiting)


def test_open_cases_are_an_alarm_and_a_metric_until_they_are_resolved(operator: Operator, tmp_path: Path) -> None:
    operator.await_case(operator.send(0, b"alarming"))
    beside_the_watch = operator.settings.model_copy(update={"home": tmp_path})
    alarm = QuarantineAlarm(beside_the_watch, every_s=0)
    with operator.desk() as connection:
        row = connection.execute("SELECT count(*) FROM quarantine_cases WHERE status < 2").fetchone()
    assert row is not None
    expected = f"{row[0]} records in quarantine wait for a decision: millrace quarantine list"
    assert alarm.alarms() == [expected]
    assert waiting_in_metrics(beside_the_watch) == row[0]
    eventually(lambda: status_of(operator) == (EXIT_ALARM, [expected]))
    with operator.desk() as connection:
        connection.execute(
            "INSERT INTO quarantine_resolutions SELECT origin_topic, origin_partition, origin_offset, origin_item,"
            " 3, 'test', 'all of them', now(), now() FROM quarantine ON CONFLICT DO NOTHING"
        )
    assert alarm.alarms() == []
    assert waiting_in_metrics(beside_the_watch) == 0
    eventually(lambda: status_of(operator)[1] == [])


def test_a_count_is_kept_while_postgres_does_not_answer(operator: Operator) -> None:
    nowhere = operator.settings.model_copy(update={"database_url": "postgresql://127.0.0.1:9/nowhere"})
    alarm = QuarantineAlarm(nowhere, every_s=0)
    alarm._lines = ["3 records in quarantine wait for a decision: millrace quarantine list"]
    assert alarm.alarms() == ["3 records in quarantine wait for a decision: millrace quarantine list"]

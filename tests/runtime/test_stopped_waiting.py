"""A stop is heard while Postgres is away: a supervisor kills after 15 s, and a connect is tried for 30 s."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from millrace.environment import ports

HEARD_S = 10
"""What is left of a supervisor's 15 s on a busy machine; the deadline of a connect is longer."""


PLAN = str(Path(__file__).parents[2] / "examples" / "reconciliation_plan.yaml")

SERVICES = (
    *("sink", "quarantine-sink", "events-sink", "scheduler", "webhooks", "notifications"),
    *("recon nights", "recon follow"),
)


@pytest.mark.parametrize("service", SERVICES)
def test_a_stop_is_heard_while_postgres_is_away(broker: str, tmp_path: Path, service: str) -> None:
    away = f"postgresql://millrace@127.0.0.1:{ports.free_base([])}/millrace"
    variables = {
        "KAFKA_BOOTSTRAP": broker,
        "DATABASE_URL": away,
        "MILLRACE_HOME": str(tmp_path),
        "MILLRACE_SMTP_HOST": "127.0.0.1",
        "MILLRACE_MAIL_FROM": "notices@bank.example",
        "MILLRACE_RECON_PLAN_FILE": PLAN,
    }
    log = tmp_path / "log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [sys.executable, "-m", "millrace", *service.split()], env=os.environ | variables, stderr=written
        ) as child,
    ):
        try:
            while b"postgres not reachable" not in log.read_bytes():
                assert child.poll() is None, log.read_text()
            child.send_signal(signal.SIGTERM)
            assert child.wait(HEARD_S) == 0, log.read_text()
        finally:
            child.kill()

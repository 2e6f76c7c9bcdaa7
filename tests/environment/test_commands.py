"""Goal: `millrace up|status|kill|logs|down` do what their help says, for people and for machines.

Method: the console command as a process, one home, the life of an environment in order.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from runtime.settings import Settings
from tests.support.environment import throw_away_settings
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Shell:
    """Runs `millrace` in one home."""

    home: Path
    settings: Settings

    def run(self, *arguments: str, expect: int = 0, **variables: str) -> str:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")},
            "MILLRACE_HOME": str(self.home),
            "MILLRACE_KAFKA_PORT": str(self.settings.kafka_port),
            "MILLRACE_POSTGRES_PORT": str(self.settings.postgres_port),
            **variables,
        }
        done = subprocess.run(
            [sys.executable, "-m", "millrace", *arguments], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def json(self, *arguments: str, expect: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", expect=expect))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path / "home", throw_away_settings(tmp_path / "home"))
    yield shell
    if shell.home.exists():
        shell.run("down", "--wipe")


def test_the_life_of_an_environment(shell: Shell) -> None:
    infrastructure = ("up", "--only", "infrastructure")
    first = shell.json(*infrastructure)
    assert first["already_running"] is False
    assert first["addresses"]["kafka_bootstrap"] == f"127.0.0.1:{shell.settings.kafka_port}"

    running = {service["name"]: service for service in shell.json("status")["supervisor"]["services"]}
    assert set(running) == {"broker", "postgres"}
    assert {service["state"] for service in running.values()} == {"ready"}

    assert shell.json(*infrastructure)["already_running"] is True
    assert "is up already" in shell.run(*infrastructure)
    pids = {service["name"]: service["pid"] for service in shell.json("status")["supervisor"]["services"]}
    assert pids == {name: service["pid"] for name, service in running.items()}

    assert shell.json("kill", "postgres") == {"killed": "postgres", "pid": pids["postgres"]}
    eventually(lambda: _restarts(shell)["postgres"] == 1, "postgres restarted")
    assert "database system is ready to accept connections" in shell.run("logs", "postgres")
    assert "started, pid" in "\n".join(shell.json("logs", "supervisor", "-n", "50")["supervisor.log"])

    assert shell.json("down") == {"stopped": True, "wiped": False}
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert shell.json("down") == {"stopped": False, "wiped": False}
    assert shell.home.exists()
    assert shell.json("down", "--wipe") == {"stopped": False, "wiped": True}
    assert not shell.home.exists()


def _restarts(shell: Shell) -> dict[str, int]:
    return {service["name"]: service["restarts"] for service in shell.json("status")["supervisor"]["services"]}


@pytest.mark.parametrize("command", [("status",), ("kill", "broker"), ("audit", "verify")])
def test_nothing_running_is_exit_code_3(shell: Shell, command: tuple[str, ...]) -> None:
    assert "`millrace up` starts one" in shell.run(*command, expect=3)
    assert "`millrace up` starts one" in shell.json(*command, expect=3)["error"]


def test_a_log_that_does_not_exist_is_exit_code_1(shell: Shell) -> None:
    assert "there are: none" in shell.run("logs", "broker", expect=1)


def test_wrong_usage_is_exit_code_2(shell: Shell) -> None:
    assert "infrastructure" in shell.run("up", "--only", "kafka", expect=2)
    shell.run("up", "--brokers", "0", expect=2)
    shell.run("fly", expect=2)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MILLRACE_API_PORT", "eighty", "MILLRACE_API_PORT: Input should be a valid integer"),
        ("MILLRACE_TRANSACTION_TIMEOUT_MS", "20000", "transaction_timeout_ms must be below session_timeout_ms"),
        ("DATABASE_URL", "mysql://localhost/x", "database_url must start with postgresql://"),
    ],
)
def test_a_setting_that_is_refused_is_one_sentence(shell: Shell, variable: str, value: str, words: str) -> None:
    said = shell.run("status", expect=2, **{variable: value})
    assert words in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1


def test_help_documents_exit_codes_and_imports_no_server_code() -> None:
    code = (
        "import sys; from millrace.cli import app; app(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Exit codes" in done.stdout
    for slow in ("confluent_kafka", "psycopg", "pydantic", "httpx"):
        assert f"'{slow}'" not in done.stdout

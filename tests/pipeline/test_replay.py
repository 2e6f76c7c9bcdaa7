"""Replay, decide and drift of a pipeline at work, as an operator runs them; the watch raises the alarm by itself."""

import json
import subprocess
import sys
from os import environ
from typing import Any

import psycopg

from millrace.environment import LocalEnvironment
from millrace.environment.layout import home_of
from millrace.watch import read_alarms
from payments.identifiers import ACCOUNT, format_id
from tests.pipeline.slots import Slot, ended_afterwards
from tests.pipeline.traffic import Traffic
from tests.support.waiting import eventually


def millrace(stage: LocalEnvironment, *arguments: str, expect: int = 0) -> Any:
    """What a command prints, as JSON."""
    servers = {"KAFKA_BOOTSTRAP": stage.kafka_bootstrap, "DATABASE_URL": stage.database_url}
    done = subprocess.run(
        [sys.executable, "-m", "millrace", *arguments, "--json"],
        env={**environ, **servers},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expect, f"{arguments}: {done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def test_an_operator_replays_and_is_told_of_drift(stage: LocalEnvironment) -> None:
    worker, sink, watch = (Slot(stage, command) for command in ("worker", "sink", "watchdog"))
    with ended_afterwards(worker, sink, watch):
        traffic = Traffic(stage, seed=5)
        traffic.open_accounts()
        traffic.pay(150)
        traffic.await_settled()
        account = format_id(ACCOUNT, traffic.accounts[0])
        newest = millrace(stage, "replay", "--account", account)
        assert newest["ok"] is True
        assert newest["comparison"]["accounts"] == newest["accounts"] >= len(traffic.accounts)
        past = millrace(stage, "replay", "--to", _halfway(newest["next_offsets"]))
        assert past["ok"] is True
        assert 0 < past["entries"] < newest["entries"]
        assert millrace(stage, "replay", "--decide")["entries"] == newest["entries"]
        _drifts(stage, traffic.accounts[0], newest["balance"])


def _halfway(next_offsets: dict[str, int]) -> str:
    return ",".join(f"{shard}:{offset // 2}" for shard, offset in next_offsets.items())


def _drifts(stage: LocalEnvironment, account: bytes, balance: dict[str, Any]) -> None:
    home = home_of(stage.settings)
    eventually(lambda: home.metrics.exists() and "millrace_drift_minor 0\n" in home.metrics.read_text())
    with psycopg.connect(stage.database_url) as connection:
        connection.execute(
            "UPDATE balances SET posted_minor = posted_minor + 3 WHERE account_id = %s", (account.hex(),)
        )
    [one] = millrace(stage, "drift", "--once", expect=1)["comparison"]["first"]
    assert one["account"] == format_id(ACCOUNT, account)
    assert one["ledger"] == balance
    assert one["postgres"] == {**balance, "posted_minor": balance["posted_minor"] + 3}
    eventually(lambda: any("Postgres differs from the ledger by 3 minor units" in alarm for alarm in read_alarms(home)))
    with psycopg.connect(stage.database_url) as connection:
        connection.execute(
            "UPDATE balances SET posted_minor = posted_minor - 3 WHERE account_id = %s", (account.hex(),)
        )
    eventually(lambda: read_alarms(home) == [])

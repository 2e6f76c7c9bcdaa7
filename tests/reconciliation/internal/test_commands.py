"""Goal: an operator finds and repairs with `millrace recon internal`, and every answer is JSON where it is asked for.

Method: the commands in this process, on a database of their own; no provider is asked.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from millrace.cli import app
from payments.items.details import OrderStatus
from tests.reconciliation.internal.books import charge


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", migrated)
    with psycopg.connect(migrated, autocommit=True) as books:
        charge(books, 1, datetime.now(UTC) - timedelta(days=2), OrderStatus.EXECUTING)


def internal(*arguments: str, exits: int = 0) -> Any:
    result = CliRunner().invoke(app, ["recon", "internal", *arguments, "--json"])
    assert result.exit_code == exits, result.output
    return json.loads(result.stdout)


def test_a_stuck_order_is_found_shown_and_asked_about_once() -> None:
    tried = internal("run", "--no-ask", "--dry-run")
    assert (tried["id"], tried["changes"], len(tried["findings"])) == (None, {}, 1)
    assert internal("findings") == []
    made = internal("run", "--no-ask", "--by", "fatima")
    assert (made["movements"], made["changes"]["opened"], made["result_hash"]) == (1, 1, tried["result_hash"])
    [found] = internal("findings", "--type", "STUCK_EXECUTING", "--severity", "medium")
    assert (found["id"], found["repair"]) == (made["findings"][0]["break"], "inquire")
    done = [internal("repair", *options)[0]["done"] for options in (("--dry-run",), (), (found["id"],))]
    assert done == ["would_ask", "asked", "under_way"]
    detail = internal("findings", found["id"])
    assert [one["attempt"] for one in detail["inquiries"]] == [2]
    assert detail["trail"][-1]["because"] == "inquire: attempt 2 was asked for"


def test_without_a_provider_s_key_the_way_out_is_named() -> None:
    told = internal("run", exits=1)
    assert "MILLRACE_STRIPE_API_KEY_FILE" in told["error"]
    assert "--no-ask" in told["error"]
    assert "is no id" in internal("repair", "brk_7", exits=1)["error"]

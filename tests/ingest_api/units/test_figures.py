"""Goal: whoever scrapes a process sees what it has answered, by route, and nothing about anybody.

Method: the wrapper around a small FastAPI, with what waits and what is unsent as numbers.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from ingest_api.metrics.figures import Figures
from ingest_api.metrics.measured import Measured

HOT = "/v1/transfers"


class Balances(NamedTuple):
    """Of two accounts."""

    from_memory: int
    from_postgres: int
    records_behind: int = 3

    def __len__(self) -> int:
        return 2


def samples(figures: Figures) -> dict[tuple[str, ...], float]:
    """Name and values of labels → value, as a scraper reads them."""
    families = text_string_to_metric_families(figures.exposition().decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_answers_are_counted_by_route_and_nothing_else_is_told() -> None:
    waiting: Any = ["a call", "another one"]
    publisher: Any = SimpleNamespace(pending_bytes=77)
    balances: Any = Balances(5, 6)
    figures, app = Figures(waiting, publisher, balances), FastAPI()

    @app.get("/v1/accounts/{account_id}")
    def account(account_id: str) -> str:
        return account_id

    caller = TestClient(Measured(app, figures, {HOT}))
    for path in ("/v1/accounts/acc_1", "/v1/accounts/acc_2", "/somewhere/else"):
        caller.get(path)
    caller.post(HOT)
    seen = samples(figures)
    assert seen["millrace_api_answers_total", "GET", "/v1/accounts/{account_id}", "200"] == 2
    assert seen["millrace_api_answers_total", "GET", "none", "404"] == 1
    assert seen["millrace_api_answers_total", "POST", HOT, "404"] == 1
    assert seen["millrace_api_answer_seconds_bucket", "+Inf"] == seen["millrace_api_answer_seconds_count",] == 4
    assert (seen["millrace_api_waiting_calls",], seen["millrace_api_unsent_bytes",]) == (2, 77)
    assert (seen["millrace_api_balances_total", "memory"], seen["millrace_api_balances_in_memory",]) == (5, 2)
    assert seen["millrace_api_balances_records_behind",] == 3
    assert b"acc_" not in figures.exposition()

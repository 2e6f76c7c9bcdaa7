"""`python -m benchmarks breaks`: what a page of so many open breaks costs: read, the HTTP answer, the
console's page.

The breaks are of three rule sets and ten runs, with the keys, lines and trail that a run writes. `read` is what the
API, the command and the console share; `answer` is that of `GET /v1/reconciliation/breaks`, by the whole application
without a socket. Memory is managed as in a process of the API.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

import httpx
import psycopg
from starlette.requests import HTTPConnection

from benchmarks.machine import machine
from benchmarks.reconciliation.database import own_postgres, show
from console.http.cookie import Cookie
from ingest_api.app import freeze_heap, make_app
from ingest_api.identity.tokens import Scope, issue_token
from ingest_api.services import Services
from millrace.console.composing import console_of
from reconciliation.breaks.listing import list_breaks
from reconciliation.breaks.reads import LIST_MAX, Wanted
from runtime.postgres import open_session
from runtime.settings import Settings

_API: Final = "/v1/reconciliation/breaks"
_PAGE: Final = "/console/breaks"
_FILL: Final = (
    """INSERT INTO recon_runs SELECT gen_random_uuid(), 'rules-' || n % 3, 1, '', sha256(''), 'Europe/Berlin', 'TARGET',
        NULL, '2026-11-20', '2026-11-20', now(), 0, 0, 0, 0, '{}', '[]', '[]', sha256(''), 'scheduler',
        now() - n * interval '1 day'
    FROM generate_series(1, 10) AS n""",
    """INSERT INTO recon_rule_sets SELECT DISTINCT rule_set, 1, zone, calendar FROM recon_runs""",
    """INSERT INTO recon_breaks (break_id, rule_set, type, status, is_live, reason, keys, difference_minor, currency,
        day, due_on, internal, external, owner, opened_run, seen_run, opened_at)
    SELECT gen_random_uuid(), run.rule_set,
        (ARRAY['MISSING_EXTERNAL', 'AMOUNT_MISMATCH', 'TIMING', 'FEE_DIFFERENCE'])[1 + n %% 4],
        (ARRAY['open', 'assigned', 'proposed'])[1 + n %% 3], true, 'not settled after 3 business days',
        jsonb_build_object('id', 'pay_' || md5(n::text)), (n * 7919) %% 100000 - 50000, 'EUR',
        date '2026-11-20' - n %% 60, date '2026-11-25' - n %% 60, ARRAY[md5('j' || n) || '/0'], ARRAY[n]::bigint[],
        CASE n %% 3 WHEN 1 THEN 'fatima' ELSE '' END, run.run_id, run.run_id, run.run_at
    FROM generate_series(1, %(breaks)s) AS n
    JOIN (SELECT *, row_number() OVER (ORDER BY run_at) - 1 AS number FROM recon_runs) AS run
        ON run.number = n %% 10""",
    """INSERT INTO recon_break_events (break_id, by, action, before, after, because)
    SELECT break_id, 'scheduler', 'open', '', 'open', reason FROM recon_breaks""",
)


def main(arguments: list[str]) -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks breaks", description=__doc__)
    parser.add_argument("--breaks", type=int, default=10_000, choices=range(1, LIST_MAX + 1), metavar="COUNT")
    parser.add_argument("--times", type=int, default=20, help="how often each is asked")
    parser.add_argument("--json", action="store_true", help="as everything here is printed")
    asked = parser.parse_args(arguments)
    before = machine()
    with own_postgres() as settings:
        _fill(settings.database_url, asked.breaks)
        freeze_heap()
        figures: dict[str, object] = {"breaks": asked.breaks, "times": asked.times}
        figures["read"] = asyncio.run(_read(settings, asked.breaks, asked.times))
        figures |= asyncio.run(_answers(settings, asked.breaks, asked.times))
    show(figures, before)


def _fill(url: str, breaks: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement.encode(), {"breaks": breaks} if "%(breaks)s" in statement else None)
        connection.execute("VACUUM ANALYZE")


async def _read(settings: Settings, breaks: int, times: int) -> dict[str, float]:
    with closing(open_session(settings.database_url, "benchmark")) as connection:

        async def read() -> None:
            assert len(list_breaks(connection, Wanted(), breaks, datetime.now(UTC))) == breaks

        return await _times(read, times)


async def _answers(settings: Settings, breaks: int, times: int) -> dict[str, object]:
    services = Services.of(settings)
    await services.database.open()
    token = issue_token(settings, "bench", [Scope.RECONCILIATION_READ], 3_600)
    transport = httpx.ASGITransport(app=make_app(services, console_of))
    asked = HTTPConnection({"type": "http", "scheme": "http", "server": ("bench", 80), "path": "/", "headers": []})
    kept = Cookie("form", "refresh", token).header(asked)
    headers = {"Authorization": f"Bearer {token}", "Cookie": kept.partition(";")[0]}
    found: dict[str, object] = {}
    async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as http:
        for name, (path, of_each) in {
            "answer": (f"{_API}?limit={breaks}", b'"age_days"'),
            "answer by age": (f"{_API}?limit={breaks}&order=age", b'"age_days"'),
            "answer of 1,000": (f"{_API}?limit=1000", b'"age_days"'),
            "page": (f"{_PAGE}?limit={breaks}", b'<th scope="row">'),
            "page by age": (f"{_PAGE}?limit={breaks}&order=age", b'<th scope="row">'),
        }.items():

            async def ask(path: str = path, of_each: bytes = of_each) -> int:
                answer = await http.get(path)
                assert answer.status_code == 200, answer.text
                assert answer.content.count(of_each) >= min(breaks, 1_000)
                return len(answer.content)

            found[name] = await _times(ask, times) | {"bytes": await ask()}
    await services.database.close()
    return found


async def _times(ask: Callable[[], Awaitable[object]], times: int) -> dict[str, float]:
    """Milliseconds of a call, and of them what this process's CPU took; the first call fills the caches."""
    await ask()
    waited, used = [], []
    for _ in range(times):
        start, start_cpu = time.perf_counter(), time.process_time()
        await ask()
        waited.append((time.perf_counter() - start) * 1_000)
        used.append((time.process_time() - start_cpu) * 1_000)
    figures = {"best_ms": min(waited), "median_ms": statistics.median(waited), "slowest_ms": max(waited)}
    return {name: round(ms, 1) for name, ms in (figures | {"cpu_ms": statistics.median(used)}).items()}

"""`python -m benchmarks balances`: GET /v1/accounts/{id}/balance over HTTP, from memory and from Postgres.

Two installations one after the other, in every round: with balances in memory, and without. A few connections ask, each
for its next balance when it has the last.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.http_load import Answer, LoadClient
from benchmarks.machine import machine
from benchmarks.processes import cpu_us, used_between
from benchmarks.workload import Workload
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.environment import LocalEnvironment, ports
from payments.errors import InvariantViolation
from runtime.settings import Settings

ACCOUNTS: Final = 100
CONNECTIONS: Final = 4
WARM_UP: Final = 2_000
START_TRIES: Final = 6
"""A call waits for 10 s."""


def main(arguments: list[str]) -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks balances", description=__doc__)
    parser.add_argument("--reads", type=int, default=20_000, help="in each installation")
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args(arguments)
    about = machine()
    print(f"{about['date']}, {about['processor']}, {about['cores']} cores, load {about['load_average']}")  # noqa: T201
    for _ in range(asked.rounds):
        for in_memory in (ACCOUNTS, 0):
            per_s, used = measured(in_memory, asked.reads)
            shown = ", ".join(f"{name} {spent}" for name, spent in used.items())
            where = "memory" if in_memory else "Postgres"
            print(f"from {where}: {per_s:,} a second; CPU µs a read: {shown}")  # noqa: T201


def measured(in_memory: int, reads: int) -> tuple[int, Mapping[str, float]]:
    """Reads a second, and CPU microseconds of each process for one."""
    with tempfile.TemporaryDirectory(prefix="millrace-balances-") as home:
        settings = Settings(
            home=Path(home),
            kafka_port=ports.free_base([1]),
            postgres_port=ports.free_base([]),
            api_port=ports.free_base([]),
            api_balances_in_memory=in_memory,
        )
        with LocalEnvironment(settings) as env:
            return uvloop.run(_measured(env, reads))


async def _measured(env: LocalEnvironment, reads: int) -> tuple[int, Mapping[str, float]]:
    client = LoadClient(env.addresses.api_url or "", issue_token(env.settings, "bench", ALL_SCOPES, 3_600))
    load = Workload(client, ACCOUNTS, seed=1)
    for _ in range(START_TRIES):
        try:
            await load.open_accounts()
        except* InvariantViolation:
            sys.stderr.write("the worker joins its group …\n")
        if load.accounts:
            break
    requests = [client.request("GET", f"/v1/accounts/{account}/balance") for account in load.accounts]

    def seen(answer: Answer) -> None:
        if answer.status != 200:
            raise InvariantViolation(f"{answer.status}: {answer.body!r}")

    sys.stderr.write("reading …\n")
    time.sleep(3)  # the view looks at Postgres twice before it is used
    await client.run(islice(cycle(requests), WARM_UP), CONNECTIONS, seen)
    before, began = cpu_us(env), time.monotonic()
    await client.run(islice(cycle(requests), reads), CONNECTIONS, seen)
    took_s = time.monotonic() - began
    used = used_between(before, cpu_us(env), reads)
    client.close()
    return round(reads / took_s), used

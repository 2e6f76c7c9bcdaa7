"""`make bench`: starts an environment of its own, measures batch, single and wait, prints and writes the results.
`python -m benchmarks state` measures what the state of the shards costs at size; of reconciliation `breaks` a page of
open breaks, `matching` a million lines against a million, `statements` a camt reader, `runs` all of it on Postgres;
`reads` pages over ten million payments, `balances` a balance from memory and from Postgres.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec
import uvloop

from benchmarks import modes, report, security
from benchmarks.http_load import LoadClient
from benchmarks.machine import machine
from benchmarks.reads.balances import main as balances
from benchmarks.reads.command import main as reads_at_size
from benchmarks.reconciliation.breaks import main as breaks
from benchmarks.reconciliation.matching import main as matching
from benchmarks.reconciliation.runs import main as runs
from benchmarks.reconciliation.statement_files import main as statement_files
from benchmarks.state.command import main as state_at_size
from benchmarks.workload import Workload
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.environment import LocalEnvironment, ports
from payments.errors import InvariantViolation
from runtime.settings import Settings

WARM_UP_PAYMENTS = 20_000
"""The broker's JIT needs some 10,000 requests, Postgres its caches."""

START_TRIES = 6
"""A call waits for 10 s."""

BROKER_FLAGS = "-Xmx1g -XX:-UseSerialGC -XX:+UseG1GC -XX:TieredStopAtLevel=4"

COMMANDS = {
    "breaks": breaks,
    "matching": matching,
    "reads": reads_at_size,
    "balances": balances,
    "runs": runs,
    "state": state_at_size,
    "statements": statement_files,
}
"""Each measures one thing alone."""


class Results(msgspec.Struct, frozen=True):
    """What `--json` writes."""

    batch: modes.Throughput
    single: modes.Throughput
    wait: modes.Wait
    machine: dict[str, str]
    settings: dict[str, str]


def main() -> None:
    """Parse the arguments and run."""
    if sys.argv[1:] and sys.argv[1] in COMMANDS:
        COMMANDS[sys.argv[1]](sys.argv[2:])
        return
    arguments = _arguments()
    if arguments.security:
        _compare_security(arguments)
        return
    before = machine()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as home:
        settings = Settings(
            home=Path(home),
            kafka_port=19_492,
            postgres_port=15_832,
            api_port=18_480,
            workers=arguments.workers,
            api_client_commands_per_s=10_000_000,
            api_client_burst=10_000_000,
        )
        with LocalEnvironment(settings) as env:
            results = uvloop.run(_measure(env, arguments, before))
    print(report.table(results))  # noqa: T201 - the result of the command
    if arguments.json:
        Path(arguments.json).write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    if arguments.write:
        report.write(results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
    parser.add_argument("--write", action="store_true", help="replace the table in benchmarks/README.md")
    parser.add_argument("--security", action="store_true", help="instead: batch load on plain and on secured brokers")
    parser.add_argument("--payments", type=int, default=100_000, help="payments in one batch run (singles: a fifth)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=20, help="of the run with Prefer: wait")
    parser.add_argument("--rate", type=int, default=100, help="per second, of the run with Prefer: wait")
    arguments = parser.parse_args()
    if arguments.json and not Path(arguments.json).absolute().parent.is_dir():
        parser.error(f"--json: there is no folder {Path(arguments.json).absolute().parent}")
    return arguments


def _compare_security(arguments: argparse.Namespace) -> None:
    """`--runs` rounds, each of one plain and one secured environment, on free ports."""

    def settings_for(home: Path, secure: bool) -> Settings:
        return Settings(
            home=home,
            secure=secure,
            kafka_port=ports.free_base([1]),
            postgres_port=ports.free_base([]),
            api_port=ports.free_base([]),
            workers=arguments.workers,
            api_client_commands_per_s=10_000_000,
            api_client_burst=10_000_000,
        )

    cost = security.compare(settings_for, lambda env: _batch_alone(env, arguments), arguments.runs)
    print(security.table(cost))  # noqa: T201 - the result of the command
    if arguments.json:
        Path(arguments.json).write_bytes(msgspec.json.format(msgspec.json.encode(cost), indent=2) + b"\n")


async def _until_decided(client: LoadClient) -> None:
    """A worker that has just started joins its group first; on a busy machine longer than a call waits."""
    undecided = START_TRIES
    while undecided:
        undecided -= 1
        try:
            await Workload(client, 1, seed=2).open_accounts()
            undecided = 0
        except* InvariantViolation as refused:
            if not undecided:
                raise refused.exceptions[0] from None


async def _batch_alone(env: LocalEnvironment, arguments: argparse.Namespace) -> modes.Throughput:
    client = LoadClient(env.addresses.api_url or "", issue_token(env.settings, "bench", ALL_SCOPES, 3_600))
    await _until_decided(client)
    load = Workload(client, arguments.accounts, seed=1)
    await load.open_accounts()
    await modes.batch(env, client, load, WARM_UP_PAYMENTS, 1)
    _say(f"batch: {arguments.payments:,} payments, {'secured' if env.settings.secure else 'plain'}")
    found = await modes.batch(env, client, load, arguments.payments, 1)
    client.close()
    await asyncio.sleep(0)
    return found


async def _measure(env: LocalEnvironment, arguments: argparse.Namespace, before: dict[str, str]) -> Results:
    url = env.addresses.api_url
    assert url is not None, "the benchmark's environment includes the pipeline"
    client = LoadClient(url, issue_token(env.settings, "bench", ALL_SCOPES, 3_600))
    load = Workload(client, arguments.accounts, seed=1)
    _say(f"opening {arguments.accounts:,} accounts")
    await load.open_accounts()
    _say("warming up")
    await modes.batch(env, client, load, WARM_UP_PAYMENTS, 1)
    await modes.single(env, client, load, WARM_UP_PAYMENTS // 10, 1)
    _say(f"batch: {arguments.runs} × {arguments.payments:,} payments")
    batch = await modes.batch(env, client, load, arguments.payments, arguments.runs)
    _say(f"single: {arguments.runs} × {arguments.payments // 5:,} payments")
    single = await modes.single(env, client, load, arguments.payments // 5, arguments.runs)
    _say(f"wait: {arguments.rate}/s for {arguments.seconds} s")
    wait = await modes.wait(client, load, arguments.rate, arguments.seconds)
    client.close()
    await asyncio.sleep(0)
    return Results(batch, single, wait, before, _settings(env.settings, arguments))


def _settings(settings: Settings, arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "shards": str(settings.shards),
        "workers": str(settings.workers),
        "api_processes": str(settings.api_processes),
        "replication_factor": str(settings.replication_factor),
        "cycle_max_ms": str(settings.cycle_max_ms),
        "accounts": f"{arguments.accounts:,}",
        "batch_lines": str(modes.BATCH_LINES),
        "Postgres": "fsync on, synchronous_commit on",
        "Kafka": "acks=all, exactly-once, one broker",
    }


def _say(text: str) -> None:
    sys.stderr.write(f"{text} …\n")


if __name__ == "__main__":
    main()

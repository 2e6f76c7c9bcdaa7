"""`python -m benchmarks.archive`: what the archive costs, and what proofs from it cost beside proofs from the brokers.

Payments go through the whole pipeline first (batch and single); then one archiver archives all of it with nothing else
at work; then audit, replay and `replay --decide` run over the brokers, the brokers delete everything that is archived,
and the same three run again. All answers have to be equal.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks import modes
from benchmarks.http_load import LoadClient
from benchmarks.machine import machine
from benchmarks.workload import Workload
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.archive.listing import listed
from millrace.archive.verify import ToCompare, verify_archive
from millrace.audit.verify import verify
from millrace.environment import LocalEnvironment
from millrace.replay.decide import decide_again
from millrace.replay.rebuild import Point, replay
from payments.errors import InvariantViolation
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.topics import COMMANDS, CREDITS, LEDGER, QUARANTINE, RETURNS
from sinks.archive.service import Archiver

_TIMES = {"wall_s", "entries_per_s"}
_OPENING_ATTEMPTS = 6


class Cost(msgspec.Struct, frozen=True):
    """Of one job that ran alone."""

    wall_s: float
    cpu_s: float


class Results(msgspec.Struct, frozen=True):
    """What is printed."""

    payments: int
    records: int
    segments: int
    value_bytes: int
    size_bytes: int
    bytes_per_payment: dict[str, float]
    """On disk, by topic."""

    archive: Cost
    records_per_s: int
    payments_per_s: int
    cpu_us_per_payment: float
    verify: Cost
    from_brokers: dict[str, Cost]
    from_archive: dict[str, Cost]
    machine: dict[str, str]


def measured(work: Callable[[], Any]) -> tuple[Any, Cost]:
    """The answer, with the time and the CPU time (all threads) of this process."""
    began, before = time.monotonic(), os.times()
    answer = work()
    after = os.times()
    cpu_s = after.user + after.system - before.user - before.system
    return answer, Cost(round(time.monotonic() - began, 2), round(cpu_s, 2))


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__)
    parser.add_argument("--payments", type=int, default=200_000, help="in batches of 1,000; singles: a tenth as many")
    arguments = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as home:
        settings = Settings(
            home=Path(home),
            kafka_port=26_010,
            postgres_port=26_020,
            api_port=26_030,
            api_client_commands_per_s=10_000_000,
            api_client_burst=10_000_000,
            archive_segment_age_ms=86_400_000,
        )
        with LocalEnvironment(settings) as env:
            payments = uvloop.run(_load(env, arguments.payments))
            results = _measure(env, Path(home) / "archive", payments, before)
    print(msgspec.json.format(msgspec.json.encode(results), indent=2).decode())  # noqa: T201 - the result


async def _load(env: LocalEnvironment, payments: int) -> int:
    url = env.addresses.api_url
    assert url is not None, "the benchmark's environment includes the pipeline"
    client = LoadClient(url, issue_token(env.settings, "bench", ALL_SCOPES, 3_600))
    load = Workload(client, 2_000, seed=1)
    await _opened(load)
    await modes.batch(env, client, load, payments, 1)
    await modes.single(env, client, load, payments // 10, 1)
    client.close()
    await asyncio.sleep(0)
    return payments + payments // 10


async def _opened(load: Workload) -> None:
    """A worker that has only just started may leave the first calls waiting; the keys are the same in every attempt."""
    for attempt in range(1, _OPENING_ATTEMPTS + 1):
        try:
            await load.open_accounts()
        except* InvariantViolation:
            if attempt == _OPENING_ATTEMPTS:
                raise
            await asyncio.sleep(5)
        else:
            break


def _measure(env: LocalEnvironment, folder: Path, payments: int, before: dict[str, str]) -> Results:
    settings = env.settings.model_copy(update={"archive_dir": folder})
    segments, cost = measured(Archiver(settings).run_once)
    report, verified = measured(lambda: verify_archive(folder, ToCompare(Brokers.of(settings), settings.shards)))
    if not report.ok:
        raise InvariantViolation(str(report.differences))
    answers, from_brokers = _proofs(env.settings)
    _delete_all(settings)
    again, from_archive = _proofs(settings)
    if again != answers:
        raise InvariantViolation(f"from the archive {again}, from the brokers {answers}")
    return _results(payments, segments, folder, cost, verified, from_brokers, from_archive, before)


def _proofs(settings: Settings) -> tuple[list[Any], dict[str, Cost]]:
    jobs: dict[str, Callable[[], Any]] = {
        "audit verify": lambda: verify(settings),
        "replay": lambda: replay(settings, Point()),
        "replay --decide": lambda: decide_again(settings),
    }
    done = {name: measured(job) for name, job in jobs.items()}
    answers = [{name: value for name, value in asdict(a).items() if name not in _TIMES} for a, _ in done.values()]
    return answers, {name: cost for name, (_, cost) in done.items()}


def _delete_all(settings: Settings) -> None:
    admin = AdminClient(Brokers.of(settings).configuration())
    topics = (LEDGER, COMMANDS, CREDITS, RETURNS, QUARANTINE)
    asked = [TopicPartition(topic.name, shard, -1) for topic in topics for shard in range(settings.shards)]
    for future in admin.delete_records(asked).values():
        future.result(30)


def _results(
    payments: int,
    segments: int,
    folder: Path,
    cost: Cost,
    verified: Cost,
    from_brokers: dict[str, Cost],
    from_archive: dict[str, Cost],
    before: dict[str, str],
) -> Results:
    found = listed(folder)
    records, size_bytes = sum(one.records for one in found), sum(one.size_bytes for one in found)
    topics = sorted({one.topic for one in found})
    return Results(
        payments,
        records,
        segments,
        sum(one.value_bytes for one in found),
        size_bytes,
        {t: round(sum(one.size_bytes for one in found if one.topic == t) / payments, 1) for t in topics},
        cost,
        round(records / cost.wall_s),
        round(payments / cost.wall_s),
        round(cost.cpu_s * 1_000_000 / payments, 2),
        verified,
        from_brokers,
        from_archive,
        before,
    )


if __name__ == "__main__":
    main()

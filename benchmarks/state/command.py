"""`python -m benchmarks state`: a million accounts and millions of keys on a broker and a disk of its own."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.machine import machine
from benchmarks.state.fill import Cost, Fill
from benchmarks.state.restores import APPLICATION, Restores, measured
from millrace.environment import LocalEnvironment
from millrace.topics import ensure_topics
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.restore import PartitionLog, RestoreConsumer
from runtime.settings import Settings
from streams.tables import Tables

WINDOW_KEYS = 130_000_000
"""72 hours at 500 payments a second."""


class Results(msgspec.Struct, frozen=True):
    """What `--json` writes."""

    accounts: int
    keys: int
    shards: int
    cold_accounts: Restores
    """Accounts alone, before there was any key."""

    cold: Restores
    warm: Restores
    curve: list[Cost]
    machine: dict[str, str]


def main(arguments: list[str]) -> None:
    """Parse the arguments and run."""
    asked = _parsed(arguments)
    before = machine()
    with tempfile.TemporaryDirectory(prefix="millrace-state-", dir=asked.folder) as home:
        settings = Settings(home=Path(home), kafka_port=asked.port, postgres_port=asked.port + 50)
        with LocalEnvironment(settings, pipeline=False) as environment:
            ensure_topics(environment.settings)
            results = _measure(environment.settings, asked, before)
    print(table(results))  # noqa: T201 - the result of the command
    if asked.json:
        Path(asked.json).write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks state", description=__doc__)
    parser.add_argument("--keys", type=int, default=20_000_000)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
    parser.add_argument("--folder", metavar="FOLDER", help="on which disk; 150 bytes a key are needed")
    parser.add_argument("--port", type=int, default=19_592, help="of the broker; Postgres takes the one 50 above")
    asked = parser.parse_args(arguments)
    if os.environ.get("KAFKA_BOOTSTRAP") or os.environ.get("MILLRACE_KAFKA_BOOTSTRAP"):
        parser.error("a made-up ledger is written: unset KAFKA_BOOTSTRAP, so that it goes to a broker of its own")
    if asked.keys < 1 or asked.accounts < 1:
        parser.error("--keys and --accounts must be at least 1")
    return asked


def _measure(settings: Settings, asked: argparse.Namespace, before: dict[str, str]) -> Results:
    folder = settings.state_dir / "0"
    with RestoreConsumer(APPLICATION, settings, Failpoints("")) as consumer:
        fill = Fill(
            settings.kafka_bootstrap,
            settings.shards,
            folder,
            lambda shard: PartitionLog(shard, Tables.changelog_topics, consumer),
        )
        _say(f"opening {asked.accounts:,} accounts")
        fill.open_accounts(asked.accounts)
        _say("cold restore of the accounts")
        cold_accounts = _cold(settings)
        _say(f"remembering {asked.keys:,} keys")
        curve = fill.remember(asked.keys)
    fill.close()
    _say("warm restart")
    warm = measured(settings, folder)
    _say("cold restore")
    return Results(asked.accounts, asked.keys, settings.shards, cold_accounts, _cold(settings), warm, curve, before)


def _cold(settings: Settings) -> Restores:
    folder = settings.state_dir / "cold"
    found = measured(settings, folder)
    shutil.rmtree(folder)
    return found


def table(results: Results) -> str:
    """Markdown."""
    lines = [
        "| keys | look-up of an unknown key, µs (CPU) | new key, µs (CPU) | RocksDB's threads, CPU µs"
        " | bytes on disk per key | RSS, MiB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {c.keys:,} | {c.lookup_us} ({c.lookup_cpu_us}) | {c.insert_us} ({c.insert_cpu_us}) | {c.background_cpu_us}"
        f" | {c.disk_bytes_per_key} | {c.rss_mib} |"
        for c in results.curve
    ]
    keys_s = results.cold.seconds - results.cold_accounts.seconds
    lines += [
        "",
        "| restore of all shards | seconds | CPU seconds | peak RSS, MiB |",
        "|---|---|---|---|",
        _row(f"cold, {results.accounts:,} accounts", results.cold_accounts),
        _row(f"cold, {results.accounts:,} accounts and {results.keys:,} keys", results.cold),
        _row("warm, the same", results.warm),
        "",
        f"Cold restore of keys: {keys_s / results.keys * 1e6:.2f} s per million; {WINDOW_KEYS:,} keys at that rate:"
        f" {keys_s / results.keys * WINDOW_KEYS:,.0f} s.",
    ]
    return "\n".join(lines)


def _row(name: str, found: Restores) -> str:
    return f"| {name} | {found.seconds} | {found.cpu_seconds} | {found.peak_rss_mib} |"


def _say(text: str) -> None:
    sys.stderr.write(f"{text} …\n")

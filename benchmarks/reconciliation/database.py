"""A Postgres of the benchmark's own with the tables of ledger and reconciliation, and how results are printed."""

import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.machine import machine
from millrace.environment import LocalEnvironment, ports
from runtime import migrate
from runtime.settings import Settings

PACKAGES = ("sinks", "reconciliation")


@contextmanager
def own_postgres() -> Iterator[Settings]:
    """Settings of an environment that has no Kafka; its folder is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as home:
        settings = Settings(home=Path(home), postgres_port=ports.free_base([]), kafka_bootstrap="127.0.0.1:1")
        with LocalEnvironment(settings, pipeline=False) as environment:
            for package in PACKAGES:
                migrate.up(environment.database_url, package)
            yield environment.settings


def peak_mib(who: int = resource.RUSAGE_SELF) -> int:
    """The most memory that this process has ever had, or of its children the largest."""
    return resource.getrusage(who).ru_maxrss // 1024


def show(figures: Mapping[str, object], before: dict[str, str]) -> None:
    """Print the figures as JSON, with the machine and its load as it was before and is now."""
    told = {**figures, "machine": before, "load_average_after": machine()["load_average"]}
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")

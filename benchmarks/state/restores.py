"""Restores all shards in a process of its own, from an empty folder or a kept one, and says what it took."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec
import psutil

from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.restore import PartitionLog, RestoreConsumer
from runtime.settings import Settings
from streams.tables import Tables

APPLICATION = "benchmark"


class Restores(msgspec.Struct, frozen=True):
    """All shards, one after the other, as one worker restores them."""

    seconds: float
    cpu_seconds: float
    peak_rss_mib: int
    rss_mib: int


def measured(settings: Settings, folder: Path) -> Restores:
    """Restore into this folder: cold where it is empty, warm where a worker left its state."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_restored, settings, folder).result()


def _restored(settings: Settings, folder: Path) -> Restores:
    tables = Tables(settings.shards, folder)
    started_s, started_cpu_s = time.monotonic(), time.process_time()
    with RestoreConsumer(APPLICATION, settings, Failpoints("")) as consumer:
        for shard in range(settings.shards):
            tables.restore(shard, PartitionLog(shard, tables.changelog_topics, consumer))
    seconds, cpu_seconds = round(time.monotonic() - started_s, 2), round(time.process_time() - started_cpu_s, 2)
    memory = psutil.Process().memory_info()
    peak_kib = int(
        next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    )
    for shard in range(settings.shards):
        tables.forget(shard)
    return Restores(seconds, cpu_seconds, peak_kib >> 10, memory.rss >> 20)

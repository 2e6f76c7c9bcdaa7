"""An archive beside the pipeline: it fills, the brokers delete everything, and every proof stays the same."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from millrace.audit.ledger.partition_log import extents
from millrace.environment import LocalEnvironment
from runtime.kafka_client import Brokers
from schemas.topics import COMMANDS, CREDITS, LEDGER, QUARANTINE, RETURNS
from tests.pipeline.slots import Slot, ended_afterwards
from tests.pipeline.traffic import Traffic
from tests.support.waiting import eventually

AUDITED = (LEDGER, COMMANDS, CREDITS, RETURNS, QUARANTINE)
TIMES = {"wall_s", "entries_per_s"}


def environment_of(stage: LocalEnvironment, folder: Path | None) -> dict[str, str]:
    servers = {"KAFKA_BOOTSTRAP": stage.kafka_bootstrap, "DATABASE_URL": stage.database_url}
    archive = {} if folder is None else {"MILLRACE_ARCHIVE_DIR": str(folder), "MILLRACE_ARCHIVE_SEGMENT_AGE_MS": "300"}
    return {**os.environ, **servers, **archive, "MILLRACE_HOME": str(stage.settings.home)}


def millrace(stage: LocalEnvironment, *arguments: str, folder: Path | None = None) -> Any:
    """What a command prints, without its times."""
    command = [sys.executable, "-m", "millrace", *arguments, "--json"]
    done = subprocess.run(
        command, env=environment_of(stage, folder), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
    printed = json.loads(done.stdout)
    return (
        {name: value for name, value in printed.items() if name not in TIMES} if isinstance(printed, dict) else printed
    )


@contextmanager
def archiver(stage: LocalEnvironment, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """`millrace archive run` beside the pipeline."""
    command = [sys.executable, "-m", "millrace", "archive", "run"]
    process = subprocess.Popen(command, env=environment_of(stage, folder), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def covers_everything(stage: LocalEnvironment, folder: Path) -> bool:
    """Whether every audited partition is archived to its end."""
    brokers, shards = Brokers.of(stage.settings), stage.settings.shards
    ends = {place: extent.end for place, extent in extents(brokers, tuple(t.name for t in AUDITED), shards).items()}
    if not folder.is_dir():
        return False
    listed = {
        (one["topic"], one["partition"]): one["next_offset"]
        for one in millrace(stage, "archive", "list", folder=folder)
    }
    return all(listed.get(place, 0) == end for place, end in ends.items())


def delete_all(stage: LocalEnvironment) -> None:
    admin = AdminClient({"bootstrap.servers": stage.kafka_bootstrap})
    asked = [TopicPartition(topic.name, shard, -1) for topic in AUDITED for shard in range(stage.settings.shards)]
    for future in admin.delete_records(asked).values():
        assert future.result(30).low_watermark >= 0


def proofs(stage: LocalEnvironment, folder: Path | None) -> list[Any]:
    """All that an operator can ask of the log."""
    newest = millrace(stage, "replay", folder=folder)
    halfway = ",".join(f"{shard}:{offset // 2}" for shard, offset in newest["next_offsets"].items())
    return [
        newest,
        millrace(stage, "replay", "--to", halfway, folder=folder),
        millrace(stage, "replay", "--decide", folder=folder),
        millrace(stage, "audit", "verify", folder=folder),
    ]


def test_every_proof_is_the_same_from_the_archive(stage: LocalEnvironment, tmp_path: Path) -> None:
    worker, sink, folder = Slot(stage, "worker"), Slot(stage, "sink"), tmp_path / "archive"
    with ended_afterwards(worker, sink), archiver(stage, folder) as process:
        traffic = Traffic(stage, seed=11)
        traffic.open_accounts()
        traffic.pay(200)
        traffic.poison(b"no command")
        traffic.await_settled()
        assert worker.end() == 0
        eventually(lambda: covers_everything(stage, folder), "everything is archived")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        before = proofs(stage, None)
        assert before[3]["invariants"]["I7"]["verdict"] == "proved"
        assert millrace(stage, "archive", "verify", folder=folder)["compared_records"] > 200
        delete_all(stage)
        assert proofs(stage, folder) == before
        verified = millrace(stage, "archive", "verify", "--archive", str(folder))
        assert (verified["ok"], verified["compared_with_brokers"]) == (True, True)
        assert millrace(stage, "audit", "verify", "--archive", str(folder)) == before[3]

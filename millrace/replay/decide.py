"""`millrace replay --decide`: every recorded input decided again, and the ledger that this makes beside the real one.

Reads ledger.entries and the inputs of the deciding stage. Memory follows the operations of the
largest shard (about 300 MB a million), because a repeated key is decided by what was decided under it before.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from millrace.audit.ledger.lanes import LaneLog
from millrace.audit.ledger.partition_log import AuditedTopics, AuditImpossible, archive_of, extents
from millrace.audit.ledger.proof import LogReader
from millrace.audit.ledger.replay import RECEIVED, ShardReplay
from millrace.audit.report import Difference, Differs
from runtime.kafka_client import Brokers
from runtime.settings import Settings

Progress = Callable[[int, int], None]


@dataclass
class DecidedAgain:
    """Counts of what was decided again, or of what stands where the first difference ends the check."""

    records: int = 0
    """Of the ledger."""

    entries: int = 0
    identical_records: int = 0
    records_without_inputs: int = 0
    """Retention deleted what they decided: their entries were followed, not decided."""

    records_between_shards: int = 0
    """Packed credits and returns that equal, byte for byte, what their origin's decisions make."""

    undecided_inputs: int = 0
    not_proved: list[str] = field(default_factory=list)
    first_difference: Difference | None = None
    entries_per_s: int = 0
    wall_s: float = 0.0

    @property
    def ok(self) -> bool:
        return self.first_difference is None

    def to_json(self) -> dict[str, Any]:
        difference = self.first_difference
        return {"ok": self.ok, **asdict(self), "first_difference": difference and difference._asdict()}


def decide_again(
    settings: Settings, topics: AuditedTopics | None = None, progress: Progress = lambda _done, _total: None
) -> DecidedAgain:
    """Ends at the first difference. Raises AuditImpossible where nothing can be decided again."""
    began, done = time.monotonic(), DecidedAgain()
    topics, brokers = topics or AuditedTopics(), Brokers.of(settings)
    archive = archive_of(settings)
    found = extents(brokers, topics, settings.shards, archive)
    total = sum(extent.end - extent.start for (name, _), extent in found.items() if name != topics.quarantine)
    read = 0

    def advance(records: int) -> None:
        nonlocal read
        read = min(read + records, total)
        progress(read, total)

    reader = LogReader(brokers, topics, settings.shards, found, advance, archive)
    for reason in reader.incomplete(topics.ledger):
        raise AuditImpossible(f"{reason}; the decisions that follow rest on it, so none can be made again")
    try:
        _decide(reader, done)
    except Differs as differs:
        done.first_difference = differs.difference
    done.wall_s = round(time.monotonic() - began, 3)
    done.entries_per_s = round(done.entries / done.wall_s)
    return done


def _decide(reader: LogReader, done: DecidedAgain) -> None:
    lanes = LaneLog()
    for shard in range(reader.shards):
        inputs = reader.inputs(shard)
        for source, lane in RECEIVED.items():
            lanes.kept_from_start(lane, shard, inputs[source].log.extent.is_complete)
        replay = ShardReplay(reader.partition(reader.topics.ledger, shard), inputs, reader.shards, lanes)
        try:
            for _, record in replay.records_checked():
                done.entries += record.entry_count
        finally:
            done.records += replay.records
            done.identical_records += replay.decided_again
            done.undecided_inputs += replay.undecided
    _compare_lanes(reader, lanes, done)
    done.records_without_inputs = done.records - done.identical_records
    if done.records_without_inputs:
        done.not_proved += reader.incomplete(*reader.topics.inputs.values())


def _compare_lanes(reader: LogReader, lanes: LaneLog, done: DecidedAgain) -> None:
    """Shards are read one after the other, so that what moves meanwhile may be seen at one end alone."""
    try:
        lanes.compare()
    except Differs as differs:
        if not reader.moved_on():
            raise
        done.not_proved.append(f"payments moved while the shards were read ({differs}): run it again at rest")
    else:
        done.records_between_shards = lanes.records

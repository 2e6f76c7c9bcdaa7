"""What `--to` means: a moment, or offsets of the ledger, resolved to the next offset of every shard.

A moment is the broker's time of the ledger records: those that the broker took in up to then count. Since offsets grow
with that time, every point is a beginning of each shard's ledger, and so can be compared with tables exactly.
"""

import re
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from millrace.audit.ledger.partition_log import AuditImpossible, Extent, Extents, PartitionLog, offsets_at
from runtime.archive.reader import Archive
from runtime.kafka_client import Brokers

_OFFSETS = re.compile(r"\d{1,4}:\d{1,18}(,\d{1,4}:\d{1,18})*")
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOOK_BACK_OFFSETS = 64
"""Markers and aborted records carry no time: so far back at first, sixteen times as far where that was not enough."""


class NoSuchPoint(AuditImpossible):
    """The ledger has no such point; the message says what it has."""


class Moment(NamedTuple):
    """Milliseconds since 1970, as brokers count."""

    unix_ms: int


class Offsets(NamedTuple):
    """Next offset by shard; not every shard needs to be named."""

    by_shard: dict[int, int]


class Ledger(NamedTuple):
    """Which topic, and how far it reaches."""

    brokers: Brokers
    topic: str
    shards: int
    extents: Extents
    archive: Archive | None = None

    def extent(self, shard: int) -> Extent:
        return self.extents[self.topic, shard]

    def ends(self) -> dict[int, int]:
        return {shard: self.extent(shard).end for shard in range(self.shards)}


def parse_point(text: str) -> Moment | Offsets:
    """`2026-11-21T20:15:00Z`, `0:1200,1:900` or `0:1200`. Raises ValueError."""
    if _OFFSETS.fullmatch(text):
        pairs = [pair.split(":") for pair in text.split(",")]
        by_shard = {int(shard): int(offset) for shard, offset in pairs}
        if len(by_shard) < len(pairs):
            raise ValueError(f"{text!r} names a shard twice")
        return Offsets(by_shard)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text.upper():
        raise ValueError(
            f"{text!r} is neither a time with its zone (2026-11-21T20:15:00Z) nor SHARD:OFFSET,… (0:1200,1:900)"
        )
    return Moment((moment - _UNIX_EPOCH) // timedelta(milliseconds=1))


def resolve(point: Moment | Offsets | None, ledger: Ledger, now_ms: int) -> dict[int, int]:
    """Next offset of every shard; None is the newest point. Raises NoSuchPoint."""
    for shard in range(ledger.shards):
        if ledger.extent(shard).start > 0:
            raise NoSuchPoint(
                f"{ledger.topic}[{shard}] begins at offset {ledger.extent(shard).start}: retention has deleted what was"
                " before, so no balance can be rebuilt from it"
            )
    if point is None:
        return ledger.ends()
    if isinstance(point, Moment):
        return _up_to(point, ledger, now_ms)
    _require_known(point, ledger)
    if len(point.by_shard) == ledger.shards:
        return dict(point.by_shard)
    return _moment_of(point, ledger) | point.by_shard


def shown_time(unix_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    return (_UNIX_EPOCH + timedelta(milliseconds=unix_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _up_to(moment: Moment, ledger: Ledger, now_ms: int) -> dict[int, int]:
    if moment.unix_ms > now_ms:
        raise NoSuchPoint(f"{shown_time(moment.unix_ms)} lies in the future: it is {shown_time(now_ms)}")
    found = _through(moment.unix_ms, ledger)
    if not any(found.values()):
        raise NoSuchPoint(f"at {shown_time(moment.unix_ms)} nothing was decided yet: {_beginning(ledger)}")
    return found


def _through(unix_ms: int, ledger: Ledger) -> dict[int, int]:
    later = offsets_at(ledger.brokers, ledger.topic, ledger.shards, unix_ms + 1, ledger.archive)
    return {shard: min(later.get(shard, end), end) for shard, end in ledger.ends().items()}


def _beginning(ledger: Ledger) -> str:
    first = [_time_of_first(ledger, shard) for shard in range(ledger.shards)]
    known = [unix_ms for unix_ms in first if unix_ms is not None]
    return f"the ledger begins at {shown_time(min(known))}" if known else "the ledger is empty"


def _time_of_first(ledger: Ledger, shard: int) -> int | None:
    log = PartitionLog(ledger.brokers, ledger.topic, shard, ledger.extent(shard), lambda _: None, ledger.archive)
    return next((message.timestamp()[1] for message in log), None)


def _require_known(point: Offsets, ledger: Ledger) -> None:
    for shard, offset in sorted(point.by_shard.items()):
        if shard >= ledger.shards:
            raise NoSuchPoint(f"there is no shard {shard}: this installation has 0 to {ledger.shards - 1}")
        end = ledger.extent(shard).end
        if offset > end:
            raise NoSuchPoint(f"{ledger.topic}[{shard}] ends before offset {end}: {offset} does not exist yet")


def _moment_of(point: Offsets, ledger: Ledger) -> dict[int, int]:
    """The shards that are not named, as they stood when the last record of those named was written."""
    times = [_time_before(ledger, shard, offset) for shard, offset in point.by_shard.items()]
    known = [unix_ms for unix_ms in times if unix_ms is not None]
    if not known:
        raise NoSuchPoint("no record lies before these offsets, so they say nothing about the other shards: name all")
    return _through(max(known), ledger)


def _time_before(ledger: Ledger, shard: int, offset: int) -> int | None:
    width = _LOOK_BACK_OFFSETS
    while True:
        extent = Extent(max(0, offset - width), offset)
        log = PartitionLog(ledger.brokers, ledger.topic, shard, extent, lambda _: None, ledger.archive)
        last = deque(log, maxlen=1)
        if last or extent.start == 0:
            return last[0].timestamp()[1] if last else None
        width *= 16

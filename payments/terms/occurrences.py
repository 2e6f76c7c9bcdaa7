"""Runs a schedule: what is due now, once, whatever times it is asked at and however often.

Reads a valid schedule, its progress and a time; keeps nothing: the new progress is returned, and has a byte form. An
occurrence is known by its wall-clock time, so neither a change of summer time nor a new edition of the zone rules makes
one come again; its idempotency key is derived from that, so money moves once though a job runs twice.
"""

import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from payments.book import HOUR_US
from payments.errors import UndecodableRecord
from payments.identifiers import SCHEDULE, format_id
from payments.terms.schedules import MissedRuns, Schedule, walls_after, walls_until
from payments.terms.wall_clock import WALL_EPOCH, instant_us, wall_limit, zone_of

LATE_US = HOUR_US
"""What is due for longer was missed, for `MissedRuns.NONE`: a restart alone is no reason to leave anything out."""

DUE_MAX = 100
"""Occurrences that one call returns; the next call goes on from there."""
RETRIES_WAITING_MAX = 32
"""Refused occurrences of one schedule that wait at a time: 32 × 17 bytes of progress."""


class Occurrence(NamedTuple):
    """One try at one of the schedule's transfers."""

    wall: datetime
    """Its time on the wall clock: the same for all its tries."""
    attempt: int
    """0 for the first try."""
    due_at_us: int


class Progress(NamedTuple):
    """What of a schedule was issued."""

    last: datetime | None = None
    """Wall-clock time of the last occurrence; all before it are issued or left out."""
    issued: int = 0
    """Occurrences, retries not counted."""
    retries: tuple[Occurrence, ...] = ()
    """Those that wait, in the order in which they are due."""


def idempotency_key(schedule_id: bytes, wall: datetime, attempt: int) -> str:
    """The key of the transfer: `sch_…/2026-01-31T09:00:00/0`. Each try has its own, since a refusal is remembered too;
    the next try exists only where this one was refused, so at most one of them moves money.
    """
    return f"{format_id(SCHEDULE, schedule_id)}/{wall.isoformat()}/{attempt}"


def due(schedule: Schedule, progress: Progress, now_us: int) -> tuple[tuple[Occurrence, ...], Progress]:
    """At most `DUE_MAX` occurrences that are due and were not issued, retries first, and the progress after them."""
    if schedule.missed is MissedRuns.NONE:
        progress = left_out(schedule, progress, now_us - LATE_US)
    again = tuple(takewhile(lambda retry: retry.due_at_us <= now_us, progress.retries))
    fresh = tuple(islice(_fresh(schedule, progress, now_us), DUE_MAX - len(again)))
    after = Progress(
        fresh[-1].wall if fresh else progress.last, progress.issued + len(fresh), progress.retries[len(again) :]
    )
    return again + fresh, after


def left_out(schedule: Schedule, progress: Progress, until_us: int) -> Progress:
    """The progress when what came due by then and was not issued never is; retries still wait."""
    latest = next(_reached(schedule, progress, until_us), None)
    return progress if latest is None else progress._replace(last=latest.wall)


def _fresh(schedule: Schedule, progress: Progress, now_us: int) -> Iterator[Occurrence]:
    if schedule.missed is MissedRuns.LAST:
        return islice(_reached(schedule, progress, now_us), 0 if _left(schedule, progress) == 0 else 1)
    return takewhile(lambda each: each.due_at_us <= now_us, upcoming(schedule, progress))


def _reached(schedule: Schedule, progress: Progress, now_us: int) -> Iterator[Occurrence]:
    """Those due by now that were not issued, the latest first."""
    walls = walls_until(schedule, wall_limit(zone_of(schedule.zone), now_us), progress.last)
    return (each for each in _first_tries(schedule, walls) if each.due_at_us <= now_us)


def upcoming(schedule: Schedule, progress: Progress) -> Iterator[Occurrence]:
    """Those that were not issued, in their order, retries not counted."""
    return islice(_first_tries(schedule, walls_after(schedule, progress.last)), _left(schedule, progress))


def _left(schedule: Schedule, progress: Progress) -> int | None:
    """How many more occurrences may be issued; None: as many as come."""
    return None if schedule.times is None else max(0, schedule.times - progress.issued)


def _first_tries(schedule: Schedule, walls: Iterator[datetime]) -> Iterator[Occurrence]:
    zone = zone_of(schedule.zone)
    return (Occurrence(wall, 0, instant_us(zone, wall)) for wall in walls)


def next_due_us(schedule: Schedule, progress: Progress) -> int | None:
    """When `due` has something to return next; None: never again, the schedule is finished."""
    waiting = [each.due_at_us for each in (*progress.retries[:1], *islice(upcoming(schedule, progress), 1))]
    return min(waiting, default=None)


def refused(schedule: Schedule, progress: Progress, occurrence: Occurrence, refused_at_us: int) -> Progress:
    """The progress after an occurrence met insufficient funds: its next try waits, or nothing changes: it is given up.

    Given up after the schedule's last retry, and where `RETRIES_WAITING_MAX` others wait. Telling it twice is harmless.
    """
    retry = Occurrence(occurrence.wall, occurrence.attempt + 1, refused_at_us + schedule.retry_hours * HOUR_US)
    waits = any(retry[:2] == other[:2] for other in progress.retries)
    if waits or retry.attempt > schedule.retries or len(progress.retries) >= RETRIES_WAITING_MAX:
        return progress
    retries = sorted((*progress.retries, retry), key=lambda each: (each.due_at_us, each.wall))
    return progress._replace(retries=tuple(retries))


_FORM = 1
_HEAD = struct.Struct(">BqIB")  # form, last, issued, number of retries
_RETRY = struct.Struct(">qBq")  # wall, attempt, due
_NEVER = -(2**63)
_MICROSECOND = timedelta(microseconds=1)


def encode_progress(progress: Progress) -> bytes:
    """14 bytes, and 17 for each retry that waits."""
    last = _NEVER if progress.last is None else _wall_us(progress.last)
    head = _HEAD.pack(_FORM, last, progress.issued, len(progress.retries))
    return head + b"".join(_RETRY.pack(_wall_us(wall), attempt, at_us) for wall, attempt, at_us in progress.retries)


def decode_progress(encoded: bytes) -> Progress:
    """Inverse of `encode_progress`. Raises UndecodableRecord on anything else."""
    if len(encoded) < _HEAD.size:
        raise UndecodableRecord("progress of a schedule: too short")
    form, last, issued, count = _HEAD.unpack_from(encoded)
    if form != _FORM or len(encoded) != _HEAD.size + count * _RETRY.size:
        raise UndecodableRecord(f"progress of a schedule: form {form}, {len(encoded)} bytes, {count} retries")
    try:
        retries = tuple(
            Occurrence(_wall(wall), attempt, at_us)
            for wall, attempt, at_us in _RETRY.iter_unpack(encoded[_HEAD.size :])
        )
        return Progress(None if last == _NEVER else _wall(last), issued, retries)
    except OverflowError as error:
        raise UndecodableRecord("progress of a schedule: a time out of range") from error


def _wall_us(wall: datetime) -> int:
    return (wall - WALL_EPOCH) // _MICROSECOND


def _wall(wall_us: int) -> datetime:
    return WALL_EPOCH + wall_us * _MICROSECOND

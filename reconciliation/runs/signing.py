"""Sign-off: a controller's name under the hash of a run. Refusals are values.

Reads recon_runs; writes recon_sign_offs. Guarantees: a period is signed once at a time, and only a result that is still
the newest one of its days; what appears in it afterwards is marked so, and the signature tells how it was reopened.
"""

import secrets
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from payments.identifiers import uuid7

SIGN_OFF: Final = "rso"
"""Kind prefix of sign-offs' ids."""

_RUN: Final = "SELECT rule_set, first_day, last_day, result_hash, run_at FROM recon_runs WHERE run_id = %s"
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_NEWER: Final = """
SELECT FROM recon_runs WHERE rule_set = %(rule_set)s AND run_at > %(run_at)s AND result_hash <> %(result_hash)s
    AND first_day IS NOT DISTINCT FROM %(first_day)s AND last_day = %(last_day)s LIMIT 1"""
_SIGNED_UNTIL: Final = """
SELECT max(last_day) FROM recon_sign_offs WHERE rule_set = %(rule_set)s AND reopened_at IS NULL"""
_OVERLAPS: Final = """
SELECT FROM recon_sign_offs WHERE rule_set = %(rule_set)s AND reopened_at IS NULL
    AND last_day >= coalesce(%(first_day)s, '-infinity'::date)
    AND coalesce(first_day, '-infinity'::date) <= %(last_day)s LIMIT 1"""
_WAITING: Final = """
SELECT count(*), count(*) FILTER (WHERE status IN ('proposed', 'approved')) FROM recon_breaks
WHERE rule_set = %(rule_set)s AND is_live AND day BETWEEN coalesce(%(first_day)s, '-infinity'::date) AND %(last_day)s"""
_SIGN: Final = """
INSERT INTO recon_sign_offs (sign_off_id, run_id, rule_set, first_day, last_day, result_hash, live_breaks, note,
    signed_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_REOPEN: Final = """
UPDATE recon_sign_offs SET reopened_by = %s, reopened_because = %s, reopened_at = now()
WHERE sign_off_id = %s AND reopened_at IS NULL RETURNING sign_off_id"""
_LIST: Final = """
SELECT sign_off_id, run_id, rule_set, first_day, last_day, encode(result_hash, 'hex') AS result_hash, live_breaks, note,
    signed_by, signed_at, reopened_by, reopened_because, reopened_at,
    (SELECT count(*) FROM recon_breaks AS b WHERE b.rule_set = s.rule_set AND b.after_sign_off
        AND b.day BETWEEN coalesce(s.first_day, '-infinity'::date) AND s.last_day) AS changed_since
FROM recon_sign_offs AS s"""


class SignRefusal(StrEnum):
    """Why not; the value is the public code."""

    UNKNOWN = "run_not_found"
    STALE = "run_outdated"
    OVERLAPS = "period_signed_off"
    WAITING = "proposals_waiting"
    SIGN_OFF_UNKNOWN = "sign_off_not_found"


class SignOff(NamedTuple):
    """A signature and what has happened to it. `changed_since`: breaks that appeared, changed or came back in it."""

    sign_off_id: UUID
    run_id: UUID
    rule_set: str
    first_day: date | None
    last_day: date
    result_hash: str
    live_breaks: int
    note: str
    signed_by: str
    signed_at: datetime
    reopened_by: str
    reopened_because: str
    reopened_at: datetime | None
    changed_since: int


def sign(connection: Connection, run_id: UUID, note: str, by: str) -> SignOff | SignRefusal:
    """Sign a run: its days are locked. Raises psycopg.Error."""
    with connection.transaction():
        found = connection.execute(_RUN, (run_id,)).fetchone()
        if found is None:
            return SignRefusal.UNKNOWN
        named: dict[str, Any] = dict(
            zip(("rule_set", "first_day", "last_day", "result_hash", "run_at"), found, strict=True)
        )
        connection.execute(_LOCK, (f"recon run {named['rule_set']}",))
        if connection.execute(_NEWER, named).fetchone() is not None:
            return SignRefusal.STALE
        if named["first_day"] is None:
            named["first_day"] = _day_after(connection, named)
        if connection.execute(_OVERLAPS, named).fetchone() is not None:
            return SignRefusal.OVERLAPS
        counts = connection.execute(_WAITING, named).fetchone()
        assert counts is not None
        if counts[1]:
            return SignRefusal.WAITING
        id_ = UUID(bytes=uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)))
        told = (named["rule_set"], named["first_day"], named["last_day"], named["result_hash"])
        connection.execute(_SIGN, (id_, run_id, *told, counts[0], note, by))
        signed = find_sign_off(connection, id_)
        assert signed is not None  # just written
        return signed


def _day_after(connection: Connection, named: dict[str, Any]) -> date | None:
    """The first day that a run over everything adds to what is signed; None where there is none, or nothing signed."""
    row = connection.execute(_SIGNED_UNTIL, named).fetchone()
    until: date | None = row[0] if row is not None else None
    return until + timedelta(days=1) if until is not None and until < named["last_day"] else None


def reopen(connection: Connection, sign_off_id: UUID, because: str, by: str) -> SignOff | SignRefusal:
    """Take a signature back: it stays, with who did so and why."""
    with connection.transaction():
        if connection.execute(_REOPEN, (by, because, sign_off_id)).fetchone() is None:
            return SignRefusal.SIGN_OFF_UNKNOWN
        found = find_sign_off(connection, sign_off_id)
        assert found is not None
        return found


def find_sign_off(connection: Connection, id_: UUID) -> SignOff | None:
    """One signature, or None."""
    with connection.cursor(row_factory=class_row(SignOff)) as cursor:
        return cursor.execute(f"{_LIST} WHERE sign_off_id = %s".encode(), (id_,)).fetchone()


def sign_offs_of(connection: Connection, run_ids: Sequence[UUID]) -> list[SignOff]:
    """Of these runs, however old they are; the newest first."""
    query = f"{_LIST} WHERE run_id = ANY(%s) ORDER BY signed_at DESC, sign_off_id DESC"
    with connection.cursor(row_factory=class_row(SignOff)) as cursor:
        return cursor.execute(query.encode(), (list(run_ids),)).fetchall()


def sign_offs(connection: Connection, limit: int) -> list[SignOff]:
    """The newest first."""
    query = f"{_LIST} ORDER BY signed_at DESC, sign_off_id DESC LIMIT %s"
    with connection.cursor(row_factory=class_row(SignOff)) as cursor:
        return cursor.execute(query.encode(), (limit,)).fetchall()

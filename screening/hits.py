"""Who may be on a list: found, kept, decided. Every decision is a compare-and-set of one open hit.

Reads screening_entries; writes screening_hits, and rescreened_at of a list. Guarantees: the same
question (this subject and this entry, as both are) is open once and decided once, by a named person for a reason; what
was cleared is not asked again until either one's content changes. No name of a subject is written.
Connections are in autocommit mode: each function makes its own transactions.

open ─▶ cleared | confirmed    somebody decided
  └───▶ withdrawn              either side changed: a new question stands in its place where it still is one
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, StrEnum
from itertools import islice
from typing import Final

from psycopg import Connection
from psycopg.types.json import Jsonb

from payments.screening.comparison import Comparison
from payments.screening.decisions import DEFAULT_THRESHOLDS, GoodGuy, Hit, Subject, Thresholds, not_cleared, screen
from payments.screening.entries import EntryKey, Quality, Source
from payments.screening.index import NameIndex
from screening.stored_lists import ListsInForce, stored_entries

SUBJECTS_A_TRANSACTION: Final = 500
"""500 × about 3 ms: a transaction of a second and a half, well inside the sessions' time-out."""


class HitStatus(IntEnum):
    """The number stands in the table: append only."""

    OPEN = 1
    CLEARED = 2
    CONFIRMED = 3
    WITHDRAWN = 4


class DecisionRefused(StrEnum):
    """Why a decision was not recorded."""

    HIT_UNKNOWN = "hit_unknown"
    HIT_NOT_OPEN = "hit_not_open"
    DECISION_INVALID = "decision_invalid"
    REASON_MISSING = "reason_missing"


_GOOD_GUYS: Final = (
    "SELECT source, uid, entry_fingerprint FROM screening_good_guys WHERE subject_id = %s AND subject_fingerprint = %s"
)
_FIND: Final = (
    "INSERT INTO screening_hits (subject_id, subject_fingerprint, source, uid, entry_fingerprint, list_version,"
    " verdict, score_permille, explanation) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT DO NOTHING RETURNING hit"
)
_WITHDRAW_CHANGED_SUBJECT: Final = (
    "UPDATE screening_hits SET status = 4, decided_at = now()"
    " WHERE subject_id = %s AND status = 1 AND subject_fingerprint <> %s"
)
_WITHDRAW_CHANGED_ENTRIES: Final = """
UPDATE screening_hits AS asked SET status = 4, decided_at = now()
WHERE status = 1 AND NOT EXISTS (
    SELECT FROM screening_entries AS entry
    WHERE entry.source = asked.source AND entry.uid = asked.uid AND until IS NULL
    AND entry.fingerprint = asked.entry_fingerprint)"""
_BROUGHT_BY: Final = "SELECT content FROM screening_entries WHERE since = %s AND until IS NULL"
_DUE: Final = "SELECT version FROM screening_lists WHERE rescreened_at IS NULL ORDER BY version"
_DONE: Final = "UPDATE screening_lists SET rescreened_at = now() WHERE version = %s"
_DECIDE: Final = (
    "UPDATE screening_hits SET status = %s, decided_by = %s, because = %s, decided_at = now()"
    " WHERE hit = %s AND status = 1"
)


def screen_subject(
    connection: Connection,
    lists: ListsInForce,
    subject: Subject,
    fingerprint_key: bytes,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> list[int]:
    """Screen one subject against all lists; the hits that are new. Open ones of its former names are withdrawn.

    Raises ValueError for a name that is too long, psycopg.Error.
    """
    fingerprint = subject.fingerprint(fingerprint_key)
    with connection.transaction():
        connection.execute(_WITHDRAW_CHANGED_SUBJECT, (subject.id, fingerprint))
        return _keep(connection, lists.versions, subject.id, fingerprint, screen(lists.names, subject, thresholds))


def rescreen_delta(
    connection: Connection,
    version: int,
    subjects: Iterable[Subject],
    fingerprint_key: bytes,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> int:
    """Screen all subjects against what a version of a list brought, and against nothing else; how many hits are new.

    Open hits of entries that it changed or removed are withdrawn first. May be run again after a crash. Raises as
    screen_subject.
    """
    with connection.transaction():
        connection.execute(_WITHDRAW_CHANGED_ENTRIES)
        entries = stored_entries(connection, _BROUGHT_BY, (version,))
    lists = ListsInForce(NameIndex(entries), {entry.source: version for entry in entries})
    found = 0
    waiting = iter(subjects)
    while batch := list(islice(waiting, SUBJECTS_A_TRANSACTION)) if entries else []:
        with connection.transaction():
            found += sum(
                len(screen_subject(connection, lists, subject, fingerprint_key, thresholds)) for subject in batch
            )
    with connection.transaction():
        connection.execute(_DONE, (version,))
    return found


def rescreens_due(connection: Connection) -> list[int]:
    """Versions of lists that not all subjects have been screened against, oldest first."""
    return [version for (version,) in connection.execute(_DUE)]


def decide_hit(
    connection: Connection, hit: int, decision: HitStatus, decided_by: str, because: str
) -> DecisionRefused | None:
    """Clear or confirm an open hit; None where that is recorded. A cleared pair is a good guy from then on."""
    if decision not in {HitStatus.CLEARED, HitStatus.CONFIRMED}:
        return DecisionRefused.DECISION_INVALID
    if not decided_by.strip() or not because.strip():
        return DecisionRefused.REASON_MISSING
    with connection.transaction():
        if connection.execute(_DECIDE, (int(decision), decided_by, because, hit)).rowcount:
            return None
        known = connection.execute("SELECT FROM screening_hits WHERE hit = %s", (hit,)).rowcount
    return DecisionRefused.HIT_NOT_OPEN if known else DecisionRefused.HIT_UNKNOWN


def _keep(
    connection: Connection, versions: Mapping[Source, int], subject_id: str, fingerprint: bytes, hits: Sequence[Hit]
) -> list[int]:
    rows = connection.execute(_GOOD_GUYS, (subject_id, fingerprint))
    cleared = frozenset(
        GoodGuy(subject_id, fingerprint, EntryKey(Source(source), uid), bytes(kept)) for source, uid, kept in rows
    )
    kept = []
    for verdict, (entry, _, quality, comparison) in not_cleared(hits, subject_id, fingerprint, cleared):
        question = subject_id, fingerprint, entry.source, entry.uid, entry.fingerprint()
        explanation = Jsonb(_explanation(comparison, quality))
        values = versions[entry.source], verdict, comparison.score_permille, explanation
        row = connection.execute(_FIND, (*question, *values)).fetchone()
        kept += [row[0]] if row is not None else []
    return kept


def _explanation(comparison: Comparison, quality: Quality) -> dict[str, object]:
    """What differs, with the listed words alone: the subject's do not belong in the clear."""
    differences = [(one.difference, one.right, one.permille) for one in comparison.deductions]
    return {"quality": quality, "differences": differences}

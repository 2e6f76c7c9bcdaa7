"""Who may be on a list: found, kept, decided. Every decision is a compare-and-set of one open hit.

Reads screening_entries; writes screening_hits and screening_decisions, and up to which version a party and a list are
done. Guarantees: the same question (this subject and this entry, as both are) is open once; every decision has a named
person and a reason, and a confirmed hit is cleared by two; what was cleared is not asked again until either one's
content changes; a question is withdrawn in the transaction that asks the next one, so nobody is clear in between. No
name of a subject is written. Connections are in autocommit mode: each function makes its own transactions.

open ─▶ cleared ◀─ confirmed   somebody decided
  └───▶ withdrawn              either side changed: a new question stands in its place where it still is one
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Final

from psycopg import Connection
from psycopg.types.json import Jsonb

from payments.screening.comparison import Comparison
from payments.screening.decisions import DEFAULT_THRESHOLDS, GoodGuy, Hit, Subject, Thresholds, not_cleared, screen
from payments.screening.entries import EntryKey, Quality, Source
from payments.screening.index import NameIndex
from screening.stored_lists import ListsInForce, stored_entries


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
    PERSON_REPEATED = "person_repeated"
    """Who has asked to clear a confirmed hit: another person has to."""


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
WHERE subject_id = %s AND status = 1 AND NOT EXISTS (
    SELECT FROM screening_entries AS entry
    WHERE entry.source = asked.source AND entry.uid = asked.uid AND until IS NULL
    AND entry.fingerprint = asked.entry_fingerprint)"""
_NAMED_AS: Final = "SELECT fingerprint FROM screening_parties WHERE party_id = %s FOR UPDATE"
_SCREENED: Final = """
UPDATE screening_parties SET screened_version = %(version)s
WHERE party_id = %(party)s AND fingerprint = %(fingerprint)s AND coalesce(screened_version, -1) < %(version)s"""
_BROUGHT_BY: Final = "SELECT content FROM screening_entries WHERE since = %s AND until IS NULL"
_SOURCE: Final = "SELECT source FROM screening_lists WHERE version = %s"
_DUE: Final = """
SELECT version FROM screening_lists
WHERE rescreened_at IS NULL OR version > (SELECT min(screened_version) FROM screening_parties) ORDER BY version"""
_DONE: Final = "UPDATE screening_lists SET rescreened_at = now() WHERE version = %s"
_STATUS: Final = "SELECT status FROM screening_hits WHERE hit = %s FOR UPDATE"
_ASKED_TO_CLEAR: Final = "SELECT decided_by FROM screening_decisions WHERE hit = %s AND status = 2"
_NOTE: Final = "INSERT INTO screening_decisions (hit, status, decided_by, because) VALUES (%s, %s, %s, %s)"
_DECIDE: Final = (
    "UPDATE screening_hits SET status = %s, decided_by = %s, because = %s, decided_at = now() WHERE hit = %s"
)


def screen_subject(
    connection: Connection,
    lists: ListsInForce,
    subject: Subject,
    fingerprint_key: bytes,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> list[int]:
    """Screen one subject against these lists; the hits that are new. Open ones of its former names, and of entries that
    have changed, are withdrawn. A party is screened up to the newest version from then on. One that was renamed after
    its names were read is left to who renamed it: nothing is withdrawn for the sake of a former name.

    Raises ValueError for a name that is too long, psycopg.Error.
    """
    fingerprint = subject.fingerprint(fingerprint_key)
    with connection.transaction():
        named = connection.execute(_NAMED_AS, (subject.id,)).fetchone()
        if named is not None and bytes(named[0]) != fingerprint:
            return []
        connection.execute(_WITHDRAW_CHANGED_SUBJECT, (subject.id, fingerprint))
        connection.execute(_WITHDRAW_CHANGED_ENTRIES, (subject.id,))
        found = _keep(connection, lists.versions, subject.id, fingerprint, screen(lists.names, subject, thresholds))
        screened = {"version": lists.newest, "party": subject.id, "fingerprint": fingerprint}
        connection.execute(_SCREENED, screened)
    return found


def brought_by(connection: Connection, version: int) -> ListsInForce:
    """What a version of a list brought, as far as it is still in force."""
    with connection.transaction():
        [(source,)] = connection.execute(_SOURCE, (version,)).fetchall()
        entries = stored_entries(connection, _BROUGHT_BY, (version,))
    return ListsInForce(NameIndex(entries), {Source(source): version})


def rescreens_due(connection: Connection) -> list[int]:
    """Versions of lists that not everybody has been screened against, oldest first."""
    return [version for (version,) in connection.execute(_DUE)]


def rescreened(connection: Connection, version: int) -> None:
    """Everybody who was there has been screened against what this version brought."""
    connection.execute(_DONE, (version,))


def decide_hit(
    connection: Connection, hit: int, decision: HitStatus, decided_by: str, because: str
) -> DecisionRefused | None:
    """Clear or confirm an open hit, or clear a confirmed one, which counts from the second person on; None where that
    is recorded. A cleared pair is a good guy from then on.
    """
    if decision not in {HitStatus.CLEARED, HitStatus.CONFIRMED}:
        return DecisionRefused.DECISION_INVALID
    if not decided_by.strip() or not because.strip():
        return DecisionRefused.REASON_MISSING
    with connection.transaction():
        row = connection.execute(_STATUS, (hit,)).fetchone()
        if row is None:
            return DecisionRefused.HIT_UNKNOWN
        status, before = HitStatus(row[0]), {who for (who,) in connection.execute(_ASKED_TO_CLEAR, (hit,))}
        if status is not HitStatus.OPEN and (status, decision) != (HitStatus.CONFIRMED, HitStatus.CLEARED):
            return DecisionRefused.HIT_NOT_OPEN
        if decided_by in before:
            return DecisionRefused.PERSON_REPEATED
        connection.execute(_NOTE, (hit, int(decision), decided_by, because))
        if status is HitStatus.OPEN or before:
            connection.execute(_DECIDE, (int(decision), decided_by, because, hit))
    return None


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

"""Parties and hits as Postgres shows them."""

from typing import Any, Final
from uuid import UUID

from ingest_api.reads.cursor import Cursor, encode_cursor
from ingest_api.reads.database import Database
from payments.screening.names import Schema
from screening.hits import HitStatus
from screening.parties import Party

_PARTY: Final = f"""
SELECT party_id, user_id, schema, screened_version, CASE
    WHEN EXISTS (SELECT FROM screening_hits WHERE subject_id = party_id AND status = {HitStatus.CONFIRMED:d})
        THEN 'true_match'
    WHEN screened_version IS NULL
        OR EXISTS (SELECT FROM screening_hits WHERE subject_id = party_id AND status = {HitStatus.OPEN:d})
        THEN 'waiting_for_verification'
    ELSE 'clear' END AS status
FROM screening_parties WHERE party_id = %s"""
_HITS: Final = """
SELECT hit, hits.subject_id, user_id, party.schema, hits.source, hits.uid, content, verdict, score_permille,
    explanation, found_at, hits.status, made.*
FROM screening_hits AS hits JOIN screening_parties AS party ON party_id = subject_id
CROSS JOIN LATERAL (
    SELECT content FROM screening_entries AS entry
    WHERE (entry.source, entry.uid, entry.fingerprint) = (hits.source, hits.uid, hits.entry_fingerprint)
    ORDER BY since DESC LIMIT 1) AS listed
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(status ORDER BY decision), '{}') AS decided,
        coalesce(array_agg(because ORDER BY decision), '{}') AS because_of,
        coalesce(array_agg(decided_by ORDER BY decision), '{}') AS deciders,
        coalesce(array_agg(decided_at ORDER BY decision), '{}') AS decided_times
    FROM screening_decisions AS decision WHERE decision.hit = hits.hit) AS made"""
_ONE: Final = f"{_HITS} WHERE hit = %s"
_PAGE: Final = f"{_HITS} WHERE hits.status = %(status)s AND hit > %(after)s ORDER BY hit LIMIT %(rows)s"

Row = dict[str, Any]


async def find_party(database: Database, party_id: str) -> Row | None:
    """A party and how it stands, or None where nobody was named like that. Raises DatabaseUnavailable."""
    return await database.row(_PARTY, (party_id,))


async def find_hit(database: Database, hit: int) -> Row | None:
    """One hit. Raises DatabaseUnavailable."""
    return await database.row(_ONE, (hit,))


async def page_of_hits(
    database: Database, status: HitStatus, after: Cursor | None, limit: int
) -> tuple[list[Row], str | None]:
    """One page, the oldest first, and where the next one begins. Raises DatabaseUnavailable."""
    parameters = {"status": int(status), "after": after.payment_id.int if after else 0, "rows": limit + 1}
    rows = await database.page(_PAGE, parameters)
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor(Cursor(last["found_at"], UUID(int=last["hit"])))


def party_of(row: Row) -> Party:
    """Whose names belong to a row."""
    return Party(row.get("party_id") or row["subject_id"], row["user_id"].bytes, Schema(row["schema"]))

"""Matches of old runs are deleted; header, hash, tie-out, breaks and what each pass came to are kept for ever.

Guarantees: the newest run of a rule set and every run that was ever signed keep their matches, the latter until the end
of the legal term. Bounded: one run at a time, each in one transaction, the oldest first.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from psycopg import Connection

from reconciliation.matching.rules import Days
from reconciliation.runs.reads import passes_of
from reconciliation.store.importing import json_text


class Keep(Struct, forbid_unknown_fields=True, frozen=True):
    """How long matches are kept."""

    matches_days: Days = 90
    """As long as card schemes let a payment be disputed, more or less: who asks about a pair asks within that time."""

    signed_years: Days = 10
    """Of what was signed: books and their evidence, HGB § 257 and AO § 147; the longest of the usual terms."""


_OLD: Final = """
SELECT run_id FROM recon_runs AS run
WHERE forgotten_at IS NULL AND run_at < %(now)s::timestamptz - %(matches_days)s * interval '1 day'
    AND NOT EXISTS (
        SELECT FROM recon_sign_offs AS signed
        WHERE signed.run_id = run.run_id AND signed_at >= %(now)s::timestamptz - %(signed_years)s * interval '1 year'
    )
    AND EXISTS (SELECT FROM recon_runs AS newer WHERE newer.rule_set = run.rule_set AND newer.run_at > run.run_at)
ORDER BY run_at LIMIT 1 FOR UPDATE OF run SKIP LOCKED"""
_DELETE: Final = "DELETE FROM recon_matches WHERE run_id = %s"
_FORGOTTEN: Final = "UPDATE recon_runs SET forgotten_at = %s, passes = %s WHERE run_id = %s"


def forget_matches(connection: Connection, keep: Keep, now: datetime) -> UUID | None:
    """Of the oldest run whose time is over, if there is one. Raises psycopg.Error."""
    named = {"now": now, "matches_days": keep.matches_days, "signed_years": keep.signed_years}
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        row = connection.execute(_OLD, named).fetchone()
        if row is None:
            return None
        run_id: UUID = row[0]
        passes = passes_of(connection, run_id)
        connection.execute(_DELETE, (run_id,))
        connection.execute(_FORGOTTEN, (now, json_text(passes), run_id))
    return run_id

"""Approved adjustments on their way into the ledger, and what became of them.

Guarantees: a journal is posted once, whoever sends it how often, because its key is the proposal's; a crash between
approval and posting leaves it `approved`, and whoever looks next sends it again.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from payments.entries import EntryKind
from payments.movements.instructions import PostJournal
from reconciliation.breaks import desk
from schemas.codec.fields import REASONS

LEDGER: Final = "ledger"
"""Who posts or refuses, in the trail."""

_WAITING: Final = """
SELECT break_id, proposal_id, legs, journal_id FROM recon_proposals
WHERE decision = 'approved' AND outcome = '' ORDER BY decided_at LIMIT 1000"""
_DECIDED: Final = f"""
SELECT p.break_id,
    CASE WHEN posted.journal_id IS NOT NULL THEN 0 ELSE coalesce(nullif(asked.refusal, 0), event.reason) END AS reason
FROM recon_proposals AS p
LEFT JOIN journal_entries AS posted ON posted.journal_id = p.journal_id
LEFT JOIN journals AS asked ON asked.journal_id = p.journal_id
LEFT JOIN account_events AS event ON event.operation_id = p.journal_id AND event.kind = {EntryKind.REJECTED:d}
WHERE p.decision = 'approved' AND p.outcome = ''
    AND (posted.journal_id IS NOT NULL OR asked.refusal <> 0 OR event.reason IS NOT NULL)"""


class ToPost(NamedTuple):
    """A journal that was approved and is not in the ledger yet."""

    break_id: UUID
    asked: PostJournal
    journal_id: UUID


def to_post(connection: Connection) -> Iterator[ToPost]:
    """The oldest first; at most a thousand at a time."""
    for break_id, proposal_id, legs, journal in connection.execute(_WAITING).fetchall():
        asked = desk.instruction(break_id, proposal_id, legs)
        if asked is not None:
            yield ToPost(break_id, asked, journal)


def settle(connection: Connection) -> int:
    """Take over what the ledger says of journals that were sent; how many it has decided. Raises psycopg.Error."""
    rows = connection.execute(_DECIDED).fetchall()
    for break_id, reason in rows:
        desk.settled(connection, break_id, str(REASONS[reason]) if reason else "", LEDGER)
    return len(rows)

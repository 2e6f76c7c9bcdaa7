"""Journals as Postgres shows them: those that were asked for, and the journal entry of any payment."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.reads.database import Database
from payments.entries import EntryKind
from payments.items.details import CauseKind, Posting
from payments.rejections import Reason
from schemas.codec.fields import REASONS

_JOURNAL: Final = f"""
SELECT asked.legs, asked.is_open, asked.refusal, asked.opened_at, headline.posted_at,
    coalesce(
        (SELECT description FROM decisions WHERE payment_id = %(id)s),
        (SELECT description FROM account_events WHERE operation_id = %(id)s)
    ) AS description,
    (SELECT code FROM causes WHERE operation_id = %(id)s AND cause_kind = {CauseKind.JOURNAL:d}
        AND kind IN ({EntryKind.JOURNAL_OPENED:d}, {EntryKind.JOURNAL_POSTED:d}) LIMIT 1) AS reason
FROM (SELECT %(id)s::uuid AS journal_id) AS named
LEFT JOIN journals AS asked USING (journal_id)
LEFT JOIN journal_entries AS headline USING (journal_id)
WHERE asked.journal_id IS NOT NULL OR headline.journal_id IS NOT NULL"""
_POSTED: Final = """
SELECT account_id, amount_minor, currency FROM journal_legs WHERE journal_id = %(id)s ORDER BY leg_index"""
_PLAIN: Final = (
    "SELECT account_id, amount_minor, currency FROM postings WHERE journal_id = %(id)s ORDER BY amount_minor"
)


class FoundJournal(NamedTuple):
    """A journal with all its legs."""

    legs: tuple[Posting, ...]
    is_open: bool
    refusal: Reason
    opened_at: datetime
    posted_at: datetime | None
    description: str
    reason: str

    @property
    def is_final(self) -> bool:
        """Posted or cancelled."""
        return self.posted_at is not None or self.refusal is not Reason.NONE


async def find_journal(database: Database, journal_id: bytes) -> FoundJournal | None:
    """One journal, or None where Postgres has none. Raises DatabaseUnavailable."""
    named = {"id": UUID(bytes=journal_id)}
    row = await database.row(_JOURNAL, named)
    if row is None:
        return None
    stated = [(UUID(account), amount_minor, currency) for account, amount_minor, currency in row["legs"] or ()]
    legs = stated or await _posted(database, named)
    return FoundJournal(
        tuple(Posting(account.bytes, amount_minor, currency) for account, amount_minor, currency in legs),
        bool(row["is_open"]),
        REASONS[row["refusal"] or 0],
        row["opened_at"] or row["posted_at"],
        row["posted_at"],
        row["description"] or "",
        row["reason"] or "",
    )


async def _posted(database: Database, named: dict[str, Any]) -> list[tuple[UUID, int, str]]:
    rows = await database.rows(_POSTED, named) or await database.rows(_PLAIN, named)
    return [(row["account_id"], row["amount_minor"], row["currency"]) for row in rows]

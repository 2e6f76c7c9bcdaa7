"""The ledger's side of breaks and matches, to look at: whole journals with their legs. Reads alone."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import Connection

JOURNALS_MAX: Final = 100
"""Of one break: as many as it is shown lines of files with."""

_JOURNAL: Final = re.compile(r"[0-9a-f]{32}")
_LEGS: Final = """
SELECT leg.journal_id, leg.payment_id, leg.posted_at, leg.account_id, leg.amount_minor, leg.currency,
    coalesce(request.provider_reference, ''), coalesce(request.idempotency_key, ''), coalesce(decision.description, '')
FROM postings AS leg
LEFT JOIN provider_requests AS request ON request.request_id = leg.journal_id
LEFT JOIN decisions AS decision ON decision.payment_id = leg.payment_id
WHERE leg.journal_id = ANY(%s) ORDER BY leg.posted_at, leg.journal_id, leg.amount_minor, leg.account_id"""


class Leg(NamedTuple):
    """Credits positive."""

    account: UUID
    amount_minor: int
    currency: str


class Journal(NamedTuple):
    """What was posted, and by which references the outside knows it."""

    journal_id: UUID
    payment_id: UUID
    posted_at: datetime
    provider_reference: str
    payment_order: str
    description: str
    legs: list[Leg]


def journals_of(connection: Connection, rows: Iterable[str]) -> list[Journal]:
    """Of internal lines as breaks and matches name them (`<journal>/<leg>`), in the ledger's order; JOURNALS_MAX."""
    named = dict.fromkeys(row.partition("/")[0] for row in rows)
    ids = [UUID(id_) for id_ in named if _JOURNAL.fullmatch(id_)][:JOURNALS_MAX]
    found: dict[UUID, Journal] = {}
    for journal, payment, at, account, amount_minor, currency, *told in connection.execute(_LEGS, (ids,)):
        one = found.setdefault(journal, Journal._make((journal, payment, at, *told, [])))
        one.legs.append(Leg(account, amount_minor, currency))
    return list(found.values())

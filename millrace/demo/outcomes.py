"""What became of the demo's payments, as Postgres shows it."""

import time
from collections.abc import Callable
from typing import NamedTuple

import psycopg

from payments.entries import EntryKind
from payments.errors import Unavailable

SETTLED_TIMEOUT_S = 120
_POLL_S = 0.1

_STATES = """
    SELECT state, count(*) FROM payments WHERE payment_id = ANY(%s) GROUP BY state
"""
_DUPLICATES = """
    SELECT count(*) FROM (
        SELECT payment_id FROM (
            SELECT payment_id FROM decisions WHERE kind = %(rejected)s AND payment_id = ANY(%(ids)s)
            UNION ALL SELECT payment_id FROM journal_entries WHERE payment_id = ANY(%(ids)s)
            UNION ALL SELECT payment_id FROM returns WHERE payment_id = ANY(%(ids)s)
        ) AS finals GROUP BY payment_id HAVING count(*) > 1
    ) AS repeated
"""
_TOP_ACCOUNTS = """
    SELECT account_id, count(*), sum(abs(amount_minor))::bigint FROM postings
    WHERE payment_id = ANY(%s) GROUP BY account_id ORDER BY 2 DESC LIMIT %s
"""


class Outcomes(NamedTuple):
    """Counts of payments by what became of them."""

    posted: int
    rejected: int
    returned: int
    in_flight: int

    @property
    def final(self) -> int:
        return self.posted + self.rejected + self.returned


class BusyAccount(NamedTuple):
    """An account with many postings."""

    account_id: bytes
    postings: int
    turnover_minor: int


def outcomes(database_url: str, payment_ids: list[bytes]) -> Outcomes:
    """Count the payments by state."""
    with psycopg.connect(database_url) as connection:
        counts: dict[int, int] = dict(connection.execute(_STATES, [[value.hex() for value in payment_ids]]).fetchall())
    return Outcomes(
        counts.get(EntryKind.POSTED, 0),
        counts.get(EntryKind.REJECTED, 0),
        counts.get(EntryKind.RETURNED, 0),
        counts.get(EntryKind.RESERVED, 0),
    )


def await_final(database_url: str, payment_ids: list[bytes], progress: Callable[[int], None]) -> Outcomes:
    """Wait until every payment is final in Postgres. Raises Unavailable after SETTLED_TIMEOUT_S without progress."""
    seen, changed_s = -1, time.monotonic()
    while True:
        found = outcomes(database_url, payment_ids)
        if found.final != seen:
            seen, changed_s = found.final, time.monotonic()
            progress(found.final)
        if found.final == len(payment_ids):
            return found
        if time.monotonic() - changed_s > SETTLED_TIMEOUT_S:
            missing = len(payment_ids) - found.final
            raise Unavailable(
                f"{missing} payments are not final after {SETTLED_TIMEOUT_S} s: `millrace status` says why"
            )
        time.sleep(_POLL_S)


def duplicates(database_url: str, payment_ids: list[bytes]) -> int:
    """How many of the payments have more than one final outcome."""
    with psycopg.connect(database_url) as connection:
        query = {"rejected": EntryKind.REJECTED, "ids": [value.hex() for value in payment_ids]}
        row = connection.execute(_DUPLICATES, query).fetchone()
    return int(row[0]) if row else 0


def replayed(database_url: str) -> int:
    """How many commands repeated an earlier key, in the whole life of this installation."""
    with psycopg.connect(database_url) as connection:
        query = "SELECT coalesce(sum(entries), 0)::bigint FROM outcome_counts WHERE kind = %s"
        row = connection.execute(query, [EntryKind.REPLAYED]).fetchone()
    return int(row[0]) if row else 0


def busiest_accounts(database_url: str, payment_ids: list[bytes], count: int) -> list[BusyAccount]:
    """The accounts with the most postings of these payments."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(_TOP_ACCOUNTS, [[value.hex() for value in payment_ids], count]).fetchall()
    return [BusyAccount(account_id.bytes, postings, turnover) for account_id, postings, turnover in rows]

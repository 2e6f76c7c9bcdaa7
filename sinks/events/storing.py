"""Events and their deliveries as rows of the caller's transaction.

Reads endpoints and owners; writes public_events, event_accounts, webhook_deliveries. Guarantees: positions follow each
other without a gap in the order of their commits; a user's endpoint is queued only for events of accounts in which the
user has a part now.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import Connection, Cursor

from schemas.tables.webhooks import EndpointStatus

_TAKE_POSITIONS: Final = """
UPDATE event_feed SET next_position = next_position + %s RETURNING next_position - %s"""
_EVENTS: Final = "COPY public_events (position, event_id, type, object, accounts, occurred_at, payload) FROM STDIN"
_ACCOUNTS: Final = "COPY event_accounts (account_id, position) FROM STDIN"

_QUEUE: Final = f"""
INSERT INTO webhook_deliveries (endpoint_id, position, object)
SELECT endpoint_id, position, object
FROM public_events JOIN webhook_endpoints AS endpoint ON user_id IS NULL
WHERE position >= %(first)s AND endpoint.status = '{EndpointStatus.ENABLED}'
AND (event_types = '{{}}' OR type = ANY(event_types))
UNION
SELECT endpoint_id, position, object
FROM public_events CROSS JOIN unnest(accounts) AS account
JOIN account_owners AS held ON held.account_id = account AND held.until IS NULL
JOIN webhook_endpoints AS endpoint ON endpoint.user_id = held.user_id
WHERE position >= %(first)s AND endpoint.status = '{EndpointStatus.ENABLED}'
AND (event_types = '{{}}' OR type = ANY(event_types))
ORDER BY position"""
_FORGET: Final = """
WITH old AS (
    DELETE FROM public_events WHERE position IN (
        SELECT position FROM (SELECT position, stored_at FROM public_events ORDER BY position LIMIT %(limit)s) AS first
        WHERE stored_at < now() - %(kept)s
    ) RETURNING position, accounts
), of_accounts AS (
    DELETE FROM event_accounts AS seen USING (SELECT position, unnest(accounts) AS account_id FROM old) AS gone
    WHERE (seen.account_id, seen.position) = (gone.account_id, gone.position)
), of_endpoints AS (
    DELETE FROM webhook_deliveries WHERE position IN (SELECT position FROM old)
)
SELECT count(*) FROM old"""


class PublicEvent(NamedTuple):
    """An event as it is kept."""

    event_id: bytes
    type: str
    object: str
    accounts: tuple[bytes, ...]
    occurred_at: datetime
    payload: bytes


def store(connection: Connection, events: Sequence[PublicEvent]) -> int:
    """Keep events and queue their deliveries; how many deliveries. Raises psycopg.errors.UniqueViolation for an event
    that is there already: whoever stores keeps the place up to which this was done.
    """
    if not events:
        return 0
    with connection.cursor() as cursor:
        first = _positions(cursor, len(events))
        with cursor.copy(_EVENTS) as copied:
            for row in _event_rows(events, first):
                copied.write_row(row)
        with cursor.copy(_ACCOUNTS) as copied:
            for row in _account_rows(events, first):
                copied.write_row(row)
        cursor.execute(_QUEUE.encode(), {"first": first})
        return cursor.rowcount


def _positions(cursor: Cursor, count: int) -> int:
    """The first of so many. Whoever else stores waits from here to our commit."""
    row = cursor.execute(_TAKE_POSITIONS, (count, count)).fetchone()
    assert row is not None
    return int(row[0])


def _event_rows(events: Sequence[PublicEvent], first: int) -> Iterator[tuple[object, ...]]:
    for position, event in enumerate(events, first):
        accounts = [UUID(bytes=account) for account in event.accounts]
        id_ = UUID(bytes=event.event_id)
        yield position, id_, event.type, event.object, accounts, event.occurred_at, event.payload


def _account_rows(events: Sequence[PublicEvent], first: int) -> Iterator[tuple[UUID, int]]:
    for position, event in enumerate(events, first):
        for account in dict.fromkeys(event.accounts):
            yield UUID(bytes=account), position


def forget(connection: Connection, kept: timedelta, limit: int) -> int:
    """Delete up to `limit` events that are older than this, with their deliveries; how many there were."""
    row = connection.execute(_FORGET, {"kept": kept, "limit": limit}).fetchone()
    assert row is not None
    return int(row[0])

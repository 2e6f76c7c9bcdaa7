"""Deliveries in Postgres: which are due, who has them, and what came of each attempt.

Reads events, secrets and owners; writes deliveries, their attempts and how their endpoints do. Guarantees: of one
endpoint and object only the earliest pending delivery is ever taken, by one dispatcher at a time.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from connectors.webhooks.retries import (
    BREAKER_FAILURES,
    DISABLED_AFTER,
    GIVEN_UP_AFTER,
    delay_after,
    pause_after,
)
from connectors.webhooks.sending import CALL_TIMEOUT_S, GONE, Outcome
from runtime.personal_data.sealing import WrappedKey
from schemas.tables.webhooks import DeliveryStatus, DisabledReason, EndpointStatus

Connection = psycopg.AsyncConnection[DictRow]

PER_ENDPOINT: Final = 8
"""Deliveries under way to one endpoint, per process: a slow one takes an eighth of the slots."""

LOST_AFTER: Final = timedelta(seconds=4 * CALL_TIMEOUT_S)
"""When a delivery under way counts as lost with its dispatcher. A call ends after CALL_TIMEOUT_S; the rest is for a
machine that is too busy."""

UPKEEP_ROWS: Final = 1_000

_CLAIM: Final = f"""
WITH RECURSIVE waiting AS ( -- endpoints with something pending, one probe of an index each, however much waits
    (SELECT endpoint_id FROM webhook_deliveries WHERE status = '{DeliveryStatus.PENDING}' ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT following.endpoint_id FROM webhook_deliveries AS following
        WHERE following.status = '{DeliveryStatus.PENDING}' AND following.endpoint_id > waiting.endpoint_id
        ORDER BY following.endpoint_id LIMIT 1
    ) FROM waiting WHERE waiting.endpoint_id IS NOT NULL
),
busy AS (SELECT * FROM unnest(%(busy)s::uuid[], %(calls)s::integer[]) AS busy (endpoint_id, calls)),
claimed AS (
    SELECT due.delivery_id
    FROM (
        SELECT endpoint_id, failures FROM waiting JOIN webhook_endpoints USING (endpoint_id)
        WHERE status = '{EndpointStatus.ENABLED}' AND (paused_until IS NULL OR paused_until <= clock_timestamp())
        ORDER BY random() -- no endpoint is always the last to find a slot
    ) AS endpoint
    LEFT JOIN busy USING (endpoint_id)
    CROSS JOIN LATERAL (
        SELECT delivery_id FROM webhook_deliveries AS delivery
        WHERE delivery.endpoint_id = endpoint.endpoint_id AND status = '{DeliveryStatus.PENDING}'
        AND next_attempt_at <= clock_timestamp()
        AND NOT EXISTS (
            SELECT FROM webhook_deliveries AS ahead
            WHERE ahead.endpoint_id = delivery.endpoint_id AND ahead.object = delivery.object
            AND ahead.status = '{DeliveryStatus.PENDING}' AND ahead.position < delivery.position
        )
        ORDER BY next_attempt_at, position
        LIMIT greatest(
            0, CASE WHEN failures >= {BREAKER_FAILURES} THEN 1 ELSE {PER_ENDPOINT} END - coalesce(busy.calls, 0)
        )
        FOR UPDATE OF delivery SKIP LOCKED
    ) AS due
    LIMIT %(slots)s
)
UPDATE webhook_deliveries AS delivery SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + %(lost_after)s
FROM claimed, public_events AS event, webhook_endpoints AS endpoint
WHERE delivery.delivery_id = claimed.delivery_id AND event.position = delivery.position
AND endpoint.endpoint_id = delivery.endpoint_id
RETURNING delivery.delivery_id, delivery.endpoint_id, delivery.attempts, delivery.attempts - earlier_attempts AS tries,
    endpoint.url, event.event_id, event.payload,
    endpoint.user_id IS NULL OR event.accounts = '{{}}' OR EXISTS (
        SELECT FROM account_owners AS held
        WHERE held.user_id = endpoint.user_id AND held.account_id = ANY(event.accounts) AND held.until IS NULL
    ) AS may_see"""
_SECRETS: Final = """
SELECT endpoint_id, wrapping_key, wrapped FROM webhook_secrets
WHERE endpoint_id = ANY(%s) AND (valid_until IS NULL OR valid_until > now()) ORDER BY made_at DESC"""
_ATTEMPT: Final = """
INSERT INTO webhook_attempts VALUES (
    %(delivery_id)s, %(attempt)s, %(began_at)s, %(duration_ms)s, %(http_status)s, %(failure)s, %(response)s)"""
_END: Final = f"""
UPDATE webhook_deliveries SET status = %s, ended_at = now()
WHERE delivery_id = %s AND status = '{DeliveryStatus.PENDING}'"""
_TRY_AGAIN: Final = f"""
UPDATE webhook_deliveries SET
    status = CASE WHEN given_up THEN '{DeliveryStatus.FAILED}' ELSE status END,
    ended_at = CASE WHEN given_up THEN now() END,
    next_attempt_at = now() + coalesce(%(delay)s, interval '0')
FROM (
    SELECT %(delay)s::interval IS NULL OR now() + %(delay)s > queued_at + %(given_up_after)s AS given_up
    FROM webhook_deliveries WHERE delivery_id = %(delivery_id)s
) AS decided
WHERE delivery_id = %(delivery_id)s AND attempts = %(attempt)s AND status = '{DeliveryStatus.PENDING}'"""
_WELL: Final = """
UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, paused_until = NULL
WHERE endpoint_id = %s AND failures > 0"""
_FAILED: Final = f"""
UPDATE webhook_endpoints SET failures = failures + 1, failing_since = coalesce(failing_since, now())
WHERE endpoint_id = %s AND status = '{EndpointStatus.ENABLED}' AND (paused_until IS NULL OR paused_until <= now())
RETURNING failures, now() - failing_since AS failing_for"""
_PAUSE: Final = "UPDATE webhook_endpoints SET paused_until = now() + %s WHERE endpoint_id = %s"
_DISABLE: Final = f"""
UPDATE webhook_endpoints SET status = '{EndpointStatus.DISABLED}', disabled_reason = %s, changed_at = now()
WHERE endpoint_id = %s AND status = '{EndpointStatus.ENABLED}'"""
_GIVE_UP: Final = f"""
UPDATE webhook_deliveries SET status = '{DeliveryStatus.FAILED}', ended_at = now()
WHERE delivery_id IN (
    SELECT delivery_id FROM webhook_deliveries AS delivery JOIN webhook_endpoints AS endpoint USING (endpoint_id)
    WHERE delivery.status = '{DeliveryStatus.PENDING}' AND delivery.next_attempt_at <= now()
    AND (endpoint.status <> '{EndpointStatus.ENABLED}' OR queued_at < now() - %s)
    LIMIT {UPKEEP_ROWS} FOR UPDATE OF delivery SKIP LOCKED
)"""


class Claim(NamedTuple):
    """A delivery that this dispatcher has for LOST_AFTER. `tries`: since it was queued, this one included."""

    delivery_id: UUID
    endpoint_id: UUID
    attempt: int
    tries: int
    url: str
    event_id: UUID
    payload: bytes
    may_see: bool
    secrets: tuple[WrappedKey, ...]


class Result(NamedTuple):
    """What came of a claim; None where it was withheld."""

    claim: Claim
    began_at: datetime
    outcome: Outcome | None


async def claim(connection: Connection, slots: int, busy: Mapping[UUID, int]) -> list[Claim]:
    """Up to `slots` deliveries that are due, counted as begun. `busy`: calls under way by endpoint."""
    parameters = {
        "busy": list(busy),
        "calls": list(busy.values()),
        "slots": slots,
        "lost_after": LOST_AFTER,
    }
    async with connection.transaction():
        cursor = await connection.execute(_CLAIM.encode(), parameters)
        rows = await cursor.fetchall()
        secrets = await _secrets(connection, {row["endpoint_id"] for row in rows})
    return [_claim(row, secrets) for row in rows]


async def _secrets(connection: Connection, endpoints: set[UUID]) -> dict[UUID, list[WrappedKey]]:
    found: dict[UUID, list[WrappedKey]] = defaultdict(list)
    if endpoints:
        cursor = await connection.execute(_SECRETS, (list(endpoints),))
        for row in await cursor.fetchall():
            found[row["endpoint_id"]].append(WrappedKey(row["wrapping_key"], row["wrapped"]))
    return found


def _claim(row: dict[str, Any], secrets: Mapping[UUID, list[WrappedKey]]) -> Claim:
    return Claim(
        row["delivery_id"],
        row["endpoint_id"],
        row["attempts"],
        row["tries"],
        row["url"],
        row["event_id"],
        row["payload"],
        row["may_see"],
        tuple(secrets[row["endpoint_id"]]),
    )


async def record(connection: Connection, results: list[Result]) -> None:
    """Keep what came of claims, and what follows for deliveries and endpoints: all of it or nothing."""
    tried = [(claimed, began_at, outcome) for claimed, began_at, outcome in results if outcome is not None]
    delivered = [claimed for claimed, _, outcome in tried if outcome.delivered]
    withheld = [claimed for claimed, _, outcome in results if outcome is None]
    ended = [(DeliveryStatus.DELIVERED, claimed.delivery_id) for claimed in delivered]  # though another may try again
    ended += [(DeliveryStatus.WITHHELD, claimed.delivery_id) for claimed in withheld]
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.executemany(_ATTEMPT, [_attempt_row(*one) for one in tried])
        await cursor.executemany(_END.encode(), ended)
        await cursor.executemany(_WELL, [(endpoint,) for endpoint in {claimed.endpoint_id for claimed in delivered}])
        for claimed, _, outcome in tried:
            if not outcome.delivered:
                await _failed(connection, claimed, outcome)


def _attempt_row(claimed: Claim, began_at: datetime, outcome: Outcome) -> dict[str, Any]:
    row = {"delivery_id": claimed.delivery_id, "attempt": claimed.attempt, "began_at": began_at}
    return row | outcome._asdict()


async def _failed(connection: Connection, claimed: Claim, outcome: Outcome) -> None:
    again = {
        "delay": delay_after(claimed.delivery_id.bytes, claimed.tries),
        "given_up_after": GIVEN_UP_AFTER,
        "delivery_id": claimed.delivery_id,
        "attempt": claimed.attempt,
    }
    await connection.execute(_TRY_AGAIN.encode(), again)
    endpoint = claimed.endpoint_id
    if outcome.http_status == GONE:
        await connection.execute(_DISABLE.encode(), (DisabledReason.GONE, endpoint))
    cursor = await connection.execute(_FAILED.encode(), (endpoint,))
    counted = await cursor.fetchone()
    if counted is None:  # paused by a call that ended before, or disabled
        return
    if counted["failing_for"] > DISABLED_AFTER:
        await connection.execute(_DISABLE.encode(), (DisabledReason.FAILING, endpoint))
    pause = pause_after(counted["failures"])
    if pause is not None:
        await connection.execute(_PAUSE, (pause, endpoint))


async def give_up(connection: Connection) -> int:
    """End what is queued for longer than GIVEN_UP_AFTER, or for an endpoint that gets nothing; how many there were."""
    cursor = await connection.execute(_GIVE_UP.encode(), (GIVEN_UP_AFTER,))
    return cursor.rowcount

"""The register of webhook endpoints, as the routes use it: made, looked at, changed, each in one transaction.

Reads and writes webhook_endpoints and webhook_secrets; reads deliveries and their attempts, and queues them again.
Guarantees: a secret is readable to none but the keyring's holders, and what is not the caller's is not found.
"""

import base64
import os
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from ingest_api.audit_log.log import AuditLog
from ingest_api.audit_log.witness import Witness
from ingest_api.problems import Fault, Problem
from ingest_api.reads.database import Database, Share
from payments.identifiers import format_id, uuid7
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.rows import Connection
from runtime.personal_data.sealing import wrap
from runtime.settings import Settings
from schemas.tables.security_actions import SecurityAction
from schemas.tables.webhooks import (
    ENDPOINT,
    PREVIOUS_SECRET_VALID,
    SECRET_BYTES,
    SECRET_PREFIX,
    TEST_EVENT,
    DeliveryStatus,
    DisabledReason,
    EndpointStatus,
    payload_of,
)

_CONNECTIONS: Final = 2
ENDPOINTS_MAX: Final = 20
"""Of one caller: each is one delivery more per event."""

_SELECT: Final = f"""
SELECT endpoint.*, (
    SELECT max(valid_until) FROM webhook_secrets AS secret
    WHERE secret.endpoint_id = endpoint.endpoint_id AND valid_until > now()
) AS previous_secret_until
FROM webhook_endpoints AS endpoint WHERE created_by = %(by)s AND status <> '{EndpointStatus.DELETED}'"""
_LIST: Final = f"{_SELECT} ORDER BY created_at DESC, endpoint_id DESC"
_ONE: Final = f"{_SELECT} AND endpoint_id = %(id)s"
_INSERT: Final = """
INSERT INTO webhook_endpoints (endpoint_id, user_id, created_by, url, description, event_types)
VALUES (%(id)s, %(user)s, %(by)s, %(url)s, %(description)s, %(event_types)s)"""
_RETIRE: Final = """
UPDATE webhook_secrets SET valid_until = CASE WHEN valid_until IS NULL THEN now() + %s ELSE now() END
WHERE endpoint_id = %s AND (valid_until IS NULL OR valid_until > now())"""
_SECRET: Final = "INSERT INTO webhook_secrets (endpoint_id, wrapping_key, wrapped) VALUES (%s, %s, %s)"
_CHANGE: Final = """
UPDATE webhook_endpoints SET url = %(url)s, description = %(description)s, event_types = %(event_types)s,
    status = %(status)s, disabled_reason = %(disabled_reason)s, failures = %(failures)s,
    failing_since = %(failing_since)s, paused_until = %(paused_until)s, changed_at = now()
WHERE endpoint_id = %(endpoint_id)s"""
_DELIVERIES: Final = """
SELECT delivery.*, event.event_id, event.type FROM webhook_deliveries AS delivery JOIN public_events AS event
USING (position) WHERE endpoint_id = %(endpoint)s"""
_PAGE: Final = f"""{_DELIVERIES} AND (%(status)s::text IS NULL OR status = %(status)s)
AND (%(before)s::bigint IS NULL OR position < %(before)s) ORDER BY position DESC LIMIT %(limit)s"""
_DELIVERY: Final = f"{_DELIVERIES} AND delivery_id = %(id)s"
_ATTEMPTS: Final = "SELECT * FROM webhook_attempts WHERE delivery_id = %s ORDER BY attempt"
_AGAIN: Final = f"""
UPDATE webhook_deliveries SET status = '{DeliveryStatus.PENDING}', ended_at = NULL, earlier_attempts = attempts,
    queued_at = now(), next_attempt_at = now()
WHERE delivery_id = %s AND status <> '{DeliveryStatus.PENDING}'"""
_TAKE_POSITION: Final = (
    "UPDATE event_feed SET next_position = next_position + 1 RETURNING next_position - 1 AS position"
)
_TEST_EVENT: Final = """
INSERT INTO public_events (position, event_id, type, object, accounts, occurred_at, payload)
VALUES (%s, %s, %s, %s, '{}', %s, %s)"""
_QUEUE: Final = """
INSERT INTO webhook_deliveries (endpoint_id, position, object) VALUES (%s, %s, %s) RETURNING delivery_id"""


class EndpointRegister:
    """Every method raises DatabaseUnavailable. `by`: the caller, who sees no endpoint but the own."""

    def __init__(self, database: Database, keyring: Keyring, audit: AuditLog) -> None:
        self._database = database
        self._keyring = keyring
        self._audit = audit

    @classmethod
    def of(cls, settings: Settings, audit: AuditLog, writing: Database) -> "EndpointRegister":
        """Raises KeyringFault."""
        return cls(Share(writing, _CONNECTIONS), Keyring.of(settings), audit)

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def enter(
        self, by: str, user: bytes | None, fields: Mapping[str, Any], request_id: str
    ) -> tuple[dict[str, Any], str]:
        """Make an endpoint of a user's, or of all accounts; its row and its secret. Raises Problem."""
        id_ = UUID(bytes=_fresh_id())
        row = dict(fields) | {"id": id_, "by": by, "user": UUID(bytes=user) if user is not None else None}
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"webhooks {by}",))
            if len(await _rows(connection, _LIST, {"by": by})) >= ENDPOINTS_MAX:
                raise Problem(Fault.ENDPOINTS_TOO_MANY, f"Delete one first: {ENDPOINTS_MAX} is the most.")
            await connection.execute(_INSERT, row)
            secret = await self._give_secret(connection, id_)
            (made,) = await _rows(connection, _ONE, {"by": by, "id": id_})
            saw = self._witness(by, request_id).saw
            await saw(SecurityAction.WEBHOOK_ENDPOINT_CREATED, _name(made), connection, after=_told(made))
        return made, secret

    async def endpoints(self, by: str) -> list[dict[str, Any]]:
        """The caller's, the latest first."""
        return await self._database.rows(_LIST, {"by": by})

    async def find(self, by: str, endpoint: bytes) -> dict[str, Any] | None:
        """One of the caller's."""
        return await self._database.row(_ONE, {"by": by, "id": UUID(bytes=endpoint)})

    async def change(
        self,
        endpoint: bytes,
        by: str,
        fields: dict[str, Any],
        request_id: str,
        check: Callable[[Mapping[str, Any]], None],
    ) -> dict[str, Any] | None:
        """The endpoint with other values, where it is the caller's and passes the check. A status of `enabled` begins
        anew. Raises what the check raises.
        """
        key = {"by": by, "id": UUID(bytes=endpoint)}
        async with self._database.transaction() as connection:
            found = await _rows(connection, f"{_ONE} FOR UPDATE", key)
            if not found:
                return None
            check(found[0])
            changed: dict[str, Any] = found[0] | fields | _consequences(found[0], fields.get("status"))
            await connection.execute(_CHANGE, changed)
            saw, told = self._witness(by, request_id).saw, (_told(found[0]), _told(changed))
            action = SecurityAction.WEBHOOK_ENDPOINT_CHANGED
            await saw(action, _name(changed), connection, before=told[0], after=told[1])
            return changed

    async def rotate(self, endpoint: bytes, by: str, request_id: str) -> tuple[dict[str, Any], str] | None:
        """A new secret beside the present one, which signs for PREVIOUS_SECRET_VALID; one before that ends now."""
        key = {"by": by, "id": UUID(bytes=endpoint)}
        async with self._database.transaction() as connection:
            if not await _rows(connection, f"{_ONE} FOR UPDATE", key):
                return None
            await connection.execute(_RETIRE, (PREVIOUS_SECRET_VALID, key["id"]))
            secret = await self._give_secret(connection, UUID(bytes=endpoint))
            (rotated,) = await _rows(connection, _ONE, key)
            saw = self._witness(by, request_id).saw
            await saw(SecurityAction.WEBHOOK_SECRET_ROTATED, _name(rotated), connection)
            return rotated, secret

    def _witness(self, by: str, request_id: str) -> Witness:
        return Witness(self._audit, by, request_id)

    async def _give_secret(self, connection: Connection, endpoint: UUID) -> str:
        secret = secrets.token_bytes(SECRET_BYTES)
        await connection.execute(_SECRET, (endpoint, *wrap(self._keyring, endpoint.bytes, secret)))
        return SECRET_PREFIX + base64.b64encode(secret).decode("ascii")

    async def test(self, endpoint: bytes) -> dict[str, Any]:
        """Queue an event that only this endpoint gets; the delivery."""
        at, event_id, object_ = datetime.now(UTC), _fresh_id(), format_id(ENDPOINT, endpoint)
        payload = payload_of(event_id, TEST_EVENT, at, object_, {})
        async with self._database.transaction() as connection:
            (taken,) = await _rows(connection, _TAKE_POSITION)
            place = taken["position"]
            await connection.execute(_TEST_EVENT, (place, UUID(bytes=event_id), TEST_EVENT, object_, at, payload))
            (queued,) = await _rows(connection, _QUEUE, (UUID(bytes=endpoint), place, object_))
            key = {"endpoint": UUID(bytes=endpoint), "id": queued["delivery_id"]}
            return (await _rows(connection, _DELIVERY, key))[0]

    async def deliveries(
        self, endpoint: bytes, status: DeliveryStatus | None, before: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Rows of an endpoint's deliveries, the latest event first."""
        key = {"endpoint": UUID(bytes=endpoint), "status": status, "before": before, "limit": limit}
        return await self._database.page(_PAGE, key)

    async def delivery(self, endpoint: bytes, delivery: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """One delivery and its attempts, the first first."""
        key = {"endpoint": UUID(bytes=endpoint), "id": UUID(bytes=delivery)}
        row = await self._database.row(_DELIVERY, key)
        return (row, await self._database.rows(_ATTEMPTS, (key["id"],))) if row is not None else None

    async def send_again(self, delivery: bytes) -> None:
        """Queue what has ended once more, with all of its tries; what is pending stays as it is."""
        async with self._database.transaction() as connection:
            await connection.execute(_AGAIN.encode(), (UUID(bytes=delivery),))


def _name(endpoint: Mapping[str, Any]) -> str:
    return format_id(ENDPOINT, endpoint["endpoint_id"].bytes)


def _told(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit log has of an endpoint: of its URL the host, because many receivers have a secret in theirs."""
    host = urlsplit(endpoint["url"]).hostname
    return {"host": host, "event_types": endpoint["event_types"], "status": endpoint["status"]}


def _consequences(before: Mapping[str, Any], status: str | None) -> dict[str, Any]:
    """What a new status means for the endpoint's other columns."""
    if status is None:
        return {}
    if status != EndpointStatus.ENABLED:
        reason = (before["disabled_reason"] or DisabledReason.BY_OWNER) if status == EndpointStatus.DISABLED else None
        return {"disabled_reason": reason}
    return {"disabled_reason": None, "failures": 0, "failing_since": None, "paused_until": None}


async def _rows(connection: Connection, query: str, parameters: Any = ()) -> list[dict[str, Any]]:
    cursor = await connection.execute(query.encode(), parameters)
    return [dict(row) for row in await cursor.fetchall()]


def _fresh_id() -> bytes:
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))

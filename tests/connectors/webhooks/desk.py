"""Endpoints, events and deliveries in a database of the test's own, and a dispatcher that sends them."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from connectors.webhooks.service import serve
from payments.identifiers import PAYMENT, format_id
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.sealing import wrap
from runtime.settings import Settings
from schemas.tables.webhooks import EVENT, payload_of
from sinks.events.storing import PublicEvent, store

SECRET = b"\x5e" * 32


@dataclass
class Desk:
    """What the tests do to the tables."""

    settings: Settings

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.settings.database_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def endpoint(self, url: str, *, user: UUID | None = None, types: Iterable[str] = ()) -> UUID:
        id_ = uuid4()
        wrapped = wrap(Keyring.of(self.settings), id_.bytes, SECRET)
        self.rows(
            "INSERT INTO webhook_endpoints (endpoint_id, user_id, created_by, url, description, event_types)"
            " VALUES (%s, %s, 'tester', %s, '', %s)",
            *(id_, user, url, list(types)),
        )
        self.rows(
            "INSERT INTO webhook_secrets (endpoint_id, wrapping_key, wrapped) VALUES (%s, %s, %s)",
            *(id_, wrapped.wrapping_key, wrapped.wrapped),
        )
        return id_

    def happen(self, *events: PublicEvent) -> int:
        with psycopg.connect(self.settings.database_url) as connection:
            return store(connection, events)

    def statuses(self) -> list[str]:
        return [row["status"] for row in self.rows("SELECT status FROM webhook_deliveries ORDER BY position")]

    def hurry(self) -> None:
        """What waits to be tried again is due now."""
        self.rows("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE status = 'pending'")

    @contextmanager
    def dispatching(self) -> Iterator[None]:
        """A dispatcher that runs for as long as the block."""
        stop = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(serve(self.settings, stop)))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)


def event(
    number: int, object_: int = 0, *, accounts: tuple[bytes, ...] = (), type_: str = "payment.posted"
) -> PublicEvent:
    """The event of this number; those of one object number are of one payment."""
    id_, subject = number.to_bytes(16, "big"), format_id(PAYMENT, (object_ or number).to_bytes(16, "big"))
    at = datetime(2026, 11, 22, 12, 0, 0, number, UTC)
    return PublicEvent(id_, type_, subject, accounts, at, payload_of(id_, type_, at, subject, {"number": number}))


def ids_of(events: Iterable[PublicEvent]) -> list[str]:
    return [format_id(EVENT, one.event_id) for one in events]

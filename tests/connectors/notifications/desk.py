"""People, accounts, events and notices in a database of the test's own, and a process that tells people."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from connectors.notifications.service import serve
from ingest_api.audit_log.entry import Values, new_entry
from ingest_api.audit_log.log import MIGRATIONS
from ingest_api.audit_log.store import insert, seal_waiting
from payments.identifiers import ACCOUNT, PAYMENT, USER, format_id
from runtime import migrate
from runtime.exactly_once.failpoints import InjectedBug
from runtime.personal_data.erasure import erase
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import PersonalData
from runtime.settings import Settings
from schemas.tables.notifications import DEVICE_FIELD, EMAIL_FIELD, PHONE_FIELD, PREFERENCES_FIELD
from schemas.tables.webhooks import payload_of
from sinks.events.storing import PublicEvent, store
from tests.connectors.notifications.mailbox import Mailbox
from tests.connectors.notifications.providers import Providers

ANNA, BERTA = UUID(int=0xA0), UUID(int=0xB0)
ANNAS, BERTAS = UUID(int=0xA1), UUID(int=0xB1)
FAILED = "payment.rejected"


@dataclass
class Desk:
    """What the tests do to the tables, and what came of it."""

    settings: Settings
    box: Mailbox
    provided: Providers

    @classmethod
    def of(cls, home: Path, database: str, box: Mailbox, provided: Providers) -> Self:
        values: dict[str, Any] = {"home": home, "database_url": database, "api_public_url": "https://bank.example"}
        values |= {"smtp_host": "localhost", "smtp_port": box.port, "smtp_security": "none"}
        values |= {"mail_from": "notices@bank.example"} | provided.variables(home)
        return cls(Settings(**values), box, provided)

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.settings.database_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    async def person(self, user: UUID, account: UUID, email: str = "", preferences: str = "", **more: str) -> None:
        """Somebody with an account; `more`: phone, or devices by their ids."""
        values = {EMAIL_FIELD: email, PREFERENCES_FIELD: preferences, PHONE_FIELD: more.pop("phone", "")}
        values |= {DEVICE_FIELD + device: token for device, token in more.items()}
        personal = PersonalData(Keyring.of(self.settings))
        async with await psycopg.AsyncConnection.connect(self.settings.database_url) as connection:
            for field, value in values.items():
                if value:
                    assert await personal.put(connection, user.bytes, field, Personal(value)) is None
            await connection.execute("SELECT set_config('millrace.actor', 'a test', true)")
            await connection.execute("SELECT set_config('millrace.request_id', 'r', true)")
            await connection.execute(
                "INSERT INTO account_owners (account_id, user_id, role, since) VALUES (%s, %s, 'owner', now())",
                (account, user),
            )

    async def erase(self, user: UUID) -> None:
        async with await psycopg.AsyncConnection.connect(self.settings.database_url) as connection:
            assert await erase(connection, Keyring.of(self.settings), user.bytes, [])

    def happen(self, *numbers: int, type_: str = FAILED) -> None:
        """A payment from Anna to Berta each."""
        with psycopg.connect(self.settings.database_url) as connection:
            store(connection, [_event(number, type_) for number in numbers])

    async def keep(self, user: UUID, field: str, value: str) -> None:
        """One more personal value."""
        personal = PersonalData(Keyring.of(self.settings))
        async with await psycopg.AsyncConnection.connect(self.settings.database_url) as connection:
            assert await personal.put(connection, user.bytes, field, Personal(value)) is None

    async def audit(self, action: str, user: UUID, before: Values | None = None) -> None:
        """An entry of the audit log, sealed."""
        migrate.up(self.settings.database_url, MIGRATIONS)
        name = format_id(USER, user.bytes)
        async with await psycopg.AsyncConnection.connect(
            self.settings.database_url, row_factory=dict_row
        ) as connection:
            await insert(connection, [new_entry(name, action, name, request_id="r", before=before)])
            assert await seal_waiting(connection) is not None

    def begin(self) -> None:
        """As if notices had been on from the beginning."""
        for feed in ("events", "audit"):
            self.rows("INSERT INTO notice_feeds VALUES (%s, 1)", feed)

    @contextmanager
    def telling(self, failpoint: str = "") -> Iterator[None]:
        """A process that runs for as long as the block; broken by the failpoint, it leaves everything as it is."""
        stop, settings = threading.Event(), self.settings.model_copy(update={"failpoint": failpoint})

        def run() -> None:
            with suppress(InjectedBug):
                asyncio.run(serve(settings, stop))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
            if failpoint:
                thread.join(60)
        finally:
            stop.set()
            thread.join(60)

    def hurry(self) -> None:
        """What waits is due now."""
        self.rows("UPDATE notices SET due_at = now() WHERE ended_at IS NULL")

    def statuses(self) -> list[tuple[str, str | None]]:
        found = self.rows("SELECT status, failure FROM notices ORDER BY cause, user_id, channel, target")
        return [(row["status"], row["failure"]) for row in found]

    def all_planned(self) -> bool:
        """Everything that has happened was looked at."""
        [row] = self.rows(
            "SELECT next_position > coalesce((SELECT max(position) FROM public_events), 0) AS done FROM notice_feeds"
            " WHERE feed = 'events'"
        ) or [{"done": False}]
        return bool(row["done"])

    def is_done(self) -> bool:
        """Everything was planned, and nothing waits."""
        return self.all_planned() and not self.rows("SELECT 1 FROM notices WHERE ended_at IS NULL")


def _event(number: int, type_: str) -> PublicEvent:
    id_, object_ = number.to_bytes(16, "big"), format_id(PAYMENT, number.to_bytes(16, "big"))
    at, (payer, payee) = datetime.now(UTC), (ANNAS.bytes, BERTAS.bytes)
    facts = {"payer": format_id(ACCOUNT, payer), "payee": format_id(ACCOUNT, payee)}
    facts |= {"amount": f"{number}.00", "currency": "EUR"}
    return PublicEvent(id_, type_, object_, (payer, payee), at, payload_of(id_, type_, at, object_, facts))

"""The app of one API process with a real Postgres; in the place of Kafka and the agents one partition in memory."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import httpx
import msgspec
import psycopg
import pytest
from fastapi import FastAPI
from psycopg.rows import dict_row

from ingest_api.aliases.parties import USER
from ingest_api.app import Pages, make_app, make_fastapi
from ingest_api.http.serving import Application
from ingest_api.identity.tokens import ALL_SCOPES, Scope, issue_token
from ingest_api.publisher import Publisher, Record
from ingest_api.reads.database import Database
from ingest_api.replies import WaitingCalls
from ingest_api.screening.desk import Screening
from ingest_api.services import Services
from ingest_api.submission import Submission
from payments import lifecycle
from payments.accounts import AccountType
from payments.book import Book, evolve
from payments.entries import Entry, EntryKind, Source
from payments.identifiers import ACCOUNT, NIL, PAYMENT, derive_operation_id, format_id, parse_id
from payments.items.details import Opening, RiskTerms
from payments.movements import deciding
from runtime.settings import Settings
from schemas.codec.commands import decode_body, items
from schemas.codec.fields import REASONS
from schemas.codec.instructions import decode_instruction, is_instruction
from schemas.codec.replies import Reply

CUSTOMER = (
    Scope.PAYMENTS_READ,
    Scope.PAYMENTS_WRITE,
    Scope.ACCOUNTS_READ,
    Scope.ACCOUNTS_WRITE,
    Scope.ALIASES_READ,
    Scope.ALIASES_WRITE,
    Scope.USERS_READ,
    Scope.USERS_WRITE,
    Scope.API_KEYS_READ,
    Scope.API_KEYS_WRITE,
    Scope.WEBHOOKS_READ,
    Scope.WEBHOOKS_WRITE,
)
ANNA, BERTA, CARLA = (format_id(USER, bytes([number]) * 16) for number in (0x51, 0x52, 0x53))

_PAID = "INSERT INTO decisions VALUES (%s, 0, 0, %s, %s, 100, 'EUR', now(), 0, 0, 0, 0, 0, '') RETURNING 1"
_SOLD = """
INSERT INTO payment_orders VALUES (gen_random_uuid(), gen_random_uuid(), %s, 'stripe', '', %s, 100, 'EUR', true, 2, 0,
    '', 0, now(), now(), 0, 0, 0) RETURNING 1"""
_PAYOUT = """
INSERT INTO provider_requests VALUES (%s, %s, 'stripe', 5, '00000000-0000-0000-0000-000000000000', 100, 'EUR', '', 0,
    '', false, '', '', true, now(), now(), 0, 0, 0) RETURNING 1"""
_PAYOUT_JOURNAL = """
INSERT INTO journals VALUES (%s, %s, '[]', 1, 0, true, now(), now(), 0, 0, 0) RETURNING 1"""
_OPEN = """
INSERT INTO accounts (account_id, currency, type, status, overdraft_limit_minor, opened_at, changed_at)
VALUES (%s, %s, %s, 0, %s, now(), now())"""
_EVENT = "INSERT INTO account_events VALUES (%s, %s, %s, %s, %s, %s, now(), 0, 0, 0, 0, 0)"
_TERMS = "INSERT INTO risk_terms VALUES (0, %s, 0, %s, %s, %s, %s, %s, now())"
_ANSWERED_BEFORE = (EntryKind.REPLAYED, EntryKind.KEY_REUSED)
_STATUS = "UPDATE accounts SET status = %s, changed_at = now() WHERE account_id = %s"


def raw(text: str, kind: str = ACCOUNT) -> bytes:
    """The sixteen bytes of an id."""
    id_ = parse_id(kind, text)
    assert id_ is not None
    return id_


class Partition(Publisher):
    """Decides what is sent as the agents would, and shows accounts in Postgres as the sink would."""

    def __init__(self, waiting: WaitingCalls, database: str) -> None:
        self._waiting = waiting
        self._database = database
        self.book = Book()
        self.entries: list[Entry] = []

    def send(self, records: Sequence[Record], headers: list[tuple[str, bytes]]) -> "Partition":  # type: ignore[override]
        for record in records:
            for reply_to, entry in self._decided(record.value):
                evolve(self.book, entry)
                self.entries.append(entry)
                self._show(entry)
                reply = Reply(reply_to, entry.operation_id, entry.kind, entry.reason, entry.decided_at_us)
                self._waiting.resolve([reply])
        return self

    async def wait(self) -> dict[int, int]:
        return {0: len(self.entries)}

    def _decided(self, value: bytes) -> Iterator[tuple[bytes, Entry]]:
        source = Source(len(self.entries), 0, time.time_ns() // 1_000)
        if is_instruction(value):
            asked = decode_instruction(value)
            id_ = derive_operation_id(asked.authority, asked.envelope.idempotency_key, 0)
            yield asked.envelope.reply_to, deciding.decide(self.book, id_, asked, source)
            return
        for body in items(value):
            command = decode_body(body)
            id_ = derive_operation_id(command.authority, command.idempotency_key, 0)
            yield command.reply_to, lifecycle.decide(self.book, id_, command, source)

    def _show(self, entry: Entry) -> None:
        if entry.kind in _ANSWERED_BEFORE or entry.credit_account != NIL:
            return
        account, operation = UUID(bytes=entry.debit_account), UUID(bytes=entry.operation_id)
        with psycopg.connect(self._database, autocommit=True) as connection:
            reason = REASONS.index(entry.reason)
            connection.execute(_EVENT, (operation, account, entry.kind, reason, entry.amount_minor, entry.currency))
            for terms in (detail for detail in entry.details if isinstance(detail, RiskTerms)):
                connection.execute(_TERMS, (len(self.entries), account, *terms))
            if entry.kind is EntryKind.ACCOUNT_OPENED:
                (type_,) = [detail.type for detail in entry.details if isinstance(detail, Opening)] or [
                    AccountType.CHECKING
                ]
                connection.execute(_OPEN, (account, entry.currency, type_, entry.amount_minor))
            elif entry.debit_account in self.book.accounts:
                connection.execute(_STATUS, (self.book.accounts[entry.debit_account].status, account))


class Caller:
    """Somebody with a token. Every POST and PUT gets a key of its own unless one is given."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._token = token
        self._keys = 0

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        self._keys += 1
        named = {"Idempotency-Key": f"{id(self)}-{self._keys}"}
        named |= {"Authorization": f"Bearer {self._token}"} if self._token else {}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.request(method, path, json=body, headers=named)

    async def batch(self, lines: list[Any]) -> httpx.Response:
        content = b"\n".join(map(msgspec.json.encode, lines))
        named = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/x-ndjson"}
        return await self._http.post("/v1/transfers:batch", content=content, headers=named)


class World:
    """One process and who calls it."""

    def __init__(self, services: Services, partition: Partition, http: httpx.AsyncClient, app: Application) -> None:
        self.services = services
        self.app = app
        self.partition = partition
        self._http = http
        self.operator = self.caller("operator", *ALL_SCOPES)
        self.nobody = Caller(http, "")
        self.anna, self.berta, self.carla = (self.caller(user, *CUSTOMER) for user in (ANNA, BERTA, CARLA))

    def caller(self, subject: str, *scopes: Scope) -> Caller:
        return Caller(self._http, issue_token(self.services.settings, subject, scopes, 600))

    async def account_of(self, caller: Caller, currency: str = "EUR", **fields: Any) -> str:
        answer = await caller("POST", "/v1/accounts", {"currency": currency, **fields})
        assert answer.status_code == 201, answer.text
        account: str = answer.json()["id"]
        return account

    async def shares(self, account: str, user: str, role: str, owner: Caller) -> None:
        answer = await owner("POST", f"/v1/accounts/{account}/owners", {"user": user, "role": role})
        assert answer.status_code == 200, answer.text

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.services.settings.database_url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def paid(self, payer: str, payee: str, payment: bytes) -> str:
        """A payment as the sink shows it."""
        self.rows(_PAID, payment.hex(), raw(payer).hex(), raw(payee).hex())
        return format_id(PAYMENT, payment)

    def sold(self, seller: str, payment_order_id: str) -> str:
        """A payment order as the sink shows it."""
        self.rows(_SOLD, payment_order_id, raw(seller).hex())
        return payment_order_id

    def paid_out(self, account: str, payout: bytes) -> str:
        """A payout as the sink shows it."""
        self.rows(_PAYOUT, payout.hex(), raw(account).hex())
        self.rows(_PAYOUT_JOURNAL, payout.hex(), raw(account).hex())
        return format_id(PAYMENT, payout)


_routed: list[FastAPI] = []
"""Apps that no world uses now: building the routes of one takes 0.4 s."""


@contextmanager
def application(services: Services, pages: Pages | None = None) -> Iterator[Application]:
    """What serves these services, with routes that another world may have used before."""
    routes = _routed.pop() if _routed else make_fastapi()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest_api.app.make_fastapi", lambda: routes)
        app = make_app(services, pages)
    yield app
    _routed.append(routes)


@asynccontextmanager
async def running_world(settings: Settings, pages: Pages | None = None) -> AsyncIterator[World]:
    """A process as Services.of makes it, but for Kafka. Its database has every table."""
    made = Services.of(settings)
    partition = Partition(made.waiting, settings.database_url)
    submission = Submission(partition, made.waiting, made.earlier, settings.shards)
    screening = Screening.of(settings, submission, Database.writing(settings))
    replaced = {"publisher": partition, "submission": submission, "screening": screening}
    services = Services(**vars(made) | replaced)
    databases = (
        services.audit,
        services.machines,
        services.webhooks,
        services.notices,
        services.psp_inbox,
        *(services.database, services.earlier, services.aliases, services.identity, services.owners),
        services.people,
        *(services.schedules, services.orders, services.quotes, services.screening),
    )
    for database in databases:
        await database.open()
    with application(services, pages) as app:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
            yield World(services, partition, http, app)
    for database in databases:
        await database.close()

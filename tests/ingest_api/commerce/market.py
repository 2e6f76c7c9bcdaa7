"""The whole way of a call without processes: the app in memory, the real agents over lists, a scripted provider, and
the sink's own writing into a real Postgres. What a call sends is decided and shown before the call goes on.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

import httpx
from psycopg import Connection

from ingest_api.app import make_fastapi
from ingest_api.commerce.orders import Orders
from ingest_api.http.rate_limit import ClientRateLimit
from ingest_api.identity.tokens import ALL_SCOPES, Scope, TokenVerifier, issue_token
from ingest_api.owners.access import Access
from ingest_api.publisher import Publisher, Record
from ingest_api.reads.database import SESSION_OPTIONS, WRITING, Database
from ingest_api.reads.earlier_decisions import EarlierDecisions
from ingest_api.replies import WaitingCalls
from ingest_api.risk.attributes import RiskKeys
from ingest_api.submission import Submission
from payments.accounts import AccountType
from payments.commands import NO_REPLY, Command, CommandKind
from payments.commerce.connector import ConnectorOperation, ConnectorRequest, ConnectorResult, Decline, Outcome
from payments.identifiers import ACCOUNT, NIL, derive_account_id, format_id, parse_id, system_account
from payments.movements.instructions import Envelope, OpenAccount
from payments.postings import SystemAccount, clearing_account
from runtime.settings import Settings
from schemas import topics
from schemas.codec.connectors import decode_request, encode_result
from schemas.codec.replies import decode_replies
from schemas.topics import REPLY_PARTITIONS
from tests.sinks.every_kind import SHARDS
from tests.sinks.shards_in_memory import ShardsInMemory
from tests.sinks.test_every_kind import apply

RESULT: Final = ConnectorResult(
    NIL,
    1,
    "",
    ConnectorOperation.CHARGE,
    "",
    Outcome.SUCCEEDED,
    "",
    Decline.NONE,
    "",
    None,
    "",
    0,
    attempt_follows=False,
)


class _Delivered:
    def __init__(self, positions: dict[int, int]) -> None:
        self._positions = positions

    async def wait(self) -> dict[int, int]:
        await asyncio.sleep(0)
        return self._positions


class DecidingPublisher(Publisher):
    """Takes records as Kafka does, has them decided, shown and answered."""

    def __init__(self, shards: ShardsInMemory, tables: Connection, waiting: WaitingCalls) -> None:
        self.shards = shards
        self.sent: list[Record] = []
        self._tables = tables
        self._waiting_calls = waiting
        self._shown = dict.fromkeys(range(SHARDS), 0)
        self._answered = dict.fromkeys(range(REPLY_PARTITIONS), 0)

    def send(self, records: Sequence[Record], headers: list[tuple[str, bytes]]) -> _Delivered:  # type: ignore[override]
        self.sent += records
        positions: dict[int, int] = {}
        for partition, key, value in records:
            positions[partition] = len(self.shards.logs[topics.COMMANDS.name, partition])
            self.shards.produce(topics.COMMANDS.name, value, key=key, partition=partition)
        self.settle()
        return _Delivered(positions)

    def settle(self) -> None:
        """Decide, show and answer everything that waits."""
        self.shards.settle()
        ledgers = {shard: self.shards.ledger(shard) for shard in range(SHARDS)}
        apply(self._tables, ledgers, after=self._shown)
        self._shown = {shard: len(values) for shard, values in ledgers.items()}
        for partition, start in self._answered.items():
            replies = self.shards.logs[topics.REPLIES.name, partition]
            for record in replies[start:]:
                self._waiting_calls.resolve(decode_replies(record.value() or b""))
            self._answered[partition] = len(replies)


class Market:
    """One API process and everything behind it. Use as a context."""

    def __init__(self, settings: Settings, tables: Connection) -> None:
        self._settings = settings
        self._tables = tables
        waiting = WaitingCalls(3, 100)
        self.shards = ShardsInMemory(SHARDS, now_ms=time.time_ns() // 1_000_000)
        self.publisher = DecidingPublisher(self.shards, tables, waiting)
        self._databases = [Database(settings.database_url, 2, 100, options) for options in (SESSION_OPTIONS, WRITING)]
        database, writing = self._databases
        self.services = SimpleNamespace(
            settings=settings,
            tokens=TokenVerifier.of(settings),
            clients=ClientRateLimit(settings.api_client_commands_per_s, settings.api_client_burst, lambda: 0),
            database=database,
            access=Access(database),
            orders=Orders(writing),
            risk_keys=RiskKeys(bytes(32)),
            submission=Submission(self.publisher, waiting, EarlierDecisions(database), SHARDS),
        )
        app = make_fastapi()
        app.state.services = self.services
        self._transport = httpx.ASGITransport(app=app)

    async def __aenter__(self) -> "Market":
        for database in self._databases:
            await database.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for database in self._databases:
            await database.close()

    def caller(self, subject: str = "shop-backend", *scopes: Scope) -> httpx.AsyncClient:
        """With every scope, unless some are named."""
        token = issue_token(self._settings, subject, scopes or ALL_SCOPES, 600)
        headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=1"}
        return httpx.AsyncClient(transport=self._transport, base_url="http://api", headers=headers)

    def seller(self, name: str, amount_minor: int = 0) -> str:
        """An open merchant's account with so many cents on it."""
        account = derive_account_id("market", name)
        envelope = Envelope(f"open {name}")
        self.shards.ask(OpenAccount(envelope=envelope, account=account, type=AccountType.MERCHANT, currency="EUR"))
        if amount_minor:
            paid = clearing_account("EUR"), account, amount_minor, "EUR", NO_REPLY, f"fund {name}"
            self.shards.ask(Command(CommandKind.DEPOSIT, *paid))
        self.publisher.settle()
        return format_id(ACCOUNT, account)

    def at_hours_ago(self, hours: int) -> None:
        """The broker's clock stands so far behind the database's from now on."""
        self.shards.set_time(time.time_ns() // 1_000_000 - hours * 3_600_000)

    def available(self, account: str) -> int:
        """Cents that the account may spend, as its shard has it."""
        id_ = parse_id(ACCOUNT, account)
        assert id_ is not None
        return next(found.available_minor for s in self.shards.shards if (found := s.book.accounts.get(id_)))

    def tell(self, request_id: bytes, **said: Any) -> None:
        """What the provider says of a charge: done, unless something else is said."""
        requests = topics.CONNECTOR_REQUESTS.name
        for shard, record in ((s, record) for s in range(SHARDS) for record in self.shards.logs[requests, s]):
            request = decode_request(record.value() or b"")
            if request.request_id == request_id:
                result = RESULT._replace(
                    request_id=request_id, provider=request.provider, payment_order_id=request.payment_order_id, **said
                )
                self.shards.produce(
                    topics.CONNECTOR_RESULTS.name, encode_result(result), key=record.key(), partition=shard
                )
        self.publisher.settle()

    def posted(self, code: SystemAccount, currency: str, cause: bytes) -> int:
        """What Postgres has posted on an account of the operator because of a request."""
        [[minor]] = self._tables.execute(
            "SELECT coalesce(sum(amount_minor), 0)::bigint FROM postings WHERE account_id = %s AND journal_id IN"
            " (SELECT operation_id FROM causes WHERE cause_id = %s)",
            [UUID(bytes=system_account(code, currency)), UUID(bytes=cause)],
        ).fetchall()
        return int(minor)

    def charges(self) -> list[ConnectorRequest]:
        """What the provider was asked to charge."""
        logs = (self.shards.logs[topics.CONNECTOR_REQUESTS.name, shard] for shard in range(SHARDS))
        asked = [decode_request(record.value() or b"") for log in logs for record in log]
        return [request for request in asked if request.operation is ConnectorOperation.CHARGE]


def keyed(key: str | None = None) -> dict[str, str]:
    """A header with this key, or one of its own."""
    return {"Idempotency-Key": key or secrets.token_hex(8)}


def checkout(name: str, *orders: dict[str, Any], token: str = "pm_card_visa") -> dict[str, Any]:
    """A body of POST /v1/payments."""
    return {
        "buyer_info": {"reference": "customer-7"},
        "checkout_id": name,
        "credit_card_info": {"token": token},
        "payment_orders": list(orders),
    }


def order(seller: str, cents: int, name: str, **fields: Any) -> dict[str, Any]:
    """A payment order: what the provider answers is told by its cents (tests.sinks.every_kind)."""
    amount = f"{cents // 100}.{cents % 100:02}"
    return {"seller_account": seller, "amount": amount, "currency": "EUR", "payment_order_id": name} | fields

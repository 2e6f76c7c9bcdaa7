"""A key used again after the agents have forgotten it: Postgres still knows the decision, and nothing moves twice."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from ingest_api.account_changes.changing import key_of
from ingest_api.app import make_app
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from ingest_api.reads.database import Database
from ingest_api.reads.earlier_decisions import IDS_PER_QUERY_MAX, REMEMBERED_HOURS, EarlierDecisions
from ingest_api.services import Services
from payments.book import IDEMPOTENCY_WINDOW_HOURS
from payments.commands import CommandKind
from payments.entries import EntryKind
from payments.identifiers import ACCOUNT, PAYMENT, derive_account_id, derive_operation_id, format_id, parse_id
from payments.lifecycle import PaymentStatus
from payments.postings import clearing_account
from payments.rejections import Reason
from runtime.settings import Settings
from schemas.codec.fields import REASONS
from schemas.partitioning import shard_of
from tests.ingest_api.client import ApiClient, command_ends, problem_of, transfer_line
from tests.support.lines.tcp import TcpLine, line_to

LONG_AGO_HOURS = IDEMPOTENCY_WINDOW_HOURS + 24
_INSERT_DECISION = """
INSERT INTO decisions VALUES (%(id)s, %(kind)s, %(reason)s, %(payer)s, %(payee)s, %(amount_minor)s, 'EUR',
    now() - make_interval(hours => %(hours)s), %(shard)s, 0, 0, 0, 0, %(description)s)"""
_INSERT_JOURNAL_ENTRY = """
INSERT INTO journal_entries SELECT payment_id, payment_id, payer, payee, amount_minor, currency, decided_at, shard,
    0, 0, 0, 0, 0, 0 FROM decisions WHERE payment_id = %s"""
_INSERT_EVENT = """
INSERT INTO account_events VALUES (%(id)s, %(account)s, %(kind)s, %(reason)s, %(amount_minor)s, %(currency)s,
    now() - make_interval(hours => %(hours)s), %(shard)s, 0, 0, 0, 0)"""


class Past:
    """Writes decisions that the agents no longer remember, as the sink wrote them then."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database_url
        self._shards = settings.shards

    def _run(self, statement: str, parameters: Any) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode(), parameters)

    def _place(self, authority: bytes, key: str) -> dict[str, Any]:
        shard = shard_of(authority, self._shards)
        return {"id": _uuid(derive_operation_id(authority, key, shard)), "shard": shard, "hours": LONG_AGO_HOURS}

    def decided(self, key: str, payer: bytes, payee: bytes, minor: int, **fields: Any) -> str:
        """A transfer of that many cents (posted, unless a reason says otherwise). Returns its id."""
        authority = fields.pop("authority", payer)
        kind, reason = fields.pop("kind", EntryKind.RESERVED), fields.pop("reason", Reason.NONE)
        row = self._place(authority, key) | {"kind": int(kind), "reason": REASONS.index(reason), "description": None}
        row |= {"payer": _uuid(payer), "payee": _uuid(payee), "amount_minor": minor}
        self._run(_INSERT_DECISION, row | fields)
        if reason is Reason.NONE:
            self._run(_INSERT_JOURNAL_ENTRY, (row["id"],))
        return format_id(PAYMENT, bytes.fromhex(row["id"]))

    def account_operation(self, key: str, account: bytes, kind: EntryKind, minor: int = 0, currency: str = "") -> None:
        place = self._place(account, key) | {"account": _uuid(account), "kind": int(kind), "reason": 0}
        self._run(_INSERT_EVENT, place | {"amount_minor": minor, "currency": currency})

    def ages(self, payment_id: str, hours: int, minutes: int) -> None:
        """A decision made just now becomes that old."""
        moved = "UPDATE decisions SET decided_at = now() - make_interval(hours => %s, mins => %s) WHERE payment_id = %s"
        self._run(moved, (hours, minutes, _uuid(known(PAYMENT, payment_id))))


def _uuid(id_: bytes) -> str:
    return id_.hex()


def known(prefix: str, text: str) -> bytes:
    parsed = parse_id(prefix, text)
    assert parsed is not None
    return parsed


@pytest.fixture
def past(settings: Settings) -> Past:
    return Past(settings)


@pytest.fixture
def key() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def pair(api: ApiClient) -> tuple[str, str]:
    """Payer with 10.00 and payee."""
    return api.funded_account("10.00"), api.open_account()


def ends(settings: Settings) -> dict[int, int]:
    return command_ends(settings.kafka_bootstrap, settings.shards)


def ids(pair: Sequence[str]) -> tuple[bytes, bytes]:
    return known(ACCOUNT, pair[0]), known(ACCOUNT, pair[1])


@pytest.mark.parametrize("wait_s", [0, 20])
def test_a_transfer_decided_long_ago_is_answered_and_not_sent(
    api: ApiClient, settings: Settings, past: Past, key: str, pair: tuple[str, str], wait_s: int
) -> None:
    payment_id = past.decided(key, *ids(pair), 250, description="Rent, März")
    before = ends(settings)
    response = api.transfer(*pair, "2.50", key=key, wait_s=wait_s, description="Rent, März")
    assert response.status_code == 200, response.text
    assert response.headers["Idempotency-Replayed"] == "true"
    assert response.headers["Location"] == f"/v1/transfers/{payment_id}"
    payment = response.json()
    assert (payment["id"], payment["status"], payment["final"]) == (payment_id, PaymentStatus.POSTED, True)
    assert ends(settings) == before
    assert api.balance_minor(pair[0], response) == 1000


def test_a_refusal_of_long_ago_is_the_same_refusal(
    api: ApiClient, settings: Settings, past: Past, key: str, pair: tuple[str, str]
) -> None:
    payment_id = past.decided(key, *ids(pair), 250, kind=EntryKind.REJECTED, reason=Reason.ACCOUNT_FROZEN)
    before = ends(settings)
    response = api.transfer(*pair, "2.50", key=key)
    assert problem_of(response, 422, "account_frozen")["payment"]["id"] == payment_id
    assert response.headers["Idempotency-Replayed"] == "true"
    assert ends(settings) == before


@pytest.mark.parametrize(
    "other", [{"amount": "2.51"}, {"description": "else"}, {"to_account": "acc_01jd5v2q7xf8k8v6n3m4p5r6st"}]
)
def test_another_body_under_a_key_of_long_ago_moves_nothing(
    api: ApiClient, settings: Settings, past: Past, key: str, pair: tuple[str, str], other: dict[str, str]
) -> None:
    past.decided(key, *ids(pair), 250)
    before = ends(settings)
    body = {"from_account": pair[0], "to_account": pair[1], "amount": "2.50", "currency": "EUR"} | other
    problem_of(api.post("/v1/transfers", body, key, prefer="wait=20"), 422, "idempotency_key_reused")
    assert ends(settings) == before


def test_the_same_digits_of_another_currency_are_another_body(
    api: ApiClient, past: Past, key: str, pair: tuple[str, str]
) -> None:
    past.decided(key, *ids(pair), 250)
    body = {"from_account": pair[0], "to_account": pair[1], "amount": "2.50", "currency": "USD"}
    problem_of(api.post("/v1/transfers", body, key), 422, "idempotency_key_reused")


def test_a_deposit_decided_long_ago_is_paid_in_once(
    api: ApiClient, settings: Settings, past: Past, key: str, pair: tuple[str, str]
) -> None:
    payer, account = clearing_account("EUR"), known(ACCOUNT, pair[0])
    past.decided(key, payer, account, 500, authority=account, kind=EntryKind.POSTED)
    before = ends(settings)
    again = api.deposit(pair[0], "5.00", key=key)
    assert (again.status_code, again.json()["status"]) == (200, PaymentStatus.POSTED)
    assert again.headers["Idempotency-Replayed"] == "true"
    problem_of(api.deposit(pair[0], "5.01", key=key), 422, "idempotency_key_reused")
    assert ends(settings) == before
    assert api.balance_minor(pair[0], again) == 1000


def test_a_batch_answers_each_line_for_itself(
    api: ApiClient, settings: Settings, past: Past, pair: tuple[str, str]
) -> None:
    payer, payee = ids(pair)
    fresh, same, other = (transfer_line(*pair) for _ in range(3))
    payment_id = past.decided(same["idempotency_key"], payer, payee, 100)
    past.decided(other["idempotency_key"], payer, payee, 101)
    before = ends(settings)
    response = api.batch([other, same, b"{", fresh], Prefer="return=representation")
    assert response.status_code == 202, response.text
    receipt = response.json()
    assert receipt["accepted"] == 2
    refused = [(line["line"], line["code"], line["pointer"]) for line in receipt["rejected"]]
    assert refused == [(1, "idempotency_key_reused", "/idempotency_key"), (3, "json_malformed", "")]
    assert [line["line"] for line in receipt["lines"]] == [2, 4]
    assert receipt["lines"][0]["id"] == payment_id
    assert sum(ends(settings).values()) == sum(before.values()) + 1
    assert api.balance_minor(pair[0], response) == 900


def test_a_batch_of_nothing_new_sends_nothing(
    api: ApiClient, settings: Settings, past: Past, pair: tuple[str, str]
) -> None:
    lines = [transfer_line(*pair) for _ in range(3)]
    for line in lines:
        past.decided(line["idempotency_key"], *ids(pair), 100)
    before = ends(settings)
    response = api.batch(lines)
    assert (response.status_code, response.json()["accepted"]) == (202, 3)
    assert api.balance_minor(pair[0], response) == 1000
    refused = api.batch([line | {"amount": "9.00"} for line in lines])
    assert len(problem_of(refused, 422, "batch_refused")["rejected"]) == 3
    assert ends(settings) == before


def test_an_account_opened_long_ago_is_shown(api: ApiClient, settings: Settings, past: Past, key: str) -> None:
    account = derive_account_id("tester", key)
    past.account_operation(key, account, EntryKind.ACCOUNT_OPENED, 0, "EUR")
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO accounts VALUES (%s, 'EUR', 1, 0, now(), now())", (account.hex(),))
    before = ends(settings)
    response = api.post("/v1/accounts", {"currency": "EUR"}, key)
    assert (response.status_code, response.json()["id"]) == (200, format_id(ACCOUNT, account))
    assert response.json()["status"] == "frozen"
    assert response.headers["Idempotency-Replayed"] == "true"
    line = {"kind": "open_account", "currency": "EUR", "idempotency_key": key}
    assert api.batch([line]).json()["accepted"] == 1
    problem_of(api.post("/v1/accounts", {"currency": "USD"}, key), 422, "idempotency_key_reused")
    assert ends(settings) == before


def test_an_account_frozen_long_ago_and_opened_since_stays_open(
    api: ApiClient, settings: Settings, past: Past, key: str
) -> None:
    account = api.open_account()
    past.account_operation(
        key_of(CommandKind.FREEZE_ACCOUNT.name, key), known(ACCOUNT, account), EntryKind.ACCOUNT_FROZEN
    )
    before = ends(settings)
    headers = {"Idempotency-Key": key}
    response = api.http.put(f"/v1/accounts/{account}", json={"status": "frozen"}, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["Idempotency-Replayed"] == "true"
    (outcome,) = response.json()["commands"]
    assert outcome["command"] == "freeze_account"
    assert ends(settings) == before
    assert api.get(f"/v1/accounts/{account}").json()["status"] == "open"


def test_of_two_changes_only_the_new_one_is_sent(api: ApiClient, settings: Settings, past: Past, key: str) -> None:
    account = api.open_account()
    limit = key_of(CommandKind.SET_OVERDRAFT_LIMIT.name, key)
    past.account_operation(limit, known(ACCOUNT, account), EntryKind.OVERDRAFT_LIMIT_SET, 500, "EUR")
    before = ends(settings)
    headers = {"Idempotency-Key": key, "Prefer": "wait=20"}
    body = {"overdraft_limit": "5.00", "status": "frozen"}
    response = api.http.put(f"/v1/accounts/{account}", json=body, headers=headers)
    assert response.status_code == 200, response.text
    assert sum(ends(settings).values()) == sum(before.values()) + 1
    shown = api.get(f"/v1/accounts/{account}", response).json()
    assert (shown["status"], shown["overdraft_limit_minor"]) == ("frozen", 0)
    other = api.http.put(f"/v1/accounts/{account}", json={"overdraft_limit": "6.00"}, headers=headers)
    problem_of(other, 422, "idempotency_key_reused")


def test_another_operation_under_the_same_id_is_another_body(api: ApiClient, past: Past, key: str) -> None:
    """A producer of its own may have frozen with the bare key that HTTP derives for closing."""
    account = api.open_account()
    past.account_operation(
        key_of(CommandKind.CLOSE_ACCOUNT.name, key), known(ACCOUNT, account), EntryKind.ACCOUNT_FROZEN
    )
    headers = {"Idempotency-Key": key}
    response = api.http.put(f"/v1/accounts/{account}", json={"status": "closed"}, headers=headers)
    problem_of(response, 422, "idempotency_key_reused")
    assert api.get(f"/v1/accounts/{account}").json()["status"] == "open"


def test_what_the_agents_remember_is_asked_of_them(
    api: ApiClient, settings: Settings, past: Past, key: str, pair: tuple[str, str]
) -> None:
    """Up to the bound a repeat is sent and the agent answers it, beyond it Postgres does; the answers are equal."""
    first = api.transfer(*pair, "1.00", key=key)
    sent = {}
    for minutes in (-5, 5):
        past.ages(first.json()["id"], REMEMBERED_HOURS, minutes)
        before = ends(settings)
        again = api.transfer(*pair, "1.00", key=key)
        assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
        sent[minutes] = sum(ends(settings).values()) - sum(before.values())
    assert sent == {-5: 1, 5: 0}
    assert api.balance_minor(pair[0], again) == 900


class CountingDatabase(Database):
    """The real one, with the ids of each query counted."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.database_url, 2, 100)
        self.ids_of_queries: list[int] = []

    async def rows(
        self, query: str, parameters: Sequence[Any] | dict[str, Any] = (), *, prepare: bool | None = None
    ) -> list[dict[str, Any]]:
        assert isinstance(parameters, dict)
        self.ids_of_queries.append(parameters["payments"].count(",") + 1)
        return await super().rows(query, parameters, prepare=prepare)


async def test_calls_of_one_turn_share_a_query(settings: Settings, past: Past, key: str) -> None:
    payer = derive_account_id("late", key)
    payment_id = await asyncio.to_thread(past.decided, key, payer, derive_account_id("late", "payee"), 100)
    database = CountingDatabase(settings)
    await database.open()
    earlier = EarlierDecisions(database)
    wanted = [known(PAYMENT, payment_id), *(secrets.token_bytes(16) for _ in range(IDS_PER_QUERY_MAX))]
    found = await asyncio.gather(*(earlier.find_together([(id_, CommandKind.TRANSFER)]) for id_ in wanted))
    assert [id_ for answer, id_ in zip(found, wanted, strict=True) if id_ in answer] == wanted[:1]
    assert database.ids_of_queries == [IDS_PER_QUERY_MAX, 1]
    assert await earlier.find_together([(wanted[1], CommandKind.TRANSFER)]) == {}
    assert database.ids_of_queries == [IDS_PER_QUERY_MAX, 1, 1]
    await earlier.close()


@pytest.fixture
async def line(settings: Settings) -> AsyncIterator[TcpLine]:
    """The line between an API process and its Postgres."""
    address = urlsplit(settings.database_url)
    async with line_to(address.hostname or "", address.port or 5432) as line:
        yield line


@pytest.fixture
async def caller(settings: Settings, line: TcpLine) -> AsyncIterator[httpx.AsyncClient]:
    """A process of its own whose line to Postgres can be cut."""
    address = urlsplit(settings.database_url)
    there = address._replace(netloc=f"{(address.username or '') + '@'}127.0.0.1:{line.port}")
    services = Services.of(settings.model_copy(update={"api_process_id": 6, "database_url": urlunsplit(there)}))
    await services.start()
    headers = {"Authorization": f"Bearer {issue_token(settings, 'tester', ALL_SCOPES, 600)}"}
    transport = httpx.ASGITransport(make_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers, timeout=40) as caller:
        yield caller
    await services.stop()


async def _transfer(caller: httpx.AsyncClient, pair: tuple[str, str], key: str) -> httpx.Response:
    body = {"from_account": pair[0], "to_account": pair[1], "amount": "1.00", "currency": "EUR"}
    return await caller.post("/v1/transfers", json=body, headers={"Idempotency-Key": key, "Prefer": "wait=10"})


@pytest.mark.parametrize("outage", ["cut", "held"])
async def test_without_postgres_commands_are_taken_unchecked_until_it_is_back(
    caller: httpx.AsyncClient,
    line: TcpLine,
    past: Past,
    pair: tuple[str, str],
    outage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = secrets.token_hex(8)
    await asyncio.to_thread(past.decided, old, *ids(pair), 100)
    assert (await _transfer(caller, pair, old)).status_code == 200
    if outage == "cut":
        await line.cut()
    else:
        line.hold()
    for _ in range(3):
        assert (await _transfer(caller, pair, secrets.token_hex(8))).status_code == 201
    said = [r for r in caplog.records if "late" in r.getMessage() and r.levelno == logging.WARNING]
    assert len(said) == 1, [record.getMessage() for record in said]
    await line.mend()
    give_up_at = time.monotonic() + 20
    while not any("checked again" in record.getMessage() for record in caplog.records):
        assert time.monotonic() < give_up_at, "never checked again"
        await asyncio.sleep(0.1)
    assert (await _transfer(caller, pair, old)).status_code == 200


async def test_a_cut_connection_alone_lets_nothing_through(
    caller: httpx.AsyncClient, line: TcpLine, past: Past, pair: tuple[str, str], key: str
) -> None:
    """Postgres restarted between two calls: the look-up is made on a new connection."""
    await asyncio.to_thread(past.decided, key, *ids(pair), 100)
    assert (await _transfer(caller, pair, key)).status_code == 200
    await line.cut()
    await line.mend()
    assert (await _transfer(caller, pair, key)).status_code == 200

"""payments.events → Postgres: stored once whatever is killed, when the tables show what it tells, for whom it is."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from payments.events.event import Event, EventType
from payments.identifiers import ACCOUNT, PAYMENT, format_id, system_account
from runtime.settings import Settings
from schemas.events.codec import EventId, encode_event
from schemas.tables.webhooks import EVENT
from sinks.events.loop import public_event
from sinks.events.service import EventsSink
from sinks.events.storing import forget, store
from tests.sinks.ledger_topic import LedgerTopic
from tests.sinks.sink_process import ROOT, environment_of
from tests.support.environment import fresh_database
from tests.support.waiting import eventually

SHARDS = 3
PAYER, PAYEE, OTHER = (bytes([number]) * 16 for number in (0x61, 0x62, 0x63))
ANNA, BERTA = UUID(int=1), UUID(int=2)
SHOWN_UP_TO = 1_000


@pytest.fixture
def topic(broker: str, topic_name: Callable[[str], str]) -> LedgerTopic:
    """A topic of this test's own in the place of payments.events."""
    return LedgerTopic(broker, topic_name("events"), SHARDS)


@pytest.fixture
def own(broker: str, postgres: str, migrated_once: str, tmp_path: Path) -> Iterator[Settings]:
    with fresh_database(postgres, migrated_once) as database:
        made = Settings(home=tmp_path, kafka_bootstrap=broker, database_url=database, shards=SHARDS)
        for shard in range(SHARDS):
            rows(made, "INSERT INTO sink_progress (shard, ledger_sequence) VALUES (%s, %s)", shard, SHOWN_UP_TO)
        yield made


def rows(settings: Settings, query: str, *parameters: object) -> list[dict[str, Any]]:
    with psycopg.connect(settings.database_url, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(query.encode(), parameters)
        return cursor.fetchall() if cursor.description else []


def transfer(number: int, type_: EventType = EventType.PAYMENT_POSTED, **changes: Any) -> Event:
    payment = format_id(PAYMENT, number.to_bytes(16, "big"))
    event = Event(type_, payment, 1_763_800_000_000_000 + number, format_id(ACCOUNT, PAYER), format_id(ACCOUNT, PAYEE))
    return event._replace(amount_minor=1_050, currency="EUR")._replace(**changes)


def publish(topic: LedgerTopic, numbers: range, sequence: int = 7) -> None:
    for number in numbers:
        value = encode_event(EventId(number % SHARDS, sequence, number, 0), transfer(number))
        topic.publish_value(number % SHARDS, value)


@contextmanager
def running(settings: Settings, topic: LedgerTopic) -> Iterator[None]:
    sink = EventsSink(settings, topic=topic.name)
    thread = threading.Thread(target=sink.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        sink.stop()
        thread.join(30)


def stored(settings: Settings) -> list[int]:
    found = rows(settings, "SELECT position FROM public_events ORDER BY position")
    return [row["position"] for row in found]


@pytest.mark.parametrize("failpoint", ["sink_before_commit:1", "sink_after_commit:1"])
def test_killed_around_the_commit_each_is_stored_once(own: Settings, topic: LedgerTopic, failpoint: str) -> None:
    endpoint(own)
    publish(topic, range(6))
    code = "import sys; from runtime.settings import Settings; from sinks.events.service import run;"
    command = [sys.executable, "-c", f"{code} sys.exit(run(Settings(), topic={topic.name!r}))"]
    killed = subprocess.run(command, cwd=ROOT, env=environment_of(own, failpoint), timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert bool(stored(own)) == failpoint.startswith("sink_after")
    publish(topic, range(6, 9))
    with running(own, topic):
        eventually(lambda: len(stored(own)) == 9)
    assert stored(own) == [*range(1, 10)]
    assert rows(own, "SELECT count(*) AS n, count(DISTINCT position) AS of FROM webhook_deliveries") == [
        {"n": 9, "of": 9}
    ]


def test_nothing_is_told_that_the_tables_do_not_show_yet(own: Settings, topic: LedgerTopic) -> None:
    rows(own, "UPDATE sink_progress SET ledger_sequence = 7 WHERE shard = 1")
    publish(topic, range(1, 2))
    with running(own, topic):
        eventually(lambda: rows(own, "SELECT 1 FROM event_feed_offsets"))
        time.sleep(1)  # twenty looks at the ledger's tables
        assert stored(own) == []
        rows(own, "UPDATE sink_progress SET ledger_sequence = 8 WHERE shard = 1")
        eventually(lambda: stored(own) == [1])


def test_the_payload_says_what_the_event_says(own: Settings) -> None:
    clearing = format_id(ACCOUNT, system_account(1, "EUR"))
    made = public_event("1-2-3-0", transfer(5, payer=clearing, reason="account_closed", cause="pay_x"))
    payload = msgspec.json.decode(made.payload)
    assert payload == {
        "id": format_id(EVENT, made.event_id),
        "type": "payment.posted",
        "timestamp": "2025-11-22T08:26:40.000005Z",
        "object": format_id(PAYMENT, (5).to_bytes(16, "big")),
        "data": {
            "payer": clearing,
            "payee": format_id(ACCOUNT, PAYEE),
            "amount": "10.50",
            "amount_minor": 1050,
            "currency": "EUR",
            "reason": "account_closed",
            "cause": "pay_x",
        },
    }
    assert made.accounts == (PAYEE,), "a system account is nobody's"
    assert made == public_event("1-2-3-0", transfer(5, payer=clearing, reason="account_closed", cause="pay_x"))
    assert made.event_id != public_event("1-2-3-1", transfer(5)).event_id


def endpoint(own: Settings, user: UUID | None = None, types: tuple[str, ...] = (), status: str = "enabled") -> UUID:
    reason = "by_owner" if status == "disabled" else None
    (row,) = rows(
        own,
        "INSERT INTO webhook_endpoints"
        " (endpoint_id, user_id, created_by, url, description, event_types, status, disabled_reason)"
        " VALUES (gen_random_uuid(), %s, 'tester', '', '', %s, %s, %s) RETURNING endpoint_id",
        *(user, list(types), status, reason),
    )
    made: UUID = row["endpoint_id"]
    return made


def owns(own: Settings, user: UUID, account: bytes, role: str = "owner") -> None:
    rows(
        own,
        "WITH actor AS (SELECT set_config('millrace.actor', 't', false), set_config('millrace.request_id', 'r', false))"
        " INSERT INTO account_owners SELECT %s, %s, %s, now() FROM actor",
        *(UUID(bytes=account), user, role),
    )


def test_an_endpoint_gets_what_it_wants_and_may_see(own: Settings) -> None:
    owns(own, ANNA, PAYER)
    owns(own, BERTA, OTHER)
    owns(own, ANNA, PAYEE)
    anna, berta, service = endpoint(own, ANNA), endpoint(own, BERTA), endpoint(own)
    only_returns = endpoint(own, ANNA, types=("payment.returned",))
    endpoint(own, ANNA, status="disabled")
    endpoint(own, status="deleted")
    events = [
        public_event("0-1-0-0", transfer(1)),
        public_event("0-1-1-0", transfer(2, EventType.PAYMENT_RETURNED)),
        public_event("0-1-2-0", transfer(3, payer=format_id(ACCOUNT, OTHER), payee=None)),
    ]
    with psycopg.connect(own.database_url) as connection:
        assert store(connection, events) == 7
    found = rows(own, "SELECT endpoint_id, position FROM webhook_deliveries ORDER BY 2")
    of = {each: [row["position"] for row in found if row["endpoint_id"] == each] for each in (anna, berta, service)}
    assert of == {anna: [1, 2], berta: [3], service: [1, 2, 3]}
    assert [row["position"] for row in found if row["endpoint_id"] == only_returns] == [2]


def test_old_events_go_with_all_that_hangs_on_them(own: Settings) -> None:
    endpoint(own)
    with psycopg.connect(own.database_url) as connection:
        store(connection, [public_event(f"0-{number}-0-0", transfer(number)) for number in range(5)])
        connection.execute("UPDATE public_events SET stored_at = now() - interval '31 days' WHERE position <= 3")
        month = connection.execute("SELECT interval '30 days'").fetchone()
        assert month is not None
        assert [forget(connection, month[0], 2) for _ in range(3)] == [2, 1, 0]
    assert stored(own) == [4, 5]
    for table in ("event_accounts", "webhook_deliveries"):
        assert {row["position"] for row in rows(own, f"SELECT position FROM {table}")} == {4, 5}


def test_an_event_told_twice_stops_the_sink(own: Settings, topic: LedgerTopic) -> None:
    publish(topic, range(1, 2))
    publish(topic, range(1, 2))
    with pytest.raises(Exception, match="already exists"):
        EventsSink(own, topic=topic.name).run()

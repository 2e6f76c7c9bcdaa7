"""Schedules of a test: ordered straight in the tables, run by passes of the test's own, and looked at."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from ingest_api.schedules.rows import INSERT, ScheduledTransfer, Terms, row_of
from ingest_api.schedules.running import Figures, run_pass
from ingest_api.schedules.sending import CommandLog
from millrace.environment import LocalEnvironment
from payments.terms.schedules import Schedule, schedule_problem
from runtime.exactly_once.failpoints import Failpoints
from tests.pipeline.traffic import CURRENCY, Traffic
from tests.support.waiting import eventually

LONG_AGO = datetime(2026, 1, 1, 9)
LIMIT = 50


class Orders:
    """Of one test. `now` is what its passes are told."""

    def __init__(self, stage: LocalEnvironment, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self.stage = stage
        self.connection = connection
        self.now = datetime.now(UTC)
        self.figures = Figures()
        self._log = CommandLog(stage.settings)
        self._traffic: Traffic | None = None

    @classmethod
    @contextmanager
    def of(cls, stage: LocalEnvironment) -> Iterator["Orders"]:
        with psycopg.connect(stage.database_url, autocommit=True, row_factory=dict_row) as connection:
            connection.execute("TRUNCATE schedules, schedule_occurrences")
            yield cls(stage, connection)

    def accounts(self, count: int, funds_minor: int = 1_000) -> list[bytes]:
        """Open accounts with so much money each, and as the last one an account that nobody has opened."""
        self._traffic = Traffic(self.stage, seed=1, accounts=count + 1)
        self._traffic.open_accounts(funds_minor)
        self._traffic.await_settled()
        return self._traffic.accounts

    def pay_in(self, account: bytes, amount_minor: int) -> None:
        """More money, once it is there."""
        assert self._traffic is not None
        self.await_decided(UUID(bytes=self._traffic.pay_in(account, amount_minor)))

    def place(self, payer: bytes, payee: bytes, amount_minor: int = 1, **fields: Any) -> UUID:
        """A schedule in UTC, once and long ago unless it is said otherwise."""
        schedule = Schedule(
            secrets.token_bytes(16), fields.pop("zone", "UTC"), fields.pop("starts", LONG_AGO), **fields
        )
        assert schedule_problem(schedule) is None
        placed = ScheduledTransfer(schedule, Terms(payer, payee, amount_minor, CURRENCY, "rent"))
        self.connection.execute(INSERT, row_of(placed) | {"request": bytes(32), "created_by": "test"})
        return UUID(bytes=schedule.schedule_id)

    def run_pass(self, limit: int = LIMIT, failpoint: str = "") -> None:
        with psycopg.connect(self.stage.database_url, autocommit=True) as connection:
            run_pass(connection, self._log, self.now, limit, Failpoints(failpoint), self.figures)

    def settle(self) -> None:
        """Passes until nothing is under way."""
        self.run_pass()
        eventually(self._settled, "outcomes of the occurrences")

    def _settled(self) -> bool:
        self.run_pass()
        return not self.all("SELECT 1 FROM schedule_occurrences WHERE settled_at IS NULL LIMIT 1")

    def all(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        return self.connection.execute(query.encode(), parameters).fetchall()

    def occurrences(self, schedule: UUID) -> list[dict[str, Any]]:
        """In the order of their times and tries."""
        return self.all("SELECT * FROM schedule_occurrences WHERE schedule_id = %s ORDER BY wall, attempt", schedule)

    def schedule(self, schedule: UUID) -> dict[str, Any]:
        [row] = self.all("SELECT * FROM schedules WHERE schedule_id = %s", schedule)
        return row

    def paid(self, payer: bytes) -> int:
        """How many payments of this account are posted."""
        [row] = self.all("SELECT count(*) AS n FROM journal_entries WHERE debit_account = %s", UUID(bytes=payer))
        return int(row["n"])

    def await_decided(self, payment: UUID) -> None:
        eventually(lambda: self.all("SELECT 1 FROM payments WHERE payment_id = %s", payment), "the decision")

    @contextmanager
    def sink_behind(self, shard: int) -> Iterator[None]:
        """As if the sink had still to apply the first command of this shard."""
        [row] = self.all("SELECT commands_next_offset AS n FROM sink_progress WHERE shard = %s", shard)
        set_offset = "UPDATE sink_progress SET commands_next_offset = %s WHERE shard = %s RETURNING 1"
        self.all(set_offset, -1, shard)
        yield
        self.all(set_offset, row["n"], shard)

    def midnight(self) -> datetime:
        """The last one, in UTC."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)

    def later(self, **by: int) -> None:
        self.now += timedelta(**by)

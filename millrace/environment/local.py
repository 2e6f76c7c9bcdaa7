"""The local environment as one object: prepares, starts a supervisor, answers addresses, kills, restarts and stops.

Reads the settings; keeps the lock of its home (the supervisor inherits it, so it lasts as long as the supervisor does);
writes the plan and the addresses. Guarantees one environment per home, and none after its owner has died: unless it is
detached, the supervisor holds the other end of a pipe of ours and stops when that closes.
"""

import fcntl
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import msgspec

from millrace.environment import ports
from millrace.environment.brokers import broker as kafka
from millrace.environment.connection import ask_supervisor, running_supervisor
from millrace.environment.database import server as postgres
from millrace.environment.faults import EnvironmentBusy, EnvironmentFault, NotRunning, StartFault
from millrace.environment.last_words import last_words
from millrace.environment.layout import Addresses, Home, home_of
from millrace.environment.progress import Progress, Silent
from millrace.environment.security.credentials import LOGIN, logged_in_as, with_login
from millrace.services import pipeline_services
from millrace.supervisor.child import end_orphans
from millrace.supervisor.control import Request, SupervisorStatus
from millrace.supervisor.service import Plan, Service
from runtime.settings import Settings, variable
from schemas.access import OPERATOR

_READY_TIMEOUT_S = 90.0  # 3 s here; a cold disk and three brokers on one core take 40 s
_STOP_TIMEOUT_S = 90.0  # five groups, the slowest may take 20 s before it is killed
_POLL_S = 0.05


class LocalEnvironment:
    """`with LocalEnvironment(Settings()) as env: …`; `start(detached=True)` for one that outlives its starter."""

    def __init__(
        self,
        settings: Settings,
        *,
        brokers: int = 1,
        pipeline: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self._given = settings
        self._home: Home = home_of(settings)
        self.owns_kafka = "kafka_bootstrap" not in settings.model_fields_set
        self.owns_postgres = "database_url" not in settings.model_fields_set
        self._brokers = brokers if self.owns_kafka else 0
        self._pipeline = pipeline
        self._progress = progress or Silent()
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.settings = self._resolved()

    def _resolved(self) -> Settings:
        """The settings that every client and service of this environment gets."""
        update: dict[str, object] = {"home": self._home.root}
        if self.owns_kafka:
            update["kafka_bootstrap"] = kafka.bootstrap_of(self._given, self._brokers)
            update["replication_factor"] = min(self._brokers, 3)
        settings = self._given.model_copy(update=update)
        return logged_in_as(settings, self._home, OPERATOR.name) if self._given.secure else settings

    def settings_of(self, user: str) -> Settings:
        """The settings of a client that is this principal (a name of schemas.access), for a secured environment."""
        return logged_in_as(self.settings, self._home, user)

    @property
    def kafka_bootstrap(self) -> str:
        return self.settings.kafka_bootstrap

    @property
    def database_url(self) -> str:
        return self.settings.database_url

    @property
    def addresses(self) -> Addresses:
        host, port = self.settings.api_host, self.settings.api_port
        return Addresses(
            kafka_bootstrap=self.kafka_bootstrap,
            database_url=self.database_url,
            brokers=self._brokers,
            replication_factor=self.settings.replication_factor,
            secure=self.settings.secure,
            api_url=f"http://{host}:{port}" if self._pipeline and pipeline_services(self.settings) else None,
            gateway_url=f"https://localhost:{self.settings.gateway_port}" if self._has_gateway else None,
        )

    @property
    def _has_gateway(self) -> bool:
        return self._pipeline and self.settings.gateway

    def start(self, *, detached: bool = False) -> Self:
        """Bring everything up and return when it is ready. Raises EnvironmentFault."""
        self._require_one_security()
        self._home.create()
        lock = self._take_lock()
        try:
            end_orphans(self._home.pids)
            ports.require_free(self._needed_ports())
            services = self._prepare()
            self._home.write(self._home.plan, msgspec.json.encode(Plan(str(self._home.root), services)))
            self._home.write(self._home.addresses, msgspec.json.encode(self.addresses))
            self._progress.step("waiting until the servers answer")
            self._supervisor = self._launch(lock, detached=detached)
        finally:
            os.close(lock)  # the supervisor's copy keeps it locked
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def _require_one_security(self) -> None:
        """Raises EnvironmentFault for settings of somebody's brokers where ours are meant, and the other way round."""
        if self._given.secure and not self.owns_kafka:
            raise EnvironmentFault(
                "--secure (MILLRACE_SECURE) makes brokers of this home's own, and KAFKA_BOOTSTRAP names others:"
                " unset one of them; MILLRACE_KAFKA_SECURITY_PROTOCOL and MILLRACE_KAFKA_USER log in to yours"
            )
        if self.owns_kafka and not self._given.secure and self._given.kafka_security_protocol != "PLAINTEXT":
            raise EnvironmentFault(
                "MILLRACE_KAFKA_SECURITY_PROTOCOL is for the brokers that KAFKA_BOOTSTRAP names: set that too,"
                " or use --secure for brokers of this home's own"
            )

    def _take_lock(self) -> int:
        handle = os.open(self._home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            status = running_supervisor(self._home)
            owner = f" (pid {status.pid})" if status else ""
            raise EnvironmentBusy(
                f"an environment runs in {self._home.root} already{owner}: `millrace down` stops it,"
                " MILLRACE_HOME names another place"
            ) from None
        return handle

    def _needed_ports(self) -> dict[int, str]:
        needed: dict[int, str] = {}
        for offset in ports.broker_offsets(self._brokers):
            needed[self.settings.kafka_port + offset] = "Kafka"
        if self.owns_postgres:
            needed[self.settings.postgres_port] = "postgres"
        if self.addresses.api_url:
            own_ports = self.settings.api_processes if self.settings.gateway else 1
            needed |= dict.fromkeys(range(self.settings.api_port, self.settings.api_port + own_ports), "api")
        if self._has_gateway:
            needed[self.settings.gateway_port] = "gateway"
        return needed

    def _prepare(self) -> list[Service]:
        """Kafka and Postgres at the same time: each waits for other things (network, Java, disk)."""
        with ThreadPoolExecutor(2) as pool:
            brokers = pool.submit(self._prepare_kafka) if self.owns_kafka else None
            database = pool.submit(self._prepare_postgres) if self.owns_postgres else None
            services = [*(brokers.result() if brokers else []), *(database.result() if database else [])]
        pipeline = pipeline_services(self.settings) if self._pipeline else []
        return [*services, *(with_login(one, self._home) if self._given.secure else one for one in pipeline)]

    def _prepare_kafka(self) -> list[Service]:
        distribution = kafka.obtain(self.settings, self._progress)
        self._progress.step("preparing Kafka")
        return kafka.broker_services(self.settings, self._home, distribution, self._brokers)

    def _prepare_postgres(self) -> list[Service]:
        self._progress.step("preparing Postgres")
        return [postgres.postgres_service(self.settings, self._home)]

    def _launch(self, lock: int, *, detached: bool) -> subprocess.Popen[bytes]:
        lifeline = [] if detached else ["--lifeline"]
        with self._home.log("supervisor").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "millrace.supervisor", str(self._home.plan), *lifeline],
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,
                env=_environment_of(self.settings),
            )

    def _wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._supervisor and self._supervisor.poll() is not None:
                raise StartFault(f"the supervisor ended at once: {last_words(self._home, 'supervisor')}")
            status = running_supervisor(self._home)
            if status and status.phase == "ready":
                return
            if status and (alarms := status.alarms):
                name = alarms[0].name
                raise StartFault(f"{name} does not stay up: {last_words(self._home, name)} (log: {alarms[0].log})")
            time.sleep(_POLL_S)
        waiting = (
            [service.name for service in status.services if service.state != "ready"] if status else ["supervisor"]
        )
        raise StartFault(f"not ready after {_READY_TIMEOUT_S:.0f} s: {', '.join(waiting)}; see {self._home.logs}")

    def status(self) -> SupervisorStatus:
        """Raises NotRunning."""
        status = running_supervisor(self._home)
        if status is None:
            raise NotRunning(f"no environment runs in {self._home.root}: `millrace up` starts one")
        return status

    def kill(self, service: str) -> int:
        """SIGKILL, as a crash would; the supervisor starts it again. Answers the pid that was killed."""
        return self._signal(Request("kill", service))

    def restart(self, service: str) -> int:
        """Ask it to end in order; the supervisor starts it again. Answers the pid that was asked."""
        return self._signal(Request("restart", service))

    def _signal(self, request: Request) -> int:
        answer = ask_supervisor(self._home, request)
        if answer.pid is None:
            raise EnvironmentFault(answer.error)
        return answer.pid

    def wait_restarted(self, service: str, old_pid: int, timeout_s: float = 30.0) -> int:
        """Until another process of the service is ready; answers its pid. Raises StartFault."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for one in self.status().services:
                if one.name == service and one.state == "ready" and one.pid not in {None, old_pid}:
                    return int(one.pid or 0)
            time.sleep(_POLL_S)
        raise StartFault(f"{service} is not back after {timeout_s:.0f} s; see {self._home.log(service)}")

    def stop(self) -> None:
        """Stop all in order and wait. No environment running is fine."""
        stop_environment(self._home)
        if self._supervisor is not None:
            if self._supervisor.stdin:
                self._supervisor.stdin.close()
            self._supervisor.wait(_STOP_TIMEOUT_S)
            self._supervisor = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def stop_environment(home: Home) -> bool:
    """Stop what runs in this home and wait until its lock is free; False when nothing ran."""
    try:
        ask_supervisor(home, Request("stop"))
    except NotRunning:
        return _end_leftovers(home)
    deadline_s = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if _lock_is_free(home):
            return True
        time.sleep(_POLL_S)
    raise EnvironmentFault(f"the environment did not end within {_STOP_TIMEOUT_S:.0f} s; see {home.log('supervisor')}")


def _end_leftovers(home: Home) -> bool:
    """Processes of a supervisor that was killed; but not those of one that lives and is too busy to answer."""
    if not home.lock.exists():
        return False
    if not _lock_is_free(home):
        raise EnvironmentFault(f"the supervisor of {home.root} runs but does not answer; see {home.log('supervisor')}")
    return end_orphans(home.pids) > 0


def _lock_is_free(home: Home) -> bool:
    with home.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _environment_of(settings: Settings) -> dict[str, str]:
    """Every setting by its own variable, so that a service reads what its environment was made with."""
    found = {**os.environ, **settings.variables()}
    if settings.secure:  # each service has its own
        for name in LOGIN:
            found.pop(variable(name), None)
    return found

"""One process of the API server: uvloop and httptools, a graceful end.

Several processes share the port (SO_REUSEPORT), or have one each behind the gateway. Guarantees: on SIGTERM readiness
turns red and the registry of services is told first; calls are taken until gateways have noticed
(MILLRACE_API_DRAIN_NOTICE_MS); then no new connection is taken, calls that wait for an outcome are answered 202 with
what is known, and every command that Kafka was given is acknowledged before the process ends.
"""

import asyncio
import resource
import signal
import socket
import sys
from functools import partial

import uvicorn

from ingest_api.app import Pages, make_app
from ingest_api.http.edge.answer_headers import always
from ingest_api.http.edge.connection import Connection, Crowd
from ingest_api.http.edge.limits import TIMES
from ingest_api.identity.keys import SigningKeyFault
from ingest_api.services import Services
from runtime.personal_data.keyring import KeyringFault
from runtime.settings import Settings

_BACKLOG = 2_048
_OTHER_FILES = 256
"""Open files of a process beside its callers' connections: Kafka, Postgres, what is read."""
_TICKS_PER_LOOK = 10  # a tick is 0.1 s


class DrainingServer(uvicorn.Server):
    """Is heard of where it serves, and leaves before it closes; answers the calls that wait before that."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._services.presence.enter()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._services.presence.leave()
        if self._services.publisher.failure is None:
            await self._serve_on()
        self._services.waiting.close()
        await super().shutdown(sockets)

    async def _serve_on(self) -> None:
        """Every answer ends its connection: callers go elsewhere between two calls, not within one."""
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await asyncio.sleep(self._services.settings.api_drain_notice_ms / 1000)

    async def on_tick(self, counter: int) -> bool:
        """What failed for good cannot be mended: end, so that the process is replaced."""
        if counter % _TICKS_PER_LOOK == 0:
            self._look_at_connections()
        return await super().on_tick(counter) or self._services.failure is not None

    def _look_at_connections(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            assert isinstance(connection, Connection)
            connection.look(now_s)


def run(settings: Settings, pages: Pages | None = None) -> None:
    """Serve, the pages too, in this process until SIGTERM or SIGINT. Raises SystemExit where it cannot start or has to
    be replaced.
    """
    try:
        services = Services.of(settings)
    except (KeyringFault, SigningKeyFault) as fault:
        raise SystemExit(str(fault)) from fault
    server = DrainingServer(_configuration(settings, services, pages), services)
    # uvicorn raises the signal again once it has drained; the end is then a clean one, not a death by signal
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: None if server.should_exit else sys.exit(128 + received))
    with listening_socket(settings) as listener:
        server.run(sockets=[listener])
    if services.failure is not None or not server.started:
        raise SystemExit(services.failure or "the API could not start: the reason stands above")


def _configuration(settings: Settings, services: Services, pages: Pages | None) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(services, pages),
        http=partial(Connection, _crowd(settings)),  # type: ignore[arg-type]  # called to make one, never asked its type
        loop="uvloop",
        lifespan="on",
        ws="none",
        proxy_headers=bool(settings.auth_trusted_proxies),
        forwarded_allow_ips=settings.auth_trusted_proxies,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=False,
        headers=always(by_tls=settings.api_public_url.startswith("https://")),
        backlog=_BACKLOG,
        timeout_keep_alive=TIMES.idle_s,
        timeout_graceful_shutdown=settings.api_drain_timeout_ms // 1000,
    )


def _crowd(settings: Settings) -> Crowd:
    """As many connections as the limit of open files leaves, which is raised as far as they need and it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.api_connections + _OTHER_FILES
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    connections = settings.api_connections if soft == resource.RLIM_INFINITY else max(1, soft - _OTHER_FILES)
    limit = min(settings.api_connections, connections)
    return Crowd(limit, settings.api_connections_per_address, settings.auth_trusted_proxies)


def listening_socket(settings: Settings) -> socket.socket:
    """A socket that shares its port with the other processes of this installation, unless each has its own behind the
    gateway. Raises OSError where it is taken.
    """
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.api_processes > 1 and not settings.gateway:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.api_host, settings.api_port))
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener

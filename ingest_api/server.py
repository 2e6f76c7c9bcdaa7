"""The API server: one process per core behind one port (SO_REUSEPORT), uvloop and httptools, a graceful end.

Guarantees: on SIGTERM no new connection is taken, calls that wait for an outcome are answered 202 with what is known,
and every command that Kafka was given is acknowledged before the process ends.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.process import BaseProcess

import uvicorn

from ingest_api.app import make_app
from ingest_api.services import Services
from runtime.settings import Settings

logger = logging.getLogger(__name__)

_BACKLOG = 2_048
_KEEP_ALIVE_S = 75  # longer than the 60 s of usual proxies, so that the proxy closes first
_RESTART_PAUSE_S = 0.5
_START_FAILED = 3
"""uvicorn's exit status when the application could not start."""


class DrainingServer(uvicorn.Server):
    """Answers the calls that wait before it closes their connections."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._services.waiting.close()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """A producer that failed for good cannot be mended: end, so that the process is replaced."""
        return await super().on_tick(counter) or self._services.publisher.failure is not None


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. With several processes this one only supervises them."""
    if settings.api_processes == 1:
        return serve(settings)
    return _supervise(settings)


def serve(settings: Settings) -> int:
    """One process."""
    services = Services.of(settings)
    config = uvicorn.Config(
        make_app(services),
        http="httptools",
        loop="uvloop",
        lifespan="on",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.api_drain_timeout_ms // 1000,
    )
    server = DrainingServer(config, services)
    with listening_socket(settings) as listener:
        server.run(sockets=[listener])
    if not server.started:
        return _START_FAILED
    return 1 if services.publisher.failure else 0


def listening_socket(settings: Settings) -> socket.socket:
    """A socket that shares its port with the other processes of this installation. Raises OSError where it is taken."""
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.api_processes > 1:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.api_host, settings.api_port))
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


def _supervise(settings: Settings) -> int:
    """Start every process, replace those that die, end them together."""
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stopping.append(received))
    processes = {index: _spawn(settings, index) for index in range(settings.api_processes)}
    while not stopping:
        wait_for_any([process.sentinel for process in processes.values()], timeout=_RESTART_PAUSE_S)
        for index, process in processes.items():
            if process.exitcode is not None and not stopping:
                logger.error("API process %d ended with status %s: replaced", index, process.exitcode)
                time.sleep(_RESTART_PAUSE_S)
                processes[index] = _spawn(settings, index)
    return _end(list(processes.values()), settings.api_drain_timeout_ms / 1000 + 5)


def _spawn(settings: Settings, index: int) -> BaseProcess:
    own = settings.model_copy(update={"api_process_id": settings.api_process_id + index})
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(own,), name=f"api-{index}", daemon=True)
    process.start()
    return process


def _child(settings: Settings) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(serve(settings))


def _end_with_parent() -> None:
    """A supervisor that was killed can stop nobody: its processes drain by themselves."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _end(processes: list[BaseProcess], timeout_s: float) -> int:
    deadline = time.monotonic() + timeout_s
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
    return max((process.exitcode or 0 for process in processes), default=0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    sys.exit(run(Settings()))

"""Loopback ports: is one free, who holds it, and which ones to take for a throw-away environment."""

import contextlib
import random
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from millrace.environment.faults import EnvironmentFault, PortTaken

LOOPBACK = "127.0.0.1"
_LOWEST = 10_000
_EPHEMERAL_DEFAULT = 32_768
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(ports: dict[int, str]) -> None:
    """`ports` maps a port to what needs it. Raises PortTaken with the holder's name where the system tells it."""
    for port, purpose in ports.items():
        if not is_free(port):
            raise PortTaken(
                f"port {port} ({purpose}) is taken by {_holder(port)}: stop it,"
                f" or set {_setting(purpose)} to another port"
            )


def _setting(purpose: str) -> str:
    has_own = purpose in {"postgres", "api", "gateway"}
    return f"MILLRACE_{purpose.upper()}_PORT" if has_own else "MILLRACE_KAFKA_PORT"


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                return _describe(connection.pid)
    return "another process"


def _describe(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    with contextlib.suppress(psutil.Error):
        return f"{psutil.Process(pid).name()} (pid {pid})"
    return f"pid {pid}"


def free_base(offsets: Sequence[int]) -> int:
    """A port such that it and each port at these offsets from it are free, below the range that the system hands out
    to outgoing connections (a client's port would otherwise take a server's while that restarts)."""
    ceiling = _ephemeral_start() - max(offsets, default=0) - 1
    for _ in range(_TRIES):
        base = random.randrange(_LOWEST, ceiling)
        if all(is_free(base + offset) for offset in (0, *offsets)):
            return base
    raise EnvironmentFault(f"no {len(offsets) + 1} free ports between {_LOWEST} and {ceiling}: stop some servers")


def _ephemeral_start(source: Path = Path("/proc/sys/net/ipv4/ip_local_port_range")) -> int:
    try:
        return int(source.read_text().split()[0])
    except OSError:
        return _EPHEMERAL_DEFAULT


def broker_offsets(brokers: int) -> Iterable[int]:
    """Offsets of every listener from the first broker's port: each broker has its own and a controller's."""
    return sorted(100 * index + listener for index in range(brokers) for listener in (0, 1))

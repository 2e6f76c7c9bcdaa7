"""Goal: a taken port is named with its holder before anything starts, and throw-away ports don't meet outgoing ones."""

import os
import socket
from pathlib import Path

import pytest

from millrace.environment import ports
from millrace.environment.faults import PortTaken


def _listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener


def test_a_listening_port_is_not_free() -> None:
    with _listening() as listener:
        assert not ports.is_free(listener.getsockname()[1])


def test_a_closed_port_is_free_again() -> None:
    with _listening() as listener:
        port = listener.getsockname()[1]
    assert ports.is_free(port)


@pytest.mark.parametrize(
    ("purpose", "setting"),
    [("Kafka", "MILLRACE_KAFKA_PORT"), ("postgres", "MILLRACE_POSTGRES_PORT"), ("api", "MILLRACE_API_PORT")],
)
def test_the_message_names_port_holder_and_setting(purpose: str, setting: str) -> None:
    with _listening() as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken) as taken:
            ports.require_free({port: purpose})
    message = str(taken.value)
    assert str(port) in message
    assert f"pid {os.getpid()}" in message
    assert setting in message


def test_free_ports_are_below_the_ephemeral_range() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(20):
        base = ports.free_base([1, 100, 101])
        assert base + 101 < lowest
        assert all(ports.is_free(base + offset) for offset in (0, 1, 100, 101))


def test_every_broker_has_two_listeners() -> None:
    assert list(ports.broker_offsets(3)) == [0, 1, 100, 101, 200, 201]
    assert list(ports.broker_offsets(0)) == []

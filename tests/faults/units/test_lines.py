"""The lines of the fault suite do what they are told: late, held, cut, half open, for a broker or for one kind."""

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.lines.kafka import END_TXN, FETCH, TRANSACTION_COORDINATOR, KafkaLine, LineLoop, kafka_lines

PRODUCE, PATIENCE_S = 0, 5.0


class Echo:
    """A server that sends back what it gets and keeps it, connection by connection."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while heard := connection.recv(4096):
                    self.heard.append(heard)
                    connection.sendall(heard)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture
def line(echo: Echo) -> Iterator[tuple[LineLoop, KafkaLine]]:
    with kafka_lines([(*echo.address, 0)]) as (loop, [made]):
        yield loop, made


def dialled(line: KafkaLine) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", line.port), PATIENCE_S)
    made.settimeout(PATIENCE_S)
    return made


def request(kind: int) -> bytes:
    return struct.pack(">ihh", 4, kind, 0)


def asked(client: socket.socket, kind: int = PRODUCE) -> bytes:
    client.sendall(request(kind))
    return client.recv(4096)


def is_silent(client: socket.socket) -> bool:
    client.settimeout(0.3)
    try:
        return client.recv(1) == b"never"
    except TimeoutError:
        return True
    finally:
        client.settimeout(PATIENCE_S)


def is_broken(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_a_line_carries_requests_and_answers_as_they_are(line: tuple[LineLoop, KafkaLine]) -> None:
    with dialled(line[1]) as client:
        assert asked(client) == request(PRODUCE)
    assert line[1].hindered == 0


def test_latency_is_added_each_way(line: tuple[LineLoop, KafkaLine]) -> None:
    with dialled(line[1]) as client:
        line[1].latency_s = 0.1
        begun_s = time.monotonic()
        assert asked(client) == request(PRODUCE)
        assert time.monotonic() - begun_s >= 0.2
    assert line[1].hindered == 2


def test_what_a_black_hole_swallowed_comes_through_when_it_is_mended(line: tuple[LineLoop, KafkaLine]) -> None:
    loop, held = line
    with dialled(held) as client:
        assert asked(client) == request(PRODUCE)
        loop.call(held.hold)
        client.sendall(request(PRODUCE))
        assert is_silent(client)
        assert held.hindered == 1
        loop.run(held.mend)
        assert client.recv(4096) == request(PRODUCE)


def test_a_cut_line_breaks_connections_and_refuses_new_ones(line: tuple[LineLoop, KafkaLine]) -> None:
    loop, severed = line
    with dialled(severed) as client:
        assert asked(client) == request(PRODUCE)
        loop.run(severed.cut)
        assert is_broken(client)
        assert severed.hindered == 1
    with pytest.raises(ConnectionRefusedError):
        dialled(severed)
    loop.run(severed.mend)
    with dialled(severed) as client:
        assert asked(client) == request(PRODUCE)


def test_a_half_open_connection_takes_everything_and_answers_nothing(line: tuple[LineLoop, KafkaLine]) -> None:
    loop, lost = line
    with dialled(lost) as client:
        assert asked(client) == request(PRODUCE)
        loop.call(lost.leave_half_open)
        assert lost.hindered == 1
        client.sendall(request(PRODUCE))
        assert is_silent(client)
        with dialled(lost) as another:
            assert asked(another) == request(PRODUCE)


def test_only_connections_that_carried_the_kind_are_cut(line: tuple[LineLoop, KafkaLine]) -> None:
    loop, severed = line
    with dialled(severed) as producing, dialled(severed) as committing:
        assert asked(producing) == request(PRODUCE)
        assert asked(committing, END_TXN) == request(END_TXN)
        loop.call(lambda: severed.cut_kinds(TRANSACTION_COORDINATOR))
        assert is_broken(committing)
        assert asked(producing) == request(PRODUCE)
        producing.sendall(request(END_TXN))
        assert is_broken(producing)
        assert severed.hindered == 2


def test_only_connections_that_carry_the_kind_are_held(line: tuple[LineLoop, KafkaLine]) -> None:
    loop, held = line
    loop.call(lambda: held.hold_kinds(TRANSACTION_COORDINATOR))
    with dialled(held) as producing, dialled(held) as committing:
        assert asked(producing) == request(PRODUCE)
        committing.sendall(request(END_TXN))
        assert is_silent(committing)
        assert held.hindered == 1
        loop.run(held.mend)
        assert committing.recv(4096) == request(END_TXN)


def test_a_late_request_arrives_although_its_sender_has_gone(line: tuple[LineLoop, KafkaLine], echo: Echo) -> None:
    loop, late = line
    loop.call(lambda: late.delay_next(END_TXN, 0.5))
    with dialled(late) as client:
        client.sendall(request(END_TXN))
    time.sleep(0.2)
    assert echo.heard == []
    assert not late.waits_for_one_to_delay
    deadline_s = time.monotonic() + PATIENCE_S
    while not echo.heard and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert echo.heard == [request(END_TXN)]


def test_only_connections_that_carried_the_kind_are_left_half_open(line: tuple[LineLoop, KafkaLine]) -> None:
    loop, lost = line
    with dialled(lost) as producing, dialled(lost) as fetching:
        assert asked(producing) == request(PRODUCE)
        assert asked(fetching, FETCH) == request(FETCH)
        assert loop.call(lambda: lost.leave_kinds_half_open({FETCH})) == 1
        assert asked(producing) == request(PRODUCE)
        fetching.sendall(request(FETCH))
        assert is_silent(fetching)
        assert loop.call(lambda: lost.half_open) == 1
        fetching.close()
        deadline_s = time.monotonic() + PATIENCE_S
        while loop.call(lambda: lost.half_open) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert loop.call(lambda: lost.half_open) == 0

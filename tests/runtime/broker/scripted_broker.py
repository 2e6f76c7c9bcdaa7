"""Goal: one loopback port that reads a request and answers bytes that the test made by hand.

Reads the request whole, keeps it, and sends the next answer of the script; a `bytes` is framed, a `Raw` is sent as is.
"""

import socket
import struct
import threading
from typing import NamedTuple, Self

from runtime.exactly_once.broker.wire import Address

CORRELATION = struct.pack(">i", 1)


class Raw(NamedTuple):
    """Bytes sent without a length prefix before the connection is closed."""

    content: bytes


class Request(NamedTuple):
    """What the client asked: the fixed header fields and the body behind the header's tags."""

    api_key: int
    version: int
    correlation: int
    client_id: bytes
    body: bytes


class ScriptedBroker:
    """Answers one connection per scripted answer, in order. Use as a context."""

    def __init__(self, *answers: bytes | Raw) -> None:
        self.requests: list[Request] = []
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(5)
        self.address = Address(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(5)

    @property
    def bootstrap(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(_request(connection))
                connection.sendall(answer.content if isinstance(answer, Raw) else framed(CORRELATION + answer))


def framed(message: bytes) -> bytes:
    return struct.pack(">i", len(message)) + message


def _request(connection: socket.socket) -> Request:
    with connection.makefile("rb") as stream:
        (length,) = struct.unpack(">i", stream.read(4))
        message = stream.read(length)
    api_key, version, correlation, size = struct.unpack_from(">hhih", message)
    body_at = 10 + size + 1  # one byte of empty tags ends the flexible header
    assert message[10 + size : body_at] == b"\0"
    return Request(api_key, version, correlation, message[10 : 10 + size], message[body_at:])

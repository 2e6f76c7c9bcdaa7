"""An HTTP server in the place of an API process: it shows what nginx makes of a call, and fails when it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

DROP = "/drop"
"""Read whole, and never answered: the connection ends."""

BATCH = "/v1/transfers:batch"
EVENTS = "/v1/stream"
WAIT_S = 30
OWN_HSTS = "max-age=1"
"""Of an API process that knows it is called by TLS."""


class Seen:
    """What the servers of a test were asked, and what a test has seen of an answer."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.batch_begun = threading.Event()
        self.event_came = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: Seen

    def _answer(self) -> None:
        self.seen.calls.append((self.command, self.path))
        length = int(self.headers.get("Content-Length", 0))
        if self.path == BATCH:
            self.rfile.read(1)
            self.seen.batch_begun.set()
            length -= 1
        self.rfile.read(length)
        if self.path == DROP:
            self.close_connection = True
        elif self.path == EVENTS:
            self._stream()
        else:
            body = msgspec.json.encode({name.lower(): value for name, value in self.headers.items()})
            self._send(body, "application/json")

    do_GET = do_POST = _answer

    def _send(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Strict-Transport-Security", OWN_HSTS)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """The second event when somebody has seen the first."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        if self.seen.event_came.wait(WAIT_S):
            self.wfile.write(b"data: second\n\n")
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def upstream(port: int, seen: Seen) -> Iterator[None]:
    """Serves on loopback."""
    handler = type("Handler", (_Handler,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join()

"""A Maven mirror on loopback that misbehaves as told: cuts answers, ignores ranges, sends wrong bytes, refuses."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Mirror:
    """What it serves, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    url: str = ""
    cut_after: int | None = None
    """Close the connection after so many bytes of an answer."""

    cuts_left: int = 0
    ignores_ranges: bool = False
    status: int | None = None
    """Answer everything with this."""

    requests: list[tuple[str, int]] = field(default_factory=list)
    """Path and first byte asked for."""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Mirror]:
    """Serve until the block ends."""
    mirror = Mirror(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(mirror))
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    mirror.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(asked[1]) if asked else 0
            mirror.requests.append((path, first))
            if mirror.status or path not in mirror.files:
                self.send_error(mirror.status or 404)
                return
            self._send(mirror.files[path], 0 if mirror.ignores_ranges else first)

        def _send(self, content: bytes, first: int) -> None:
            body = content[first:]
            if first and not body:
                self.send_error(416)
                return
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if mirror.cut_after is not None and mirror.cuts_left > 0:
                mirror.cuts_left -= 1
                body = body[: mirror.cut_after]
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Requests are recorded, not printed."""

    return Handler

"""One connection of a caller: uvicorn's, with limits on what is sent before a call exists, and on how slowly.

Reads bytes of strangers; hands complete heads to the application. Guarantees: what is no HTTP, too long or too slow is
answered with a problem document and closed; a caller that reads nothing is dropped; each address and the process have a
number of connections that they don't exceed; trailers and offers of another protocol change nothing about a call.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Iterable
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingest_api.http.call import next_request_id
from ingest_api.http.edge.limits import DRAIN_BYTES_MAX, HEAD_BYTES_MAX, TIMES, TimeLimits
from ingest_api.problems import Fault, Problem, retry_later

_UPGRADE: Final = frozenset({b"upgrade", b"connection", b"http2-settings"})
_SPOKEN: Final = frozenset({"1.0", "1.1"})

_NO_HTTP: Final = Problem(Fault.REQUEST_MALFORMED, "This is not an HTTP/1.1 request that can be read in one way only.")
_HEAD_TOO_LONG: Final = Problem(
    Fault.HEADERS_TOO_LARGE, f"A request has at most {HEAD_BYTES_MAX} bytes before its body."
)
_TOO_SLOW: Final = Problem(Fault.REQUEST_TIMEOUT, "The request did not come to its end in time. Nothing was taken.")
_TOO_MANY: Final = retry_later(Fault.CONNECTIONS_TOO_MANY, "Close connections that are not used, or keep them open.", 1)


class Crowd:
    """How many connections a process has, and from where."""

    def __init__(self, limit: int, limit_per_address: int, trusted_proxies: str = "") -> None:
        self._limit = limit
        self._limit_per_address = limit_per_address
        self._proxies = tuple(_networks(trusted_proxies))
        """Many callers come from one of them: only the process's own limit counts."""
        self._count = 0
        self._by_address: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a connection; False where there are too many with it. It has to leave either way."""
        self._count += 1
        self._by_address[address] += 1
        if self._count > self._limit:
            return False
        return self._by_address[address] <= self._limit_per_address or self._is_proxy(address)

    def leave(self, address: str) -> None:
        self._count -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)


class _Reading(Enum):
    """What is awaited from the caller."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()
    NOTHING = auto()
    """It was refused, and may read why."""


class Connection(HttpToolsProtocol):
    """Made by uvicorn for each connection that it accepts."""

    def __init__(self, crowd: Crowd, times: TimeLimits = TIMES, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._crowd = crowd
        self._times = times
        self._reading = _Reading.REQUEST
        self._since_s = self.loop.time()
        """When it began to be awaited."""
        self._undelivered = 0
        """Bytes since a head, a part of a body or an end of a request was read out of them."""
        self._body_bytes = 0
        self._unread = 0, self._since_s
        """Bytes of answers that the caller has not taken, and when their number last changed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self._crowd.enter(self._address):
            self._refuse(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.leave(self._address)
        super().connection_lost(exc)

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def data_received(self, data: bytes) -> None:
        if self._reading is _Reading.NOTHING:
            return
        self._unset_keepalive_if_required()
        self._undelivered += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(_NO_HTTP)
        if self._undelivered > HEAD_BYTES_MAX:
            self._refuse(_HEAD_TOO_LONG)

    def _should_upgrade(self) -> bool:
        """True: no call is made of a head that offers another protocol until it was read without the offer."""
        return True

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """An offer of another protocol may be ignored (RFC 9110 §7.8). The parser can't: it stops, and would lose the
        body. Java's HttpClient sends one with each first request to an http:// address.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode("ascii")
        if method == b"CONNECT":
            self._refuse(_NO_HTTP)
            return
        lines = [b"%b: %b\r\n" % line for line in self.headers if line[0] not in _UPGRADE]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([b"%b %b HTTP/%b\r\n" % (method, self.url, version), *lines, b"\r\n", rest]))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await(_Reading.HEAD)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers are ignored: whoever looked at the headers has not seen them (RFC 9110 §6.5.1)."""
        if self._reading is _Reading.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in _SPOKEN:
            raise ValueError("HTTP/1.0 and 1.1 are spoken")  # becomes the parser's error
        super().on_headers_complete()
        self._await(_Reading.BODY)
        self._undelivered = 0

    def on_body(self, body: bytes) -> None:
        self._undelivered = 0
        self._body_bytes += len(body)
        if self._body_bytes > DRAIN_BYTES_MAX and self.cycle.response_complete:
            self.transport.abort()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._await(_Reading.REQUEST)
        self._undelivered = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._reading is _Reading.REQUEST:
            self._since_s = self.loop.time()
        super().on_response_complete()

    def _await(self, reading: _Reading) -> None:
        self._reading = reading
        self._since_s = self.loop.time()
        self._body_bytes = 0

    def look(self, now_s: float) -> None:
        """End what takes too long. Called once a second."""
        if self._leaves_answers_unread(now_s):
            self.transport.abort()
            return
        if self.flow.read_paused:
            self._since_s, self._body_bytes = now_s, 0  # it is we who don't read
        if now_s - self._since_s <= self._allowed_s():
            return
        if self._reading in (_Reading.HEAD, _Reading.BODY):
            self._refuse(_TOO_SLOW)
        elif self._reading is _Reading.NOTHING:
            self.transport.abort()
        elif self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _allowed_s(self) -> int:
        times = self._times
        match self._reading:
            case _Reading.HEAD:
                return times.head_s
            case _Reading.BODY:
                return times.body_s + self._body_bytes // times.body_bytes_per_s
            case _Reading.NOTHING:
                return times.linger_s
            case _Reading.REQUEST:
                return times.idle_s if self.cycle is not None else times.head_s

    def _leaves_answers_unread(self, now_s: float) -> bool:
        unread, since_s = self._unread
        size = self.transport.get_write_buffer_size()
        if size != unread:
            self._unread = size, now_s
            return False
        return size > 0 and now_s - since_s > self._times.unread_s

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem and read nothing more, unless that would look like the answer to another call: then the
        connection ends with the answers that are under way.
        """
        reading = self._reading
        if reading is _Reading.NOTHING or self.transport.is_closing():
            return
        self._await(_Reading.NOTHING)
        if reading is _Reading.BODY:
            self._refuse_rest(problem)
        elif self.cycle is None or self.cycle.response_complete:
            self._answer(problem)
        else:
            self.cycle.keep_alive = False

    def _refuse_rest(self, problem: Problem) -> None:
        """The call has begun, and learns that its caller went away."""
        is_open = not self.pipeline and not self.cycle.response_started
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if is_open:
            self._answer(problem)
        else:
            self.transport.close()

    def _answer(self, problem: Problem) -> None:
        request_id = next_request_id()
        answer = problem.answer("", request_id)
        status = HTTPStatus(answer.status)
        headers = [
            *self.server_state.default_headers,
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", request_id.encode("ascii")),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            *answer.headers,
        ]
        head = b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode("ascii"))
        self.transport.write(b"".join([head, *(b"%b: %b\r\n" % line for line in headers), b"\r\n", answer.body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()  # closed for good once the caller has read it, or lingered


def _networks(text: str) -> Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """As uvicorn reads MILLRACE_AUTH_TRUSTED_PROXIES: addresses and networks by commas, `*` for all."""
    for part in text.split(","):
        if part.strip() == "*":
            yield from (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
        elif part.strip():
            try:
                yield ipaddress.ip_network(part.strip(), strict=False)
            except ValueError:
                continue  # a socket's path

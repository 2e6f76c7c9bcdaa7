"""One HTTP call and its answer, the same for the short-circuit and for FastAPI.

Reads the ASGI scope and body. An operation is `async (services, call) -> Answer`; how it was routed is no matter.
"""

import itertools
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from runtime.log_lines import redacted
from runtime.personal_data.card_numbers import holds_card_number

JSON = b"application/json"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,128}")
_HEX = re.compile(rb"[0-9a-f-]{1,64}")
"""Ids of gateways and UUIDs: looked at in 1 µs. Any other is looked at whole, because ids go into logs, the audit log
and headers of records."""

_LENGTH_DIGITS_MAX = 18
"""No limit is anywhere near 10¹⁸ bytes, and `int` refuses more than 4,300 digits."""

_PROCESS = secrets.token_hex(6)
_numbers = itertools.count(1)

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """Status, body and headers beyond content type, length and request id."""

    status: int
    body: bytes
    headers: Headers = []  # noqa: RUF012 - never changed in place
    content_type: bytes = JSON


Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class BodyTooLarge(Exception):
    """The body is longer than the operation takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class Disconnected(Exception):
    """The caller went away before the body was complete: nothing was taken."""


class Call:
    """Method, path, headers and (once read) the body of one call."""

    __slots__ = ("_receive", "address", "headers", "path", "request_id")

    def __init__(self, path: str, headers: dict[bytes, bytes], receive: Receive, address: str = "") -> None:
        self.path = path
        self.address = address
        """Where the call comes from; the proxy's where it is not a trusted one."""
        self.headers = headers
        self.request_id = _request_id(headers)
        self._receive = receive

    @classmethod
    def of(cls, scope: Any, receive: Receive) -> "Call":
        return cls(scope["path"], dict(scope["headers"]), receive, (scope.get("client") or ("",))[0])

    def header(self, name: bytes) -> str | None:
        """A header as text, or None. `name` in lower case."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None

    def body_bytes(self, limit_bytes: int) -> int:
        """Declared length of the body, or the limit where none is declared. Raises BodyTooLarge."""
        declared = self.headers.get(b"content-length", b"")
        if not declared.isdigit():
            return limit_bytes
        digits = declared.lstrip(b"0") or b"0"
        if len(digits) > _LENGTH_DIGITS_MAX or int(digits) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        return int(digits)

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLarge before reading more than the limit, Disconnected."""
        self.body_bytes(limit_bytes)
        message = await self._receive()
        chunk: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body") and len(chunk) <= limit_bytes:
            return chunk
        return await self._long_body(message, limit_bytes)

    async def _long_body(self, message: Any, limit_bytes: int) -> bytes:
        body = bytearray()
        while message["type"] == "http.request":
            body += message.get("body", b"")
            if len(body) > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            if not message.get("more_body"):
                return bytes(body)
            message = await self._receive()
        raise Disconnected


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        text = given.decode("ascii")
        if (_HEX.fullmatch(given) and not holds_card_number(text)) or redacted(text) == text:
            return text
    return next_request_id()


def next_request_id() -> str:
    """The id of a call that brings none."""
    return f"{_PROCESS}-{next(_numbers):x}"


async def send_answer(send: Send, answer: Answer, request_id: str) -> None:
    """Write an answer with the headers that every answer carries."""
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", request_id.encode("ascii")),
        (b"cache-control", b"no-store"),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

"""What is wrong with a request before anybody looks at who sends it: its line, its headers, its framing, its origin.

The outermost ASGI application. What passes has each header that means something here once, a body as plain bytes, one
way to tell where it ends, and comes from no foreign web page.
"""

import re
from collections.abc import Container, Mapping
from typing import Any, Final

from ingest_api.http.call import Call, Receive, Send, send_answer
from ingest_api.http.edge.limits import HEADER_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX
from ingest_api.http.serving import Application
from ingest_api.problems import Fault, Problem

_ONCE: Final = frozenset(
    {
        b"authorization",
        b"consistency-token",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"origin",
        b"sec-fetch-site",
        b"stripe-signature",
        b"traceparent",
        b"transfer-encoding",
        b"x-request-id",
    }
)
"""Twice, one reader would take the first of them and another the last: a gateway and we, the log and the operation."""

_HOST: Final = re.compile(rb"[A-Za-z0-9._~:\[\]-]{0,255}")
_NUL: Final = b"%00"
"""Postgres takes none in a text, and no id has one: refused here for every route."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OF_OUR_PAGES: Final = frozenset({b"same-origin", b"none"})


class Edge:
    """Refuses what no operation has to see: 5 µs a call (6 headers, load 10)."""

    def __init__(self, app: Application, origins: Container[str]) -> None:
        self._app = app
        self._origins = origins
        """Of web pages on other hosts that may call."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        problem = head_problem(scope, self._origins) if scope["type"] == "http" else None
        if problem is None:
            await self._app(_as_get(scope) if scope.get("method") == "HEAD" else scope, receive, send)
            return
        call = Call.of(scope, receive)
        await send_answer(send, problem.answer(call.path[:TARGET_BYTES_MAX], call.request_id), call.request_id)


def _as_get(scope: Any) -> Any:
    """HEAD is GET without the body, on every route (RFC 9110 §9.3.2); the server, which keeps the method that was sent,
    leaves the body out.
    """
    return {**scope, "method": "GET"}


def head_problem(scope: Any, origins: Container[str]) -> Problem | None:
    """Why a request goes no further, or None."""
    path, query = scope.get("raw_path") or b"", scope["query_string"]
    if len(path) + len(query) > TARGET_BYTES_MAX:
        return Problem(Fault.TARGET_TOO_LONG, f"Path and query have at most {TARGET_BYTES_MAX} bytes.")
    if _NUL in path or _NUL in query:
        return _malformed("Leave %00 out of path and query: no id and no text has a NUL.")
    headers = scope["headers"]
    if len(headers) > HEADERS_MAX:
        return Problem(Fault.HEADERS_TOO_LARGE, f"Send at most {HEADERS_MAX} headers.")
    size = 0
    once: dict[bytes, bytes] = {}
    for name, value in headers:
        size += len(name) + len(value)
        if name in _ONCE:
            if name in once:
                return _malformed(f"Send the header {name.decode('ascii')} once.")
            once[name] = value
    if size > HEADER_BYTES_MAX:
        detail = f"All headers together have at most {HEADER_BYTES_MAX} bytes."
        return Problem(Fault.HEADERS_TOO_LARGE, detail)
    return _framing_problem(scope["http_version"], once) or _origin_problem(scope["method"], once, origins)


def _framing_problem(http_version: str, once: Mapping[bytes, bytes]) -> Problem | None:
    """What RFC 9112 leaves no choice about, and the one coding of bodies: none."""
    host = once.get(b"host")
    if http_version == "1.1" and host is None:
        return _malformed("Send a Host header.")
    if host is not None and not _HOST.fullmatch(host):
        return _malformed("The Host header is not a host.")
    transfer_coding = once.get(b"transfer-encoding")
    if transfer_coding is not None and (transfer_coding.strip().lower() != b"chunked" or http_version != "1.1"):
        detail = "Transfer-Encoding may only be chunked, with HTTP/1.1."
        return Problem(Fault.REQUEST_MALFORMED, detail, headers={"Connection": "close"})  # its end may be elsewhere
    if once.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        accepted = {"Accept-Encoding": "identity"}
        return Problem(Fault.MEDIA_TYPE, "Send the body as it is, without Content-Encoding.", headers=accepted)
    return None


def _origin_problem(method: str, once: Mapping[bytes, bytes], origins: Container[str]) -> Problem | None:
    """A browser says from where a page calls; other callers say nothing, and pass. No cookie means anything to the API,
    so no page could act in another's name; this also holds for the console, whose cookie other sites never send, and
    where a browser keeps a password or a network is the only lock.
    """
    site, origin = once.get(b"sec-fetch-site"), once.get(b"origin")
    if method in _READING or (site is None and origin is None) or site in _OF_OUR_PAGES:
        return None
    named = (origin or b"").decode("latin-1")
    if named in origins or (site is None and named.partition("://")[2].encode("latin-1") == once.get(b"host")):
        return None
    return Problem(Fault.ORIGIN_REFUSED, "Pages of this origin may not call: MILLRACE_API_CORS_ORIGINS names those.")


def _malformed(detail: str) -> Problem:
    return Problem(Fault.REQUEST_MALFORMED, detail)

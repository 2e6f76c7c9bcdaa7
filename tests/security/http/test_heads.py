"""Goal: of what an operation reads, nothing comes twice, coded, or from a web page that was not let in; every answer
tells browsers to make nothing of it.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from ingest_api.app import make_fastapi
from ingest_api.http.edge.answer_headers import always
from ingest_api.http.edge.limits import HEADER_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX
from ingest_api.http.edge.origins import with_origins
from tests.security.http.served import Served, problem_in, serving

PAGE = b"https://console.example"
LAST = b"Connection: close\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


def asked(
    served: Served, *lines: bytes, method: bytes = b"POST", target: bytes = b"/", host: bytes = b"Host: x"
) -> bytes:
    head = [method + b" " + target + b" HTTP/1.1", *([host] if host else []), b"Connection: close", *lines]
    return served.ask(b"\r\n".join(head) + b"\r\nContent-Length: 2\r\n\r\n{}")


REFUSED: dict[str, tuple[list[bytes], int, str]] = {
    "two tokens": ([b"Authorization: Bearer a", b"Authorization: Bearer b"], 400, "request_malformed"),
    "two keys": ([b"Idempotency-Key: a", b"idempotency-key: a"], 400, "request_malformed"),
    "two hosts": ([b"Host: y"], 400, "request_malformed"),
    "two request ids": ([b"X-Request-Id: a", b"X-Request-Id: b"], 400, "request_malformed"),
    "gzip": ([b"Content-Encoding: gzip"], 415, "media_type_unsupported"),
    "gzip in gzip": ([b"Content-Encoding: gzip, gzip"], 415, "media_type_unsupported"),
    "too many headers": ([b"X-A: b"] * HEADERS_MAX, 431, "headers_too_large"),
    "headers too large": ([b"X-A: " + b"a" * HEADER_BYTES_MAX], 431, "headers_too_large"),
    "a page of another host": ([b"Origin: https://evil.example"], 403, "origin_refused"),
    "a page of another site": ([b"Sec-Fetch-Site: cross-site"], 403, "origin_refused"),
    "a page beside ours": ([b"Sec-Fetch-Site: same-site", b"Origin: https://x.x"], 403, "origin_refused"),
    "a page without origin": ([b"Origin: null"], 403, "origin_refused"),
}


@pytest.mark.parametrize(("lines", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_head_that_no_operation_has_to_see_is_refused(
    served: Served, lines: list[bytes], status: int, code: str
) -> None:
    served.echo.reached.clear()
    assert problem_in(asked(served, *lines)) == (status, code)
    assert served.echo.reached == []
    assert served.is_alive()


@pytest.mark.parametrize("host", [b"", b"Host: a b", b"Host: x/../y", b"Host: <script>"])
def test_a_host_is_needed_and_is_a_host(served: Served, host: bytes) -> None:
    assert problem_in(asked(served, host=host)) == (400, "request_malformed")


def test_a_target_has_an_end(served: Served) -> None:
    for target in (b"/" + b"a" * TARGET_BYTES_MAX, b"/?a=" + b"a" * TARGET_BYTES_MAX):
        assert problem_in(asked(served, target=target)) == (414, "target_too_long")


@pytest.mark.parametrize(
    "lines",
    [
        [b"Sec-Fetch-Site: same-origin", b"Origin: https://x"],
        [b"Sec-Fetch-Site: none"],
        [b"Origin: https://x"],
        [b"Sec-Fetch-Site: cross-site", b"Origin: " + PAGE],
        [b"Content-Encoding: identity"],
        [b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-For: 5.6.7.8", b"Prefer: a", b"Prefer: b"],
    ],
    ids=["our page", "a person", "our page in an old browser", "a page let in", "no coding", "lists"],
)
def test_what_is_right_goes_through(served: Served, lines: list[bytes]) -> None:
    assert asked(served, *lines).startswith(b"HTTP/1.1 200")


def test_a_page_of_another_site_may_look_but_not_read(served: Served) -> None:
    """Links lead here; without CORS a browser shows a page nothing of the answer."""
    answer = asked(served, b"Sec-Fetch-Site: cross-site", b"Origin: https://evil.example", method=b"GET")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"access-control" not in answer.lower()


def test_no_value_of_a_caller_begins_a_header_of_an_answer(served: Served) -> None:
    """CR and LF percent-encoded in the path, and every other control character in what is echoed."""
    answer = asked(served, b"X-Request-Id: a\tSet-Cookie: b", target=b"/a%0d%0aSet-Cookie:%20b")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"set-cookie" not in head.lower()
    assert json.loads(body)["path"] == "/a\r\nSet-Cookie: b"


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\nHost: x\r\n" + LAST + b"\r\n", b"no HTTP\r\n\r\n"], ids=["200", "400"]
)
def test_every_answer_carries_the_headers_for_browsers_and_none_about_the_server(served: Served, sent: bytes) -> None:
    head = served.ask(sent).partition(b"\r\n\r\n")[0].decode()
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    assert lines.items() >= dict(always(by_tls=True)).items()
    assert lines["strict-transport-security"].startswith("max-age=31536000")
    assert lines["cache-control"] == "no-store"
    assert not {"server", "x-powered-by"} & lines.keys()


def test_without_tls_nobody_is_told_to_use_it() -> None:
    assert "strict-transport-security" not in dict(always(by_tls=False))


async def test_pages_of_the_settings_origins_are_told_so_and_others_are_not() -> None:
    """By Starlette's CORS, which the application has only where there are such origins."""

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("a preflight goes no further")

    async def receive() -> None:
        raise AssertionError("a preflight has no body")

    assert with_origins(app, ()) is app
    asking = with_origins(app, ("https://console.example",))
    for origin, method, status in (
        ("https://console.example", "POST", 200),
        ("https://evil.example", "POST", 403),
        ("https://console.example", "TRACE", 403),
    ):
        sent: list[dict[str, object]] = []

        async def send(message: dict[str, object], into: list[dict[str, object]] = sent) -> None:
            into.append(message)

        headers = [(b"origin", origin.encode()), (b"access-control-request-method", method.encode())]
        await asking({"type": "http", "method": "OPTIONS", "path": "/v1/transfers", "headers": headers}, receive, send)
        assert sent[0]["status"] == status
        named = dict(sent[0]["headers"])  # type: ignore[call-overload]
        assert (named.get(b"access-control-allow-origin") == origin.encode()) == (status == 200)
        assert b"access-control-allow-credentials" not in named


async def test_the_page_of_documents_runs_its_own_script_alone_and_no_path_redirects() -> None:
    transport = httpx.ASGITransport(make_fastapi())
    async with httpx.AsyncClient(transport=transport, base_url="http://elsewhere.example") as caller:
        page = await caller.get("/docs")
        slashed = await caller.get("/docs/")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert slashed.status_code == 404
    assert "location" not in slashed.headers

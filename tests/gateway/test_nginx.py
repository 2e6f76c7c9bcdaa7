"""Goal: what the generated configuration makes nginx do: to whom it sends a call, how often, and what it lets through.

Method: a real nginx in front of two servers that say what they were asked, and of a port where nobody listens.
"""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from ingest_api.http.edge.answer_headers import HSTS, always
from millrace.environment import ports
from millrace.environment.layout import Home
from millrace.environment.security.certificates import ensure_gateway_certificate
from millrace.gateway.configuration import Gateway, Upstream, nginx_configuration
from millrace.gateway.containers import CONTAINERS, PAGE
from millrace.gateway.running import Nginx, find_nginx, gateway_of
from runtime.settings import Settings
from tests.gateway.upstream import BATCH, DROP, EVENTS, OWN_HSTS, WAIT_S, Seen, upstream
from tests.support.waiting import eventually


class Running(NamedTuple):
    """nginx, its gateway and a caller that trusts it."""

    nginx: Nginx
    gateway: Gateway
    context: ssl.SSLContext
    http: httpx.Client
    seen: Seen

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.gateway.port), timeout=WAIT_S)
        return self.context.wrap_socket(plain, server_hostname="localhost")

    def change(self, gateway: Gateway) -> None:
        self.nginx.configure(nginx_configuration(gateway))
        self.nginx.reload()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("gateway")
    home, base = Home(root), ports.free_base([1, 2, 3])
    home.gateway.mkdir()
    ensure_gateway_certificate(home)
    settings = Settings(home=root, gateway_port=base)
    gateway = gateway_of(settings, tuple(Upstream("127.0.0.1", base + number) for number in (1, 2, 3)))
    nginx, seen = Nginx(find_nginx(settings), home), Seen()
    nginx.configure(nginx_configuration(gateway))
    context = ssl.create_default_context(cafile=str(home.gateway_authority))
    each_anew = httpx.Limits(max_keepalive_connections=0)
    with (
        upstream(base + 1, seen),
        upstream(base + 2, seen),
        started(nginx, base),
        httpx.Client(base_url=f"https://localhost:{base}", verify=context, limits=each_anew, timeout=WAIT_S) as http,
    ):
        yield Running(nginx, gateway, context, http, seen)


@contextmanager
def started(nginx: Nginx, port: int) -> Iterator[None]:
    nginx.start()
    try:
        eventually(lambda: not ports.is_free(port))
        yield
    finally:
        nginx.stop()


def test_a_post_goes_elsewhere_only_while_nothing_of_it_was_sent(running: Running) -> None:
    """A third of the processes refuse connections; nobody notices. One that has the call has it alone."""
    assert [running.http.post("/v1/transfers", json={}).status_code for _ in range(12)] == [200] * 12
    lost = running.http.post(DROP, json={})
    assert (lost.status_code, lost.json()["code"]) == (503, "outcome_unknown")
    assert lost.headers["retry-after"] == "2"
    assert running.seen.calls.count(("POST", DROP)) == 1
    assert running.http.get(DROP).json()["code"] == "outcome_unknown"
    assert running.seen.calls.count(("GET", DROP)) == 2, "a read is asked of the other process, too"


def test_a_request_has_an_id_and_its_true_address(running: Running) -> None:
    spoofed = {"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7", "X-Forwarded-Proto": "http"}
    told = running.http.get("/v1/accounts", headers=spoofed | {"X-Request-Id": "mine-1"}).json()
    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert "forwarded" not in told
    assert told["x-request-id"] == "mine-1"
    first, second = (
        running.http.get("/v1/accounts", headers={"X-Request-Id": given}).json()["x-request-id"]
        for given in ('"},{', "")
    )
    assert len(first) == len(second) == 32
    assert first != second


def test_a_trusted_proxy_tells_whose_call_it_is(running: Running) -> None:
    running.change(running.gateway._replace(trusted_proxies=("127.0.0.0/8",)))
    chain = {"X-Forwarded-For": "203.0.113.9, 192.0.2.7"}
    eventually(lambda: running.http.get("/", headers=chain).json()["x-forwarded-for"] == "192.0.2.7")
    running.change(running.gateway)
    eventually(lambda: running.http.get("/", headers=chain).json()["x-forwarded-for"] == "127.0.0.1")


def test_what_is_too_much_is_refused_in_the_words_of_the_api(running: Running) -> None:
    large = running.http.post("/v1/transfers", content=b" " * ((1 << 20) + 1), headers={"X-Request-Id": "large"})
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert large.json()["request_id"] == large.headers["x-request-id"] == "large"
    assert large.headers["content-type"] == "application/problem+json"
    running.change(running.gateway._replace(requests_per_s=1))
    eventually(lambda: running.http.get("/").status_code == 429)
    refused = running.http.get("/")
    running.change(running.gateway)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "1")
    eventually(lambda: running.http.get("/").status_code == 200)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("path", ["/metrics", "//metrics?x=1", "/v1/../metrics", "/%6detrics"])
def test_figures_of_a_process_are_not_for_the_outside(running: Running, path: str) -> None:
    with running.connect() as caller:
        caller.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: caller.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 404"), answer
    assert b'"code":"route_unknown"' in answer
    assert not [called for _, called in running.seen.calls if "etrics" in called]


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ("GET /../../etc/passwd HTTP/1.1", 400, "request_malformed"),
        ("GET /v1/accounts/%00 HTTP/1.1", 400, "request_malformed"),
        ("GET /" + "a" * 16_500 + " HTTP/1.1", 414, "target_too_long"),
        ("OPTIONS * HTTP/1.1", 400, "request_malformed"),
        ("TRACE /v1/transfers HTTP/1.1", 405, "method_not_allowed"),
        ("POST /v1/transfers HTTP/1.1\r\nTransfer-Encoding: xchunked", 400, "request_malformed"),
        ("PRI * HTTP/2.0", 400, "request_malformed"),
        ("\0garbage", 400, "request_malformed"),
        ("GET /.gateway/malformed HTTP/1.1", 404, "route_unknown"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_request_is_told_so_and_is_no_error_of_ours(
    running: Running, line: str, status: int, code: str
) -> None:
    """Regression: nginx answered a page of its own, 500 where it had read no path."""
    with running.connect() as caller:
        caller.sendall(f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: caller.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status), answer
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert f"X-Request-Id: {problem['request_id']}".encode() in head
    assert (b"allow: delete, get," in head.lower()) == (status == 405)
    assert not [f"{name}: {value}" for name, value in always(by_tls=False) if f"{name}: {value}".encode() not in head]


def test_browsers_that_came_once_come_with_tls_only_and_are_told_so_once(running: Running, tmp_path: Path) -> None:
    """Regression: what nginx answers itself told a browser nothing, and an answer of the API told it this twice."""
    name, value = HSTS
    assert running.http.get("/").headers[name] == OWN_HSTS, "who tries it out on a machine of its own"
    home, port = Home(tmp_path), ports.free_base([])
    home.gateway.mkdir()
    nginx = Nginx(find_nginx(Settings(home=tmp_path)), home)
    nginx.configure(nginx_configuration(running.gateway._replace(host="0.0.0.0", port=port, folder=home.gateway)))
    with started(nginx, port):
        answers = [running.http.get(f"https://localhost:{port}{path}") for path in ("/", "/metrics")]
    assert [answer.headers.get_list(name) for answer in answers] == [[value], [value]]


def test_an_old_caller_without_a_host_is_served(running: Running) -> None:
    """Regression: probes of some balancers speak HTTP/1.0, whose requests need no Host; the API refused what came."""
    with running.connect() as caller:
        caller.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: caller.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert json.loads(body)["host"] == "localhost"


def test_old_tls_and_plain_http_are_refused(running: Running) -> None:
    old = ssl.create_default_context(cafile=None)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")  # or the caller itself would not do it
    with (
        socket.create_connection(("127.0.0.1", running.gateway.port), timeout=WAIT_S) as plain,
        pytest.raises(ssl.SSLError, match="TLSV1_ALERT_PROTOCOL_VERSION"),
    ):
        old.wrap_socket(plain)
    answer = httpx.get(f"http://localhost:{running.gateway.port}/")
    assert (answer.status_code, answer.json()["code"]) == (400, "request_malformed")


def test_a_batch_goes_on_while_it_comes_and_an_event_comes_at_once(running: Running) -> None:
    head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with running.connect() as caller:
        caller.sendall(f"POST {BATCH} {head}Content-Length: 4\r\n\r\n{{}}".encode())
        assert running.seen.batch_begun.wait(WAIT_S), "it is held back until it is whole"
        caller.sendall(b"\n\n")
        assert caller.recv(12) == b"HTTP/1.1 200"
    with running.connect() as caller:
        caller.sendall(f"GET {EVENTS} {head}Accept: text/event-stream\r\n\r\n".encode())
        got = b""
        while b"first" not in got:
            got += caller.recv(4096)
        running.seen.event_came.set()
        while b"second" not in got:
            got += caller.recv(4096)


def test_a_reload_loses_no_call(running: Running) -> None:
    """Both with an upstream more and with one less, while others call."""
    statuses: list[int] = []
    enough = threading.Event()

    def call() -> None:
        while not enough.is_set():
            statuses.append(running.http.post("/v1/transfers", json={}).status_code)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for number in range(6):
        taken = running.gateway.upstreams[: 2 - number % 2]
        running.change(running.gateway._replace(upstreams=taken))
        enough_calls = len(statuses) + 20
        eventually(partial(_is_at_least, statuses, enough_calls))
    enough.set()
    for caller in callers:
        caller.join()
    assert set(statuses) == {200}
    assert not running.nginx.has_ended
    running.change(running.gateway)


def _is_at_least(values: list[int], count: int) -> bool:
    return len(values) >= count


def test_the_file_for_containers_is_up_to_date() -> None:
    assert PAGE.read_text() == nginx_configuration(CONTAINERS), "run `python -m millrace.gateway.containers`"

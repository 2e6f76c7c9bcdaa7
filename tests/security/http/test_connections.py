"""Goal: what is no HTTP, too long or too slow is refused by a problem document and closed, and others are served on.

Method: bytes on real sockets, to the server that the API process runs; the clock is moved, nothing waits for it.
"""

import json
from collections.abc import Iterator

import pytest

from ingest_api.http.edge.connection import Crowd
from ingest_api.http.edge.limits import DRAIN_BYTES_MAX, HEAD_BYTES_MAX, TIMES
from tests.security.http.served import LARGE, Served, one_answer, problem_in, rest_of, serving
from tests.support.waiting import eventually

HOST = b"Host: x\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
LAST = b"Connection: close\r\n"
MALFORMED = (400, "request_malformed")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


SMUGGLED = {
    "a length and chunks": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    "chunks and a length": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "a length in hexadecimal": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length beyond 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "another transfer coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks, then something else": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "something, then chunks": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two transfer codings": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded line": GET + b"X-A: one\r\n two\r\n\r\n",
    "lines without CR": b"GET / HTTP/1.1\nHost: x\n\n",
    "chunks without CR": CHUNKED + b"\r\n2\n{}\n0\n\n",
    "a chunk size in hexadecimal": CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a bare CR in a value": GET + b"X-A: a\rX-B: b\r\n\r\n",
    "a NUL in a value": GET + b"X-A: a\x00b\r\n\r\n",
    "a space in a name": GET + b"X A: b\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT elsewhere:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path beyond ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\x00" * 64,
}


@pytest.mark.parametrize("sent", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_what_can_be_read_in_two_ways_is_refused_and_closed(served: Served, sent: bytes) -> None:
    """RFC 9112 §2.2, §5, §6.3, §11.2."""
    assert problem_in(served.ask(sent)) == MALFORMED
    assert served.is_alive()


def test_a_head_without_end_is_refused(served: Served) -> None:
    for endless in (GET + b"X-A: " + b"a" * HEAD_BYTES_MAX, b"GET /" + b"a" * HEAD_BYTES_MAX, b"\r\n" * HEAD_BYTES_MAX):
        assert problem_in(served.ask(endless)) == (431, "headers_too_large")
    assert served.is_alive()


def test_trailers_change_nothing_and_end(served: Served) -> None:
    """What was not there when the headers were looked at is no header."""
    trailers = b"Authorization: Bearer other\r\nX-Forwarded-For: 10.0.0.1\r\nIdempotency-Key: other\r\n"
    answer = served.ask(CHUNKED + LAST + b"\r\n2;of=no\r\n{}\r\n0\r\n" + trailers + b"\r\n")
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["body"] == "{}"
    assert [name for name, _ in told["headers"]] == ["host", "transfer-encoding", "connection"]
    endless = served.ask(
        CHUNKED + b"\r\n0\r\nX-A: " + b"a" * (32 * HEAD_BYTES_MAX)
    )  # a read of the server is at most 256 KiB
    assert problem_in(endless) == (431, "headers_too_large")


def test_an_offer_of_another_protocol_is_ignored_and_the_body_kept(served: Served) -> None:
    """As Java's HttpClient sends its first request; the whole of it, and in two pieces."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    second = GET + LAST + b"\r\n"
    with served.connect() as caller:
        caller.sendall(POST + offer + b"Content-Length: 4\r\n\r\n{}")
        served.until_reached("/")
        caller.sendall(b"{}" + second)
        first, _, rest = rest_of(caller).partition(b"HTTP/1.1 200 OK")[2].partition(b"HTTP/1.1 200 OK")
    told = json.loads(first.partition(b"\r\n\r\n")[2])
    assert told["body"] == "{}{}"
    assert not {name for name, _ in told["headers"]} & {"upgrade", "connection", "http2-settings"}
    assert rest


@pytest.mark.parametrize("sent", [b"", b"G", GET + b"X-A: a"], ids=["nothing", "a letter", "half a head"])
def test_a_head_that_does_not_come_to_its_end_is_cut_off(served: Served, sent: bytes) -> None:
    """Slow loris. A connection on which nothing was asked is closed without a word."""
    with served.connect() as caller:
        caller.sendall(sent)
        served.until_undelivered(len(sent))
        served.look(after_s=TIMES.head_s - 1)
        served.look(after_s=TIMES.head_s + 1)
        received = rest_of(caller)
    assert problem_in(received) == (408, "request_timeout") if sent else received == b""
    assert served.is_alive()


def test_a_connection_may_rest_between_calls_and_a_second_head_has_to_end_too(served: Served) -> None:
    with served.connect() as caller:
        caller.sendall(GET + b"\r\n")
        assert one_answer(caller).startswith(b"HTTP/1.1 200")
        served.look(after_s=TIMES.idle_s - 5)
        caller.sendall(b"\r\n")  # ends uvicorn's own wait for the next call, and is no call
        served.until_undelivered(2)
        caller.sendall(b"GET")
        served.until_undelivered(5)
        served.look(after_s=TIMES.head_s + 1)
        assert problem_in(rest_of(caller)) == (408, "request_timeout")


def test_an_idle_connection_ends_whatever_was_sent_between_calls(served: Served) -> None:
    with served.connect() as caller:
        caller.sendall(GET + b"\r\n")
        assert one_answer(caller).startswith(b"HTTP/1.1 200")
        caller.sendall(b"\r\n")
        served.until_undelivered(2)
        served.look(after_s=TIMES.idle_s + 1)
        assert rest_of(caller) == b""


def test_a_body_that_comes_too_slowly_is_cut_off_and_the_call_ends(served: Served) -> None:
    """Each KiB buys a second. The operation learns that its caller is gone; nothing of the body was taken."""
    with served.connect() as caller:
        caller.sendall(POST + b"Content-Length: 9000\r\n\r\n" + b"x" * 4096)
        served.until_body(4096)
        served.look(after_s=TIMES.body_s + 3)
        caller.sendall(b"x" * 1024)
        served.until_body(5120)
        served.look(after_s=TIMES.body_s + 6)
        assert problem_in(rest_of(caller)) == (408, "request_timeout")
    assert served.is_alive()


def test_a_call_that_waits_for_its_outcome_is_not_slow(served: Served) -> None:
    with served.connect() as caller:
        caller.sendall(b"GET /late HTTP/1.1\r\n" + HOST + LAST + b"\r\n")
        served.until_reached("/late")
        served.look(after_s=10 * TIMES.idle_s)
        served.release()
        assert rest_of(caller).startswith(b"HTTP/1.1 200")


def test_a_body_behind_its_answer_is_read_up_to_a_limit(served: Served) -> None:
    """So far that a caller who sends on sees the refusal."""
    with served.connect() as caller:
        caller.sendall(b"POST /unread HTTP/1.1\r\n" + HOST + b"Content-Length: 999999999999\r\n\r\n")
        assert one_answer(caller).startswith(b"HTTP/1.1 200")
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            caller.sendall(b"x" * 4 * DRAIN_BYTES_MAX)
    assert served.is_alive()


def test_who_leaves_an_answer_unread_is_dropped(served: Served) -> None:
    with served.connect() as caller:
        caller.sendall(b"GET /large HTTP/1.1\r\n" + HOST + LAST + b"\r\n")
        served.until_unread()
        served.look(after_s=0)
        served.look(after_s=TIMES.unread_s + 1)
        assert len(rest_of(caller)) < len(LARGE)
    assert served.is_alive()


def test_what_follows_a_call_is_never_taken_for_its_answer(served: Served) -> None:
    """A transfer that was made must not look refused because of the bytes behind it."""
    served.echo.reached.clear()
    with served.connect() as caller:
        caller.sendall(b"GET /late HTTP/1.1\r\n" + HOST + b"\r\n" + b"no HTTP\r\n\r\n")
        served.until_reached("/late")
        served.release()
        answer = rest_of(caller)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_pipelined_calls_are_answered_in_their_order(served: Served) -> None:
    answers = served.ask(
        b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(200)) + GET + LAST + b"\r\n"
    )
    told = [json.loads(piece.partition(b"\r\n\r\n")[2])["path"] for piece in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert told == [*(f"/{n}" for n in range(200)), "/"]


def test_connections_are_counted_by_address_and_for_the_process() -> None:
    crowd = Crowd(3, 2, "10.0.0.0/8, /run/gateway.sock")
    assert [crowd.enter("192.0.2.1") for _ in range(2)] == [True, True]
    assert not crowd.enter("192.0.2.1")
    crowd.leave("192.0.2.1")
    crowd.leave("192.0.2.1")
    assert [crowd.enter("10.0.0.1") for _ in range(3)] == [True, True, False]  # a proxy: the process's limit alone
    for address in ("192.0.2.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"):
        crowd.leave(address)
    assert crowd.enter("2001:db8::1")


def test_one_connection_too_many_is_refused_and_room_is_made_by_one_that_ends() -> None:
    with serving(Crowd(2, 2)) as served:
        first, second, third = served.connect(), served.connect(), served.connect()
        with first, second, third:
            assert problem_in(rest_of(third)) == (503, "too_many_connections")
            third.close()
            first.close()
            eventually(served.is_alive, "a place for somebody else")

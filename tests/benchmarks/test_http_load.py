"""Goal: the load generator sends each request once, never two on one connection, and reports a lost server at once."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.http_load import Answer, LoadClient
from tests.benchmarks.keep_alive_server import Received, answer, keep_alive_server

PROMPT_S = 2.0
"""A request that is still open after this hangs: these servers answer within a millisecond."""


def echo(received: Received) -> bytes:
    return answer(200, received.body, "X-Path: " + received.line.split()[1])


async def run(client: LoadClient, requests: Iterator[bytes], connections: int) -> list[Answer]:
    answers: list[Answer] = []
    async with asyncio.timeout(PROMPT_S):
        await client.run(requests, connections, answers.append)
    return answers


@pytest.mark.parametrize("connections", [1, 3, 8])
async def test_every_request_is_sent_once_and_answered_once(connections: int) -> None:
    async with keep_alive_server(echo) as (server, url):
        client = LoadClient(url, "t")
        requests = (client.request("POST", "/x", b"%d" % number) for number in range(40))
        answers = await run(client, requests, connections)
        client.close()
    expected = Counter(b"%d" % number for number in range(40))
    assert Counter(received.body for received in server.received) == expected
    assert Counter(found.body for found in answers) == expected
    assert (server.connections, server.most_open) == (connections, connections)


async def test_connections_are_kept_between_runs_and_only_the_missing_ones_are_opened() -> None:
    async with keep_alive_server(echo) as (server, url):
        client = LoadClient(url, "t")
        for connections in (2, 5, 3):
            await run(client, iter([client.request("GET", "/x")] * 20), connections)
        assert len(client.connections) == 5
        client.close()
        assert client.connections == []
    assert server.connections == 5
    assert {received.connection for received in server.received[40:]} <= {1, 2, 3}, "three of five were asked for"


async def test_no_requests_are_no_answers() -> None:
    async with keep_alive_server(echo) as (server, url):
        client = LoadClient(url, "t")
        assert await run(client, iter(()), 4) == []
        client.close()
    assert server.received == []


async def test_a_request_carries_host_token_length_and_the_headers_that_were_named() -> None:
    async with keep_alive_server(echo) as (server, url):
        client = LoadClient(url, "se.cr.et")
        request = client.request("POST", "/v1/transfers", b"{}", Idempotency_Key="k_1", Prefer="wait=0")
        await run(client, iter([request]), 1)
        client.close()
    [received] = server.received
    assert received.line == "POST /v1/transfers HTTP/1.1"
    assert received.headers == {
        "host": url.removeprefix("http://"),
        "authorization": "Bearer se.cr.et",
        "idempotency-key": "k_1",
        "prefer": "wait=0",
        "content-length": "2",
    }


@given(body=st.binary(max_size=300), path=st.from_regex(r"/[a-z/]{0,20}", fullmatch=True))
@settings(max_examples=40)
def test_the_length_announced_is_the_length_sent(body: bytes, path: str) -> None:
    head, blank, sent = LoadClient("http://h:1", "t").request("POST", path, body).partition(b"\r\n\r\n")
    assert (blank, sent) == (b"\r\n\r\n", body)
    assert head.startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert head.endswith(b"Content-Length: %d" % len(body))


async def test_status_headers_and_body_belong_to_their_own_answer() -> None:
    """A second answer on the same connection must show nothing of the first."""

    def respond(received: Received) -> bytes:
        return answer(201, b"long body", "X-First: yes") if received.body == b"1" else answer(404)

    async with keep_alive_server(respond) as (_, url):
        client = LoadClient(url, "t")
        first, second = await run(client, (client.request("POST", "/", body) for body in (b"1", b"2")), 1)
        client.close()
    assert (first.status, first.body, first.headers["x-first"]) == (201, b"long body", "yes")
    assert (second.status, second.body) == (404, b"")
    assert "x-first" not in second.headers


async def test_a_chunked_answer_is_whole() -> None:
    chunked = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with keep_alive_server(lambda _: chunked) as (_, url):
        client = LoadClient(url, "t")
        answers = await run(client, iter([client.request("GET", "/")] * 2), 1)
        client.close()
    assert [found.body for found in answers] == [b"abcde", b"abcde"]


@pytest.mark.parametrize(
    "cut",
    [b"", b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf", b"this is not HTTP\r\n\r\n"],
    ids=["no answer", "half an answer", "not HTTP"],
)
async def test_a_server_that_cuts_the_line_is_an_error_not_a_wait(cut: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(cut)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        client = LoadClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "t")
        with pytest.raises(ExceptionGroup) as failed:
            await run(client, iter([client.request("GET", "/")]), 1)
        client.close()
    assert failed.group_contains(ConnectionError, match="the server closed the connection")


async def test_a_connection_that_was_lost_while_idle_is_an_error_not_a_wait() -> None:
    """Between two runs the server may close what it kept; the next request has nobody who could answer it."""

    def once(_: Received) -> bytes:
        return answer(200, b"", "Connection: close")

    async with keep_alive_server(once) as (_, url):
        client = LoadClient(url, "t")
        await client.connect(1)
        [connection] = client.connections
        await asyncio.wait_for(connection.ask(client.request("GET", "/")), PROMPT_S)
        connection.close()
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionError, match="the server closed the connection"):
            await asyncio.wait_for(connection.ask(client.request("GET", "/")), PROMPT_S)


async def test_a_refusal_in_the_callback_ends_the_run() -> None:
    def refuse(found: Answer) -> None:
        raise ValueError(f"refused: {found.status}")

    async with keep_alive_server(lambda _: answer(422)) as (server, url):
        client = LoadClient(url, "t")
        endless = iter(lambda: client.request("GET", "/"), b"")
        with pytest.raises(ExceptionGroup) as failed:
            async with asyncio.timeout(PROMPT_S):
                await client.run(endless, 2, refuse)
        client.close()
    assert failed.group_contains(ValueError, match="refused: 422")
    assert len(server.received) <= 4, "the other connections stop with the first refusal"


@pytest.mark.parametrize(
    ("url", "host"), [("http://127.0.0.1:8080", "127.0.0.1:8080"), ("http://api.example", "api.example")]
)
def test_the_host_is_named_as_the_url_says(url: str, host: str) -> None:
    assert f"\r\nHost: {host}\r\n".encode() in LoadClient(url, "t").request("GET", "/")

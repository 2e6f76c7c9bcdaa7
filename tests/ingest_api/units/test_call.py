"""Goal: a body is read up to its limit and no further, a request id never steers a header, every answer is complete."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.http.call import Answer, BodyTooLarge, Call, Disconnected, send_answer

LIMIT = 1_000


class Caller:
    """Sends the messages given, one by one, and counts how many were taken."""

    def __init__(self, messages: Iterable[dict[str, Any]]) -> None:
        self._messages = list(messages)
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        return self._messages.pop(0)


def parts(*chunks: bytes) -> list[dict[str, Any]]:
    """A body in this many messages."""
    last = len(chunks) - 1
    return [{"type": "http.request", "body": chunk, "more_body": at < last} for at, chunk in enumerate(chunks)]


def call(messages: Iterable[dict[str, Any]] = (), **headers: bytes) -> tuple[Call, Caller]:
    caller = Caller(messages)
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Call("/v1/transfers", named, caller.receive), caller


@pytest.mark.parametrize(
    ("declared", "size"),
    [
        (None, LIMIT),
        (b"", LIMIT),
        (b"0", 0),
        (b"1", 1),
        (b"999", 999),
        (b"1000", LIMIT),
        (b"0000000000000000000000042", 42),
        (b"-1", LIMIT),
        (b"1e3", LIMIT),
        (b" 12", LIMIT),
        ("١٢".encode(), LIMIT),  # digits of another alphabet
    ],
)
def test_a_body_counts_with_its_declared_length_or_with_the_most_it_may_have(declared: bytes | None, size: int) -> None:
    made, _ = call() if declared is None else call(content_length=declared)
    assert made.body_bytes(LIMIT) == size


@pytest.mark.parametrize("declared", [b"1001", b"9" * 18, b"9" * 19, b"9" * 5_000, b"0" * 5_000 + b"1001"])
async def test_a_body_that_says_it_is_too_long_is_refused_before_anything_is_read(declared: bytes) -> None:
    """Regression: a length of more than 4,300 digits was a ValueError of `int`, and the answer a 500."""
    made, caller = call(parts(b"x"), content_length=declared)
    with pytest.raises(BodyTooLarge) as refused:
        made.body_bytes(LIMIT)
    assert refused.value.limit_bytes == LIMIT
    with pytest.raises(BodyTooLarge):
        await made.body(LIMIT)
    assert caller.taken == 0


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=400), min_size=1, max_size=6))
async def test_a_body_is_whole_in_however_many_parts_it_comes_or_refused(chunks: list[bytes]) -> None:
    made, caller = call(parts(*chunks))
    whole = b"".join(chunks)
    if len(whole) <= LIMIT:
        assert await made.body(LIMIT) == whole
        assert caller.taken == len(chunks)
    else:
        with pytest.raises(BodyTooLarge):
            await made.body(LIMIT)


async def test_a_caller_that_sends_for_ever_is_read_up_to_the_limit() -> None:
    made, caller = call(parts(*[b"x" * 300] * 1_000))
    with pytest.raises(BodyTooLarge):
        await made.body(LIMIT)
    assert caller.taken == 4


async def test_a_length_that_was_a_lie_does_not_open_the_limit() -> None:
    made, _ = call(parts(b"x" * (LIMIT + 1)), content_length=b"10")
    with pytest.raises(BodyTooLarge):
        await made.body(LIMIT)


@pytest.mark.parametrize("before", [[], [{"type": "http.request", "body": b"{", "more_body": True}]])
async def test_a_caller_that_goes_away_inside_the_body_has_sent_nothing(before: list[dict[str, Any]]) -> None:
    """What came until then may even be whole JSON."""
    made, _ = call([*before, {"type": "http.disconnect"}])
    with pytest.raises(Disconnected):
        await made.body(LIMIT)


async def test_no_body_is_an_empty_one() -> None:
    made, _ = call([{"type": "http.request"}])
    assert await made.body(LIMIT) == b""


@pytest.mark.parametrize("given_id", [b"a", b"order-4711", b"A.b_c-9", b"x" * 128])
def test_a_request_id_of_the_caller_is_kept(given_id: bytes) -> None:
    made, _ = call(x_request_id=given_id)
    assert made.request_id == given_id.decode()


@pytest.mark.parametrize(
    "given_id",
    [
        b"",
        b"x" * 129,
        b"a b",
        b"a\r\nSet-Cookie: x",
        b"a\n",
        "ü".encode(),
        b"<script>",
        b'"',
        b"\0",
        b"4111-1111-1111-1111",
        b"mrt_abcdefghijkl",
    ],
)
def test_a_request_id_that_could_steer_a_header_or_a_log_is_replaced(given_id: bytes) -> None:
    made, _ = call(x_request_id=given_id)
    assert made.request_id != given_id.decode("latin-1")
    assert made.request_id.isascii()
    assert made.request_id.replace("-", "").isalnum()


def test_ids_that_we_make_are_all_different() -> None:
    assert len({call()[0].request_id for _ in range(100)}) == 100


def test_headers_are_read_as_they_were_sent() -> None:
    made, _ = call(prefer=b"wait=5", x_text="ü".encode("latin-1"))
    assert (made.header(b"prefer"), made.header(b"x-text"), made.header(b"absent")) == ("wait=5", "ü", None)


def test_a_call_is_what_the_server_says_it_is() -> None:
    scope = {"path": "/v1/accounts", "headers": [(b"accept", b"*/*"), (b"x-request-id", b"r-1")], "type": "http"}
    made = Call.of(scope, Caller([]).receive)
    assert (made.path, made.request_id, made.header(b"accept")) == ("/v1/accounts", "r-1", "*/*")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"{}"),
        Answer(204, b""),
        Answer(503, b"{}", [(b"retry-after", b"1")], b"application/problem+json"),
    ],
)
async def test_every_answer_says_its_length_its_type_and_its_request(answer: Answer) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await send_answer(send, answer, "r-1")
    start, body = sent
    headers = dict(start["headers"])
    assert (start["status"], body["body"]) == (answer.status, answer.body)
    assert headers.items() >= dict(answer.headers).items()
    assert headers[b"content-length"] == str(len(answer.body)).encode()
    assert headers[b"content-type"] == answer.content_type
    assert headers[b"x-request-id"] == b"r-1"
    assert headers[b"cache-control"] == b"no-store", "a balance in a cache is a wrong balance"
    assert not body.get("more_body")


def test_answers_do_not_share_their_headers() -> None:
    first, second = Answer(200, b"", [(b"a", b"1")]), Answer(200, b"")
    assert (first.headers, second.headers) == ([(b"a", b"1")], [])

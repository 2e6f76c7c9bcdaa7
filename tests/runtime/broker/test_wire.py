"""Goal: the flexible encoding is Kafka's own, byte for byte, and an answer that is cut or absurd is an OSError."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import kafka_login
from runtime.exactly_once.broker import wire
from tests.runtime.broker.scripted_broker import CORRELATION, Raw, ScriptedBroker, framed


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (16_384, "808001"), (2**32 - 1, "ffffffff0f")],
)
def test_varints_are_those_of_the_protocol_guide(value: int, encoded: str) -> None:
    assert wire.varint(value).hex() == encoded


@settings(max_examples=60)
@given(st.lists(st.integers(0, 2**35), max_size=20))
def test_numbers_written_one_after_the_other_come_back_in_order(values: list[int]) -> None:
    reader = wire.Reader(b"".join(map(wire.varint, values)))
    assert [reader.varint() for _ in values] == values


@settings(max_examples=60)
@given(st.lists(st.text(max_size=200), max_size=10))
def test_texts_are_counted_in_bytes_and_not_in_characters(texts: list[str]) -> None:
    reader = wire.Reader(wire.array(texts, wire.text) + b"\x2a")
    assert reader.array(reader.text) == texts
    assert reader.number("b") == 42, "the reader stands behind the array, at the next field"


@pytest.mark.parametrize(("code", "width"), [("b", 1), ("h", 2), ("i", 4), ("q", 8)])
def test_integers_are_big_endian_and_signed(code: str, width: int) -> None:
    reader = wire.Reader(b"\xff" * width + b"\0" * (width - 1) + b"\x05")
    assert (reader.number(code), reader.number(code)) == (-1, 5)


def test_null_is_no_empty_string() -> None:
    assert wire.Reader(b"\0").string() is None
    assert wire.Reader(b"\1").string() == ""
    with pytest.raises(ValueError, match="null where the protocol has a string"):
        wire.Reader(b"\0").text()


@pytest.mark.parametrize("encoded", [b"\0", b"\1"])
def test_a_null_array_and_an_empty_one_hold_nothing(encoded: bytes) -> None:
    reader = wire.Reader(encoded + b"\7")
    assert reader.array(reader.text) == []
    assert reader.number("b") == 7


def test_unknown_tagged_fields_are_stepped_over() -> None:
    tags = wire.varint(2) + wire.varint(0) + wire.varint(3) + b"abc" + wire.varint(500) + wire.varint(0)
    reader = wire.Reader(tags + b"\x09")
    assert reader.tags() == {0: b"abc", 500: b""}
    assert reader.number("b") == 9


def test_partitions_are_grouped_by_topic_in_one_fixed_order() -> None:
    expected = "03" + "02" + b"a".hex() + "02" + "00000007" + "00" + "02" + b"b".hex() + "03" + "00000001" + "00000000"
    assert wire.partitions({"b": [1, 0], "a": [7]}).hex() == expected + "00"


def test_a_request_carries_its_key_version_and_client_and_its_answer_is_read_behind_the_header() -> None:
    with ScriptedBroker(b"\0" + b"\x2a") as broker:
        answer = wire.ask(broker.address, 61, 0, b"body")
    assert answer.number("b") == 42
    [request] = broker.requests
    assert request == (61, 0, 1, b"millrace", b"body")


def test_the_old_response_header_has_no_tags() -> None:
    with ScriptedBroker(b"\x2a") as broker:
        assert wire.ask(broker.address, 18, 3, b"", header_tags=False).number("b") == 42


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Raw(b""), "closed after 0 of 4 bytes"),
        (Raw(b"\0\0"), "closed after 2 of 4 bytes"),
        (Raw(struct.pack(">i", 10) + CORRELATION), "closed after 4 of 10 bytes"),
        (Raw(struct.pack(">i", 0)), "answer of 0 bytes"),
        (Raw(struct.pack(">i", -1)), "answer of -1 bytes"),
        (Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "answer of 1213486160 bytes"),  # a port that is no broker
    ],
)
def test_a_broken_answer_is_an_error_of_the_connection(answer: Raw, says: str) -> None:
    with ScriptedBroker(answer) as broker, pytest.raises(OSError, match=says):
        wire.ask(broker.address, 61, 0, b"")


def test_the_largest_answer_is_bounded_before_a_byte_of_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_login, "ANSWER_BYTES_MAX", 8)
    with ScriptedBroker(Raw(framed(CORRELATION + bytes(4))), Raw(framed(CORRELATION + bytes(5)))) as broker:
        wire.ask(broker.address, 61, 0, b"")
        with pytest.raises(OSError, match="answer of 9 bytes"):
            wire.ask(broker.address, 61, 0, b"")


def test_a_broker_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection taken by a stopped process: the kernel completes the handshake, and nobody reads."""
    monkeypatch.setattr(kafka_login, "TIMEOUT_S", 0.05)
    with ScriptedBroker() as broker, pytest.raises(TimeoutError):
        wire.ask(broker.address, 61, 0, b"")

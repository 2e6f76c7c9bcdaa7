"""Kafka's flexible wire encoding, as far as the admin calls need it that confluent-kafka 2.16 lacks.

One request per connection. Raises OSError when the broker does not answer within the time-out, AccessRefused when it
does not let this process in.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from runtime.kafka_client import OPEN, Login
from runtime.kafka_login import CLIENT_ID, connected

Item = TypeVar("Item")


class Address(NamedTuple):
    """One broker, and how to get in."""

    host: str
    port: int
    login: Login = OPEN


class Reader:
    """Reads one answer from its first byte on."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._at = 0

    def number(self, code: str) -> int:
        """A big-endian integer: b 8, h 16, i 32, q 64 bits."""
        value: int = struct.unpack_from(f">{code}", self._answer, self._at)[0]
        self._at += struct.calcsize(f">{code}")
        return value

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._answer[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def string(self) -> str | None:
        """COMPACT_NULLABLE_STRING."""
        length = self.varint() - 1
        return None if length < 0 else self.raw(length).decode()

    def text(self) -> str:
        """COMPACT_STRING: null where the protocol forbids it is a broken answer."""
        value = self.string()
        if value is None:
            raise ValueError("null where the protocol has a string")
        return value

    def raw(self, length: int) -> bytes:
        taken = self._answer[self._at : self._at + length]
        self._at += length
        return taken

    def array(self, item: Callable[[], Item]) -> list[Item]:
        """COMPACT_ARRAY."""
        return [item() for _ in range(self.varint() - 1)]

    def tags(self) -> dict[int, bytes]:
        """Tagged fields, undecoded."""
        found = {}
        for _ in range(self.varint()):
            tag = self.varint()
            found[tag] = self.raw(self.varint())
        return found


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    return varint(len(value.encode()) + 1) + value.encode()


def int32(value: int) -> bytes:
    return struct.pack(">i", value)


def array(items: Iterable[Any], encode: Callable[[Any], bytes]) -> bytes:
    encoded = [encode(item) for item in items]
    return varint(len(encoded) + 1) + b"".join(encoded)


def partitions(by_topic: Mapping[str, Iterable[int]]) -> bytes:
    """The topic array that DescribeProducers and WriteTxnMarkers share."""
    return array(sorted(by_topic.items()), lambda pair: text(pair[0]) + array(pair[1], int32) + b"\0")


def ask(address: Address, api_key: int, version: int, body: bytes, *, header_tags: bool = True) -> Reader:
    """Send one request and return its answer, positioned behind the response header."""
    header = struct.pack(">hhih", api_key, version, 1, len(CLIENT_ID)) + CLIENT_ID + b"\0"
    with connected(*address) as connection:
        answer = Reader(connection.ask(header + body))
    answer.number("i")  # correlation id: one request per connection
    if header_tags:
        answer.tags()
    return answer

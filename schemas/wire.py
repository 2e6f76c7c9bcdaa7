"""Avro's binary encoding by hand, as far as the packed records need it, and Confluent's five-byte frame.

Source: Avro specification 1.12, "Binary encoding"; Confluent wire format (magic 0, four-byte schema id).
The reference in the tests is fastavro: every function here must agree with it byte for byte.
"""

from struct import Struct
from typing import Final

from payments.errors import UndecodableRecord

FRAME_BYTES: Final = 5


def frame(schema_id: int) -> bytes:
    """What stands in front of every record value."""
    return b"\0" + schema_id.to_bytes(4, "big")


def schema_id_of(value: bytes) -> int:
    """Schema id of a framed value. Raises UndecodableRecord where there is no frame."""
    if len(value) < FRAME_BYTES or value[0] != 0:
        raise UndecodableRecord("no Confluent frame: the first byte must be 0, followed by four bytes of schema id")
    return int.from_bytes(value[1:FRAME_BYTES], "big")


def write_long(number: int) -> bytes:
    """A zigzag varint (Avro int and long)."""
    rest = (number << 1) ^ (number >> 63)
    if rest < 128:
        return bytes((rest,))
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def read_long(buffer: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number at this place and the place behind it. Raises UndecodableRecord."""
    number = shift = 0
    try:
        while True:
            byte = buffer[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                if number >> 64:
                    raise UndecodableRecord("a number of more than 64 bits")
                return (number >> 1) ^ -(number & 1), at
            shift += 7
            if shift > 63:
                raise UndecodableRecord("a varint of more than ten bytes")
    except IndexError:
        raise UndecodableRecord("the record ends inside a number") from None


def write_bytes(value: bytes) -> bytes:
    """Length-prefixed bytes (Avro bytes and string)."""
    return write_long(len(value)) + value


def read_bytes(buffer: bytes | memoryview, at: int) -> tuple[bytes, int]:
    """The bytes at this place and the place behind them. Raises UndecodableRecord."""
    length, at = read_long(buffer, at)
    end = at + length
    if length < 0 or end > len(buffer):
        raise UndecodableRecord("the record ends inside a string")
    return bytes(buffer[at:end]), end


def read_text(buffer: bytes | memoryview, at: int) -> tuple[str, int]:
    """The text at this place and the place behind it. Raises UndecodableRecord."""
    value, at = read_bytes(buffer, at)
    try:
        return value.decode(), at
    except UnicodeDecodeError:
        raise UndecodableRecord("a string that is not UTF-8") from None


def write_array(items: list[bytes]) -> bytes:
    """An Avro array in one block, as fastavro writes it."""
    return b"".join((write_long(len(items)), *items, b"\0")) if items else b"\0"


def read_count(buffer: bytes | memoryview, at: int) -> tuple[int, int]:
    """Items of an array and the place of the first. Raises UndecodableRecord on a negative (sized) block."""
    count, at = read_long(buffer, at)
    if count < 0:
        raise UndecodableRecord("an array with a sized block, which no writer of these records makes")
    return count, at


def read_array_end(buffer: bytes | memoryview, at: int, count: int) -> int:
    """The place behind an array of `count` items in one block. Raises UndecodableRecord if another follows."""
    if not count:
        return at
    following, at = read_long(buffer, at)
    if following:
        raise UndecodableRecord("an array of more than one block")
    return at


def read_fixed_array(buffer: memoryview, at: int, item: Struct) -> tuple[memoryview, int, int]:
    """The bytes of an array of fixed-width items, their count, and the place behind. Raises UndecodableRecord.

    Only our own agents write these arrays, always in one block.
    """
    count, at = read_long(buffer, at)
    if count == 0:
        return buffer[at:at], 0, at
    end = at + count * item.size
    if count < 0 or end >= len(buffer) or buffer[end] != 0:
        raise UndecodableRecord("a packed array that is cut or not in one block")
    return buffer[at:end], count, end + 1


def require_end(buffer: bytes | memoryview, at: int) -> None:
    """Raises UndecodableRecord where bytes are left over."""
    if at != len(buffer):
        raise UndecodableRecord(f"{len(buffer) - at} bytes behind the end of the record")

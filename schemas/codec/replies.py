"""ReplyBatch: outcomes for the HTTP calls that wait, packed per API process."""

from struct import Struct
from typing import NamedTuple

from payments.entries import EntryKind
from payments.errors import UndecodableRecord
from payments.rejections import Reason
from schemas import wire
from schemas.codec.fields import REASON_BYTE, entry_kind_of, reason_of
from schemas.registry import ids_of, latest
from schemas.topics import REPLY_PARTITIONS

_ITEM = Struct(">8s16sBBq")
_SCHEMA = latest("ReplyBatch").schema_id
_READABLE = ids_of("ReplyBatch")
"""The versions differ in the kinds and reasons that there are."""

_FRAME = wire.frame(_SCHEMA)


class Reply(NamedTuple):
    """The outcome of one command for the call that waits for it."""

    reply_to: bytes
    operation_id: bytes
    kind: EntryKind
    reason: Reason
    decided_at_us: int


def reply_address(process_id: int, request: int) -> bytes:
    """Where a waiting call wants its reply: process (2 bytes) and request number (6 bytes, from 1: never all zeros)."""
    return process_id.to_bytes(2, "big") + request.to_bytes(6, "big")


def reply_partition(reply_to: bytes) -> int:
    """Partition of payments.replies that the addressed process reads."""
    return int.from_bytes(reply_to[:2], "big") % REPLY_PARTITIONS


def encode_replies(replies: list[Reply]) -> bytes:
    """A whole record value."""
    packed = [
        _ITEM.pack(reply_to, operation_id, kind << 1, REASON_BYTE[reason], decided_at_us)
        for reply_to, operation_id, kind, reason, decided_at_us in replies
    ]
    return _FRAME + wire.write_array(packed)


def decode_replies(value: bytes) -> list[Reply]:
    """The replies of a record value. Raises UndecodableRecord."""
    if wire.schema_id_of(value) not in _READABLE:
        raise UndecodableRecord(f"expected schema id {_SCHEMA}")
    buffer = memoryview(value)
    items, _, at = wire.read_fixed_array(buffer, wire.FRAME_BYTES, _ITEM)
    wire.require_end(buffer, at)
    return [
        Reply(reply_to, operation_id, entry_kind_of(kind), reason_of(reason), decided_at_us)
        for reply_to, operation_id, kind, reason, decided_at_us in _ITEM.iter_unpack(items)
    ]

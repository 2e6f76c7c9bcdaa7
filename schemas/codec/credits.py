"""CreditBatch: what one shard sends another, on payments.credits and (refused) on payments.returns."""

from struct import Struct
from typing import NamedTuple

from payments.entries import Credit, Step
from payments.errors import UndecodableRecord
from schemas import wire
from schemas.codec.fields import REASON_BYTE, currency_bytes, currency_code, reason_of
from schemas.codec.named import encode_details, read_details
from schemas.registry import ids_of, latest

_ITEM = Struct(">16s16s16sq3s8sBB")
_PLAIN_ITEM = Struct(">16s16s16sq3s8sB")
"""Of version 1, in which every item was a credit."""

_STEPS = tuple(Step)
_SCHEMA = latest("CreditBatch").schema_id
_READABLE = ids_of("CreditBatch")
_PLAIN = min(_READABLE)
_FRAME = wire.frame(_SCHEMA)


class CreditBatch(NamedTuple):
    """Credits of one lane; `sequence` counts the lane's records from 0 without gap."""

    origin: int
    sequence: int
    credits: list[Credit]


def encode_credits(batch: CreditBatch) -> bytes:
    """A whole record value."""
    pack = _ITEM.pack
    packed = [
        pack(
            operation_id, payer, payee, amount_minor, currency_bytes(currency), reply_to, REASON_BYTE[reason], step << 1
        )
        for operation_id, payer, payee, amount_minor, currency, reply_to, reason, step, _ in batch.credits
    ]
    details = [(index, detail) for index, credit in enumerate(batch.credits) for detail in credit.details]
    return b"".join(
        (
            _FRAME,
            wire.write_long(batch.origin),
            wire.write_long(batch.sequence),
            wire.write_array(packed),
            encode_details(_SCHEMA, "credit", details) if details else b"\0",
        )
    )


def decode_credits(value: bytes) -> CreditBatch:
    """The batch of a record value. Raises UndecodableRecord: a bug, since only our own agents write these."""
    schema_id = wire.schema_id_of(value)
    if schema_id not in _READABLE:
        raise UndecodableRecord(f"expected schema id {_SCHEMA}")
    buffer = memoryview(value)
    origin, at = wire.read_long(buffer, wire.FRAME_BYTES)
    sequence, at = wire.read_long(buffer, at)
    if schema_id == _PLAIN:
        items, _, at = wire.read_fixed_array(buffer, at, _PLAIN_ITEM)
        wire.require_end(buffer, at)
        return CreditBatch(origin, sequence, [_credit(*fields) for fields in _PLAIN_ITEM.iter_unpack(items)])
    items, count, at = wire.read_fixed_array(buffer, at, _ITEM)
    details, at = read_details(buffer, at, schema_id, "credit", count)
    wire.require_end(buffer, at)
    credits = [_credit(*fields) for fields in _ITEM.iter_unpack(items)]
    for index, found in details.items():
        credits[index] = credits[index]._replace(details=found)
    return CreditBatch(origin, sequence, credits)


def _credit(
    operation_id: bytes,
    payer: bytes,
    payee: bytes,
    amount_minor: int,
    currency: bytes,
    reply_to: bytes,
    reason: int,
    step: int = 0,
) -> Credit:
    if step & 1 or step >> 1 >= len(_STEPS):
        raise UndecodableRecord("an unknown step of a credit")
    return Credit(
        operation_id,
        payer,
        payee,
        amount_minor,
        currency_code(currency),
        reply_to,
        reason_of(reason),
        _STEPS[step >> 1],
    )

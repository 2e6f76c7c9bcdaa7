"""CreditBatch: what one shard sends another, on payments.credits and (refused) on payments.returns."""

from struct import Struct
from typing import NamedTuple

from payments.entries import Credit
from payments.errors import UndecodableRecord
from schemas import wire
from schemas.codec.fields import REASON_BYTE, currency_bytes, currency_code, reason_of
from schemas.registry import latest

_ITEM = Struct(">16s16s16sq3s8sB")
_SCHEMA = latest("CreditBatch").schema_id
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
        pack(operation_id, payer, payee, amount_minor, currency_bytes(currency), reply_to, REASON_BYTE[reason])
        for operation_id, payer, payee, amount_minor, currency, reply_to, reason in batch.credits
    ]
    return _FRAME + wire.write_long(batch.origin) + wire.write_long(batch.sequence) + wire.write_array(packed)


def decode_credits(value: bytes) -> CreditBatch:
    """The batch of a record value. Raises UndecodableRecord: a bug, since only our own agents write these."""
    if wire.schema_id_of(value) != _SCHEMA:
        raise UndecodableRecord(f"expected schema id {_SCHEMA}")
    buffer = memoryview(value)
    origin, at = wire.read_long(buffer, wire.FRAME_BYTES)
    sequence, at = wire.read_long(buffer, at)
    items, _, at = wire.read_fixed_array(buffer, at, _ITEM)
    wire.require_end(buffer, at)
    credits = [
        Credit(operation_id, payer, payee, amount_minor, currency_code(currency), reply_to, reason_of(reason))
        for operation_id, payer, payee, amount_minor, currency, reply_to, reason in _ITEM.iter_unpack(items)
    ]
    return CreditBatch(origin, sequence, credits)

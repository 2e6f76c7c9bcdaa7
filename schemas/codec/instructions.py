"""Instructions and ticks: one Avro record per kind on payments.commands, so that adding one changes no other schema."""

from dataclasses import fields
from typing import Any

from payments.errors import UndecodableRecord
from payments.identifiers import NIL
from payments.items.details import Posting
from payments.movements.instructions import INSTRUCTIONS, Attributes, Envelope, Instruction, Order
from payments.rejections import Reason
from schemas import wire
from schemas.codec import reference
from schemas.codec.commands import texts_refusal
from schemas.codec.connectors import MAX_REFERENCE_CHARS
from schemas.codec.named import BROKEN, plain, typed_fields
from schemas.registry import ids_of, latest

_KINDS: dict[str, type[Instruction]] = {kind.__name__: kind for kind in INSTRUCTIONS}
"""By the name of their Avro record."""

MAX_CODE_CHARS = 64
"""Reason codes of networks have 4 letters, break ids 30."""

MAX_RULES_BYTES = 300_000
"""Of a rule set: with its entry it fits one ledger record, and with the page one snapshot."""

_REFERENCES = ("payment_order_id", "provider", "token", "buyer", "provider_reference")
"""Printable ASCII, because providers take them in HTTP headers."""

KEY_BYTES = 8

MAX_NUMBER = (1 << 63) - 1
"""Of 64 bits only the number is left out whose sign can't be changed."""

_TICK = latest("Tick").schema_id
_IDS = frozenset(schema_id for record in _KINDS for schema_id in ids_of(record))


def is_instruction(value: bytes) -> bool:
    """Whether a record value carries an instruction. Raises UndecodableRecord where there is no frame."""
    return wire.schema_id_of(value) in _IDS


def encode_instruction(asked: Instruction) -> bytes:
    """A whole record value."""
    stated = {field.name: plain(getattr(asked, field.name)) for field in fields(asked) if field.name != "envelope"}
    return reference.encode(type(asked).__name__, stated | plain(asked.envelope))


def decode_instruction(value: bytes) -> Instruction:
    """The instruction of a record value. Raises UndecodableRecord."""
    record, stated = reference.decode(value)
    kind = _KINDS[record]
    try:
        envelope = Envelope(**typed_fields(Envelope, stated))
        return kind(envelope=envelope, **typed_fields(kind, stated))
    except BROKEN as error:
        raise UndecodableRecord(f"not a {record}: {error}") from error


def instruction_refusal(asked: Instruction) -> Reason | None:
    """Why an instruction that decodes is none of the contract's, or None: before anything of it is packed or kept."""
    refusal = texts_refusal(asked.envelope.idempotency_key, asked.envelope.description)
    if refusal is not None:
        return refusal
    if asked.authority == NIL or not _are_attributes(asked.envelope.attributes):
        return Reason.MALFORMED
    return next((found for field in fields(asked) if (found := _misfit(field.name, getattr(asked, field.name)))), None)


def _are_attributes(attributes: Attributes) -> bool:
    """Keys of eight bytes and countries of two letters, or nothing."""
    keys, countries = attributes[:3], attributes[3:]
    return all(len(key) in (0, KEY_BYTES) for key in keys) and all(
        text == "" or (len(text) == 2 and text.isascii() and text.isupper()) for text in countries
    )


def _misfit(name: str, value: Any) -> Reason | None:
    if name == "currency":
        return None if len(value) == 3 and value.isascii() and value.isalpha() else Reason.MALFORMED
    if name == "code":
        return Reason.TEXT_TOO_LONG if len(value) > MAX_CODE_CHARS else Reason.MALFORMED if "\0" in value else None
    if name == "text":
        return Reason.TEXT_TOO_LONG if len(value.encode()) > MAX_RULES_BYTES else None
    if name in ("legs", "orders"):
        return next((found for part in value if (found := _part_misfit(part))), None)
    if name in _REFERENCES:
        return (
            Reason.TEXT_TOO_LONG if len(value) > MAX_REFERENCE_CHARS else None if _is_plain(value) else Reason.MALFORMED
        )
    return Reason.MALFORMED if isinstance(value, int) and abs(value) > MAX_NUMBER else None


def _part_misfit(part: Posting | Order) -> Reason | None:
    return next((found for name, value in part._asdict().items() if (found := _misfit(name, value))), None)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def encode_tick(shard: int) -> bytes:
    """A whole record value: time has come this far at one shard, as the broker's time of the record says."""
    return wire.frame(_TICK) + wire.write_long(shard)


def is_tick(value: bytes) -> bool:
    """Whether a record value is a tick. Raises UndecodableRecord where there is no frame."""
    return wire.schema_id_of(value) == _TICK


def decode_tick(value: bytes) -> int:
    """The shard that a tick was written for. Raises UndecodableRecord."""
    shard, at = wire.read_long(value, wire.FRAME_BYTES)
    wire.require_end(value, at)
    return shard

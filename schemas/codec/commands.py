"""Command and CommandBatch: one per record from outside, or packed by our HTTP side with length-prefixed items."""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from payments.commands import MAX_DESCRIPTION_CHARS, MAX_KEY_CHARS, Command, CommandKind
from payments.errors import UndecodableRecord
from payments.identifiers import NIL
from payments.rejections import Reason
from schemas import wire
from schemas.codec.fields import currency_bytes, currency_code
from schemas.registry import latest

MAX_ITEMS = 1_000
"""Commands in one packed record: 1,000 × at most two ledger entries of 97 bytes stay under half a megabyte."""

_HEAD = Struct(">B16s16sq3s8s")
_KINDS = tuple(CommandKind)
_PAYMENTS = frozenset({CommandKind.TRANSFER, CommandKind.DEPOSIT})
_COMMAND = latest("Command").schema_id
_BATCH = latest("CommandBatch").schema_id
_COMMAND_FRAME = wire.frame(_COMMAND)
_BATCH_FRAME = wire.frame(_BATCH)


def encode_body(command: Command) -> bytes:
    """The Avro body of a command: an item of a batch, or behind a frame a record of its own."""
    kind, payer, payee, amount_minor, currency, reply_to, key, description = command
    return (
        _HEAD.pack(kind << 1, payer, payee, amount_minor, currency_bytes(currency), reply_to)
        + wire.write_bytes(key.encode())
        + wire.write_bytes(description.encode())
    )


def encode_command(command: Command) -> bytes:
    """A whole record value with one command."""
    return _COMMAND_FRAME + encode_body(command)


def as_record(body: bytes) -> bytes:
    """A whole record value with one command body as it came, whatever it holds."""
    return _COMMAND_FRAME + body


def encode_batch(bodies: list[bytes]) -> bytes:
    """A whole record value with up to MAX_ITEMS command bodies of one partition."""
    return _BATCH_FRAME + wire.write_array([wire.write_bytes(body) for body in bodies])


def decode_body(body: bytes) -> Command:
    """The command of an Avro body. Raises UndecodableRecord."""
    if len(body) < _HEAD.size:
        raise UndecodableRecord("shorter than the fixed fields of a command")
    kind, payer, payee, amount_minor, currency, reply_to = _HEAD.unpack_from(body)
    if kind & 1 or kind >> 1 >= len(_KINDS):
        raise UndecodableRecord("an unknown kind of command")
    key, at = wire.read_text(body, _HEAD.size)
    description, at = wire.read_text(body, at)
    wire.require_end(body, at)
    return Command(_KINDS[kind >> 1], payer, payee, amount_minor, currency_code(currency), reply_to, key, description)


class ReadableFields(NamedTuple):
    """The front of a command body that does not decode."""

    kind: CommandKind
    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str
    idempotency_key: str | None = None
    description: str | None = None


def readable_fields(body: bytes) -> ReadableFields | None:
    """What can be read of a command body up to its first fault, for people only; None where it is not like one."""
    if len(body) < _HEAD.size:
        return None
    kind, payer, payee, amount_minor, currency, _ = _HEAD.unpack_from(body)
    if kind & 1 or kind >> 1 >= len(_KINDS) or not (currency == bytes(3) or currency.isalpha()):
        return None
    code = currency.rstrip(b"\0").decode("ascii", "replace")
    texts: list[str] = []
    at = _HEAD.size
    try:
        for _ in range(2):
            text, at = wire.read_text(body, at)
            texts.append(text)
    except UndecodableRecord:
        pass  # what was read so far is what there is
    return ReadableFields(_KINDS[kind >> 1], payer, payee, amount_minor, code, *texts)


class BatchTooLarge(UndecodableRecord):
    """More commands than MAX_ITEMS: none of them is looked at."""


def reason_of(error: UndecodableRecord) -> Reason:
    """Why a record that does not decode goes to quarantine."""
    return Reason.BATCH_TOO_LARGE if isinstance(error, BatchTooLarge) else Reason.MALFORMED


def items(value: bytes) -> Iterator[bytes]:
    """The command bodies of a record, one or many. Raises UndecodableRecord where the record itself is broken,
    BatchTooLarge.
    """
    schema_id = wire.schema_id_of(value)
    if schema_id == _COMMAND:
        yield value[wire.FRAME_BYTES :]
    elif schema_id == _BATCH:
        yield from _split(value)
    else:
        raise UndecodableRecord(f"schema id {schema_id} is no command: expected {_COMMAND} or {_BATCH}")


def _split(value: bytes) -> list[bytes]:
    count, at = wire.read_count(value, wire.FRAME_BYTES)
    if count > MAX_ITEMS:
        raise BatchTooLarge(f"a batch holds at most {MAX_ITEMS} commands in one block")
    bodies = []
    for _ in range(count):
        body, at = wire.read_bytes(value, at)
        bodies.append(body)
    wire.require_end(value, wire.read_array_end(value, at, count))
    return bodies


def form_refusal(command: Command) -> Reason | None:
    """Why a command that decodes is none of the contract's, or None.

    Its parties: a payment has two, an account operation has one and NIL for the other; the tables tell a rejected
    payment from a rejected account operation by that. Its texts: U+0000 is refused because Postgres can't hold it.
    """
    refusal = texts_refusal(command.idempotency_key, command.description)
    if refusal is not None:
        return refusal
    misfit = command.payer == NIL or (command.payee == NIL) is (command.kind in _PAYMENTS)
    return Reason.MALFORMED if misfit else None


def texts_refusal(key: str, description: str) -> Reason | None:
    """Why these are no key and description, or None."""
    if not key:
        return Reason.IDEMPOTENCY_KEY_MISSING
    if len(key) > MAX_KEY_CHARS or len(description) > MAX_DESCRIPTION_CHARS:
        return Reason.TEXT_TOO_LONG
    return Reason.MALFORMED if "\0" in key or "\0" in description else None

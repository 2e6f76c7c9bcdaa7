"""Records off the hot path, written and read by fastavro from their schema files."""

import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastavro

from payments.errors import UndecodableRecord
from schemas import wire
from schemas.registry import RegisteredSchema, by_id, latest


@cache
def _parsed(schema: RegisteredSchema) -> Any:
    """Parsed once: at every call it would cost 1 ms for a ledger record."""
    return fastavro.parse_schema(schema.parsed)


def encode(record: str, fields: Mapping[str, Any]) -> bytes:
    """A whole record value of the newest version of this record."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _parsed(latest(record)), fields)
    return wire.frame(latest(record).schema_id) + out.getvalue()


def decode(value: bytes) -> tuple[str, dict[str, Any]]:
    """Record name and fields of a framed value. Raises UndecodableRecord."""
    schema = by_id(wire.schema_id_of(value))
    if schema is None:
        raise UndecodableRecord("a schema id that is not registered")
    body = io.BytesIO(value)
    body.seek(wire.FRAME_BYTES)
    try:
        fields = fastavro.schemaless_reader(body, _parsed(schema), None)
    except (EOFError, IndexError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise UndecodableRecord(f"not a {schema.record}: {error}") from error
    wire.require_end(value, body.tell())
    assert isinstance(fields, dict)
    return schema.record, fields

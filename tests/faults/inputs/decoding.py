"""The verifier's decoder: fastavro and the schema files, nothing of the product."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

SCHEMAS = Path(__file__).parents[3] / "schemas" / "avro"
FRAME_BYTES = 5
"""A zero and the four bytes of the schema's id."""


class Undecodable(Exception):
    """Bytes that are no record of a known schema."""


def decoded(value: bytes) -> dict[str, Any]:
    """A whole record value. Raises Undecodable."""
    name, schema = schema_of(value)
    return body_of(value[FRAME_BYTES:], schema, name)


def record_name(value: bytes) -> str:
    """What the value says that it is. Raises Undecodable."""
    return schema_of(value)[0]


def schema_of(value: bytes) -> tuple[str, Any]:
    """Name and schema of a record value. Raises Undecodable."""
    if len(value) < FRAME_BYTES or value[0]:
        raise Undecodable("no frame")
    return schema_named(int.from_bytes(value[1:FRAME_BYTES]))


def body_of(body: bytes, schema: Any, name: str) -> dict[str, Any]:
    """A record without its frame. Raises Undecodable."""
    buffer = io.BytesIO(body)
    try:
        record = fastavro.schemaless_reader(buffer, schema, None)
    except (EOFError, IndexError, UnicodeDecodeError, ValueError) as error:
        raise Undecodable(f"no {name}: {error}") from error
    if buffer.read(1):
        raise Undecodable(f"bytes behind a {name}")
    assert isinstance(record, dict)
    return record


@cache
def schema_named(schema_id: int) -> tuple[str, Any]:
    """Name and parsed schema of an id. Raises Undecodable."""
    rows = json.loads((SCHEMAS / "lock.json").read_text())
    for row in rows:
        if row["id"] == schema_id:
            text = (SCHEMAS / row["record"] / f"{row['version']}.avsc").read_text()
            return row["record"], fastavro.parse_schema(json.loads(text))
    raise Undecodable(f"no schema {schema_id}")

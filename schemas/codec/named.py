"""Typed values of the core ↔ what fastavro reads and writes: one rule for all details, items and instructions.

A field has the name of the Avro field; enums travel as their symbols, tuples as arrays, unions as records by name.
Off the hot path: a plain transfer has no details.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, IntEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import fastavro

from payments.errors import UndecodableRecord
from payments.items.details import (
    OPEN_ITEMS,
    Assessed,
    Cause,
    Detail,
    Legs,
    Observation,
    Opening,
    OpenItem,
    OrderTerms,
    Published,
    RiskTerms,
)
from schemas.registry import by_id, latest

BROKEN = (EOFError, IndexError, KeyError, ValueError, TypeError, UnicodeDecodeError, OverflowError)
"""All that fastavro and the enums raise on bytes that are no record."""

_KINDS: dict[str, type[Detail]] = {
    f"millrace.{kind.__name__}": kind
    for kind in (Legs, Cause, Opening, Assessed, RiskTerms, OrderTerms, Observation, Published, *OPEN_ITEMS)
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_PAGE = latest("AccountsPage").schema_id


def plain(value: Any) -> Any:
    """What fastavro writes for a value of the core."""
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value, IntEnum) else value.value
    if hasattr(value, "_asdict"):
        return {name: plain(field) for name, field in value._asdict().items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def typed(kind: Any, value: Any) -> Any:
    """The value of the core that fastavro has read as `value`. Raises what is in `BROKEN`."""
    if get_origin(kind) is tuple:
        return tuple(typed(get_args(kind)[0], item) for item in value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind[value.upper()] if issubclass(kind, IntEnum) else kind(value)
    if isinstance(value, Mapping):
        return kind(**typed_fields(kind, value))
    return value


def typed_fields(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a class that fastavro has read, as far as they are there. Raises what is in `BROKEN`."""
    return {name: typed(hint, values[name]) for name, hint in _hints(kind).items() if name in values}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def encode_details(schema_id: int, index: str, details: Sequence[tuple[int, Detail]]) -> bytes:
    """The array `details` of a packed record, each with the index of the entry (credit) that it belongs to."""
    out = io.BytesIO()
    items = [{index: at, "detail": (_NAMES[type(detail)], plain(detail))} for at, detail in details]
    fastavro.schemaless_writer(out, field_schema(schema_id, "details"), {"details": items})
    return out.getvalue()


def read_details(
    buffer: memoryview, at: int, schema_id: int, index: str, count: int
) -> tuple[dict[int, tuple[Detail, ...]], int]:
    """Details by index (below `count`), and the place behind them. Raises UndecodableRecord."""
    record = _record(schema_id)
    if at < len(buffer) and buffer[at] == 0:
        return {}, at + 1
    found: dict[int, tuple[Detail, ...]] = {}
    body = io.BytesIO(buffer[at:])
    try:
        for item in _read(body, schema_id, "details"):
            name, fields = item["detail"]
            found[item[index]] = (*found.get(item[index], ()), typed(_KINDS[name], fields))
    except BROKEN as error:
        raise UndecodableRecord(f"the details of a {record}: {error}") from error
    if not all(0 <= place < count for place in found):
        raise UndecodableRecord(f"a detail of a {record} that belongs to nothing in it")
    stated = [(place, detail) for place, details in found.items() for detail in details]
    _require_canonical(encode_details(schema_id, index, stated), buffer, at, body.tell(), record)
    return found, at + body.tell()


def encode_items(items: Sequence[OpenItem], schema_id: int = _PAGE) -> bytes:
    """The array `items` of a page."""
    out = io.BytesIO()
    schema = field_schema(schema_id, "items")
    fastavro.schemaless_writer(out, schema, {"items": [(_NAMES[type(item)], plain(item)) for item in items]})
    return out.getvalue()


def read_items(buffer: memoryview, at: int, schema_id: int = _PAGE) -> tuple[list[OpenItem], int]:
    """Open items of a page, and the place behind them. Raises UndecodableRecord."""
    body = io.BytesIO(buffer[at:])
    try:
        found = [typed(_KINDS[name], fields) for name, fields in _read(body, schema_id, "items")]
    except BROKEN as error:
        raise UndecodableRecord(f"the items of a page: {error}") from error
    _require_canonical(encode_items(found, schema_id), buffer, at, body.tell(), "AccountsPage")
    return found, at + body.tell()


def _require_canonical(again: bytes, buffer: memoryview, at: int, length: int, record: str) -> None:
    """Only our own agents write these arrays, always in one form; fastavro would read others as the same values."""
    if again != buffer[at : at + length]:
        raise UndecodableRecord(f"details of a {record} in a form that no writer of these records makes")


def _record(schema_id: int) -> str:
    schema = by_id(schema_id)
    assert schema is not None, schema_id
    return schema.record


def _read(body: io.BytesIO, schema_id: int, field: str) -> list[Any]:
    read = fastavro.schemaless_reader(body, field_schema(schema_id, field), None, return_record_name=True)
    assert isinstance(read, dict)
    return list(read[field])


@cache
def field_schema(schema_id: int, field: str) -> Any:
    """A record of this one field, which has the same bytes: names that stand elsewhere in the record are filled in.
    What a version does not have is not written, and read as what the core says where nothing is stated.

    As a record, because fastavro parses any other schema again at every call: 46 µs a detail instead of 8.
    """
    registered = by_id(schema_id)
    assert registered is not None, schema_id
    schema = registered.parsed
    definitions = dict(_definitions(schema))
    (found,) = (each for each in schema["fields"] if each["name"] == field)
    alone = {"name": field, "type": _filled(found["type"], definitions, set())}
    return fastavro.parse_schema({"type": "record", "name": f"{registered.record}_{field}", "fields": [alone]})


def _definitions(schema: Any) -> Iterator[tuple[str, Any]]:
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and "name" in schema and "type" in schema and not isinstance(schema["type"], dict):
        yield schema["name"], schema
    for part in parts:
        yield from _definitions(part)


def _filled(schema: Any, definitions: Mapping[str, Any], done: set[str]) -> Any:
    if isinstance(schema, list):
        return [_filled(part, definitions, done) for part in schema]
    if isinstance(schema, str):
        if schema not in definitions or schema in done:
            return f"millrace.{schema}" if schema in done else schema
        return _filled(definitions[schema], definitions, done)
    filled = dict(schema)
    if schema["type"] in ("record", "enum", "fixed"):
        done.add(schema["name"])
        filled["name"] = f"millrace.{schema['name']}"
    for key in ("type", "items"):
        if key in schema and schema["type"] not in ("record", "enum", "fixed"):
            filled[key] = _filled(schema[key], definitions, done)
    if "fields" in schema:
        filled["fields"] = [{**each, "type": _filled(each["type"], definitions, done)} for each in schema["fields"]]
    return filled

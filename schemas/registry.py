"""Schemas by name, version and id. Files are never edited after release: the lock holds the hash and the id of each."""

import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

_FOLDER = files("schemas") / "avro"


class RegisteredSchema(NamedTuple):
    """One released version of a record."""

    schema_id: int
    record: str
    version: int
    text: str

    @property
    def parsed(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


def fingerprint(text: str) -> str:
    """SHA-256 of the schema without white space, so that formatting is free and meaning is not."""
    return hashlib.sha256(json.dumps(json.loads(text), separators=(",", ":")).encode()).hexdigest()


@cache
def registered() -> tuple[RegisteredSchema, ...]:
    """Every released schema, by id."""
    lock: list[dict[str, Any]] = json.loads((_FOLDER / "lock.json").read_text())
    return tuple(
        RegisteredSchema(
            row["id"],
            row["record"],
            row["version"],
            (_FOLDER / row["record"] / f"{row['version']}.avsc").read_text(),
        )
        for row in sorted(lock, key=lambda row: int(row["id"]))
    )


@cache
def latest(record: str) -> RegisteredSchema:
    """The newest version of a record: what writers use. Raises KeyError for an unknown record."""
    versions = [schema for schema in registered() if schema.record == record]
    if not versions:
        raise KeyError(record)
    return max(versions, key=lambda schema: schema.version)


@cache
def ids_of(record: str) -> frozenset[int]:
    """The schema ids of every version of a record: what readers take."""
    return frozenset(schema.schema_id for schema in registered() if schema.record == record)


@cache
def by_id(schema_id: int) -> RegisteredSchema | None:
    """The schema of this id, or None where it is not ours."""
    return next((schema for schema in registered() if schema.schema_id == schema_id), None)

"""What a call asks of the registry, and its answer. Nothing here changes anything."""

import json
from typing import Any

from ingest_api.http.call import Answer
from ingest_api.schema_registry.answers import RegistryFault, refused, shown, version_shown
from ingest_api.schema_registry.subjects import canonical_form, level_of, same_as, subjects, versions_of
from schemas.compatibility import incompatibilities
from schemas.registry import RegisteredSchema, by_id

SCHEMA_BYTES_MAX = 256 * 1024
"""The longest of ours has 30 kB."""


def listed(prefix: str) -> Answer:
    """The subjects that begin so."""
    return shown([subject for subject in subjects() if subject.startswith(prefix)])


def versions(subject: str) -> Answer:
    record = subjects().get(subject)
    if record is None:
        return refused(RegistryFault.SUBJECT_UNKNOWN)
    return shown([schema.version for schema in versions_of(record)])


def version(subject: str, asked: str, *, alone: bool = False) -> Answer:
    """`alone`: the schema without what is known of it."""
    found = _version(subject, asked)
    if isinstance(found, RegistryFault):
        return refused(found)
    return shown(found.parsed) if alone else version_shown(subject, found)


def schema(schema_id: int, *, alone: bool = False) -> Answer:
    """By the id that stands in front of every value."""
    found = by_id(schema_id)
    if found is None:
        return refused(RegistryFault.SCHEMA_UNKNOWN)
    return shown(found.parsed if alone else {"schema": found.text})


def places(schema_id: int) -> Answer:
    """Subject and version of an id."""
    found = by_id(schema_id)
    if found is None:
        return refused(RegistryFault.SCHEMA_UNKNOWN)
    named = [subject for subject, record in subjects().items() if record == found.record]
    return shown([{"subject": subject, "version": found.version} for subject in named])


def find(subject: str, body: bytes) -> Answer:
    """The version of a subject that is this schema."""
    record, asked = subjects().get(subject), _schema_in(body)
    if record is None:
        return refused(RegistryFault.SUBJECT_UNKNOWN)
    if asked is None:
        return refused(RegistryFault.SCHEMA_INVALID)
    found = same_as(asked, record)
    return refused(RegistryFault.SCHEMA_UNKNOWN) if found is None else version_shown(subject, found)


def register(subject: str, body: bytes) -> Answer:
    """The id of a schema that is there, as clients ask for it before they write; a new one is refused."""
    record, asked = subjects().get(subject), _schema_in(body)
    if asked is None:
        return refused(RegistryFault.SCHEMA_INVALID)
    found = None if record is None else same_as(asked, record)
    return refused(RegistryFault.READ_ONLY) if found is None else shown({"id": found.schema_id})


def compatibility(subject: str, asked_version: str | None, body: bytes) -> Answer:
    """Whether a schema could be the next version, beside one that is there or all of them."""
    asked = _schema_in(body)
    if asked is None:
        return refused(RegistryFault.SCHEMA_INVALID)
    record = subjects().get(subject)
    if record is None:
        return refused(RegistryFault.SUBJECT_UNKNOWN)
    beside = versions_of(record)
    if asked_version is not None:
        one = _version(subject, asked_version)
        if isinstance(one, RegistryFault):
            return refused(one)
        beside = [one]
    new = RegisteredSchema(0, record, versions_of(record)[-1].version + 1, json.dumps(asked))
    both_directions = level_of(record) == "FULL_TRANSITIVE"
    found = [problem for each in beside for problem in incompatibilities((each, new), both_directions)]
    return shown({"is_compatible": not found, "messages": found})


def config(subject: str) -> Answer:
    record = subjects().get(subject)
    if record is None:
        return refused(RegistryFault.SUBJECT_UNKNOWN)
    return shown({"compatibilityLevel": level_of(record)})


def _version(subject: str, asked: str) -> RegisteredSchema | RegistryFault:
    record = subjects().get(subject)
    if record is None:
        return RegistryFault.SUBJECT_UNKNOWN
    known = versions_of(record)
    if asked in ("latest", "-1"):
        return known[-1]
    if not asked.isdecimal() or not asked.isascii() or not 0 < len(asked) < 10 or int(asked) == 0:
        return RegistryFault.VERSION_INVALID
    return next((schema for schema in known if schema.version == int(asked)), RegistryFault.VERSION_UNKNOWN)


def _schema_in(body: bytes) -> Any:
    """The Avro schema of a request; None where there is none in it."""
    try:
        asked = json.loads(body)
        schema = json.loads(asked["schema"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return schema if asked.get("schemaType", "AVRO") == "AVRO" and canonical_form(schema) is not None else None

"""Answers in the words of Confluent's registry: media type, error codes, fields.

Source: Confluent Schema Registry API reference, 7.x. Its clients read `error_code`, so that here alone an error is no
problem document.
"""

from enum import Enum
from typing import Any, Final

import msgspec

from ingest_api.http.call import Answer
from schemas.registry import RegisteredSchema

MEDIA: Final = b"application/vnd.schemaregistry.v1+json"


class RegistryFault(Enum):
    """HTTP status, error code, and what is said."""

    SUBJECT_UNKNOWN = 404, 40401, "Subject not found."
    VERSION_UNKNOWN = 404, 40402, "Version not found."
    SCHEMA_UNKNOWN = 404, 40403, "Schema not found"
    SCHEMA_INVALID = 422, 42201, 'Invalid schema: send {"schema": "…"} with an Avro schema as text'
    VERSION_INVALID = 422, 42202, "The specified version is not valid: an integer from 1 on, or latest"
    READ_ONLY = 422, 42205, "The registry is read-only: schemas are released with Millrace itself"


def refused(fault: RegistryFault) -> Answer:
    """An error as clients of the registry read it."""
    status, code, message = fault.value
    return Answer(status, msgspec.json.encode({"error_code": code, "message": message}), content_type=MEDIA)


def shown(value: Any) -> Answer:
    """A 200."""
    return Answer(200, msgspec.json.encode(value), content_type=MEDIA)


def version_shown(subject: str, schema: RegisteredSchema) -> Answer:
    """One version of a subject."""
    return shown({"subject": subject, "id": schema.schema_id, "version": schema.version, "schema": schema.text})

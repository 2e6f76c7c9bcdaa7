"""Subjects: the names under which clients look for a record's schemas, by any of the three naming strategies.

`payments.events-value` (topic, where it carries one record), `millrace.Event` (record), and
`payments.events-millrace.Event` (topic and record). All of one record's names have its versions.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from schemas.compatibility import PUBLIC_RECORDS
from schemas.registry import RegisteredSchema, registered
from schemas.topics import CATALOGUE

NAMESPACE = "millrace"


@cache
def subjects() -> Mapping[str, str]:
    """Every subject with its record, in the order of their names."""
    return dict(sorted(_named()))


def _named() -> Iterator[tuple[str, str]]:
    for topic in CATALOGUE:
        if len(topic.records) == 1:
            yield f"{topic.name}-value", topic.records[0]
        for record in topic.records:
            yield f"{NAMESPACE}.{record}", record
            yield f"{topic.name}-{NAMESPACE}.{record}", record


def versions_of(record: str) -> list[RegisteredSchema]:
    """From the oldest on."""
    return sorted((schema for schema in registered() if schema.record == record), key=lambda schema: schema.version)


def level_of(record: str) -> str:
    """The rule that each new version of the record is held to (schemas.compatibility)."""
    return "FULL_TRANSITIVE" if record in PUBLIC_RECORDS else "BACKWARD_TRANSITIVE"


def same_as(schema: Any, record: str) -> RegisteredSchema | None:
    """The newest version that says the same, if there is one: word for word, or in Avro's canonical form, because
    clients leave out documentation and write names in full.
    """
    known = versions_of(record)[::-1]
    alike = (each for each in known if each.parsed == schema)
    canonical = canonical_form(schema)
    return next(alike, None) or next((each for each in known if canonical_form(each.parsed) == canonical), None)


def canonical_form(schema: Any) -> str | None:
    """Avro's parsing canonical form; None where it is no schema."""
    try:
        return str(fastavro.schema.to_parsing_canonical_form(schema))
    except (SchemaParseException, UnknownType, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None

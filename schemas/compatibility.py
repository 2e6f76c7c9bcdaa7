"""`python -m schemas.compatibility`: may each version of a record be read as each other version that it has to meet?

Reads the registered schemas; writes nothing. Records on a public topic must be FULL_TRANSITIVE (old readers meet new
records and new readers old ones, every pair of versions); internal ones BACKWARD_TRANSITIVE (a new reader reads all
that is still kept). The rules are those of the Apache `avro` package; on top, a decimal keeps its scale, because Avro
would let 10.50 be read as 1050.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import permutations
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from schemas.registry import RegisteredSchema, registered
from schemas.topics import CATALOGUE

PUBLIC_RECORDS = frozenset(record for topic in CATALOGUE if topic.public for record in topic.records)


def incompatibilities(versions: Iterable[RegisteredSchema], both_directions: bool) -> list[str]:
    """What stands between the versions of one record, as sentences; empty where every pair that must fit does."""
    found: list[str] = []
    for reader, writer in permutations(versions, 2):
        if reader.version > writer.version or both_directions:
            name = f"{reader.record}: version {reader.version} can't read version {writer.version}"
            found += [f"{name}: {problem}" for problem in _problems(reader, writer)]
    return found


def _problems(reader: RegisteredSchema, writer: RegisteredSchema) -> Iterator[str]:
    result = ReaderWriterCompatibilityChecker().get_compatibility(parse(reader.text), parse(writer.text))
    if result.compatibility is not SchemaCompatibilityType.compatible:
        messages = ", ".join(sorted(result.messages))
        yield f"{messages} at {', '.join(sorted(result.locations))}"
    read, written = dict(_decimals(reader.parsed)), dict(_decimals(writer.parsed))
    for place in sorted(read.keys() & written.keys()):
        if read[place] != written[place]:
            yield f"{place} changes its logical type from {written[place]} to {read[place]}"


def _decimals(schema: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Place and meaning of every logical type; references to a named type follow its definition, so they need none."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _decimals(branch, place)
    elif isinstance(schema, dict):
        yield place, json.dumps([schema.get(key) for key in ("logicalType", "precision", "scale")])
        for key in ("type", "items", "values"):
            yield from _decimals(schema.get(key), place)
        for field in schema.get("fields", ()):
            yield from _decimals(field["type"], f"{place}/{field['name']}")


def main() -> None:
    """Check every record. Exits 1 with one line per problem."""
    records = sorted({schema.record for schema in registered()})
    found: list[str] = []
    for record in records:
        versions = [schema for schema in registered() if schema.record == record]
        found += incompatibilities(versions, both_directions=record in PUBLIC_RECORDS)
    if found:
        raise SystemExit("\n".join(found))
    sys.stdout.write(f"{len(records)} records, {len(registered())} versions: compatible\n")


if __name__ == "__main__":
    main()

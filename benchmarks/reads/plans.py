"""What Postgres does for a statement: it runs it again and tells."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from psycopg import Connection


class Effort(NamedTuple):
    """What a plan took: rows that it read, the ones that it threw away as well, and the most that it sorted at once."""

    rows: int
    sorted: int
    nodes: tuple[str, ...]


def effort_of(connection: Connection, query: bytes, parameters: Any) -> Effort:
    """Of one run with these parameters."""
    row = connection.execute(b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + query, parameters).fetchone()
    assert row is not None, "EXPLAIN answers"
    nodes = list(_nodes(row[0][0]["Plan"]))
    return Effort(
        sum(_read(node) for node in nodes if "Scan" in node["Node Type"]),
        max((_taken(below) for node in nodes if node["Node Type"] == "Sort" for below in node["Plans"]), default=0),
        tuple(dict.fromkeys(node["Node Type"] for node in nodes)),
    )


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _taken(node: Mapping[str, Any]) -> int:
    return int(node["Actual Rows"] * node["Actual Loops"])


def _read(node: Mapping[str, Any]) -> int:
    thrown_away = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return _taken(node) + int(thrown_away * node["Actual Loops"])

"""`millrace routes`: every route of the HTTP interface, made from the code. `document` names the source documents."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from ingest_api.app import make_fastapi
from ingest_api.http.seeds import documents_of
from millrace.commands.output import print_json, screen


def rows() -> Iterator[dict[str, Any]]:
    """One row for each method and path of the OpenAPI document."""
    for path, methods in make_fastapi().openapi()["paths"].items():
        for method, operation in methods.items():
            route = method.upper(), path
            scopes = [scope for need in operation.get("security", []) for scope in need.get("bearer", [])]
            yield {
                "method": route[0],
                "path": path,
                "document": ", ".join(documents_of(route)),
                "operation": operation["summary"],
                "scope": ", ".join(scopes),
            }


def run(*, as_json: bool) -> None:
    """Print them, as a table or as JSON."""
    if as_json:
        print_json(list(rows()))
        return
    table = Table("method", "path", "scope", "document", box=None)
    for row in rows():
        table.add_row(row["method"], row["path"], row["scope"], row["document"])
    screen.print(table)

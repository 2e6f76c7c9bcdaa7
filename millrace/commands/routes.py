"""`millrace routes`: every route of the HTTP interface, made from the code. `document` names the source documents."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi.routing import APIRoute
from rich.table import Table

from ingest_api.app import make_fastapi
from ingest_api.discovery.eureka import routes as eureka
from ingest_api.http.seeds import documents_of
from ingest_api.schema_registry import routes as schema_registry
from millrace.commands.output import print_json, print_table


def rows() -> Iterator[dict[str, Any]]:
    """One row for each method and path: of the OpenAPI document, and of the protocols that others describe."""
    app = make_fastapi()
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield _row(method.upper(), path, operation["summary"], operation)
    for route in (*eureka.router.routes, *schema_registry.router.routes):
        if isinstance(route, APIRoute) and not route.path.endswith("/"):
            said = route.description.partition(".")[0]
            yield from (
                _row(method, route.path, said, route.openapi_extra or {}) for method in sorted(route.methods or ())
            )


def _row(method: str, path: str, operation: str, described: Mapping[str, Any]) -> dict[str, Any]:
    scopes = [scope for need in described.get("security", []) for scope in need.get("bearer", [])]
    return {
        "method": method,
        "path": path,
        "document": ", ".join(documents_of((method, path))),
        "operation": operation,
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
    print_table(table)

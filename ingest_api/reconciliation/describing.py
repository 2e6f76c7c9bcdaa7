"""How the routes of reconciliation stand in OpenAPI: nothing here needs a key, and most writes may answer 409."""

from typing import Any

from ingest_api.http.openapi import describe_at_once
from ingest_api.identity.tokens import Scope


def described(summary: str, scope: Scope, result: type, body: type | None = None, status: int = 200) -> dict[str, Any]:
    """A read, or a write that is done at once."""
    return describe_at_once(summary, scope, result, body, status, (409,) if body is not None else ())


def described_bytes(summary: str, scope: Scope, result: type, *media: str) -> dict[str, Any]:
    """A read that answers with a file."""
    found = described(summary, scope, result)
    found["responses"][200]["content"] = {name: {"schema": {"type": "string", "format": "binary"}} for name in media}
    return found

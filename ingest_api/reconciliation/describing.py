"""How the routes of reconciliation stand in OpenAPI: nothing here needs a key, and most writes may answer 409."""

from typing import Any, Final

from ingest_api.http.openapi import describe, problem_answer
from ingest_api.identity.tokens import Scope

NO_NUL: Final = r"^[^\x00]*$"
"""Postgres takes every character of a text but this one."""


def described(summary: str, scope: Scope, result: type, body: type | None = None, status: int = 200) -> dict[str, Any]:
    """A read, or a write that is done at once."""
    found = describe(summary, scope, result, body=body, statuses=(status,))
    found["openapi_extra"]["parameters"] = []
    if body is not None:
        found["responses"][409] = problem_answer(409)
    return found


def described_bytes(summary: str, scope: Scope, result: type, *media: str) -> dict[str, Any]:
    """A read that answers with a file."""
    found = described(summary, scope, result)
    found["responses"][200]["content"] = {name: {"schema": {"type": "string", "format": "binary"}} for name in media}
    return found

"""Goal: a card number, an IBAN, a token or a password in any place of a request comes into no log line, no error
document, no entry of the audit log and no record.

Method: every operation of the OpenAPI document is called twice, with secrets in its path, its query, its headers, the
names and the values of its body; then everything that the installation wrote is searched.
"""

from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import psycopg
import pytest

from millrace.environment.layout import Home
from runtime.settings import Settings
from schemas.topics import COMMANDS, QUARANTINE
from tests.ingest_api.client import ApiClient
from tests.support.committed_records import committed_records

SECRETS = (
    "4111111111111111",
    "5500-0055-5555-5559",
    "DE89370400440532013000",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2VjcmV0LW9mLWEtdG9rZW4",
    "mk_0123456789ab_" + "k7" * 21 + "k",
    "password=correct-horse-17",
)
PARTS = ("4111111111111111", "5500-0055", "0400440532013000", "c2VjcmV0LW9mLWEt", "k7k7k7k7", "correct-horse")
"""What would be seen of them, however it was cut."""

NAMED_IN = ("X-Request-Id", "traceparent", "Prefer", "If-Match", "Consistency-Token", "User-Agent", "X-Forwarded-For")


def leaks(text: str) -> list[str]:
    return [part for part in PARTS if part in text]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Method, path and the members of the body."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).values()
            names = [each["schema"].get("$ref", "").rpartition("/")[2] for each in content]
            members = [
                m for name in names for m in document["components"]["schemas"].get(name, {}).get("properties", {})
            ]
            yield method.upper(), path, members


def ask(http: httpx.Client, method: str, path: str, members: list[str], secrets: Iterator[str]) -> httpx.Response:
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + quote(next(secrets), safe="") + rest.partition("}")[2]
    body = {name: next(secrets) for name in members} | {f"x_{next(secrets)}": next(secrets)}
    headers = {name: next(secrets) for name in NAMED_IN} | {
        "Idempotency-Key": "secrecy",
        "Content-Type": "application/json",
    }
    content = msgspec.json.encode(body) if members or method in {"POST", "PUT", "PATCH"} else None
    return http.request(method, path, params={f"q_{next(secrets)}": next(secrets)}, headers=headers, content=content)


@pytest.mark.timeout(280)
def test_what_nobody_may_keep_is_kept_nowhere(api: ApiClient, settings: Settings) -> None:
    document = api.http.get("/openapi.json").json()
    asked = list(operations(document))
    assert len(asked) > 100
    told: list[str] = []
    for start in (0, 3):
        secrets = cycle(SECRETS[start:] + SECRETS[:start])
        for method, path, members in asked:
            response = ask(api.http, method, path, members, secrets)
            assert response.status_code != 500, f"{method} {path}"
            if response.status_code >= 400:
                told += [f"{method} {path} answers {part}" for part in leaks(response.text + str(response.headers))]
    for secret in SECRETS:
        response = httpx.get(f"{api.http.base_url}/v1/accounts", headers={"Authorization": f"Bearer {secret}"})
        told += [f"401 answers {part}" for part in leaks(response.text + str(response.headers))]
    told += [f"{name} keeps {part}" for name, text in kept(settings) for part in leaks(text)]
    assert told == []


def kept(settings: Settings) -> Iterator[tuple[str, str]]:
    """Whatever the installation wrote about these calls."""
    logs = list(Home(settings.home).logs.glob("*.log"))
    assert logs
    yield from ((log.name, log.read_text(errors="replace")) for log in logs)
    with psycopg.connect(settings.database_url) as connection:
        yield from (
            ("audit log", row) for (row,) in connection.execute("SELECT entry::text FROM audit_entries AS entry")
        )
    for topic in (QUARANTINE, COMMANDS):
        for record in committed_records(settings.kafka_bootstrap, topic.name, settings.shards):
            parts = (record.key(), record.value(), *(value for _, value in record.headers() or []))
            yield topic.name, " ".join(bytes(part).decode("latin-1") for part in parts if part)

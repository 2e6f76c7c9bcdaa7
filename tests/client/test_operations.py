"""Goal: the client and the OpenAPI document say the same: every operation, its key, its fields, its answers.

Method: every function of every resource is asked with all of its parameters, and every model reads samples that are
made from the document.
"""

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import msgspec
import pytest

from ingest_api.app import make_fastapi
from ingest_api.problems import STATUS
from millrace.client import faults
from millrace.client.batches import _ROUTE as BATCH
from millrace.client.calls import _STEP_UP, _TOKEN
from millrace.client.exchange import Response
from millrace.client.models.model import Model
from tests.client.operations import Document, Operation, operations

OPERATIONS = list(operations())
NOT_ASKED_BY_RESOURCES = {
    f"{_TOKEN.method} {_TOKEN.path}": "credentials log in by it",
    f"{_STEP_UP.method} {_STEP_UP.path}": "credentials step up by it",
    f"{BATCH.method} {BATCH.path}": "send_batches streams to it",
    "POST /v1/auth": "POST /v1/oauth/token by another name",
    "* /v1/generate_token/{account_id}": "a login by another name, for who can't do OAuth",
    "POST /v1/users": "POST /v1/user by another name",
    "PUT /v1/user": "PUT /v1/user/{user_id} with the id in the body",
    "DELETE /v1/account/{bank_account_id}": "DELETE /v1/user/{user_id}/accounts/{bank_account_id} without the user",
    "GET /v1/bankAccuonts/{user_id}": "GET /v1/bankAccounts/{user_id} as one document spells it",
    "GET /v1/balance": "GET /v1/accounts/{account_id}/balance by query",
    "GET /v1/payment/{payment_id}": "GET /v1/payments/{payment_id} by another name",
    "POST /v1/psp/{psp}/webhooks": "payment providers call it",
    "* /v1/notifications/unsubscribe/{token}": "the link in an e-mail",
    "GET /v1/services": "for gateways: where the processes of the API are",
    "GET /livez": "for whoever starts the process",
    "GET /readyz": "for whoever sends it calls",
    "GET /startupz": "for whoever starts the process",
    "GET /metrics": "for whoever watches it",
    "GET /.well-known/*": "for whoever verifies tokens",
}

TIMES = frozenset({"from", "to", "startTime", "endTime", "endtime", "start", "end"})
OTHER_NAMES = {"phoneNumber", "BankAcountId", "bankacounts"}
OTHER_READS = {
    "/v1/accounts/{account_id}/statement": {"format"},
    "/v1/transactions/{payment_id}": TIMES | {"limit", "cursor"},
}
"""Of a file, and of a user's payments: other functions ask for them."""


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(make_fastapi().openapi())


def test_every_operation_is_called_by_a_function_or_has_a_reason(document: Document) -> None:
    """A new route: give it a function in millrace/client/resources, or a line above that says why not."""
    called = {f"{operation.route.method} {operation.route.path}" for operation in OPERATIONS}
    described = {f"{method} {path}" for method, path in document.operations}
    missing = [
        route
        for route in sorted(described - called)
        if not any(fnmatch(route, pattern) for pattern in NOT_ASKED_BY_RESOURCES)
    ]
    assert missing == []
    assert called <= described, "the client calls what is not offered"


def test_what_is_asked_is_what_is_taken(document: Document) -> None:
    assert [
        (operation.name, fault) for operation in OPERATIONS for fault in _faults_of_asking(document, operation)
    ] == []


def _faults_of_asking(document: Document, operation: Operation) -> Iterator[str]:
    asked, route = operation.fullest(), operation.route
    headers, query = document.parameters(route, "header"), document.parameters(route, "query")
    body = document.body(route)
    fields = set(asked.body) if isinstance(asked.body, dict) else set()
    fits = {
        "key": route.keyed == ("Idempotency-Key" in headers),
        "query": asked.query.keys() <= query,
        "wait": asked.wait_s is None or "Prefer" in headers,
        "if-match": "If-Match" not in asked.headers or "If-Match" in headers,
        "path": len(asked.path) == route.path.count("{"),
        "body": not isinstance(asked.body, dict) or body is not None,
        "fields": body is None or fields <= body.get("properties", {}).keys(),
        "required": body is None
        or "fields" in operation.ask.__code__.co_varnames
        or set(body.get("required", ())) <= fields,
    }
    return (name for name, is_so in fits.items() if not is_so)


def test_what_is_taken_can_be_asked_and_what_is_answered_is_there(document: Document) -> None:
    """The other way round: nothing of the document is out of the client's reach but the other names of the same."""
    assert [(operation.name, part) for operation in OPERATIONS for part in _out_of_reach(document, operation)] == []


def _out_of_reach(document: Document, operation: Operation) -> Iterator[str]:
    asked, route = operation.fullest(), operation.route
    other_names = TIMES if TIMES & asked.query.keys() else frozenset()
    yield from (
        document.parameters(route, "query") - asked.query.keys() - other_names - OTHER_READS.get(route.path, set())
    )
    yield from {"If-Match"} & document.parameters(route, "header") - asked.headers.keys()
    fields = (document.body(route) or {}).get("properties", {}).keys()
    if isinstance(asked.body, dict) and "fields" not in operation.ask.__code__.co_varnames:
        yield from fields - asked.body.keys() - OTHER_NAMES
    if operation.result not in (bytes, dict[str, Any]):
        schema = document.result(route)
        schema = document.resolved(schema["properties"]["items"]["items"]) if operation.is_list else schema
        full = document.sample(schema, with_optional=True)
        read: Any = msgspec.to_builtins(msgspec.convert(full, operation.result))
        yield from full.keys() - read.keys() - OTHER_NAMES


def test_what_is_answered_is_read_whole(document: Document) -> None:
    for operation in OPERATIONS:
        result: Any = operation.result
        if result is bytes:
            continue
        schema = document.result(operation.route)
        if operation.is_list:
            assert {"items", "has_more", "next_cursor"} <= schema["properties"].keys()
            schema = document.resolved(schema["properties"]["items"]["items"])
        if result == dict[str, Any]:
            continue
        assert issubclass(result, Model)
        msgspec.convert(document.sample(schema, with_optional=False), result)
        full = document.sample(schema, with_optional=True)
        read = msgspec.to_builtins(msgspec.convert(full, result))
        assert _within(read, full), f"{operation.name}: a field of the model is not one of the document's"


def _within(read: Any, full: Any) -> bool:
    """Every field that was read has the value that was sent."""
    if isinstance(read, dict):
        return isinstance(full, dict) and all(name in full and _within(read[name], full[name]) for name in read)
    if isinstance(read, list):
        return len(read) == len(full) and all(map(_within, read, full))
    return bool(read == full)


def test_every_code_has_the_exception_of_its_status() -> None:
    """What is told apart within a status stays within it; codes of the future are what their status is."""
    for code, (status, _) in STATUS.items():
        body = msgspec.json.encode({"code": str(code), "detail": "Because."})
        made = faults.problem_of(Response(status, {}, body))
        assert isinstance(made, faults.Problem)
        by_status = faults.problem_of(Response(status, {}, b'{"code": "of_the_future"}'))
        assert isinstance(made, type(by_status)) or (status == 422 and isinstance(made, faults.InvalidRequest)), code
    assert {str(code) for code in STATUS} >= faults.OF_CODE.keys()

"""OpenAPI 3.1 from the Structs that the operations decode and encode: nothing is described twice.

`describe` gives a FastAPI route its body, answers and problems; `document` completes FastAPI's document with the
components. The routes without the version prefix work alike and are not repeated.
"""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ingest_api.account_changes.bodies import NewAccountBody
from ingest_api.aliases.shown import RESOURCES as ALIAS_RESOURCES
from ingest_api.attempts.shown import RESOURCES as ATTEMPT_RESOURCES
from ingest_api.audit_log.shown import RESOURCES as AUDIT_RESOURCES
from ingest_api.cases.shown import RESOURCES as CASE_RESOURCES
from ingest_api.cash.shown import RESOURCES as CASH_RESOURCES
from ingest_api.commerce.shown import RESOURCES as COMMERCE_RESOURCES
from ingest_api.discovery.shown import RESOURCES as SERVICE_RESOURCES
from ingest_api.disputes.shown import RESOURCES as DISPUTE_RESOURCES
from ingest_api.external_banks.shown import RESOURCES as BANK_RESOURCES
from ingest_api.fx.shown import RESOURCES as FX_RESOURCES
from ingest_api.holds.shown import RESOURCES as HOLD_RESOURCES
from ingest_api.http.bodies import (
    AccountChangeBody,
    AccountLine,
    DepositBody,
    DepositLine,
    NoBody,
    PricedBody,
    TransferBody,
    TransferLine,
)
from ingest_api.http.resources import RESOURCES, Health, Payment, ProblemBody
from ingest_api.identity.machines.shown import RESOURCES as API_KEY_RESOURCES
from ingest_api.identity.shown import RESOURCES as IDENTITY_RESOURCES
from ingest_api.identity.tokens import Scope
from ingest_api.journals.shown import RESOURCES as JOURNAL_RESOURCES
from ingest_api.owners.shown import RESOURCES as OWNER_RESOURCES
from ingest_api.people.shown import RESOURCES as PEOPLE_RESOURCES
from ingest_api.preferences.shown import RESOURCES as PREFERENCE_RESOURCES
from ingest_api.psp_webhooks.shown import RESOURCES as PSP_RESOURCES
from ingest_api.public_events.shown import RESOURCES as EVENT_RESOURCES
from ingest_api.quarantine.shown import RESOURCES as QUARANTINE_RESOURCES
from ingest_api.reconciliation.bodies import RESOURCES as RECONCILIATION_BODIES
from ingest_api.reconciliation.internal.bodies import RESOURCES as INTERNAL_BODIES
from ingest_api.reconciliation.internal.shown import RESOURCES as INTERNAL_FINDINGS
from ingest_api.reconciliation.shown import RESOURCES as RECONCILIATION_RESOURCES
from ingest_api.reconciliation.shown_breaks import RESOURCES as BREAK_RESOURCES
from ingest_api.risk.shown import RESOURCES as RISK_RESOURCES
from ingest_api.schedules.shown import RESOURCES as SCHEDULE_RESOURCES
from ingest_api.screening.shown import RESOURCES as SCREENING_RESOURCES
from ingest_api.seed_routes.shown import RESOURCES as SEED_RESOURCES
from ingest_api.statements.shown import RESOURCES as STATEMENT_RESOURCES
from ingest_api.webhook_endpoints.shown import RESOURCES as WEBHOOK_RESOURCES

TITLE = "Millrace"
_BODIES: tuple[type, ...] = (
    TransferBody,
    PricedBody,
    NoBody,
    DepositBody,
    NewAccountBody,
    AccountChangeBody,
    TransferLine,
    DepositLine,
    AccountLine,
)
_REF = "#/components/schemas/{name}"
_HTTP_TITLES = {
    400: "Malformed: JSON, key or token of the request",
    401: "No valid bearer token",
    403: "The token lacks the scope, or the role on the account does not allow it",
    404: "No such account, payment, schedule, user, alias, party, hit or case, or none of the caller's",
    409: "The case or hit is resolved, being redriven, or decided already; the alias is somebody else's; "
    "the user was erased or has no names yet; the schedule has ended; an open account needs its owner",
    412: "It has changed since the look that If-Match names",
    413: "Too large",
    415: "Another content type is needed",
    422: "Refused by a rule, or a field is not valid; nothing moved",
    429: "Too many commands of this client",
    500: "An error on our side",
    503: "Busy, or the outcome is not known: send it again with the same key after Retry-After",
}
_READ_PROBLEMS = (400, 401, 403, 404, 422, 500, 503)
_WRITE_PROBLEMS = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
_INTRODUCTION = """Money moves on a stream: a command is accepted when Kafka has it, decided at the partition of the
account that pays, and posted at the one that receives. Each path works with and without `/v1`.

* **Amounts** are decimals as text (`"10.50"`) or JSON numbers, read exactly; answers carry text and `…_minor` integers.
* **Idempotency-Key** is needed to move money: the same key and body answer the first outcome again
  (`Idempotency-Replayed: true`), the same key with another body is refused.
* **Prefer: wait=N** (0 to 30 s, 2 by default, none for batches) waits for the final outcome; else 202 + `Location`.
* **Consistency-Token** of a write, sent with a read, makes the read show at least that write; sent with a step (a
  capture, a refund …), that what it is about is found. A step without one looks again for 0.6 s before it answers 404.
* **Errors** are `application/problem+json` (RFC 9457) with a stable `code`."""

_NEVER_ANSWERED = frozenset({"HTTPValidationError", "ValidationError"})  # FastAPI's own shape of a 422
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 257},
    "description": 'Quoted or bare, at most 255 characters: "order-4711"',
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "wait=N: seconds to wait for the final outcome",
    "example": "wait=5",
}
CONSISTENCY = {
    "name": "Consistency-Token",
    "in": "header",
    "schema": {"type": "string"},
    "description": "From the answer to a write: the read shows at least that write",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "ETag of the last look: refused with 412 where it has changed since",
}


def describe(
    summary: str,
    scope: Scope,
    result: type = Payment,
    *,
    body: type | None = None,
    statuses: tuple[int, ...] = (),
    key_needed: bool = True,
) -> dict[str, Any]:
    """Arguments of a FastAPI route: a write where there is a body, else a read."""
    problems = _WRITE_PROBLEMS if body else _READ_PROBLEMS
    answers = statuses or ((201, 200, 202) if body else (200,))
    parameters = of_writes(key_needed=key_needed) if body else [CONSISTENCY]
    extra: dict[str, Any] = {"parameters": parameters, "security": [{"bearer": [scope]}]}
    if body:
        extra["requestBody"] = request_body("application/json", reference_to(body))
    return {
        "summary": summary,
        "response_model": None,
        "status_code": answers[0],
        "responses": {status: _answer(status, result) for status in answers}
        | {status: problem_answer(status) for status in problems},
        "openapi_extra": extra,
    }


def describe_later(summary: str, scope: Scope, result: type, body: type) -> dict[str, Any]:
    """The same of a write about something that was written before, and may not be visible yet."""
    described = describe(summary, scope, result, body=body)
    described["openapi_extra"]["parameters"].append(CONSISTENCY)
    return described


def describe_step(summary: str, scope: Scope, result: type, body: type | None = None) -> dict[str, Any]:
    """The same where nothing is made: 200 once it is done."""
    described = describe(summary, scope, result, body=body or NoBody, statuses=(200, 202))
    described["openapi_extra"]["parameters"].append(CONSISTENCY)
    described["openapi_extra"]["requestBody"]["required"] = body is not None
    return described


def describe_at_once(
    summary: str, scope: Scope, result: type, body: type | None, status: int = 200, problems: tuple[int, ...] = ()
) -> dict[str, Any]:
    """The same of a write that is done at once: no key is needed, and nothing is waited for."""
    described = describe(summary, scope, result, body=body, statuses=(status,))
    described["openapi_extra"]["parameters"] = []
    if body is NoBody:
        described["openapi_extra"]["requestBody"]["required"] = False
    described["responses"] |= {problem: problem_answer(problem) for problem in problems}
    return described


def guarded(described: dict[str, Any]) -> dict[str, Any]:
    """The same of a change that is made to what the caller has seen, where If-Match says so."""
    described["openapi_extra"]["parameters"].append(_IF_MATCH)
    described["responses"][412] = problem_answer(412)
    return described


def of_writes(*, key_needed: bool) -> list[dict[str, Any]]:
    """Headers that calls take which move money."""
    return [_IDEMPOTENCY | {"required": key_needed}, _PREFER]


def describe_check(summary: str, statuses: tuple[int, ...]) -> dict[str, Any]:
    """Arguments of a FastAPI route that tells how the process is, to everybody."""
    return {
        "summary": summary,
        "response_model": None,
        "responses": {status: _answer(status, Health) for status in statuses},
    }


def reference_to(resource: type) -> dict[str, str]:
    """Where the document describes a Struct."""
    return {"$ref": _REF.format(name=resource.__name__)}


def request_body(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI request body."""
    return {"required": True, "content": {media: {"schema": schema}}}


def lines_schema() -> dict[str, Any]:
    """What a batch line may be."""
    lines = (TransferLine, DepositLine, AccountLine)
    return {"anyOf": [reference_to(line) for line in lines]}


_DONE = {
    200: "Done; on a write: done before, answered again",
    201: "Done",
    202: "Accepted, not final yet",
    503: "Not ready: the checks name what is missing",
}


def _answer(status: int, result: type) -> dict[str, Any]:
    return {
        "description": _DONE[status],
        "content": {"application/json": {"schema": reference_to(result)}},
    }


def problem_answer(status: int) -> dict[str, Any]:
    """An OpenAPI answer that carries a problem document."""
    return {
        "description": _HTTP_TITLES[status],
        "content": {"application/problem+json": {"schema": reference_to(ProblemBody)}},
    }


def document(app: FastAPI, version: str) -> dict[str, Any]:
    """The whole OpenAPI document of the application."""
    described = get_openapi(
        title=TITLE, version=version, openapi_version="3.1.0", description=_INTRODUCTION, routes=app.routes
    )
    _, components = msgspec.json.schema_components(
        (
            *(*_BODIES, *RESOURCES, *ALIAS_RESOURCES, *OWNER_RESOURCES, *SCHEDULE_RESOURCES, *QUARANTINE_RESOURCES),
            *COMMERCE_RESOURCES,
            *IDENTITY_RESOURCES,
            *BANK_RESOURCES,
            *PEOPLE_RESOURCES,
            *SEED_RESOURCES,
            *CASH_RESOURCES,
            *HOLD_RESOURCES,
            *DISPUTE_RESOURCES,
            *JOURNAL_RESOURCES,
            *FX_RESOURCES,
            *API_KEY_RESOURCES,
            *AUDIT_RESOURCES,
            *CASE_RESOURCES,
            *ATTEMPT_RESOURCES,
            *RISK_RESOURCES,
            *SCREENING_RESOURCES,
            *STATEMENT_RESOURCES,
            *WEBHOOK_RESOURCES,
            *EVENT_RESOURCES,
            *PSP_RESOURCES,
            *RECONCILIATION_BODIES,
            *RECONCILIATION_RESOURCES,
            *BREAK_RESOURCES,
            *INTERNAL_BODIES,
            *INTERNAL_FINDINGS,
            *SERVICE_RESOURCES,
            *PREFERENCE_RESOURCES,
        ),
        ref_template=_REF,
    )
    of_queries = described["components"]["schemas"]
    used = {name: schema for name, schema in of_queries.items() if name not in _NEVER_ANSWERED}
    described["components"]["schemas"] = used | components
    described["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for path in described["paths"].values():
        for operation in path.values():
            if operation["responses"].get("422", {}).get("content", {}).get("application/json"):
                operation["responses"]["422"] = problem_answer(422)
    return described

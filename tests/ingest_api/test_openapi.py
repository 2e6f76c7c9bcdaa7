"""The OpenAPI document says what the API does: every route, every answer, and nothing else."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from ingest_api import health
from ingest_api.app import HOT_OPERATIONS, NOUNS, PREFIX
from ingest_api.http import documents
from ingest_api.http.advice import ADVICE
from ingest_api.identity.oauth import routes as oauth
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from ingest_api.metrics import routes as metrics
from ingest_api.problems import STATUS, Fault
from payments.money import AmountProblem
from payments.rejections import Reason
from runtime.settings import Settings
from tests.fuzz.target import furnished

ROUTERS: list[tuple[APIRouter, str]] = [
    *((noun.router, PREFIX) for noun in NOUNS),
    (health.router, ""),
    (metrics.router, ""),
    (oauth.published, ""),
]
FOR_EVERYBODY = {"/v1/auth", "/v1/oauth/token", "/v1/generate_token/{account_id}"}
"""Who calls is told by the body."""

SIGNED = {
    "/v1/psp/{psp}/webhooks": {"400", "404", "413", "422", "500", "503"},
    "/v1/notifications/unsubscribe/{token}": {"500", "503"},
}
"""Signed by somebody else, or by the token in their path, whatever their media type; with what they declare."""

ROUTES = [
    (prefix + route.path, method.lower())
    for router, prefix in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
]


@pytest.fixture(scope="module")
def document(api_url: str) -> dict[str, Any]:
    """As the running process serves it."""
    answer = httpx.get(f"{api_url}/openapi.json")
    assert answer.status_code == 200
    described: dict[str, Any] = answer.json()
    return described


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_route_is_described_and_nothing_else(document: dict[str, Any]) -> None:
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described == set(ROUTES)


def test_the_hot_routes_are_routes_of_fastapi_too() -> None:
    posts = {path for path, method in ROUTES if method == "post"}
    assert {path for path in HOT_OPERATIONS if path.startswith(PREFIX)} <= posts
    assert {path.removeprefix(PREFIX) for path in HOT_OPERATIONS} <= set(HOT_OPERATIONS)


@pytest.mark.parametrize(("path", "method"), [route for route in ROUTES if route[0].startswith(PREFIX)])
def test_every_operation_declares_its_problems_and_its_scope(document: dict[str, Any], path: str, method: str) -> None:
    operation = document["paths"][path][method]
    with_body = method in {"post", "put", "patch"}
    needed = {"400", "401", "422", "500", "503"} | ({"429"} if method != "get" else set())
    needed |= {"403", "404"} if path not in FOR_EVERYBODY else set()
    needed |= {"413", "415"} if with_body else set()
    needed = SIGNED.get(path, needed)
    for status in needed:
        assert list(operation["responses"][status]["content"]) == ["application/problem+json"], status
    assert any(status in operation["responses"] for status in ("200", "201", "202"))
    if path in FOR_EVERYBODY or path in SIGNED:
        assert operation["security"] == []
        return
    ((scheme, scopes),) = operation["security"][0].items()
    assert scheme in document["components"]["securitySchemes"]
    assert scopes
    assert ("requestBody" in operation) == with_body


def test_what_may_be_refused_for_its_tag_takes_one(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            takes_one = any(one["name"] == "If-Match" for one in operation.get("parameters", []))
            assert takes_one == ("412" in operation["responses"]), (method, path)


def test_parts_of_paths_are_declared_parameters(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)))
    assert references <= document["components"]["schemas"].keys()


def test_the_documents_page_is_served(api_url: str) -> None:
    """Complete from this process: no script or style from elsewhere."""
    page = httpx.get(f"{api_url}/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text
    parts = re.findall(r"""(?:src|href)="([^"]+)""", page.text)
    assert len(parts) >= 3
    assert [part for part in parts if httpx.get(f"{api_url}{part}").status_code != 200] == []


@pytest.mark.parametrize("code", [*Fault, *AmountProblem, *(reason for reason in Reason if reason is not Reason.NONE)])
def test_every_code_has_a_status_and_a_title(code: Fault | AmountProblem | Reason) -> None:
    status, title = STATUS[code]
    assert 400 <= status < 600
    assert title
    if isinstance(code, Reason):
        assert ADVICE[code].endswith(".") or ":" in ADVICE[code]


def test_the_committed_page_is_up_to_date() -> None:
    assert documents.PAGE.read_text() == documents.page(), "run `python -m ingest_api.http.documents`"


def test_the_check_refuses_a_page_that_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PAGE", tmp_path / "api.md")
    monkeypatch.setattr("sys.argv", ["documents", "--check"])
    with pytest.raises(SystemExit, match="behind"):
        documents.main()
    monkeypatch.setattr("sys.argv", ["documents"])
    documents.main()
    monkeypatch.setattr("sys.argv", ["documents", "--check"])
    documents.main()


def test_the_page_names_every_route_and_every_code() -> None:
    page = documents.page()
    assert [path for path, _ in ROUTES if f"`{path}`" not in page] == []
    assert [code for code in STATUS if f"`{code}`" not in page] == []


def test_answers_carry_no_shape_of_the_framework(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in str(document)


def test_the_fuzzer_finds_what_its_cases_are_about(settings: Settings, api_url: str) -> None:
    """An account, a payment, a hold, a schedule: else `make fuzz` ends before its first case."""
    known = furnished(api_url, issue_token(settings, "fuzz", ALL_SCOPES, 600)).known_ids
    assert {"account_id", "payment_id", "hold_id", "schedule_id"} <= known.keys()

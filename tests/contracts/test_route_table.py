"""Goal: every route that a source document asks for is served, with the version in its path and without it.

Method: the routes are read from the app; the documents' paths stand here as the documents write them.
"""

import re

import pytest
from starlette.testclient import TestClient

from ingest_api.app import make_fastapi
from ingest_api.http.seeds import DOCUMENTS, documents_of
from ingest_api.problems import Fault
from ingest_api.seed_routes.words import WORDS
from millrace.commands.routes import rows
from payments.items.details import OrderStatus
from payments.lifecycle import PaymentStatus

AS_WRITTEN = {
    "wallet": """
        POST /v1/transaction
        GET /v1/transactions/usr_1
        GET /v1/bankAccuonts/usr_1
        GET /v1/user/usr_1
        POST /v1/user/usr_1/accounts
        DELETE /v1/user/usr_1/accounts/bnk_1
        DELETE /v1/account/bnk_1
        PUT /v1/user/usr_1""",
    "ecommerce": """
        POST /v1/payments
        GET /v1/payments/order-1""",
    "microservices": """
        POST /v1/order
        POST /v1/payment
        DELETE /v1/order
        POST /v1/refunds/order-1
        GET /v1/payment/order-1
        POST /v1/user
        PUT /v1/user
        GET /v1/user/anna@example.com
        POST /v1/auth
        POST /v1/ledger
        GET /v1/ledger/usr_1
        GET /v1/wallet/balance
        POST /v1/wallet/debit
        POST /v1/wallet/credit
        POST /v1/risk""",
    "banking_ledger": """
        POST /v1/generate_token/acc_1
        PUT /v1/generate_token/acc_1
        GET /v1/balance""",
    "payment_service_api": """
        POST /accounts
        GET /accounts/acc_1
        PUT /accounts/acc_1
        POST /transfers
        GET /accounts/acc_1/balance
        POST /accounts/acc_1/deposit
        POST /accounts/acc_1/withdraw
        POST /external-banks/xbk_1/transfers
        GET /transactions
        GET /transactions/pay_1
        GET /transfers/pay_1/status""",
}
APP = make_fastapi()
PATTERNS = {path: re.compile(re.sub(r"{\w+}", "[^/]+", path)) for path in APP.openapi()["paths"]}


def described(method: str, path: str) -> tuple[str, str]:
    """The route of the OpenAPI document that a path means."""
    (template,) = [one for one, pattern in PATTERNS.items() if pattern.fullmatch(path)]
    assert method.lower() in APP.openapi()["paths"][template]
    return method, template


@pytest.mark.parametrize("prefix", ["/v1", ""], ids=["with the version", "without it"])
@pytest.mark.parametrize("document", AS_WRITTEN)
def test_every_path_of_a_document_is_served(document: str, prefix: str) -> None:
    client, found = TestClient(APP, raise_server_exceptions=False), set()
    for line in AS_WRITTEN[document].strip().splitlines():
        method, path = line.split()
        bare = path.removeprefix("/v1")
        answer = client.request(method, prefix + bare)
        assert answer.json()["code"] not in {Fault.ROUTE_UNKNOWN, Fault.METHOD_NOT_ALLOWED}, line
        found.add(described(method, f"/v1{bare}"))
    assert found == DOCUMENTS[document]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/v1/accounts/acc_1", "GET, HEAD, PUT"),
        ("PUT", "/order", "DELETE, POST"),
        ("POST", "/v1/webhook-endpoints/whe_1", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/v1/transfers:batch", "POST"),
    ],
)
def test_a_method_that_is_not_offered_is_told_all_that_are(method: str, path: str, allowed: str) -> None:
    """RFC 9110 §15.5.6: each method has a route of its own, and the first one alone was named."""
    answer = TestClient(APP, raise_server_exceptions=False).request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


def test_what_is_wrong_with_parameters_is_in_the_message() -> None:
    """Some clients read `errorMessage` alone."""
    client = TestClient(APP, raise_server_exceptions=False)
    told = client.get("/v1/accounts?limit=0&currency=eur").json()
    assert told["errorMessage"] == told["detail"]
    assert (
        told["detail"]
        == "currency: String should match pattern '^[A-Z]{3}$'. limit: Input should be greater than or equal to 1."
    )
    assert [error["pointer"] for error in told["errors"]] == ["?currency", "?limit"]


def test_the_table_of_routes_names_the_documents() -> None:
    table = {(row["method"], row["path"]): row["document"] for row in rows()}
    assert all(DOCUMENTS[name] <= table.keys() for name in DOCUMENTS)
    assert table["GET", "/v1/user/{user_id}"] == "wallet, microservices"
    assert documents_of(("GET", "/livez")) == []


def test_the_table_has_the_routes_that_other_protocols_describe() -> None:
    """Those of Eureka and of the schema registry are in no OpenAPI document, and are routes all the same."""
    table = {(row["method"], row["path"]): row for row in rows()}
    assert table["POST", "/eureka/apps/{app}"]["scope"] == "services:write"
    assert table["GET", "/eureka/apps"]["scope"] == "services:read"
    assert table["PUT", "/eureka/apps/{app}/{instance_id}"]["operation"] == "Keep alive"
    assert table["GET", "/subjects/{subject}/versions"]["scope"] == ""
    assert len(table) == len(list(rows()))
    assert not [path for _, path in table if path == "/transfers" or path.startswith(("/docs", "/redoc", "/openapi"))]


def test_every_status_has_a_word_in_every_document() -> None:
    assert WORDS.keys() == set(PaymentStatus)
    assert {words.wallet for words in WORDS.values()} == {"accepted", "declined", "waiting for verification"}
    assert {words.ecommerce for words in WORDS.values()} == set(OrderStatus)

"""Bad input: a clear problem document that says what to do, nothing lost, nothing moved."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from ingest_api.app import make_fastapi
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, command_ends, problem_of

JSON = "application/json"
PAYER = "acc_01jd5v2q7xf8k8v6n3m4p5r6st"
PAYEE = "acc_01jd5v2q7xf8k8v6n3m4p5r6ss"
GOOD = {"from_account": PAYER, "to_account": PAYEE, "amount": "1.00", "currency": "EUR"}
CARD = "4111 1111 1111 1111"


@pytest.fixture(autouse=True)
def nothing_written(settings: Settings) -> Iterator[None]:
    """No command may come of bad input."""
    before = command_ends(settings.kafka_bootstrap, settings.shards)
    yield
    assert command_ends(settings.kafka_bootstrap, settings.shards) == before


def changed(**fields: Any) -> bytes:
    """A good transfer with other fields; None leaves one out, bytes stand as they are."""
    body = {name: value for name, value in (GOOD | fields).items() if value is not None}
    raw = {n: v if isinstance(v, bytes) else msgspec.json.encode(v) for n, v in body.items()}
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in raw.items()) + b"}"


BODIES: list[tuple[str, bytes, int, str, str]] = [
    ("no JSON", b"amount=1", 400, "json_malformed", ""),
    ("cut JSON", changed()[:-2], 400, "json_malformed", ""),
    ("nothing", b"", 400, "json_malformed", ""),
    ("not UTF-8", changed(description=b'"\xff"'), 400, "json_malformed", ""),
    ("half a surrogate pair", changed(description=b'"\\ud800"'), 400, "json_malformed", ""),
    ("two documents", changed() + changed(), 400, "json_malformed", ""),
    ("a list", b"[1]", 422, "field_invalid", ""),
    ("a deep list", changed(amount=b"[" * 5000 + b"]" * 5000), 400, "json_malformed", ""),
    ("unknown field", changed(tip="1"), 422, "field_unknown", "/tip"),
    ("missing field", changed(currency=None), 422, "field_missing", "/currency"),
    ("a number as account", changed(from_account=1), 422, "field_invalid", "/from_account"),
    ("no account", changed(from_account="12345678"), 422, "field_invalid", "/from_account"),
    ("a payment as account", changed(to_account="pay" + PAYEE[3:]), 422, "field_invalid", "/to_account"),
    ("the id that means nobody", changed(to_account="acc_" + "0" * 26), 422, "field_invalid", "/to_account"),
    ("unknown currency", changed(currency="ZZZ"), 422, "currency_unknown", "/currency"),
    ("small letters", changed(currency="eur"), 422, "currency_unknown", "/currency"),
    ("gold", changed(currency="XAU"), 422, "currency_unknown", "/currency"),
    ("zero", changed(amount="0.00"), 422, "amount_not_positive", "/amount"),
    ("zero as number", changed(amount=b"0"), 422, "amount_not_positive", "/amount"),
    ("minus zero", changed(amount=b"-0.0"), 422, "amount_not_positive", "/amount"),
    ("negative", changed(amount="-1.00"), 422, "amount_not_positive", "/amount"),
    ("too many decimals", changed(amount="1.001"), 422, "amount_too_many_decimals", "/amount"),
    ("too many decimals as number", changed(amount=b"0.001"), 422, "amount_too_many_decimals", "/amount"),
    ("decimals of yen", changed(amount="1.5", currency="JPY"), 422, "amount_too_many_decimals", "/amount"),
    ("10^15 minor units", changed(amount="10000000000000.00"), 422, "amount_too_large", "/amount"),
    ("more than int64", changed(amount=b"9223372036854775808"), 422, "amount_too_large", "/amount"),
    ("1e400", changed(amount=b"1e400"), 422, "amount_too_large", "/amount"),
    ("1e-400", changed(amount=b"1e-400"), 422, "amount_too_many_decimals", "/amount"),
    ("a huge exponent", changed(amount=b"1e99999999"), 422, "amount_invalid", "/amount"),
    ("NaN", changed(amount="NaN"), 422, "amount_invalid", "/amount"),
    ("infinity", changed(amount="Infinity"), 422, "amount_invalid", "/amount"),
    ("bare NaN", changed(amount=b"NaN"), 400, "json_malformed", ""),
    ("a word", changed(amount="ten"), 422, "amount_invalid", "/amount"),
    ("true", changed(amount=b"true"), 422, "amount_invalid", "/amount"),
    ("null", changed(amount=b"null"), 422, "amount_invalid", "/amount"),
    ("an object", changed(amount=b'{"value":1}'), 422, "amount_invalid", "/amount"),
    ("underscores", changed(amount="1_000"), 422, "amount_invalid", "/amount"),
    ("a space", changed(amount=" 1"), 422, "amount_invalid", "/amount"),
    ("a comma", changed(amount="1,00"), 422, "amount_invalid", "/amount"),
    ("a plus", changed(amount="+1"), 422, "amount_invalid", "/amount"),
    ("a leading zero", changed(amount="01"), 422, "amount_invalid", "/amount"),
    ("other digits", changed(amount="١٠"), 422, "amount_invalid", "/amount"),
    ("a thousand digits", changed(amount="1" * 1000), 422, "amount_invalid", "/amount"),
    ("a long description", changed(description="x" * 141), 422, "field_invalid", "/description"),
    ("a NUL", changed(description=b'"a\\u0000b"'), 422, "field_invalid", "/description"),
    ("a card number", changed(description=f"card {CARD}"), 422, "card_number_refused", "/description"),
]


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_a_bad_transfer_is_refused_at_its_place(
    api: ApiClient, body: bytes, status: int, code: str, pointer: str
) -> None:
    headers = {"Content-Type": JSON, "Idempotency-Key": "bad"}
    response = api.http.post("/v1/transfers", content=body, headers=headers)
    document = problem_of(response, status, code)
    assert [(error["pointer"], error["code"]) for error in document["errors"]] == [(pointer, code)]


def test_a_card_number_is_not_repeated(api: ApiClient) -> None:
    headers = {"Content-Type": JSON, "Idempotency-Key": "card"}
    response = api.http.post("/v1/transfers", content=changed(description=CARD), headers=headers)
    assert "4111" not in response.text


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 400, "idempotency_key_missing"),
        ("", 422, "field_invalid"),
        ('""', 422, "field_invalid"),
        ("x" * 256, 422, "field_invalid"),
        ('"unclosed', 422, "malformed"),
        ("caf\xe9", 422, "malformed"),
    ],
)
def test_a_transfer_needs_a_key(api: ApiClient, key: str | None, status: int, code: str) -> None:
    headers = {b"Content-Type": JSON.encode()} | (
        {b"Idempotency-Key": key.encode("latin-1")} if key is not None else {}
    )
    problem_of(api.http.post("/v1/transfers", content=changed(), headers=headers), status, code)
    path = f"/v1/accounts/{PAYER}/deposit"
    problem_of(api.http.post(path, json={"amount": "1", "currency": "EUR"}, headers=headers), status, code)


@pytest.mark.parametrize(
    "path", ["/v1/transfers", "/v1/transfers:batch", "/v1/accounts", f"/v1/accounts/{PAYER}/deposit"]
)
def test_another_content_type_is_415(api: ApiClient, path: str) -> None:
    headers = {"Content-Type": "application/xml", "Idempotency-Key": "k"}
    problem_of(api.http.post(path, content=b"<a/>", headers=headers), 415, "media_type_unsupported")
    problem_of(api.http.post(path, content=b"{}"), 415, "media_type_unsupported")


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
@pytest.mark.parametrize(
    ("path", "media", "limit"),
    [
        ("/v1/transfers", JSON, 16_384),
        ("/v1/accounts", JSON, 16_384),
        ("/v1/transfers:batch", "application/x-ndjson", 8 * 1024 * 1024),
    ],
)
def test_a_body_that_is_too_large_is_413(api: ApiClient, path: str, media: str, limit: int, declared: bool) -> None:
    parts = [b" " * 65_536] * (limit // 65_536 + 1)
    content: Any = b"".join(parts) if declared else iter(parts)
    response = api.http.post(path, content=content, headers={"Content-Type": media, "Idempotency-Key": "k"})
    problem_of(response, 413, "body_too_large")
    assert f"At most {limit} bytes" in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "code", "pointer"),
    [
        ("/v1/accounts", {"currency": "ZZZ"}, "currency_unknown", "/currency"),
        ("/v1/accounts", {"currency": "EUR", "owner": "x"}, "field_unknown", "/owner"),
        ("/v1/accounts", {"currency": "EUR", "overdraft_limit": "-1"}, "amount_not_positive", "/overdraft_limit"),
        (
            "/v1/accounts",
            {"currency": "EUR", "overdraft_limit": "0.001"},
            "amount_too_many_decimals",
            "/overdraft_limit",
        ),
        ("/v1/accounts", {}, "field_missing", "/currency"),
        (
            f"/v1/accounts/{PAYER}/deposit",
            {"amount": "1", "currency": "EUR", "method": "barter"},
            "field_invalid",
            "/method",
        ),
        (f"/v1/accounts/{PAYER}/deposit", {"currency": "EUR"}, "field_missing", "/amount"),
        (f"/v1/accounts/{PAYER}/deposit", {"amount": "0", "currency": "EUR"}, "amount_not_positive", "/amount"),
    ],
)
def test_bad_accounts_and_deposits(api: ApiClient, path: str, body: dict[str, str], code: str, pointer: str) -> None:
    document = problem_of(api.post(path, body), 422, code)
    assert document["errors"][0]["pointer"] == pointer


def test_bad_changes_of_accounts(api: ApiClient) -> None:
    path = f"/v1/accounts/{PAYER}"
    problem_of(api.http.put(path, json={}), 422, "field_missing")
    problem_of(api.http.put(path, json={"status": "asleep"}), 422, "field_invalid")
    problem_of(api.http.put(path, json={"overdraft_limit": "1"}), 404, "account_not_found")
    problem_of(api.http.put("/v1/accounts/nonsense", json={"status": "open"}), 404, "account_not_found")


def test_the_framework_answers_problems_too(api: ApiClient) -> None:
    problem_of(api.http.get("/v1/nonsense"), 404, "route_unknown")
    response = api.http.delete("/v1/transfers")
    problem_of(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"
    assert api.http.patch("/v1/accounts").headers["Allow"] == "GET, HEAD, POST"
    problem_of(api.get("/v1/transactions", limit="0"), 422, "parameter_invalid")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": "501"}, "?limit"),
        ({"limit": "x"}, "?limit"),
        ({"colour": "red"}, "?colour"),
        ({"status": "lost"}, "?status"),
        ({"from": "yesterday"}, "?from"),
        ({"cursor": "AAAA"}, "?cursor"),
        ({"cursor": "_" * 32}, "?cursor"),
        ({"min_amount": "1.00"}, "?currency"),
        ({"min_amount": "1.001", "currency": "EUR"}, "?min_amount"),
        ({"max_amount": "1e5", "currency": "EUR"}, "?max_amount"),
        ({"max_amount": "1", "currency": "ZZZ"}, "?max_amount"),
    ],
)
def test_bad_queries_name_the_parameter(api: ApiClient, query: dict[str, str], pointer: str) -> None:
    response = api.http.get("/v1/transactions", params=query)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("/v1/wallet/balance", {"accountId": "acc_1"}, "accountId: There is no such parameter here; /openapi.json"),
        ("/v1/balance", {}, "accountId: It is needed."),
    ],
)
def test_a_query_is_refused_in_words_of_queries(api: ApiClient, path: str, query: dict[str, str], said: str) -> None:
    """“Extra inputs are not permitted” told nobody what to do."""
    problem = problem_of(api.http.get(path, params=query), 422, "parameter_invalid")
    assert problem["detail"].startswith(said)


def _with_nul() -> list[str]:
    """Every path of a GET, a NUL in the place of an id, and in each parameter of its query."""
    found = []
    for path, methods in make_fastapi().openapi()["paths"].items():
        named = re.sub(r"{\w+}", "a%00b", path)
        found += [named] if "get" in methods and named != path else []
        for parameter in methods.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query":
                found.append(f"{re.sub(r'{.*?}', 'x', path)}?{parameter['name']}=%00")
    return found


def test_a_nul_in_a_path_or_query_gets_no_further(api: ApiClient) -> None:
    """Postgres takes none: parties, events and the quarantine answered 500, each route on its own."""
    answers = {target: api.http.get(target).status_code for target in _with_nul()}
    assert len(answers) > 100
    assert {target: status for target, status in answers.items() if status != 400} == {}
    problem_of(api.http.get("/v1/events?type=%00"), 400, "request_malformed")


@pytest.mark.parametrize("token", [b"x", b"MS0", b"", "é".encode(), b"MS0x" * 9, b"OTk5OTk5LTE"])
def test_a_foreign_consistency_token_is_refused(api: ApiClient, token: bytes) -> None:
    response = api.http.get("/v1/transactions", headers={b"Consistency-Token": token})
    problem_of(response, 400, "consistency_token_invalid")

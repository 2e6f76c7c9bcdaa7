"""Goal: document 3, tokens by an account and its balance, works as it is written.

Method: a customer of the bank gets a token by an account, uses it, gets it again by PUT, refreshes it, pays in by the
document's methods and looks at the balance.
"""

from datetime import UTC, datetime, timedelta

from tests.contracts.visitor import PASSWORD, Visitor, fields_of, signed_up


def test_tokens_by_an_account_and_its_balance(visitor: Visitor, operator: Visitor) -> None:
    _, user = signed_up(visitor, "fanny")
    account = user["accountId"]
    credentials = {"username": "fanny", "password": PASSWORD}
    posted = visitor(f"POST /v1/generate_token/{account}", credentials)
    fields_of(posted, token=str, expirationTimestamp=str, status_code=int, refresh=dict)
    assert posted["status_code"] == 200
    lasts = datetime.fromisoformat(posted["expirationTimestamp"]) - datetime.now(UTC)
    assert timedelta(0) < lasts <= timedelta(minutes=5)
    assert set(posted["refresh"]) == {"token", "type"}
    assert posted["refresh"]["type"] == "refresh"

    kept = visitor(f"PUT /v1/generate_token/{account}", credentials)
    assert (kept["token"], kept["expirationTimestamp"]) == (posted["token"], posted["expirationTimestamp"])
    refreshed = visitor(f"POST /generate_token/{account}", posted["refresh"])
    assert refreshed["token"] != posted["token"]
    visitor.refused(f"POST /v1/generate_token/{account}", credentials | {"password": "no"}, 401, "credentials_invalid")
    strange = operator("POST /v1/accounts", {"currency": "USD"}, 201)["id"]
    visitor.refused(f"POST /v1/generate_token/{strange}", credentials, 404, "account_not_found")

    fanny = visitor.with_token(refreshed["token"])
    for method, amount in {"cash": "10.00", "check": "4.00", "payroll": "100.00", "paypal": "5", "zelle": "6"}.items():
        body = {"amount": amount, "currency": "USD", "method": method}
        operator(f"POST /v1/accounts/{account}/deposit", body, 201)
    for method, amount in {"cash": "1.00", "wire": "2.00", "pre_authorised": "3.00", "third_party": "4.00"}.items():
        body = {"amount": amount, "currency": "USD", "method": method}
        fanny(f"POST /v1/accounts/{account}/withdraw", body, 201)
    shown = fanny.until(f"GET /v1/balance?accountId={account}", posted_minor=11_500)
    assert (shown["account"], shown["available_minor"], shown["incoming_minor"]) == (account, 11_100, 400)
    assert fanny(f"GET /balance?accountId={account}")["posted"] == "115.00"
    history = fanny("GET /v1/transactions", account=account)["items"]
    assert len(history) == 9
    assert fanny("GET /v1/transactions", account=account, type="withdrawal", max_amount="2", currency="USD")["items"]
    visitor.refused(f"GET /v1/balance?accountId={account}", None, 401, "token_missing")
    fanny.refused(f"GET /v1/balance?accountId={strange}", None, 404, "account_not_found")

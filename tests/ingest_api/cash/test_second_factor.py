"""Goal: above a limit no way leads a user's money out without a second factor of lately."""

import secrets
import time
from collections.abc import Callable

import pytest

from ingest_api.aliases.parties import USER
from ingest_api.identity.keys import SigningKeys
from ingest_api.identity.tokens import Grant, Scope, signed_token
from payments.identifiers import ACCOUNT, format_id
from payments.terms.methods import Method, method_account
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of

SCOPES = (Scope.PAYMENTS_READ, Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE)
WIRE = format_id(ACCOUNT, method_account(Method.WIRE, "EUR"))
Way = Callable[[str, str], tuple[str, dict[str, str]]]

WAYS: dict[str, Way] = {
    "withdrawal": lambda account, amount: (f"/v1/accounts/{account}/withdraw", {"amount": amount}),
    "wallet": lambda _, amount: ("/v1/wallet/debit", {"amount": amount}),
    "transfer": lambda account, amount: (
        "/v1/transfers",
        {"amount": amount, "from_account": account, "to_account": WIRE},
    ),
}


def caller(settings: Settings, api_url: str, user: str, second_factor_s_ago: int | None) -> ApiClient:
    given_s = None if second_factor_s_ago is None else int(time.time()) - second_factor_s_ago
    grant = Grant(user, SCOPES, authenticated_at_s=int(time.time()) - 5, second_factor_at_s=given_s)
    return ApiClient(api_url, signed_token(settings, SigningKeys.of(settings), grant, 300))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_money_out_above_the_limit_needs_a_second_factor(
    api: ApiClient, settings: Settings, api_url: str, way: Way
) -> None:
    user, limit = format_id(USER, secrets.token_bytes(16)), settings.auth_second_factor_above
    plain = caller(settings, api_url, user, None)
    account = plain.open_account()
    api.deposit(account, f"{10 * limit}.00")
    path, body = way(account, f"{limit}.01")
    problem_of(plain.post(path, body | {"currency": "EUR"}), 401, "second_factor_required")
    assert api.balance_minor(account) == 1_000 * limit
    old = caller(settings, api_url, user, settings.auth_second_factor_s + 60)
    problem_of(old.post(path, body | {"currency": "EUR"}), 401, "second_factor_required")
    assert plain.post(path, body | {"currency": "EUR", "amount": f"{limit}.00"}, prefer="wait=20").status_code == 201
    fresh = caller(settings, api_url, user, 10)
    assert fresh.post(path, body | {"currency": "EUR"}, prefer="wait=20").status_code == 201

"""Goal: whoever knows gets a token; whoever does not gets none, and learns nothing from how that is said."""

import base64
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from ingest_api.identity.passwords.hashing import PasswordHasher
from ingest_api.identity.passwords.rules import normal_password
from ingest_api.identity.roles import NEED_SECOND_FACTOR, SCOPES_OF, UserRole
from ingest_api.identity.users.user import UserStatus
from runtime.personal_data.erasure import erase
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.personal import Personal
from tests.ingest_api.client import problem_of
from tests.ingest_api.identity.people import ANNA, PASSWORD, Town


@pytest.fixture
async def anna(town: Town) -> Town:
    await town.settles(ANNA, "anna")
    return town


def refused(answer: httpx.Response, status: int, code: str, error: str) -> dict[str, Any]:
    """RFC 6749 §5.2 and RFC 9457 at once."""
    problem = problem_of(answer, status, code)
    assert (problem["error"], problem["error_description"]) == (error, problem["detail"])
    assert answer.headers["cache-control"] == "no-store"
    return problem


async def test_a_token_says_who_logged_in_and_lives_five_minutes(anna: Town) -> None:
    answer = await anna.tries()
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["expires_in"]) == (200, "Bearer", 300)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert set(body["scope"].split()) == SCOPES_OF[UserRole.CUSTOMER] - NEED_SECOND_FACTOR
    keys = KeySet.import_key_set((await anna.http.get("/.well-known/jwks.json")).json())
    token = jwt.decode(body["access_token"], keys, algorithms=["ES256"])
    assert token.header["typ"] == "at+jwt"
    assert (token.claims["exp"] - token.claims["iat"], token.claims["amr"]) == (300, ["pwd"])
    assert {"sub", "sid", "jti", "aud", "iss", "auth_time"} <= token.claims.keys()


@pytest.mark.parametrize("path", ["/v1/auth", "/v1/oauth/token", "/oauth/token"])
async def test_json_and_form_mean_the_same(anna: Town, path: str) -> None:
    fields = {"username": "Anna@example.com", "password": PASSWORD}
    as_json = await anna.http.post(path, json=fields)
    as_form = await anna.http.post(path, data=fields | {"grant_type": "password", "unknown": "ignored"})
    assert (as_json.status_code, as_form.status_code) == (200, 200)
    assert as_json.json().keys() == as_form.json().keys()


async def test_unknown_users_and_wrong_passwords_are_told_the_same(anna: Town) -> None:
    answers = [await anna.tries("anna", "wrong"), await anna.tries("nobody"), await anna.tries("no name at all!")]
    problems = [refused(answer, 400, "invalid_grant", "invalid_grant") for answer in answers]
    for problem in problems:
        del problem["request_id"]
    assert problems[0] == problems[1] == problems[2]


async def test_an_unknown_user_costs_the_same_work(anna: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, because time on a shared machine shows nothing."""
    verified: list[object] = []
    matches = PasswordHasher._matches

    def counting(hasher: PasswordHasher, password_hash: str | None, password: Personal) -> bool:
        verified.append(password_hash)
        return matches(hasher, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "_matches", counting)
    await anna.tries("anna", "wrong")
    await anna.tries("nobody", "wrong")
    assert [known is not None for known in verified] == [True, False]


@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.CLOSED])
async def test_a_user_who_is_not_active_is_refused_as_if_unknown(anna: Town, status: UserStatus) -> None:
    resident = await anna.logs_in()
    await anna.identity.users.set_status(ANNA, status)
    refused(await anna.tries(), 400, "invalid_grant", "invalid_grant")
    refused(await anna.refreshes(resident.refresh_token), 400, "invalid_grant", "invalid_grant")


async def test_an_erased_user_neither_logs_in_nor_goes_on(anna: Town) -> None:
    resident = await anna.logs_in()
    async with anna.world.services.aliases._database.transaction() as connection:
        await erase(connection, Keyring.of(anna.world.services.settings), ANNA, [])
    refused(await anna.tries(), 400, "invalid_grant", "invalid_grant")
    refused(await anna.refreshes(resident.refresh_token), 400, "invalid_grant", "invalid_grant")


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"grant_type": "password", "username": "anna"}, 400, "invalid_request"),
        ({"grant_type": "password", "password": PASSWORD}, 400, "invalid_request"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "mrt_x"}, 400, "invalid_grant"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "till", "client_secret": "x"}, 401, "invalid_client"),
        ({"grant_type": "password", "username": "anna", "password": PASSWORD, "scope": "all"}, 400, "invalid_scope"),
        (
            {"grant_type": "password", "username": "anna", "password": PASSWORD, "scope": "cases:decide"},
            400,
            "invalid_scope",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
async def test_a_bad_token_request_says_what_is_wrong(anna: Town, form: dict[str, str], status: int, code: str) -> None:
    refused(await anna.token_request(**form), status, code, code)


@pytest.mark.parametrize(
    ("content", "media", "status", "code", "error"),
    [
        (b"a=1&a=2", "application/x-www-form-urlencoded", 400, "invalid_request", "invalid_request"),
        (b"no pairs", "application/x-www-form-urlencoded", 400, "invalid_request", "invalid_request"),
        ("ü=1".encode(), "application/x-www-form-urlencoded", 400, "invalid_request", "invalid_request"),
        (b"&".join([b"a=1"] * 40), "application/x-www-form-urlencoded", 400, "invalid_request", "invalid_request"),
        (b"{", "application/json", 400, "json_malformed", "invalid_request"),
        (b'{"username": 7}', "application/json", 422, "field_invalid", "invalid_request"),
        (b"x", "text/plain", 415, "media_type_unsupported", "invalid_request"),
        (b"x" * 20_000, "application/json", 413, "body_too_large", "invalid_request"),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_body_that_is_none_is_refused(
    anna: Town, content: bytes, media: str, status: int, code: str, error: str
) -> None:
    answer = await anna.http.post("/v1/oauth/token", content=content, headers={"Content-Type": media})
    if code == "body_too_large":  # raised by the reading itself, below the token endpoint
        problem_of(answer, status, code)
    else:
        refused(answer, status, code, error)


async def test_a_token_has_no_more_scopes_than_were_asked_for(anna: Town) -> None:
    resident = await anna.logs_in(scope="accounts:read payments:read cases:decide")
    assert resident.answer["scope"] == "accounts:read payments:read"
    refreshed = (await anna.refreshes(resident.refresh_token)).json()
    assert refreshed["scope"] == "accounts:read payments:read"


async def test_a_machine_gets_a_token_by_its_secret(anna: Town) -> None:
    secret = await anna.identity.clients.create("till-7", ["payments:write", "accounts:any"], "a test")
    assert secret is not None
    basic = {"Authorization": "Basic " + base64.b64encode(f"till-7:{secret}".encode()).decode()}
    form = {"grant_type": "client_credentials", "scope": "payments:write"}
    by_header = await anna.http.post("/v1/oauth/token", data=form, headers=basic)
    by_body = await anna.token_request(**form, client_id="till-7", client_secret=secret)
    for answer in (by_header, by_body):
        assert answer.json().get("scope") == "payments:write", answer.text
        assert "refresh_token" not in answer.json()
    both = await anna.http.post("/v1/oauth/token", data=form | {"client_secret": secret}, headers=basic)
    refused(both, 400, "invalid_request", "invalid_request")
    assert await anna.identity.clients.revoke("till-7")
    refused(await anna.http.post("/v1/oauth/token", data=form, headers=basic), 401, "invalid_client", "invalid_client")


async def test_a_refresh_token_of_a_client_is_of_use_to_that_client_alone(anna: Town) -> None:
    secret = await anna.identity.clients.create("app", ["payments:write"], "a test")
    assert secret is not None
    client = {"client_id": "app", "client_secret": secret}
    resident = await anna.logs_in(**client)
    refused(await anna.refreshes(resident.refresh_token), 400, "invalid_grant", "invalid_grant")
    form = {"grant_type": "refresh_token", "refresh_token": resident.refresh_token}
    assert (await anna.token_request(**form, **client)).status_code == 200


async def test_other_parameters_of_argon2_are_taken_over_at_the_next_login(anna: Town) -> None:
    weaker = PasswordHasher(memory_kib=8_192, time_cost=1)
    old = await weaker.hash(normal_password(Personal(PASSWORD)))
    weaker.close()
    await anna.identity.users.set_password_hash(ANNA, old)
    await anna.logs_in()
    user = await anna.identity.users.find(ANNA)
    assert user is not None
    assert user.password_hash != old
    assert not anna.identity.hasher.needs_rehash(user.password_hash or "")
    await anna.logs_in()


async def test_what_is_published_leads_to_the_keys_and_the_endpoint(anna: Town) -> None:
    metadata = (await anna.http.get("/.well-known/oauth-authorization-server")).json()
    keys = await anna.http.get(metadata["jwks_uri"])
    assert [key["alg"] for key in keys.json()["keys"]] == ["ES256"]
    assert all("d" not in key for key in keys.json()["keys"])
    assert keys.headers["cache-control"] == "public, max-age=300"
    form = {"grant_type": "password", "username": "anna", "password": PASSWORD}
    assert (await anna.http.post(metadata["token_endpoint"], data=form)).status_code == 200


@pytest.mark.parametrize("public_url", ["https://api.bank.example/"])
async def test_what_is_published_names_the_public_address_whatever_host_is_asked_for(anna: Town) -> None:
    path = "/.well-known/oauth-authorization-server"
    metadata = (await anna.http.get(path, headers={"Host": "evil.example"})).json()
    assert metadata["token_endpoint"] == "https://api.bank.example/v1/oauth/token"
    assert metadata["jwks_uri"].startswith("https://api.bank.example/.well-known/")

"""Goal: `/v1/generate_token/{account_id}` does what the document says, for the account's user alone."""

import pytest

from ingest_api.aliases.parties import USER
from payments.identifiers import ACCOUNT, format_id
from tests.ingest_api.client import problem_of
from tests.ingest_api.identity.people import ANNA, BERTA, PASSWORD, Resident, Town, next_code

CREDENTIALS = {"username": "anna", "password": PASSWORD}


@pytest.fixture
async def anna(town: Town) -> Town:
    await town.settles(ANNA, "anna")
    return town


async def test_post_gives_a_new_token_and_put_the_one_that_is_valid(anna: Town) -> None:
    path = f"/v1/generate_token/{await anna.account_of(ANNA)}"
    first = await anna.http.post(path, json=CREDENTIALS)
    again = await anna.http.put(path, json=CREDENTIALS)
    other = await anna.http.post(path, json=CREDENTIALS)
    latest = await anna.http.put(path, json=CREDENTIALS)
    assert first.json().keys() == {"status_code", "token", "expirationTimestamp", "refresh"}
    assert first.json()["status_code"] == first.status_code == 200
    assert first.json()["refresh"]["type"] == "refresh"
    assert again.json() == {name: value for name, value in first.json().items() if name != "refresh"}
    assert other.json()["token"] != first.json()["token"]
    assert latest.json()["token"] == other.json()["token"]
    resident = Resident(anna, {"access_token": again.json()["token"]})
    assert (await resident("GET", f"/v1/users/{format_id(USER, ANNA)}/accounts")).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_refresh_token_is_exchanged_by_both(anna: Town, method: str) -> None:
    path = f"/v1/generate_token/{await anna.account_of(ANNA)}"
    refresh = (await anna.http.post(path, json=CREDENTIALS)).json()["refresh"]
    answer = await anna.http.request(method, path, json=refresh)
    assert answer.status_code == 200, answer.text
    assert answer.json()["refresh"]["token"] != refresh["token"]
    problem_of(await anna.http.request(method, path, json=refresh | {"token": "mrt_x"}), 401, "credentials_invalid")


async def test_put_does_not_answer_what_is_over_or_about_to_be(anna: Town) -> None:
    path = f"/v1/generate_token/{await anna.account_of(ANNA)}"
    first = (await anna.http.put(path, json=CREDENTIALS)).json()
    anna.world.rows("UPDATE account_tokens SET expires_at = now() + interval '29 seconds' RETURNING 1")
    second = (await anna.http.put(path, json=CREDENTIALS)).json()
    await Resident(anna, {"access_token": second["token"]})("DELETE", "/v1/auth/sessions")
    third = (await anna.http.put(path, json=CREDENTIALS)).json()
    assert len({first["token"], second["token"], third["token"]}) == 3


async def test_an_account_of_another_user_is_one_that_does_not_exist(anna: Town) -> None:
    await anna.settles(BERTA, "berta")
    account = await anna.account_of(ANNA)
    bertas = CREDENTIALS | {"username": "berta"}
    foreign = await anna.http.put(f"/v1/generate_token/{account}", json=bertas)
    missing = await anna.http.put(f"/v1/generate_token/{format_id(ACCOUNT, bytes([7]) * 16)}", json=bertas)
    assert problem_of(foreign, 404, "account_not_found")["detail"] == missing.json()["detail"]


async def test_bad_credentials_are_401_and_a_second_factor_is_asked_for(anna: Town) -> None:
    path = f"/v1/generate_token/{await anna.account_of(ANNA)}"
    wrong = await anna.http.post(path, json=CREDENTIALS | {"password": "wrong"})
    problem_of(wrong, 401, "credentials_invalid")
    assert "www-authenticate" in wrong.headers
    problem_of(await anna.http.post(path, json={"username": "anna"}), 422, "field_missing")
    problem_of(await anna.http.post(path, json={"token": "mrt_x"}), 422, "field_invalid")
    secret, _ = await (await anna.logs_in()).uses_an_app()
    problem_of(await anna.http.post(path, json=CREDENTIALS), 401, "second_factor_required")
    answer = await anna.http.post(path, json=CREDENTIALS | {"otp": next_code(secret)})
    assert answer.status_code == 200


async def test_a_large_payout_needs_a_second_factor_of_lately(anna: Town) -> None:
    account = await anna.account_of(ANNA)
    resident = await anna.logs_in()
    payout = {"account": account, "destination": "ba_1", "currency": "EUR"}
    key = {"Idempotency_Key": "payout-1"}
    small = await resident("POST", "/v1/payouts", payout | {"amount": "1000.00"}, **key)
    assert small.status_code != 401
    problem_of(
        await resident("POST", "/v1/payouts", payout | {"amount": "1000.01"}, **key), 401, "second_factor_required"
    )
    secret, _ = await resident.uses_an_app()
    resident.answer = (await resident("POST", "/v1/auth/step-up", {"otp": next_code(secret)})).json()
    assert (await resident("POST", "/v1/payouts", payout | {"amount": "1000.01"}, **key)).status_code != 401
    anna.world.rows("UPDATE sessions SET ended_at = now(), end_reason = 'revoked' RETURNING 1")
    problem_of(await resident("POST", "/v1/payouts", payout | {"amount": "1000.01"}, **key), 401, "token_invalid")

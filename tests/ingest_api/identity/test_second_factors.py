"""Goal: who has a second factor can't be somebody who only knows; a code opens one thing, once."""

import time

import httpx
import pytest

from ingest_api.identity.passwords.throttle import FREE_OF_NAME
from ingest_api.identity.roles import UserRole
from ingest_api.identity.second_factor import totp
from ingest_api.identity.service import Identity
from runtime.personal_data.personal import Personal
from runtime.settings import Settings
from tests.ingest_api.client import problem_of
from tests.ingest_api.identity.people import ANNA, BERTA, PASSWORD, Resident, Town, next_code
from tests.ingest_api.identity.racing import race

_RFC_SECRET = Personal("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
"""`12345678901234567890` in base32, as appendix B of RFC 6238 has it."""


@pytest.fixture
async def anna(town: Town) -> Town:
    await town.settles(ANNA, "anna")
    return town


@pytest.mark.parametrize(
    ("at_s", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_rfc(at_s: int, code: str) -> None:
    assert totp.code_at(_RFC_SECRET, at_s) == code
    step = at_s // totp.STEP_S
    assert totp.matching_step(_RFC_SECRET, code, at_s, 0) == step
    for late_s in (-totp.STEP_S, totp.STEP_S):
        assert totp.matching_step(_RFC_SECRET, code, at_s + late_s, 0) == step
        assert totp.matching_step(_RFC_SECRET, code, at_s + 2 * late_s, 0) is None
    assert totp.matching_step(_RFC_SECRET, code, at_s, step) is None


async def test_a_confirmed_app_is_needed_at_every_login(anna: Town) -> None:
    resident = await anna.logs_in()
    secret, _ = await resident.uses_an_app()
    missing = problem_of(await anna.tries(), 401, "second_factor_required")
    assert missing["error"] == "invalid_grant"
    problem_of(await anna.tries(otp="000000"), 400, "invalid_grant")
    problem_of(await anna.tries(password="wrong", otp=next_code(secret)), 400, "invalid_grant")
    assert (await anna.tries(otp=next_code(secret))).status_code == 200


async def test_a_replayed_code_is_refused(anna: Town) -> None:
    secret, _ = await (await anna.logs_in()).uses_an_app()
    problem_of(await anna.tries(otp=totp.code_at(secret, time.time())), 400, "invalid_grant")  # confirmed the app
    code = next_code(secret)
    assert (await anna.tries(otp=code)).status_code == 200
    problem_of(await anna.tries(otp=code), 400, "invalid_grant")


async def test_an_enrolment_that_was_not_confirmed_changes_nothing(anna: Town) -> None:
    resident = await anna.logs_in()
    await resident.enrols()
    problem_of(await resident("POST", "/v1/auth/totp/confirm", {"otp": "000000"}), 422, "second_factor_invalid")
    assert (await anna.tries()).status_code == 200
    wrong = await resident("POST", "/v1/auth/totp/enrol", {"password": "not this one!"})
    problem_of(wrong, 401, "credentials_invalid")


async def test_a_second_app_needs_the_first_one_given_up(anna: Town) -> None:
    resident = await anna.logs_in()
    secret, _ = await resident.uses_an_app()
    again = await resident("POST", "/v1/auth/totp/enrol", {"password": PASSWORD})
    problem_of(again, 409, "second_factor_stands")
    problem_of(await resident("POST", "/v1/auth/totp/disable", {"otp": "000000"}), 422, "second_factor_invalid")
    assert (await resident("POST", "/v1/auth/totp/disable", {"otp": next_code(secret)})).json() == {"enabled": False}
    assert (await anna.tries()).status_code == 200
    await resident.uses_an_app()


async def test_who_has_no_app_is_told_so_and_not_that_the_code_is_wrong(anna: Town) -> None:
    resident = await anna.logs_in()
    await resident.enrols()
    for path in ("/v1/auth/step-up", "/v1/auth/totp/disable", "/v1/auth/totp/recovery-codes"):
        told = problem_of(await resident("POST", path, {"otp": "123456"}), 409, "second_factor_stands")
        assert "/v1/auth/totp/enrol" in told["detail"]


async def test_a_recovery_code_is_good_once(anna: Town) -> None:
    resident = await anna.logs_in()
    secret, codes = await resident.uses_an_app()
    assert len(set(codes)) == totp.RECOVERY_CODES
    assert (await anna.tries(otp=codes[0].upper().replace("-", " "))).status_code == 200
    problem_of(await anna.tries(otp=codes[0]), 400, "invalid_grant")
    fresh = (await resident("POST", "/v1/auth/totp/recovery-codes", {"otp": next_code(secret)})).json()
    problem_of(await anna.tries(otp=codes[1]), 400, "invalid_grant")
    assert (await anna.tries(otp=fresh["recovery_codes"][1])).status_code == 200


async def test_no_row_tells_a_secret_or_a_recovery_code(anna: Town) -> None:
    secret, codes = await (await anna.logs_in()).uses_an_app()
    tables = ("second_factors", "recovery_codes", "personal_values")
    rows = str([anna.world.rows(f"SELECT * FROM {table}") for table in tables])
    assert secret.reveal() not in rows
    assert all(code not in rows for code in codes)


async def test_asking_for_the_code_again_and_again_gives_no_further_guesses(anna: Town) -> None:
    """Who knows the password can't reset the count by logging in half."""
    await (await anna.logs_in()).uses_an_app()
    for _ in range(FREE_OF_NAME + 1):
        problem_of(await anna.tries(), 401, "second_factor_required")
        answer = await anna.tries(otp="000000")
    assert answer.status_code == 400
    anna.locks_last(FREE_OF_NAME)
    problem_of(await anna.tries(), 429, "too_many_attempts")


async def test_two_processes_that_race_a_code_log_in_once(anna: Town, settings: Settings) -> None:
    secret, codes = await (await anna.logs_in()).uses_an_app()
    for code in (next_code(secret), codes[0]):
        assert sorted(await race(_taken, settings, code)) == [False, True]


async def _taken(identity: Identity, code: str) -> bool:
    return await identity.factors.take(ANNA, code)


async def test_scopes_of_staff_come_with_a_second_factor_and_go_with_time(town: Town) -> None:
    await town.settles(BERTA, "berta", UserRole.RISK_ANALYST)
    berta = await town.logs_in("berta")
    problem_of(await decides(berta), 401, "second_factor_required")
    secret, codes = await berta.uses_an_app()
    stepped = await berta("POST", "/v1/auth/step-up", {"otp": next_code(secret)})
    berta.answer = stepped.json()
    problem_of(await decides(berta), 404, "review_not_found")
    town.world.rows("UPDATE sessions SET second_factor_at = now() - interval '1 hour' RETURNING 1")
    berta.answer = (await town.refreshes(berta.refresh_token)).json()
    refused = await decides(berta)
    problem_of(refused, 401, "second_factor_required")
    challenge = refused.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'acr_values="urn:millrace:acr:second-factor"' in challenge
    assert "cases:decide" in (await town.logs_in("berta", otp=codes[0])).answer["scope"]


async def decides(resident: Resident) -> httpx.Response:
    return await resident("POST", "/v1/cases/pay_01jd5v2q7xf8k8v6n3m4p5r6st/decision", {"decision": "approve"})


async def test_keys_are_ended_without_the_second_factor_that_making_them_needs(anna: Town) -> None:
    """Who had given the app up, or lost it, could end no key any more."""
    plain = await anna.logs_in()
    secret, _ = await plain.uses_an_app()
    strong = await anna.logs_in(otp=next_code(secret))
    asked = {"name": "till", "scopes": ["payments:read"]}
    key = (await strong("POST", "/v1/api-keys", asked)).json()
    problem_of(await plain("POST", "/v1/api-keys", asked), 401, "second_factor_required")
    ended = await plain("DELETE", f"/v1/api-keys/{key['id']}")
    assert (ended.status_code, ended.json()["status"]) == (200, "revoked")

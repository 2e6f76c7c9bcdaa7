"""Goal: nobody guesses for long, whoever is guessed at, and nobody else is kept out by it for long."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest_api.identity.passwords import throttle
from ingest_api.identity.passwords.throttle import FREE_OF_ADDRESS, FREE_OF_NAME, LOCK_S_MAX, counted
from ingest_api.identity.service import Identity
from ingest_api.problems import Fault, Problem
from tests.ingest_api.client import problem_of
from tests.ingest_api.identity.people import ANNA, PASSWORD, Town, next_code

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_locks_double_up_to_a_quarter_of_an_hour() -> None:
    locks = [counted(failures, 5, NOW).locked_until - NOW for failures in range(3, 18)]
    assert locks[:5] == [timedelta(0), timedelta(0), *(timedelta(seconds=s) for s in (2, 4, 8))]
    assert locks[-1] == timedelta(seconds=LOCK_S_MAX)
    assert counted(10_000, 5, NOW).locked_until - NOW == timedelta(seconds=LOCK_S_MAX)


@pytest.mark.parametrize("username", ["anna", "nobody"])
async def test_after_some_failures_the_name_is_locked_whether_it_is_known_or_not(town: Town, username: str) -> None:
    await town.settles(ANNA, "anna")
    for _ in range(FREE_OF_NAME + 1):
        problem_of(await town.tries(username, "wrong"), 400, "invalid_grant")
    town.locks_last(FREE_OF_NAME)
    locked = await town.tries(username)  # with the right password, where there is one
    problem = problem_of(locked, 429, "too_many_attempts")
    assert problem["error"] == "temporarily_unavailable"
    assert 3_500 < int(locked.headers["retry-after"]) <= 3_600


async def test_a_login_forgets_the_failures(town: Town) -> None:
    await town.settles(ANNA, "anna")
    for _ in range(3):
        for _ in range(FREE_OF_NAME - 1):
            problem_of(await town.tries(password="wrong"), 400, "invalid_grant")
        assert (await town.tries()).status_code == 200


async def test_all_spellings_of_a_name_are_counted_as_one(town: Town) -> None:
    for number in range(FREE_OF_NAME + 1):
        await town.tries("Anna" if number % 2 else " ANNA", "wrong")
    town.locks_last(FREE_OF_NAME)
    problem_of(await town.tries("anna", PASSWORD), 429, "too_many_attempts")


async def test_an_address_is_locked_after_failures_of_many_names(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "FREE_OF_ADDRESS", 3)
    for number in range(4):
        problem_of(await town.tries(f"name-{number}", "wrong"), 400, "invalid_grant")
    town.locks_last(3)
    problem_of(await town.tries("name-9", "wrong"), 429, "too_many_attempts")


async def test_a_good_password_locks_out_nobody_who_gives_the_code_next(town: Town) -> None:
    """Beyond the free failures, what was counted for the good password stayed locked: no form that asks for the code
    second ever got in, and anybody could bring it about.
    """
    await town.settles(ANNA, "anna")
    secret, _ = await (await town.logs_in()).uses_an_app()
    for _ in range(FREE_OF_NAME + 2):
        await town.tries(password="wrong")
        town.waits()
    problem_of(await town.tries(), 401, "second_factor_required")
    assert not town.is_locked()
    assert (await town.tries(otp=next_code(secret))).status_code == 200


async def test_who_logs_in_does_not_lock_the_next_one_of_the_same_address(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "FREE_OF_ADDRESS", 3)
    await town.settles(ANNA, "anna")
    for number in range(5):
        await town.tries(f"name-{number}", "wrong")
        town.waits()
    assert (await town.tries()).status_code == 200
    assert (await town.tries()).status_code == 200


async def test_in_a_session_a_good_password_and_a_good_code_forget_the_wrong_ones(town: Town) -> None:
    """They were never forgotten, and a good one after them locked the next."""
    await town.settles(ANNA, "anna")
    anna = await town.logs_in()
    for _ in range(3):
        for _ in range(FREE_OF_NAME - 1):
            wrong = await anna("POST", "/v1/auth/totp/enrol", {"password": "not this one!"})
            problem_of(wrong, 401, "credentials_invalid")
        await anna.enrols()
    _, codes = await anna.uses_an_app()
    for code in codes[:2]:
        for _ in range(FREE_OF_NAME - 1):
            problem_of(await anna("POST", "/v1/auth/step-up", {"otp": "000000"}), 422, "second_factor_invalid")
        assert (await anna("POST", "/v1/auth/step-up", {"otp": code})).status_code == 200


async def test_who_knows_the_password_has_no_more_guesses_at_the_code(town: Town) -> None:
    await town.settles(ANNA, "anna")
    anna = await town.logs_in()
    await anna.uses_an_app()
    for _ in range(FREE_OF_NAME + 1):
        problem_of(await anna("POST", "/v1/auth/step-up", {"otp": "000000"}), 422, "second_factor_invalid")
        problem_of(await anna("POST", "/v1/auth/totp/enrol", {"password": PASSWORD}), 409, "second_factor_stands")
    town.locks_last(FREE_OF_NAME)
    problem_of(await anna("POST", "/v1/auth/step-up", {"otp": "000000"}), 429, "too_many_attempts")


async def test_nothing_is_counted_while_a_key_is_locked(town: Town, identity: Identity) -> None:
    name, address = identity.throttle.name("x", "anna"), identity.throttle.address("192.0.2.1")
    for _ in range(name.free + 1):
        await identity.throttle.count(name)
    town.locks_last(FREE_OF_NAME)
    for _ in range(FREE_OF_ADDRESS + 1):
        with pytest.raises(Problem) as refused:
            await identity.throttle.count(name, address)
        assert refused.value.code is Fault.TOO_MANY_ATTEMPTS
    await identity.throttle.count(address)


async def test_a_household_of_ipv6_counts_as_one(identity: Identity) -> None:
    address = identity.throttle.address
    assert address("2001:db8::1") == address("2001:db8::ffff:1") != address("2001:db8:0:1::1")
    assert address("::ffff:192.0.2.1") == address("192.0.2.1") != address("192.0.2.2")
    assert address("") != address("192.0.2.1")

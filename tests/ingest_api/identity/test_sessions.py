"""Goal: a refresh token is exchanged once, a session that was ended is over everywhere, and nobody ends another's."""

import pytest

from ingest_api.identity.service import Identity
from ingest_api.identity.sessions import register
from ingest_api.identity.tokens import TokenVerifier
from ingest_api.problems import Problem
from ingest_api.reads.database import Database
from payments.identifiers import format_id
from runtime.settings import Settings
from tests.ingest_api.client import problem_of
from tests.ingest_api.identity.people import ANNA, BERTA, PASSWORD, Town
from tests.ingest_api.identity.racing import race


@pytest.fixture
async def anna(town: Town) -> Town:
    await town.settles(ANNA, "anna")
    return town


async def test_a_refresh_token_leads_to_the_next_one(anna: Town) -> None:
    resident = await anna.logs_in()
    first = await anna.refreshes(resident.refresh_token)
    second = await anna.refreshes(first.json()["refresh_token"])
    assert (first.status_code, second.status_code) == (200, 200)
    assert len({resident.refresh_token, first.json()["refresh_token"], second.json()["refresh_token"]}) == 3


async def test_a_refresh_token_that_comes_again_ends_the_whole_family(anna: Town) -> None:
    """Whoever stole one has nothing left, and neither has the owner, who logs in again."""
    resident = await anna.logs_in()
    stolen = resident.refresh_token
    second = (await anna.refreshes(stolen)).json()["refresh_token"]
    newest = (await anna.refreshes(second)).json()
    problem_of(await anna.refreshes(stolen), 400, "invalid_grant")
    problem_of(await anna.refreshes(newest["refresh_token"]), 400, "invalid_grant")
    await anna.identity.look()
    resident.answer = newest
    problem_of(await resident("GET", "/v1/auth/sessions"), 401, "token_invalid")
    (ended,) = anna.world.rows("SELECT end_reason FROM sessions")
    assert ended["end_reason"] == "refresh_token_reused"


async def test_a_client_that_lost_the_answer_gets_it_again_for_a_moment(
    anna: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = await anna.logs_in()
    answers = [(await anna.refreshes(resident.refresh_token)).json()["refresh_token"] for _ in range(2)]
    assert answers[0] == answers[1]
    monkeypatch.setattr(register, "LOST_ANSWER_S", 0)
    problem_of(await anna.refreshes(resident.refresh_token), 400, "invalid_grant")
    problem_of(await anna.refreshes(answers[0]), 400, "invalid_grant")


@pytest.mark.parametrize(("what", "where"), [("refresh_tokens", "used_at IS NULL"), ("sessions", "true")])
async def test_what_was_not_used_for_long_or_is_a_day_old_is_over(anna: Town, what: str, where: str) -> None:
    resident = await anna.logs_in()
    anna.world.rows(f"UPDATE {what} SET expires_at = now() WHERE {where} RETURNING 1")
    problem_of(await anna.refreshes(resident.refresh_token), 400, "invalid_grant")


async def test_no_row_holds_a_token(anna: Town) -> None:
    resident = await anna.logs_in()
    await anna.refreshes(resident.refresh_token)
    rows = str([anna.world.rows(f"SELECT * FROM {table}") for table in ("sessions", "refresh_tokens", "users")])
    assert resident.refresh_token not in rows
    assert PASSWORD not in rows


async def test_sessions_are_listed_and_ended_one_by_one(anna: Town) -> None:
    phone, desk = await anna.logs_in(), await anna.logs_in()
    listed = (await desk("GET", "/v1/auth/sessions")).json()["items"]
    assert [item["current"] for item in listed] == [True, False]
    left = await desk("DELETE", f"/v1/auth/sessions/{listed[1]['id']}")
    assert [item["id"] for item in left.json()["items"]] == [listed[0]["id"]]
    problem_of(await phone("GET", "/v1/auth/sessions"), 401, "token_invalid")
    problem_of(await anna.refreshes(phone.refresh_token), 400, "invalid_grant")
    assert (await desk("GET", "/v1/auth/sessions")).status_code == 200


async def test_another_process_refuses_a_revoked_session_with_its_next_look(anna: Town, settings: Settings) -> None:
    resident = await anna.logs_in()
    bearer = f"Bearer {resident.answer['access_token']}"
    verifier = TokenVerifier.of(settings)
    other = Identity.of(settings, verifier, Database.writing(settings))
    await other._database.open()  # without the task that looks every second
    try:
        assert verifier.principal(bearer, None).session is not None
        await resident("DELETE", "/v1/auth/sessions")
        assert verifier.principal(bearer, None).session is not None
        await other.look()
        with pytest.raises(Problem, match="ended"):
            verifier.principal(bearer, None)
    finally:
        await other.close()


async def test_all_sessions_end_at_once(anna: Town) -> None:
    residents = [await anna.logs_in() for _ in range(3)]
    assert (await residents[0]("DELETE", "/v1/auth/sessions")).json()["items"] == []
    for resident in residents:
        problem_of(await resident("GET", "/v1/auth/sessions"), 401, "token_invalid")
        problem_of(await anna.refreshes(resident.refresh_token), 400, "invalid_grant")


async def test_nobody_ends_or_sees_the_session_of_another_user(anna: Town) -> None:
    await anna.settles(BERTA, "berta")
    annas, bertas = await anna.logs_in(), await anna.logs_in("berta")
    (session,) = (await annas("GET", "/v1/auth/sessions")).json()["items"]
    foreign = await bertas("DELETE", f"/v1/auth/sessions/{session['id']}")
    missing = await bertas("DELETE", f"/v1/auth/sessions/{format_id('ses', bytes(16))}")
    assert problem_of(foreign, 404, "session_not_found")["detail"] == missing.json()["detail"]
    problem_of(await bertas("DELETE", "/v1/auth/sessions/x"), 404, "session_not_found")
    assert [item["id"] for item in (await annas("GET", "/v1/auth/sessions")).json()["items"]] == [session["id"]]
    assert session["id"] not in (await bertas("GET", "/v1/auth/sessions")).text


async def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(anna: Town) -> None:
    desk, phone = await anna.logs_in(), await anna.logs_in()
    body = {"password": "not this one!", "new_password": "a wholly other one"}
    problem_of(await desk("PUT", "/v1/auth/password", body), 401, "credentials_invalid")
    changed = await desk("PUT", "/v1/auth/password", body | {"password": PASSWORD})
    assert (changed.status_code, len(changed.json()["items"])) == (200, 1)
    problem_of(await phone("GET", "/v1/auth/sessions"), 401, "token_invalid")
    assert (await desk("GET", "/v1/auth/sessions")).status_code == 200
    problem_of(await anna.tries(), 400, "invalid_grant")
    assert (await anna.tries(password="a wholly other one")).status_code == 200


@pytest.mark.parametrize("password", ["short", "password1234!", "qwertyuiop12", "111111111111", "i am anna, really"])
async def test_a_password_that_is_tried_first_is_refused(anna: Town, password: str) -> None:
    desk = await anna.logs_in()
    body = {"password": PASSWORD, "new_password": password}
    refused = problem_of(await desk("PUT", "/v1/auth/password", body), 422, "password_refused")
    assert refused["errors"][0]["pointer"] == "/new_password"
    assert password not in str(refused)


async def test_a_user_has_so_many_sessions_at_a_time(anna: Town, identity: Identity) -> None:
    opened = [
        await identity.sessions.begin(ANNA, None, None, second_factor=False) for _ in range(register.SESSIONS_MAX)
    ]
    assert await identity.sessions.find(opened[0].session.session) is not None
    await identity.sessions.begin(ANNA, None, None, second_factor=False)
    assert await identity.sessions.find(opened[0].session.session) is None
    assert await identity.sessions.find(opened[1].session.session) is not None


async def test_what_is_over_is_swept_and_what_is_not_stays(anna: Town) -> None:
    over, goes_on = await anna.logs_in(), await anna.logs_in()
    await over("DELETE", f"/v1/auth/sessions/{(await over('GET', '/v1/auth/sessions')).json()['items'][1]['id']}")
    await anna.identity.sweep()
    assert len(anna.world.rows("SELECT FROM sessions")) == 2
    assert len(anna.world.rows("SELECT FROM refresh_tokens")) == 1
    anna.world.rows(
        "UPDATE sessions SET ended_at = ended_at - interval '31 days', expires_at = now() - interval '1 day'"
        " WHERE ended_at IS NOT NULL RETURNING 1"
    )
    await anna.identity.sweep()
    assert len(anna.world.rows("SELECT FROM sessions")) == 1
    assert (await anna.refreshes(goes_on.refresh_token)).status_code == 200


async def _rotated(identity: Identity, token: str) -> str | None:
    opened = await identity.sessions.rotate(token, None)
    return opened.refresh_token if opened is not None else None


async def test_two_processes_that_race_a_refresh_token_get_one_successor(anna: Town, settings: Settings) -> None:
    resident = await anna.logs_in()
    results = await race(_rotated, settings, resident.refresh_token)
    assert results[0] is not None
    assert results[0] == results[1]
    assert len(anna.world.rows("SELECT FROM refresh_tokens")) == 2
    assert (await anna.refreshes(results[0])).status_code == 200

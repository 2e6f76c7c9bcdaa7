"""Bearer tokens: only what this installation signed, for this audience, inside its time, with the scope."""

import base64
import hmac
import json
import multiprocessing
import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from ingest_api.identity.keys import PUBLISHED_S, TOKEN_LIFE_S_MAX, SigningKeyFault, SigningKeys, public_keys
from ingest_api.identity.tokens import ALL_SCOPES, SESSION, Scope, TokenVerifier, issue_token
from ingest_api.problems import Fault, Problem
from payments.identifiers import format_id
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of

NOW_S = int(time.time())


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says, changed; None leaves a claim out."""
    good = {
        "iss": "millrace",
        "aud": "millrace-api",
        "sub": "tester",
        "scope": "payments:write",
        "nbf": NOW_S - 10,
        "exp": NOW_S + 3600,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def signing_key(settings: Settings) -> ECKey:
    return SigningKeys.of(settings).ring().signing(NOW_S)


def sign(settings: Settings, **changes: Any) -> str:
    key = signing_key(settings)
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims(**changes), key)


def refusal(settings: Settings, header: str | None, scope: Scope = Scope.PAYMENTS_WRITE) -> Problem:
    with pytest.raises(Problem) as refused:
        TokenVerifier.of(settings).principal(header, scope)
    return refused.value


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_an_issued_token_says_who_calls(own: Settings) -> None:
    token = issue_token(own, "till-7", [Scope.PAYMENTS_WRITE], 60)
    principal = TokenVerifier.of(own).principal(f"Bearer {token}", Scope.PAYMENTS_WRITE)
    assert principal.subject == "till-7"
    assert principal.scopes == {Scope.PAYMENTS_WRITE}
    assert TokenVerifier.of(own).principal(f"bearer {token}", None).subject == "till-7"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token"])
def test_without_a_token_the_answer_is_401(own: Settings, header: str | None) -> None:
    problem = refusal(own, header)
    assert problem.code is Fault.TOKEN_MISSING
    assert problem.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW_S - 1},
        {"exp": None},
        {"exp": "never"},
        {"exp": float("inf")},  # 1e400 in JSON: too large for any integer
        {"nbf": float("inf")},
        {"exp": float("nan")},
        {"nbf": NOW_S + 3600},
        {"aud": "somebody-else"},
        {"aud": ["a", "b"]},
        {"aud": None},
        {"iss": "elsewhere"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"scope": None},
        {"scope": ["payments:write"]},
    ],
    ids=lambda changes: re.sub(r"\d{5,}", "time", str(changes)),  # two processes collect in two seconds
)
def test_wrong_claims_are_401(own: Settings, changes: dict[str, Any]) -> None:
    problem = refusal(own, f"Bearer {sign(own, **changes)}")
    assert (problem.status, problem.code) == (401, Fault.TOKEN_INVALID)
    assert 'error="invalid_token"' in problem.headers["WWW-Authenticate"]


def test_an_audience_among_several_is_enough(own: Settings) -> None:
    token = sign(own, aud=["other", "millrace-api"])
    assert TokenVerifier.of(own).principal(f"Bearer {token}", Scope.PAYMENTS_WRITE).subject == "tester"


def test_another_key_is_401(own: Settings, tmp_path: Path) -> None:
    other = own.model_copy(update={"home": tmp_path / "other"})
    assert refusal(own, f"Bearer {sign(other)}").code is Fault.TOKEN_INVALID


def test_no_algorithm_is_401(own: Settings) -> None:
    kid = signing_key(own).kid
    for algorithm in ("none", "None", "NONE", ""):
        token = f"{encoded({'alg': algorithm, 'kid': kid})}.{encoded(claims())}."
        assert refusal(own, f"Bearer {token}").code is Fault.TOKEN_INVALID


def test_the_public_key_as_a_shared_secret_is_401(own: Settings) -> None:
    signed = f"{encoded({'alg': 'HS256', 'kid': signing_key(own).kid})}.{encoded(claims())}"
    digest = hmac.digest(signing_key(own).as_pem(private=False), signed.encode(), "sha256")
    token = f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    assert refusal(own, f"Bearer {token}").code is Fault.TOKEN_INVALID


@pytest.mark.parametrize("token", ["x", "a.b.c", "....", "é", "eyJ.eyJ.sig", "a" * 9_000])
def test_what_is_no_token_is_401(own: Settings, token: str) -> None:
    assert refusal(own, f"Bearer {token}").code is Fault.TOKEN_INVALID


def test_a_changed_token_is_401(own: Settings) -> None:
    head, _, signature = sign(own).split(".")
    token = f"{head}.{encoded(claims(scope=' '.join(ALL_SCOPES)))}.{signature}"
    assert refusal(own, f"Bearer {token}").code is Fault.TOKEN_INVALID


def test_a_missing_scope_is_403_and_named(own: Settings) -> None:
    problem = refusal(own, f"Bearer {sign(own)}", Scope.ACCOUNTS_READ)
    assert (problem.status, problem.code) == (403, Fault.SCOPE_INSUFFICIENT)
    assert 'scope="accounts:read"' in problem.headers["WWW-Authenticate"]


def test_a_verified_token_is_remembered_until_it_expires(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [float(NOW_S)]
    verifier = TokenVerifier(SigningKeys.of(own), "millrace", "millrace-api", lambda: clock[0])
    token = f"Bearer {sign(own)}"
    first = verifier.principal(token, Scope.PAYMENTS_WRITE)
    monkeypatch.setattr(jwt, "decode", None)
    assert verifier.principal(token, Scope.PAYMENTS_WRITE) is first
    monkeypatch.undo()
    clock[0] += 3601
    with pytest.raises(Problem):
        verifier.principal(token, Scope.PAYMENTS_WRITE)


def test_remembered_tokens_are_bounded(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest_api.identity.tokens._VERIFIED_MAX", 2)
    verifier = TokenVerifier.of(own)
    tokens = [f"Bearer {sign(own, sub=f'caller-{number}')}" for number in range(4)]
    subjects = [verifier.principal(token, None).subject for token in [*tokens, *tokens]]
    assert subjects == [f"caller-{number}" for number in (0, 1, 2, 3, 0, 1, 2, 3)]
    assert len(verifier._verified) == 2


@pytest.mark.parametrize(("subject", "ttl_s"), [("", 60), ("x", 0), ("x", -5), ("x", TOKEN_LIFE_S_MAX + 1)])
def test_a_token_for_nobody_or_of_no_time_is_not_issued(own: Settings, subject: str, ttl_s: int) -> None:
    with pytest.raises(ValueError, match="at least one second"):
        issue_token(own, subject, ALL_SCOPES, ttl_s)


def test_the_key_is_its_owners_alone(own: Settings) -> None:
    SigningKeys.of(own)
    (file,) = (own.home / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def _thumbprint(home: Path) -> str:
    return signing_key(Settings(home=home)).thumbprint()


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        thumbprints = pool.map(_thumbprint, [tmp_path] * 12)
    assert len(set(thumbprints)) == 1
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["token-signing.jwk"]


def test_another_key_under_a_known_id_is_401(own: Settings, tmp_path: Path) -> None:
    stranger = signing_key(own.model_copy(update={"home": tmp_path / "other"}))
    token = jwt.encode({"alg": "ES256", "kid": signing_key(own).kid}, claims(), stranger)
    assert refusal(own, f"Bearer {token}").code is Fault.TOKEN_INVALID


@pytest.mark.parametrize("header", [{}, {"kid": "unknown"}, {"kid": None}, {"kid": ["x"]}], ids=str)
def test_an_unknown_key_id_is_401(own: Settings, header: dict[str, Any]) -> None:
    head, body = encoded({"alg": "ES256"} | header), encoded(claims())
    _, _, signature = sign(own).split(".")
    assert refusal(own, f"Bearer {head}.{body}.{signature}").code is Fault.TOKEN_INVALID


def test_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_to_the_end(own: Settings) -> None:
    keys = SigningKeys.of(own)
    old, now_s = signing_key(own), int(time.time())
    ring = keys.rotate()
    new = ring.keys[0].key
    assert [key["kid"] for key in public_keys(ring, now_s)["keys"]] == [new.kid, old.kid]
    assert ring.signing(now_s).kid == old.kid
    begins_s = ring.keys[0].signs_from_s
    assert now_s + PUBLISHED_S <= begins_s <= now_s + PUBLISHED_S + 60
    assert ring.signing(begins_s).kid == new.kid
    assert ring.find(old.kid, begins_s + TOKEN_LIFE_S_MAX - 1).kid == old.kid
    with pytest.raises(KeyError):
        ring.find(old.kid, begins_s + TOKEN_LIFE_S_MAX)
    assert "d" not in public_keys(ring, now_s)["keys"][0]


def test_many_rotations_keep_no_key_that_nobody_needs(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = SigningKeys.of(own)
    for _ in range(5):
        now_s = time.time() + TOKEN_LIFE_S_MAX
        monkeypatch.setattr("ingest_api.identity.keys.time.time", lambda now_s=now_s: now_s)
        assert len(keys.rotate().keys) <= 3


def test_a_running_process_takes_tokens_of_a_new_key(own: Settings) -> None:
    verifier = TokenVerifier.of(own)
    before = f"Bearer {sign(own)}"
    assert verifier.principal(before, None).subject == "tester"
    SigningKeys.of(own).rotate(at_once=True)
    assert verifier.principal(f"Bearer {sign(own)}", None).subject == "tester"
    with pytest.raises(Problem) as refused:
        verifier.principal(before, None)
    assert refused.value.code is Fault.TOKEN_INVALID


def test_the_file_of_before_there_was_rotation_is_read(own: Settings) -> None:
    keys = SigningKeys.of(own)
    key = signing_key(own)
    (file,) = (own.home / "keys").iterdir()
    file.write_text(json.dumps(key.as_dict(private=True)))
    assert [one.key.kid for one in keys.ring().keys] == [key.kid]
    assert [one.key.kid for one in keys.rotate().keys][1:] == [key.kid]


@pytest.mark.parametrize("text", ["", "{}", '{"keys": []}', '{"keys": [{"signs_from_s": 0, "jwk": {"kty": "oct"}}]}'])
def test_a_file_without_keys_says_what_to_do(own: Settings, text: str) -> None:
    keys = SigningKeys.of(own)
    (file,) = (own.home / "keys").iterdir()
    file.write_text(text)
    with pytest.raises(SigningKeyFault, match="restore it"):
        keys.ring()


def test_a_token_of_an_ended_session_is_refused(own: Settings) -> None:
    until_s = int(time.time()) + 600
    verifier = TokenVerifier.of(own)
    session = bytes([7]) * 16
    token = f"Bearer {sign(own, sid=format_id(SESSION, session), auth_time=NOW_S, amr=['pwd'])}"
    assert verifier.principal(token, None).session == session
    verifier.refuse_sessions({session: until_s})
    for refusing in (verifier, TokenVerifier.of(own)):
        refusing.refuse_sessions({session: until_s})
        with pytest.raises(Problem) as refused:
            refusing.principal(token, None)
        assert refused.value.code is Fault.TOKEN_INVALID
    assert verifier.principal(f"Bearer {sign(own)}", None).session is None


def test_a_withheld_scope_asks_for_a_second_factor(own: Settings) -> None:
    token = sign(own, sid=format_id(SESSION, bytes(16)), auth_time=NOW_S, amr=["pwd"], step_up_scope="cases:decide")
    problem = refusal(own, f"Bearer {token}", Scope.CASES_DECIDE)
    assert (problem.status, problem.code) == (401, Fault.SECOND_FACTOR_REQUIRED)
    assert 'error="insufficient_user_authentication"' in problem.headers["WWW-Authenticate"]
    assert refusal(own, f"Bearer {token}", Scope.CASES_READ).code is Fault.SCOPE_INSUFFICIENT


def test_every_route_but_health_and_documents_needs_a_token(api: ApiClient, api_url: str) -> None:
    account = "acc_01jd5v2q7xf8k8v6n3m4p5r6st"
    nobody = ApiClient(api_url, "x")
    for method, path in [
        ("POST", "/v1/accounts"),
        ("GET", f"/v1/accounts/{account}"),
        ("PUT", f"/v1/accounts/{account}"),
        ("GET", f"/v1/accounts/{account}/balance"),
        ("POST", f"/v1/accounts/{account}/deposit"),
        ("POST", "/v1/transfers"),
        ("POST", "/v1/transfers:batch"),
        ("GET", "/v1/transfers/x"),
        ("GET", "/v1/transfers/x/status"),
        ("GET", "/v1/transactions"),
        ("GET", "/v1/transactions/x"),
    ]:
        problem_of(nobody.http.request(method, path), 401, "token_invalid")
    nobody.http.close()
    assert api.http.get("/readyz").status_code == 200

"""Goal: a token of another issuer lets in whom it is for, in the shapes of Keycloak, Cognito and Entra, and no other.

Method: an issuer that is a process of its own, with keys made by joserfc; the app of one API process before it.
"""

import base64
import hmac
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from ingest_api.identity.directories.oidc import REFETCH_S, STALE_MAX_S, Issuer, OidcIssuer
from ingest_api.identity.roles import UserRole
from ingest_api.problems import Fault, Problem
from runtime.settings import Settings
from tests.ingest_api.identity.directories import issuer as issuer_program
from tests.ingest_api.owners.world import World, running_world
from tests.support.waiting import eventually

KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}
LATER = ECKey.generate_key("P-256", {"kid": "later"})
STRANGER = ECKey.generate_key("P-256", {"kid": "ec"})


class Running:
    """The issuer's process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.publish(*KEYS.values())
        self.process = subprocess.Popen([sys.executable, issuer_program.__file__, str(folder)])
        eventually((folder / "address").exists, "the issuer listens")
        self.url = (folder / "address").read_text()

    def publish(self, *keys: Any) -> None:
        (self.folder / "jwks").write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)))

    @property
    def asked(self) -> int:
        return int((self.folder / "asked").read_text())

    def token(self, algorithm: str = "ES256", key: Any = None, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": "millrace", "sub": "f:1:anna", "exp": now + 300, "iat": now}
        claims |= {"realm_access": {"roles": ["payer"]}} | changes
        signer = key or KEYS[algorithm]
        header = {"alg": algorithm, "kid": signer.kid}
        said = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, said, signer, algorithms=[algorithm])


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "issuer").mkdir()
    running = Running(tmp_path / "issuer")
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture
async def verifier(issuer: Running) -> AsyncIterator[tuple[OidcIssuer, list[float]]]:
    now = [time.time()]
    async with httpx.AsyncClient() as client:
        yield OidcIssuer(Issuer(issuer.url, "millrace", {"payer": UserRole.CUSTOMER}), client, lambda: now[0]), now


Verifier = tuple[OidcIssuer, list[float]]
SHAPES: dict[str, dict[str, Any]] = {
    "Keycloak": {"aud": ["account", "millrace"], "azp": "web", "realm_access": {"roles": ["x", "payer"]}},
    "Cognito": {"aud": None, "client_id": "millrace", "realm_access": None, "cognito:groups": ["payer"]},
    "Entra roles": {"realm_access": None, "roles": ["payer"], "azp": "app"},
    "Entra groups": {"realm_access": None, "groups": ["PAYER"]},
    "Entra scp": {"realm_access": None, "scp": "openid payer"},
    "plain scope": {"realm_access": None, "scope": "payer"},
}


@pytest.mark.parametrize("name", SHAPES)
async def test_the_claims_of_usual_issuers_are_understood(issuer: Running, verifier: Verifier, name: str) -> None:
    claims = await verifier[0].claims(issuer.token(**SHAPES[name]))
    assert claims.known.id == "f:1:anna"
    assert claims.known.roles == {UserRole.CUSTOMER}


@pytest.mark.parametrize("algorithm", KEYS)
async def test_each_algorithm_of_the_list_is_taken(issuer: Running, verifier: Verifier, algorithm: str) -> None:
    assert (await verifier[0].claims(issuer.token(algorithm))).known.directory == issuer.url


async def refusal(verifier: Verifier, token: str) -> Problem:
    with pytest.raises(Problem) as refused:
        await verifier[0].claims(token)
    return refused.value


WRONG: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "somebody-else"},
    "no audience": {"aud": None},
    "azp is no audience where there is one": {"aud": "other", "azp": "millrace"},
    "another issuer": {"iss": "https://elsewhere.example"},
    "expired": {"exp": int(time.time()) - 1},
    "no expiry": {"exp": None},
    "not yet": {"nbf": int(time.time()) + 3_600},
    "no subject": {"sub": None},
    "a number for a subject": {"sub": 7},
}


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_claims_are_401(issuer: Running, verifier: Verifier, name: str) -> None:
    problem = await refusal(verifier, issuer.token(**WRONG[name]))
    assert (problem.status, problem.code) == (401, Fault.TOKEN_INVALID)


async def test_no_algorithm_and_none_beside_the_list_is_taken(issuer: Running, verifier: Verifier) -> None:
    good = issuer.token()
    head, claims, signature = good.split(".")
    for algorithm in ("none", "None", "NONE", "", "HS256", "ES512"):
        other = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "ec"}).encode()).rstrip(b"=").decode()
        for end in ("", signature):
            assert (await refusal(verifier, f"{other}.{claims}.{end}")).status == 401
    hs256 = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').rstrip(b"=").decode()
    digest = hmac.digest(KEYS["RS256"].as_pem(private=False), f"{hs256}.{claims}".encode(), "sha256")
    public_as_secret = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert (await refusal(verifier, f"{hs256}.{claims}.{public_as_secret}")).status == 401
    assert (await refusal(verifier, issuer.token(key=STRANGER))).status == 401
    for text in ("", "x", "a.b.c", f"{head}.{claims}", good[:-4] + "AAAA", "é.é.é", "a" * 20_000):
        assert (await refusal(verifier, text)).status == 401


async def test_who_has_no_role_here_is_403(issuer: Running, verifier: Verifier) -> None:
    problem = await refusal(verifier, issuer.token(realm_access={"roles": ["other"]}))
    assert (problem.status, problem.code) == (403, Fault.SCOPE_INSUFFICIENT)


async def test_a_new_key_is_fetched_and_asking_is_bounded(issuer: Running, verifier: Verifier) -> None:
    oidc, now = verifier
    await oidc.claims(issuer.token())
    issuer.publish(LATER)
    for _ in range(5):
        await refusal(verifier, issuer.token(key=LATER))
    assert issuer.asked == 1, "however many keys are made up"
    now[0] += REFETCH_S
    await oidc.claims(issuer.token(key=LATER))
    assert issuer.asked == 2
    assert (await refusal(verifier, issuer.token())).status == 401, "the key before is gone"


async def test_while_the_issuer_is_away_its_keys_are_good_for_a_day(issuer: Running, verifier: Verifier) -> None:
    oidc, now = verifier
    token = issuer.token(exp=int(now[0]) + 2 * STALE_MAX_S)
    await oidc.claims(token)
    issuer.process.kill()
    issuer.process.wait()
    now[0] += STALE_MAX_S - 60
    await oidc.claims(token)
    now[0] += 120
    assert (await refusal(verifier, token)).code is Fault.DIRECTORY_UNAVAILABLE


@pytest.mark.parametrize(
    "jwks", [b"", b"[]", b"{}", b'{"keys":[{}]}', b"x" * 300_000], ids=["", "list", "no", "bad", "long"]
)
async def test_an_issuer_that_answers_nonsense_is_503(issuer: Running, verifier: Verifier, jwks: bytes) -> None:
    (issuer.folder / "jwks").write_bytes(jwks)
    assert (await refusal(verifier, issuer.token())).status == 503


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://login.example/realm", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://login.example", False),
        ("http://169.254.169.254", False),
        ("file:///etc/passwd", False),
        ("https://user@login.example", False),
        ("", False),
    ],
)
def test_keys_come_over_a_safe_line_alone(url: str, is_safe: bool) -> None:
    said = {"issuer": url, "audience": "a", "roles": {}}
    if is_safe:
        assert msgspec.convert(said, type=Issuer).issuer == url
        return
    with pytest.raises(msgspec.ValidationError, match="https"):
        msgspec.convert(said, type=Issuer)


async def test_who_comes_with_such_a_token_is_a_user_here(issuer: Running, tmp_path: Path, migrated: str) -> None:
    configured = {"issuer": issuer.url, "audience": "millrace", "roles": {"payer": "customer", "boss": "admin"}}
    settings = Settings(home=tmp_path, database_url=migrated, shards=1, oidc_issuers=(configured,))
    async with running_world(settings) as world:
        account = await opened(world, issuer.token())
        assert account.status_code == 201, account.text
        [row] = world.rows("SELECT actor FROM audit_entries WHERE action = 'POST /v1/accounts'")
        assert row["actor"].startswith("usr_")
        wrong = await opened(world, issuer.token(aud="somebody-else"))
        assert (wrong.status_code, wrong.json()["code"]) == (401, "token_invalid")
        for part in (0, 1):  # deeper than what reads it can go
            parts = issuer.token().split(".")
            parts[part] = base64.urlsafe_b64encode(b'{"iss":' + b"[" * 6_000).decode()
            deep = await opened(world, ".".join(parts))
            assert (deep.status_code, deep.json()["code"]) == (401, "token_invalid")
        boss = issuer.token(realm_access={"roles": ["boss"]})
        listed = await world._http.get("/v1/api-keys", headers={"Authorization": f"Bearer {boss}"})
        assert listed.status_code == 200
        made = await world._http.post("/v1/api-keys", json={}, headers={"Authorization": f"Bearer {boss}"})
        assert made.status_code == 403, "without a second factor at the issuer"
        assert (await world.anna("POST", "/v1/accounts", {"currency": "EUR"})).status_code == 201


async def opened(world: World, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    return await world._http.post("/v1/accounts", json={"currency": "EUR"}, headers=headers)

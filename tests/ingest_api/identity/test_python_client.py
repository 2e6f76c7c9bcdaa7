"""Goal: the Python client logs in, stays logged in and signs as the real identity asks for it.

Method: real Postgres and real HTTP; what the client's own tests write down, the server says here.
"""

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.client import ApiKey, AsyncClient, Bearer, Client, ClientCredentials, Password, Problem, SignedRequests
from millrace.client.credentials import Credentials
from tests.ingest_api.identity.people import ANNA, PASSWORD, Town, next_code

AT_ONCE = 6


@pytest.fixture
def url(town: Town) -> str:
    return str(town.http.base_url)


async def in_thread(do: Callable[[], Any]) -> Any:
    """The server runs on this loop."""
    return await asyncio.to_thread(do)


async def test_a_user_with_an_app_logs_in_and_stays_so_beside_others(town: Town, url: str) -> None:
    await town.settles(ANNA, "anna")
    secret, _ = await (await town.logs_in()).uses_an_app()

    async def code() -> str:
        return next_code(secret)

    async with AsyncClient(url, Password("anna", PASSWORD, otp=code)) as client:
        before = len((await client.auth.sessions()).items)
        for _ in range(3):
            _spoil(client)
            states = await asyncio.gather(*(client.auth.sessions() for _ in range(AT_ONCE)))
            assert {len(state.items) for state in states} == {before}, "no second login, and no session ended"


async def test_threads_share_a_session(town: Town, url: str) -> None:
    await town.settles(ANNA, "anna")

    def work() -> set[int]:
        with Client(url, Password("anna", PASSWORD)) as client, ThreadPoolExecutor(AT_ONCE) as pool:
            found = set()
            for _ in range(3):
                found |= {len(state.items) for state in pool.map(lambda _: client.auth.sessions(), range(AT_ONCE))}
                _spoil(client)
            return found

    assert await in_thread(work) == {1}


def _spoil(client: Any) -> None:
    """Its token is one that the server does not know, as after a rotation of keys."""
    client.calls.tokens._token += "x"


async def test_a_wrong_password_is_said_so(town: Town, url: str) -> None:
    await town.settles(ANNA, "anna")
    async with AsyncClient(url, Password("anna", "not this one")) as client:
        with pytest.raises(Problem, match="invalid_grant"):
            await client.accounts.list().page()


async def test_a_machine_logs_in_by_its_secret(town: Town, url: str) -> None:
    secret = await town.identity.clients.create("till-7", ["payments:read"], "a test")
    assert secret is not None
    async with AsyncClient(url, ClientCredentials("till-7", secret)) as client:
        assert [event async for event in client.events.list()] == []


async def test_keys_are_sent_or_sign(town: Town, url: str) -> None:
    everything = issue_token(town.world.services.settings, "operator", ALL_SCOPES, 600)
    async with AsyncClient(url, Bearer(everything)) as operator:
        plain = await operator.api_keys.create("plain", _SCOPES)
        signing = [await made(operator) for made in (_hmac, _ecdsa, _ed25519)]
    assert plain.secret is not None
    callers: list[Credentials] = [ApiKey(plain.secret), *signing]
    for credentials in callers:
        async with AsyncClient(url, credentials, reads_own_writes=False) as client:  # nothing becomes visible here
            opened = await client.accounts.open("EUR", idempotency_key='a "key"')
            again = await client.accounts.open("EUR", idempotency_key='a "key"')
            assert opened.id == again.id
            assert [event async for event in client.events.list(account=opened.id, object="an object & more")] == []


_SCOPES = ["payments:read", "accounts:write", "accounts:any"]


async def _hmac(operator: AsyncClient) -> SignedRequests:
    key = await operator.api_keys.create("hmac", _SCOPES, algorithm="hmac-sha256")
    assert key.secret is not None
    assert len(base64.b64decode(key.secret)) == 32
    return SignedRequests(key.id, "hmac-sha256", key.secret)


async def _ecdsa(operator: AsyncClient) -> SignedRequests:
    pair = ECKey.generate_key("P-256")
    key = await operator.api_keys.create(
        "ecdsa", _SCOPES, algorithm="ecdsa-p256-sha256", public_key=pair.as_dict(private=False)
    )
    return SignedRequests(key.id, "ecdsa-p256-sha256", pair.as_pem(private=True).decode())


async def _ed25519(operator: AsyncClient) -> SignedRequests:
    pair = OKPKey.generate_key("Ed25519")
    key = await operator.api_keys.create("ed", _SCOPES, algorithm="ed25519", public_key=pair.as_dict(private=False))
    return SignedRequests(key.id, "ed25519", pair.as_pem(private=True).decode())

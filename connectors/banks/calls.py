"""One call to a bank's API: guarded against addresses of our own network, with an OAuth 2.0 access token.

The token comes from `{api_url}/oauth/token` by client credentials (RFC 6749 §4.4) and is kept until shortly before it
expires. Redirects are not followed, proxies of the environment not used. Time is the caller's to bound.
"""

import ssl
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote, quote_plus, urlencode

import certifi
import httpcore
import msgspec

from connectors.banks.register import Bank
from connectors.webhooks.addresses import AddressRefused, GuardedNetwork
from runtime.settings import Settings

ANSWER_BYTES_MAX: Final = 65_536
"""A transfer is under 1 kB."""

_EXPIRES_EARLY_S: Final = 30
_UNAUTHORISED: Final = 401


class Unanswered(Exception):
    """Nobody knows what became of the call; `str()` is a word for it."""


class BankAnswer(NamedTuple):
    """Status and JSON object of an answer; an empty one where there is none."""

    status: int
    body: dict[str, Any]


class BankCalls:
    """Calls any bank, with a connection pool and the tokens for all of them."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, resolving: ThreadPoolExecutor, *, plain: bool) -> None:
        self._pool = pool
        self._resolving = resolving
        self._plain = plain
        self._tokens: dict[Bank, tuple[str, float]] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        local = settings.banks == "local"
        resolving = ThreadPoolExecutor(settings.connector_slots, "resolving")
        pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=certifi.where()),
            max_connections=settings.connector_slots,
            network_backend=GuardedNetwork(resolving, any_address=local),
        )
        return cls(pool, resolving, plain=local)

    async def close(self) -> None:
        """Does not wait for names that are being resolved."""
        await self._pool.aclose()
        self._resolving.shutdown(wait=False, cancel_futures=True)

    async def get(self, bank: Bank, path: str, **query: str) -> BankAnswer:
        """Raises Unanswered."""
        where = f"{path}?{urlencode(query)}" if query else path
        return await self._authorised(bank, "GET", where, b"", {})

    async def post(self, bank: Bank, path: str, body: dict[str, Any], idempotency_key: str) -> BankAnswer:
        """Raises Unanswered."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        return await self._authorised(bank, "POST", path, msgspec.json.encode(body), headers)

    async def _authorised(
        self, bank: Bank, method: str, path: str, content: bytes, headers: dict[str, str]
    ) -> BankAnswer:
        token = await self._token(bank)
        answer = await self._sent(bank, method, path, content, headers | {"Authorization": f"Bearer {token}"})
        if answer.status == _UNAUTHORISED:
            self._tokens.pop(bank, None)
        return answer

    async def _token(self, bank: Bank) -> str:
        known = self._tokens.get(bank)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        client = f"{quote_plus(bank.credentials.client_id)}:{quote_plus(bank.credentials.client_secret)}"
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": f"Basic {b64encode(client.encode()).decode()}",
        }
        answer = await self._sent(bank, "POST", "/oauth/token", b"grant_type=client_credentials", headers)
        token, lifetime_s = answer.body.get("access_token"), answer.body.get("expires_in", 0)
        if not isinstance(token, str) or not isinstance(lifetime_s, int):
            raise Unanswered("no_access_token")
        self._tokens[bank] = token, time.monotonic() + lifetime_s - _EXPIRES_EARLY_S
        return token

    async def _sent(self, bank: Bank, method: str, path: str, content: bytes, headers: dict[str, str]) -> BankAnswer:
        url = bank.api_url.rstrip("/") + path
        if not (self._plain or url.startswith("https://")):
            raise Unanswered("https_needed")
        try:
            async with self._pool.stream(method, url, headers=[*headers.items()], content=content) as response:
                return BankAnswer(response.status, _object(await _read(response)))
        except AddressRefused:
            raise Unanswered("address_refused") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.UnsupportedProtocol, OSError):
            raise Unanswered("connection_failed") from None
        except (httpcore.ProtocolError, UnicodeError):
            raise Unanswered("protocol_error") from None


async def _read(response: httpcore.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise Unanswered("answer_too_long")
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def path_of(*parts: str) -> str:
    """A path of parts that may hold any character."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)

"""One delivery over HTTP: a signed POST, with every wait and every answer bounded.

Redirects are not followed, proxies of the environment not used, and of the answer's body only the beginning is read.
"""

import asyncio
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, Self

import certifi
import httpcore

from connectors.webhooks.addresses import AddressRefused, GuardedNetwork
from connectors.webhooks.signing import headers
from runtime.settings import Settings

CALL_TIMEOUT_S: Final = 15
"""From the name's resolution to the last byte read."""

RESPONSE_BYTES_KEPT: Final = 1_024
"""Of the answer's body, for the endpoint's owner to look at; the connection is closed behind it."""

IDLE_CONNECTION_S: Final = 5
GONE: Final = 410


class Message(NamedTuple):
    """What is sent."""

    url: str
    message_id: str
    body: bytes
    secrets: tuple[bytes, ...]


class Outcome(NamedTuple):
    """What came of one attempt. `failure` is a word of ours, for what has no HTTP status."""

    http_status: int | None
    failure: str | None
    response: str
    duration_ms: int

    @property
    def delivered(self) -> bool:
        return self.http_status is not None and 200 <= self.http_status < 300


class Sender:
    """Calls endpoints, up to `webhook_slots` at a time."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, resolving: ThreadPoolExecutor, *, plain: bool) -> None:
        self._pool = pool
        self._resolving = resolving
        self._plain = plain

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises OSError where the file of authorities can't be read."""
        local = settings.webhook_local_receivers
        resolving = ThreadPoolExecutor(settings.webhook_slots, "resolving")
        authorities = settings.webhook_ca_file or certifi.where()
        pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=str(authorities)),
            max_connections=settings.webhook_slots,
            keepalive_expiry=IDLE_CONNECTION_S,
            network_backend=GuardedNetwork(resolving, any_address=local),
        )
        return cls(pool, resolving, plain=local)

    async def close(self) -> None:
        """Does not wait for names that are being resolved."""
        await self._pool.aclose()
        self._resolving.shutdown(wait=False, cancel_futures=True)

    async def send(self, message: Message, timestamp_s: int) -> Outcome:
        """One attempt; whatever goes wrong is an outcome."""
        began = time.monotonic()
        status, failure, response = await self._answered(message, timestamp_s)
        return Outcome(status, failure, response, int((time.monotonic() - began) * 1_000))

    async def _answered(self, message: Message, timestamp_s: int) -> tuple[int | None, str | None, str]:
        if not (self._plain or message.url.startswith("https://")):
            return None, "https_needed", ""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await self._posted(message, timestamp_s)
        except TimeoutError:
            return None, "timeout", ""
        except AddressRefused:
            return None, "address_refused", ""
        except httpcore.UnsupportedProtocol:
            return None, "url_refused", ""
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            return None, _word_of(error), ""
        except (httpcore.ProtocolError, UnicodeError):  # UnicodeError: a label of the name is too long
            return None, "protocol_error", ""

    async def _posted(self, message: Message, timestamp_s: int) -> tuple[int | None, str | None, str]:
        signed = headers(message.secrets, message.message_id, timestamp_s, message.body)
        kept = bytearray()
        async with self._pool.stream("POST", message.url, headers=signed, content=message.body) as response:
            async for chunk in response.aiter_stream():
                kept += chunk[:RESPONSE_BYTES_KEPT]
                if len(kept) >= RESPONSE_BYTES_KEPT:
                    break
        text = bytes(kept[:RESPONSE_BYTES_KEPT]).decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        return response.status, None, text


def _word_of(error: Exception) -> str:
    """For the endpoint's owner: nothing of our network is told."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate_refused"
        if isinstance(cause, ssl.SSLError):
            return "tls_error"
        cause = cause.__cause__ or cause.__context__
    return "timeout" if isinstance(error, httpcore.TimeoutException) else "connection_failed"

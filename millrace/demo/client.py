"""A client that never gives up early: every call carries its idempotency key, so it may be repeated until answered."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from payments.errors import Unavailable

PATIENCE_S = 90.0
"""A killed broker answers again after about 10 s, a worker after 3 s; both may fall into one call."""

_PAUSE_S = 0.2
_PAUSE_MAX_S = 5.0
_TIMEOUT_S = 20.0
_CONNECTIONS = 16


class PatientClient:
    """`async with PatientClient(url, token) as client`. Counts what it had to repeat."""

    def __init__(self, url: str, token: str) -> None:
        self.repeated = 0
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_S,
            limits=httpx.Limits(max_connections=_CONNECTIONS),
        )

    async def __aenter__(self) -> "PatientClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def call(self, method: str, path: str, *, headers: Mapping[str, str], **request: Any) -> httpx.Response:
        """The first answer that is no refusal for now. Raises Unavailable after PATIENCE_S."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            pause_s, reason = _PAUSE_S, ""
            try:
                response = await self._http.request(method, path, headers=headers, **request)
            except httpx.TransportError as error:
                reason = repr(error)
            else:
                if response.status_code != 429 and response.status_code < 500:
                    return response
                pause_s = pause_of_s(response.headers.get("Retry-After"), datetime.now(UTC))
                reason = f"{response.status_code} {response.text[:200]}"
            if time.monotonic() > deadline_s:
                raise Unavailable(f"{method} {path}: no answer for {PATIENCE_S:.0f} s, last: {reason}")
            self.repeated += 1
            await asyncio.sleep(pause_s)


def pause_of_s(retry_after: str | None, now: datetime) -> float:
    """Seconds to wait for a Retry-After of whole seconds or an HTTP date (RFC 9110 §10.2.3), at most 5."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _PAUSE_MAX_S)  # not int: it refuses more than 4,300 digits
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return _PAUSE_S
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), _PAUSE_MAX_S)

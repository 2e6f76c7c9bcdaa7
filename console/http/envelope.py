"""What every page tells the browser beside itself: scripts and styles of this host alone, no frame, nothing kept.

The outermost ASGI application of the console. Writes the cookie that a page left in `request.state.cookie`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import HTTPConnection

Application = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

_HEADERS: Final = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        b" form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"referrer-policy", b"same-origin"),  # so that browsers name the origin of a form, and nobody else learns the path
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_NOT_KEPT: Final = (b"cache-control", b"no-store")


class Envelope:
    """Around every answer."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        state = scope.setdefault("state", {})

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [] if any(name == b"cache-control" for name, _ in message["headers"]) else [_NOT_KEPT]
                cookie = (
                    [(b"set-cookie", state["cookie"].header(HTTPConnection(scope)).encode())]
                    if "cookie" in state
                    else []
                )
                message = message | {"headers": [*message["headers"], *_HEADERS, *kept, *cookie]}
            await send(message)

        await self._app(scope, receive, sending)

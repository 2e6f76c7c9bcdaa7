"""The ASGI application that counts what the one inside answers."""

import time
from collections.abc import Container
from typing import Any, Final

from ingest_api.http.call import Receive, Send
from ingest_api.http.serving import Application
from ingest_api.metrics.figures import Figures

_NO_ROUTE: Final = "none"


class Measured:
    """Notes every answer of an application that leaves its route in the scope."""

    def __init__(self, app: Application, figures: Figures, hot: Container[str]) -> None:
        self._app = app
        self._figures = figures
        self._hot = hot
        """Paths that are served in front of the routes."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s = time.perf_counter()

        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                took_s = time.perf_counter() - begun_s
                self._figures.note(scope["method"], self._route(scope), message["status"], took_s)
            await send(message)

        await self._app(scope, receive, noting)

    def _route(self, scope: Any) -> str:
        if "route" in scope:
            path: str = scope["route"].path
            return path
        return scope["path"] if scope["path"] in self._hot else _NO_ROUTE

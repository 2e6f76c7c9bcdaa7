"""Every state-changing call over HTTP into the audit log: who, which route, what became of it.

Reads method, route, status and ids of a call that was answered; never its body, its query or the text of its path.
A call that came to nothing because nobody was known, or too much was sent, is no entry: whoever has no token could fill
the log. Calls of the hot routes are counted by caller and status; the ledger tells each of them.
"""

import re
from collections.abc import Container
from typing import Any, Final

from ingest_api.audit_log.entry import new_entry
from ingest_api.audit_log.log import AuditLog
from ingest_api.http.call import Receive, Send
from ingest_api.http.serving import Application
from ingest_api.identity.tokens import TokenVerifier
from ingest_api.problems import Problem

CREDENTIAL: Final = "millrace.credential"
"""Key of the ASGI scope: the API key that the caller has shown, if any."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NOTHING_HAPPENED: Final = frozenset({401, 404, 405, 429})
_HEARTBEAT: Final = re.compile(r"/eureka/apps/[^/]+/[^/]+")
_ID: Final = re.compile(r"[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}")
_MADE: Final = re.compile(rb'\{"id":"([a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25})"')


class AuditedCalls:
    """The outermost ASGI application."""

    def __init__(self, app: Application, log: AuditLog, tokens: TokenVerifier, counted: Container[str]) -> None:
        self._app = app
        self._log = log
        self._tokens = tokens
        self._counted = counted
        """Paths whose calls are counted."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _READING or _is_heartbeat(scope):
            await self._app(scope, receive, send)
        elif scope["path"] in self._counted:
            await self._app(scope, receive, self._counting(scope, send))
        else:
            await self._app(scope, receive, self._noting(scope, send))

    def _counting(self, scope: Any, send: Send) -> Send:
        async def counting(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] not in _NOTHING_HAPPENED:
                actor = self._actor(scope)
                if actor is not None:
                    self._log.count(actor, scope["path"], message["status"])
            await send(message)

        return counting

    def _noting(self, scope: Any, send: Send) -> Send:
        started: list[Any] = []

        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.append(message)  # held back: an answer that was seen has its entry
                return
            if started:
                await self._note(scope, started[0], message.get("body", b""))
                await send(started.pop())
            await send(message)

        return noting

    async def _note(self, scope: Any, start: Any, body: bytes) -> None:
        status, actor = start["status"], self._actor(scope)
        if status in _NOTHING_HAPPENED or (actor is None and status >= 400):
            return
        route, named = _route(scope)
        made = _MADE.match(body) if status < 400 else None
        entry = new_entry(
            actor,
            f"{scope['method']} {route}",
            made[1].decode() if made is not None and named is None else named,
            request_id=_request_id(start),
            after={"status": status},
            credential=scope.get(CREDENTIAL),
        )
        await self._log.note(entry)

    def _actor(self, scope: Any) -> str | None:
        """Whose token it was; it was verified a moment ago and is remembered."""
        for name, value in scope["headers"]:
            if name == b"authorization":
                try:
                    return self._tokens.principal(value.decode("latin-1"), None).subject
                except Problem:
                    return None
        return None


def _is_heartbeat(scope: Any) -> bool:
    """It keeps alive what was registered by another call, and says nothing new."""
    return scope["method"] == "PUT" and _HEARTBEAT.fullmatch(scope["path"]) is not None


def _route(scope: Any) -> tuple[str, str | None]:
    """The path with the names of its parameters in the place of their values, and the first value that is an id: the
    others may be an address or a phone number.
    """
    values = {str(value): name for name, value in scope.get("path_params", {}).items()}
    segments = scope["path"].split("/") if "route" in scope else ["", "?"]
    route = "/".join(f"{{{values[segment]}}}" if segment in values else segment for segment in segments)
    return route, next((value for value in values if _ID.fullmatch(value)), None)


def _request_id(start: Any) -> str:
    return next((value.decode("ascii") for name, value in start["headers"] if name == b"x-request-id"), "?")

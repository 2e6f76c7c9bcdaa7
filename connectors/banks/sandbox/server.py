"""The sandbox bank's HTTP surface: the protocol of docs/people.md, and `/_sandbox/…` for what happens outside of it.

Guarantees: same Idempotency-Key and body → the same answer, for ever; another body → 422; what was done and what the
key remembers commit together, so that a kill -9 leaves both or neither.
"""

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.banks.sandbox.bank import ACCOUNT, Refused, SandboxBank
from connectors.sandbox.faults import Fault, Faults, NothingDone, through
from connectors.sandbox.refusal import JsonObject
from connectors.sandbox.server import ResettableProtocol
from connectors.sandbox.store import SavedAnswer, Store

TOKEN_LIFETIME_S: Final = 300
Work = Callable[[JsonObject], JsonObject]


class BankApi:
    """One bank, one client of it, and the application that serves both."""

    def __init__(self, state: Path, client_id: str, client_secret: str) -> None:
        self._store = Store(state)
        self._bank = SandboxBank(self._store)
        self._faults = Faults()
        self._client = b64encode(f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()).decode()
        self._tokens: set[str] = set()

    def application(self) -> Starlette:
        routes = [
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/transfers", self._authorised(self._transfer), methods=["POST"]),
            Route("/transfers", self._authorised(self._listed), methods=["GET"]),
            Route("/transfers/{id}", self._authorised(self._one), methods=["GET"]),
            Route("/transfers/{id}/returns", self._authorised(self._return), methods=["POST"]),
            Route("/accounts/verify", self._authorised(self._verify), methods=["POST"]),
            Route("/_sandbox/faults", self._arm, methods=["POST"]),
            Route("/_sandbox/faults", self._clear, methods=["DELETE"]),
            Route("/_sandbox/tokens", self._forget_tokens, methods=["DELETE"]),
            Route("/_sandbox/settlement", self._settlement, methods=["POST"]),
            Route("/_sandbox/accounts", self._describe, methods=["POST"]),
            Route("/_sandbox/accounts", self._account, methods=["GET"]),
            Route("/_sandbox/codes", self._code, methods=["POST"]),
            Route("/_sandbox/transfers", self._transfers, methods=["GET"]),
            Route("/_sandbox/transfers/{id}/settle", self._settle, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def _token(self, request: Request) -> Response:
        """RFC 6749 §4.4 with the client in the Authorization header."""
        scheme, _, client = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or not secrets.compare_digest(client.encode(), self._client.encode()):
            return JSONResponse({"error": "invalid_client"}, 401)
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME_S})

    def _authorised(self, serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def served(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or token not in self._tokens:
                return JSONResponse({"error": "invalid_token"}, 401)
            return await serve(request)

        return served

    async def _transfer(self, request: Request) -> Response:
        return await self._once(request, self._bank.transfer)

    async def _return(self, request: Request) -> Response:
        transfer_id = request.path_params["id"]
        return await self._once(request, lambda asked: self._bank.give_back(transfer_id, asked))

    async def _once(self, request: Request, work: Work) -> Response:
        body = await request.body()
        key = request.headers.get("idempotency-key", "")
        if not key:
            return JSONResponse({"error": "idempotency_key_missing"}, 400)
        fault = self._faults.take(request.method, request.url.path)
        if fault is None:
            return self._done(key, request.url.path, body, work, is_failing=False)
        try:
            return await through(
                fault,
                request,
                ResettableProtocol.reset,
                lambda is_failing: self._done(key, request.url.path, body, work, is_failing=is_failing),
            )
        except NothingDone as nothing:
            return JSONResponse({"error": "try_again"}, nothing.status)

    def _done(self, key: str, path: str, body: bytes, work: Work, *, is_failing: bool) -> Response:
        fingerprint = hashlib.sha256(path.encode() + b"\0" + body).hexdigest()
        with self._store.transaction():
            saved = self._store.answer_to(key)
            if saved is None:
                status, answer = _answered(work, body)
                saved = SavedAnswer(fingerprint, status, json.dumps(answer), 0)
                self._store.save_answer(key, saved)
        if saved.fingerprint != fingerprint:
            return JSONResponse({"error": "idempotency_key_reused"}, 422)
        if is_failing:
            return JSONResponse({"error": "internal"}, 500)
        return Response(saved.body, saved.status, media_type="application/json")

    async def _listed(self, request: Request) -> Response:
        found = self._bank.of_reference(request.query_params.get("reference", ""))
        return JSONResponse({"transfers": found})

    async def _one(self, request: Request) -> Response:
        return _or_404(self._bank.find(request.path_params["id"]))

    async def _verify(self, request: Request) -> Response:
        """POST {account, holder, code}: is the account this holder's, who was given this code?"""
        return await self._once(request, self._bank.holds)

    async def _arm(self, request: Request) -> Response:
        """POST {kind, path, method, times, seconds}"""
        self._faults.arm(Fault.of({"path": "/transfers", **await request.json()}))
        return JSONResponse({})

    async def _clear(self, _: Request) -> Response:
        self._faults.clear()
        return JSONResponse({})

    async def _forget_tokens(self, _: Request) -> Response:
        """As a bank that starts again."""
        self._tokens.clear()
        return JSONResponse({})

    async def _settlement(self, request: Request) -> Response:
        """POST {at_once}"""
        self._bank.settles_at_once = bool((await request.json())["at_once"])
        return JSONResponse({})

    async def _describe(self, request: Request) -> Response:
        """POST {number, balance, holder, is_open}: those left out stay as they are."""
        told: dict[str, Any] = await request.json()
        number = str(told.pop("number"))
        with self._store.transaction():
            self._store.put(ACCOUNT, self._bank.account(number) | told)
        return JSONResponse(self._bank.account(number))

    async def _account(self, request: Request) -> Response:
        return JSONResponse(self._bank.account(request.query_params["number"]))

    async def _code(self, request: Request) -> Response:
        """POST {number}: its holder asks for a code."""
        number = str((await request.json())["number"])
        with self._store.transaction():
            return JSONResponse({"code": self._bank.code(number)["id"]})

    async def _transfers(self, _: Request) -> Response:
        return JSONResponse(list(self._store.newest_first("transfer")))

    async def _settle(self, request: Request) -> Response:
        """POST {settled}"""
        is_settled = bool((await request.json())["settled"])
        with self._store.transaction():
            return _or_404(self._bank.settle(request.path_params["id"], is_settled=is_settled))


def _answered(work: Work, body: bytes) -> tuple[int, JsonObject]:
    try:
        asked = json.loads(body)
        if not isinstance(asked, dict):
            return 400, {"error": "body_invalid"}
        return 201, work(asked)
    except ValueError:
        return 400, {"error": "body_invalid"}
    except Refused as refused:
        return 422, {"error": str(refused)}


def _or_404(found: JsonObject | None) -> Response:
    return JSONResponse(found) if found is not None else JSONResponse({"error": "transfer_unknown"}, 404)

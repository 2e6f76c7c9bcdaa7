"""The sandbox's HTTP surface: Stripe's paths, and `/_sandbox/…` for what happens outside of it: faults, time, banks.

Loopback, unless another address is given. Reads and writes the store's file.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connectors.sandbox import authentication, lists
from connectors.sandbox.account import StripeAccount
from connectors.sandbox.exchange import Endpoint, Exchange, Operation
from connectors.sandbox.faults import Fault, Faults
from connectors.sandbox.objects import balance, disputes, intents, payouts, refunds
from connectors.sandbox.refusal import JsonObject, Refused
from connectors.sandbox.store import Store
from connectors.sandbox.webhooks import Endpoint as WebhookEndpoint
from connectors.sandbox.webhooks import deliver

HOST: Final = "127.0.0.1"
_NONE: Final[frozenset[str]] = frozenset()

OPERATIONS: Final[dict[tuple[str, str], Endpoint]] = {
    ("POST", "/v1/payment_intents"): Endpoint(intents.create, intents.CREATE_PARAMS),
    ("POST", "/v1/payment_intents/{id}/confirm"): Endpoint(
        intents.confirm, frozenset({"payment_method", "payment_method_data", "return_url"})
    ),
    ("POST", "/v1/payment_intents/{id}/capture"): Endpoint(intents.capture, frozenset({"amount_to_capture"})),
    ("POST", "/v1/payment_intents/{id}/cancel"): Endpoint(intents.cancel, frozenset({"cancellation_reason"})),
    ("POST", "/v1/refunds"): Endpoint(refunds.create, refunds.CREATE_PARAMS),
    ("POST", "/v1/payouts"): Endpoint(payouts.create_payout, payouts.CREATE_PARAMS),
    ("POST", "/v1/transfers"): Endpoint(payouts.create_transfer, payouts.CREATE_PARAMS),
    ("POST", "/v1/disputes/{id}"): Endpoint(disputes.answer, frozenset({"evidence", "submit"})),
    ("POST", "/v1/disputes/{id}/close"): Endpoint(disputes.close, _NONE),
    ("GET", "/v1/balance"): Endpoint(balance.retrieve, _NONE),
}
LISTS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "/v1/payment_intents": ("payment_intent", _NONE),
    "/v1/charges": ("charge", frozenset({"payment_intent"})),
    "/v1/refunds": ("refund", frozenset({"payment_intent", "charge"})),
    "/v1/payouts": ("payout", frozenset({"status", "destination"})),
    "/v1/transfers": ("transfer", frozenset({"destination"})),
    "/v1/disputes": ("dispute", frozenset({"payment_intent", "charge"})),
    "/v1/balance_transactions": ("balance_transaction", frozenset({"type", "source", "currency"})),
    "/v1/events": ("event", frozenset({"type"})),
}
"""What is listed, and retrieved one by one → its kind and the filters of the list."""

SEARCHES: Final = (("/v1/payment_intents/search", "payment_intent"),)

Serve = Callable[[Request], Awaitable[Response]]


class ResettableProtocol(HttpToolsProtocol):
    """Knows its connections by the caller's address, so that one of them can be reset in the middle of a request."""

    open: ClassVar[dict[Any, "ResettableProtocol"]] = {}

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.open[transport.get_extra_info("peername")] = self

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)

    @classmethod
    def reset(cls, request: Request) -> None:
        """Cut off whoever sent this request."""
        client = request.scope["client"]
        cls.open[tuple(client)].transport.abort()


class Sandbox:
    """One account, its faults, and the application that serves both."""

    def __init__(self, state: Path, webhook: WebhookEndpoint | None) -> None:
        self._store = Store(state)
        self._account = StripeAccount(self._store, has_webhook=webhook is not None)
        self._faults = Faults()
        self._exchange = Exchange(self._account, self._faults, ResettableProtocol.reset)
        self._webhook = webhook

    def application(self) -> Starlette:
        routes = [
            *(self._route("GET", path, partial(lists.search, kind, path), lists.SEARCHED) for path, kind in SEARCHES),
            *(route for path, (kind, filters) in LISTS.items() for route in self._listed(path, kind, filters)),
            *(self._route(method, path, *endpoint) for (method, path), endpoint in OPERATIONS.items()),
            Route("/_sandbox/faults", self._arm, methods=["POST"]),
            Route("/_sandbox/faults", self._clear, methods=["DELETE"]),
            Route("/_sandbox/faults", self._met, methods=["GET"]),
            Route("/_sandbox/clock", self._advance, methods=["POST"]),
            Route("/_sandbox/search", self._lag, methods=["POST"]),
            Route(f"/{intents.AUTHENTICATION_PATH}/{{id}}", self._page, methods=["GET"]),
            Route(f"/{intents.AUTHENTICATION_PATH}/{{id}}", self._authenticated, methods=["POST"]),
            Route("/_sandbox/payment_intents/{id}/authenticate", self._outside(_authenticate), methods=["POST"]),
            Route("/_sandbox/refunds/{id}/complete", self._outside(_complete), methods=["POST"]),
            Route("/_sandbox/payouts/{id}/arrive", self._outside(_arrive), methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._delivering)

    def _listed(self, path: str, kind: str, filters: frozenset[str]) -> tuple[Route, Route]:
        """All of a kind, and one of them."""
        listing = partial(lists.listing, kind, filters, path)
        return (
            self._route("GET", path, listing, lists.LISTED | filters),
            self._route("GET", f"{path}/{{id}}", partial(lists.retrieve, kind), _NONE),
        )

    def _route(self, method: str, path: str, operation: Operation, params: frozenset[str]) -> Route:
        async def served(request: Request) -> Response:
            return await self._exchange.answer(request, Endpoint(operation, params))

        return Route(path, served, methods=[method])

    @asynccontextmanager
    async def _delivering(self, _: Starlette) -> AsyncIterator[None]:
        if self._webhook is None:
            yield
            return
        delivering = asyncio.create_task(deliver(self._store, self._webhook))
        yield
        delivering.cancel()
        with suppress(asyncio.CancelledError):
            await delivering

    async def _arm(self, request: Request) -> Response:
        """POST {kind, path, method, times, seconds}"""
        try:
            self._faults.arm(Fault.of(await request.json()))
        except (KeyError, ValueError) as wrong:
            return JSONResponse({"error": f"{wrong}: give a kind of connectors.sandbox.faults"}, 400)
        return JSONResponse({})

    async def _clear(self, _: Request) -> Response:
        self._faults.clear()
        return JSONResponse({})

    async def _met(self, _: Request) -> Response:
        return JSONResponse(self._faults.met())

    async def _advance(self, request: Request) -> Response:
        """POST {seconds}"""
        self._account.advance(int((await request.json())["seconds"]))
        return JSONResponse({"now": self._account.now_s})

    async def _lag(self, request: Request) -> Response:
        """POST {seconds}: how far the search index is behind."""
        self._account.search_lag_s = int((await request.json())["seconds"])
        return JSONResponse({})

    async def _page(self, request: Request) -> Response:
        """What the payer's browser shows."""
        return authentication.page(self._account, request.path_params["id"])

    async def _authenticated(self, request: Request) -> Response:
        """What the payer has chosen there."""
        is_successful = parse_qs((await request.body()).decode()).get("success") == ["true"]
        with self._store.transaction():
            return authentication.answered(self._account, request.path_params["id"], is_successful=is_successful)

    def _outside(self, happen: Callable[[StripeAccount, str, JsonObject], JsonObject]) -> Serve:
        """What a payer or a bank does, which no API call asks for."""

        async def served(request: Request) -> Response:
            body = await request.json() if await request.body() else {}
            try:
                with self._store.transaction():
                    return JSONResponse(happen(self._account, request.path_params["id"], body))
            except Refused as refused:
                return JSONResponse(refused.body, refused.status)

        return served


def _authenticate(account: StripeAccount, intent_id: str, body: JsonObject) -> JsonObject:
    return intents.authenticate(account, intent_id, is_successful=bool(body.get("success", True)))


def _complete(account: StripeAccount, refund_id: str, _: JsonObject) -> JsonObject:
    return refunds.complete(account, refund_id)


def _arrive(account: StripeAccount, payout_id: str, body: JsonObject) -> JsonObject:
    return payouts.arrive(account, payout_id, is_paid=bool(body.get("paid", True)))


def serve(host: str, port: int, state: Path, webhook: WebhookEndpoint | None, ready: Callable[[str], None]) -> None:
    """The sandbox until SIGTERM or SIGINT."""
    serve_application(host, port, Sandbox(state, webhook).application(), ready)


def serve_application(host: str, port: int, application: Starlette, ready: Callable[[str], None]) -> None:
    """Until SIGTERM or SIGINT. Port 0 = any free one; `ready` is told the address."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    config = uvicorn.Config(application, http=ResettableProtocol, log_level="warning", access_log=False)
    ready(f"http://{host}:{listener.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listener])

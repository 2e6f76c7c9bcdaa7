"""The composition of one API process: services, FastAPI with every route, hot routes in front.

Every route stands under `/v1` and without it; OpenAPI shows the former.
"""

import gc
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ingest_api import accounts, batches, health, transactions, transfers
from ingest_api.aliases import routes as aliases
from ingest_api.attempts import routes as attempts
from ingest_api.audit_log import routes as audit_log
from ingest_api.audit_log.calls import AuditedCalls
from ingest_api.cases import routes as cases
from ingest_api.cash import routes as cash
from ingest_api.commerce import routes as commerce
from ingest_api.discovery import routes as discovery
from ingest_api.discovery.eureka import routes as eureka
from ingest_api.disputes import routes as disputes
from ingest_api.external_banks import routes as external_banks
from ingest_api.fx import routes as fx
from ingest_api.holds import routes as holds
from ingest_api.http import openapi
from ingest_api.http.call import Call, Receive, Send
from ingest_api.http.edge.answer_headers import ASSETS_PATH, add_documents_page
from ingest_api.http.edge.head import Edge
from ingest_api.http.edge.origins import with_origins
from ingest_api.http.serving import Application, HotRoutes, Operation, as_response, internal_error
from ingest_api.identity.machines import routes as api_keys
from ingest_api.identity.machines.door import MachineDoor
from ingest_api.identity.oauth import routes as oauth
from ingest_api.identity.second_factor import routes as second_factor
from ingest_api.identity.sessions import routes as sessions
from ingest_api.journals import routes as journals
from ingest_api.metrics import routes as metrics
from ingest_api.metrics.measured import Measured
from ingest_api.owners import routes as owners
from ingest_api.people import routes as people
from ingest_api.preferences import routes as preferences
from ingest_api.problems import Fault, FieldError, Problem
from ingest_api.psp_webhooks import routes as psp_webhooks
from ingest_api.public_events import routes as public_events
from ingest_api.quarantine import routes as quarantine
from ingest_api.reconciliation import breaks, runs
from ingest_api.reconciliation import files as settlement_files
from ingest_api.reconciliation.internal import routes as internal_reconciliation
from ingest_api.refunds import routes as refunds
from ingest_api.risk import routes as risk
from ingest_api.schedules import routes as schedules
from ingest_api.schema_registry import routes as schema_registry
from ingest_api.screening import routes as screening
from ingest_api.seed_routes import routes as seed_routes
from ingest_api.services import Services
from ingest_api.statements import routes as statements
from ingest_api.webhook_endpoints import routes as webhook_endpoints

logger = logging.getLogger(__name__)

PREFIX = "/v1"
PAGES_PATH = "/console"
Pages = Callable[[Services, Application], Application]

HOT_OPERATIONS: dict[str, Operation] = {
    prefix + path: operation
    for prefix in (PREFIX, "")
    for path, operation in (("/transfers", transfers.create_transfer), ("/transfers:batch", batches.accept_batch))
}
NOUNS = (
    oauth,
    sessions,
    second_factor,
    accounts,
    people,
    owners,
    statements,
    aliases,
    transfers,
    cash,
    holds,
    disputes,
    journals,
    fx,
    refunds,
    schedules,
    batches,
    external_banks,
    commerce,
    transactions,
    seed_routes,
    cases,
    attempts,
    risk,
    screening,
    settlement_files,
    runs,
    breaks,
    internal_reconciliation,
    quarantine,
    public_events,
    webhook_endpoints,
    preferences,
    psp_webhooks,
    audit_log,
    api_keys,
    discovery,
)
"""What has routes, under the prefix and without it, in the order of the documents."""

_GC_THRESHOLDS = 100_000, 50, 1_000
"""With the start-up heap frozen: p99 of FastAPI 46 → 11 ms, a third more requests a second."""


def make_app(services: Services, pages: Pages | None = None) -> Application:
    """The ASGI application of one process. Its lifespan starts and stops the services. `pages` are made of the API
    that they stand beside, and served below PAGES_PATH.
    """
    app = make_fastapi()
    app.state.services = services
    hot = HotRoutes(app, services, HOT_OPERATIONS)
    audited = AuditedCalls(hot, services.audit, services.tokens, HOT_OPERATIONS.keys())
    door = MachineDoor(Measured(audited, services.figures, HOT_OPERATIONS.keys()), services)
    origins = services.settings.api_cors_origins
    api = with_origins(door, origins)
    if pages is not None:
        return Edge(_Beside(api, Measured(pages(services, door), services.figures, ())), origins)
    return Edge(api, origins)


class _Beside:
    """Pages for people beside the API: other sites may not call them, and they answer no problem documents."""

    def __init__(self, api: Application, pages: Application) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{PAGES_PATH}/")
        await (self._pages if is_page else self._api)(scope, receive, send)


def make_fastapi() -> FastAPI:
    """Every route, the hot ones too. They find the services in `app.state.services`."""
    release = version("millrace")
    app = FastAPIOffline(
        title=openapi.TITLE,
        version=release,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        static_url=ASSETS_PATH,
        redirect_slashes=False,  # a redirect would go to whatever host the caller's Host header names
    )
    add_documents_page(app)
    for noun in NOUNS:
        app.include_router(noun.router, prefix=PREFIX)
        app.include_router(noun.router, include_in_schema=False)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(schema_registry.router)
    app.include_router(eureka.router)
    app.include_router(oauth.published)
    app.add_exception_handler(HTTPException, _framework_problem)
    app.add_exception_handler(RequestValidationError, _parameter_problem)
    app.add_exception_handler(Exception, _internal_problem)
    documented = openapi.document(app, release)
    app.openapi = lambda: documented  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await services.start()
    freeze_heap()
    try:
        yield
    finally:
        await services.stop()


def freeze_heap() -> None:
    """What stands after the start is never looked through for cycles again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_FRAMEWORK_FAULTS = {404: Fault.ROUTE_UNKNOWN, 405: Fault.METHOD_NOT_ALLOWED}


async def _framework_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    fault = _FRAMEWORK_FAULTS.get(error.status_code)
    if fault is None:
        return _as_problem(request, internal_error())
    detail = f"{request.method} {request.url.path} is not offered; /openapi.json lists what is."
    headers = {"Allow": _allowed(request)} if fault is Fault.METHOD_NOT_ALLOWED else None
    return _as_problem(request, Problem(fault, detail, headers=headers))


def _allowed(request: Request) -> str:
    """Every method of the path; Starlette names those of the first route with it. HEAD is offered wherever GET is."""
    routes = request.app.routes
    offered = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ", ".join(offered).replace("GET", "GET, HEAD")


_SAID = {
    "missing": "It is needed.",
    "extra_forbidden": "There is no such parameter here; /openapi.json lists those that there are.",
}


async def _parameter_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [FieldError(f"?{_parameter(e)}", Fault.PARAMETER_INVALID, _said(e)) for e in error.errors()]
    detail = " ".join(f"{error.pointer.removeprefix('?')}: {error.detail}" for error in errors)
    return _as_problem(request, Problem(Fault.PARAMETER_INVALID, detail, errors=errors))


def _parameter(fault: Mapping[str, Any]) -> str:
    """Which one it is; what is wrong between two of them names one itself."""
    return str(fault.get("ctx", {}).get("parameter", fault["loc"][-1]))


def _said(fault: Mapping[str, Any]) -> str:
    """In the words of a caller, who sends no inputs and fields in a query."""
    return _SAID.get(fault["type"], f"{fault['msg']}.")


async def _internal_problem(request: Request, error: Exception) -> Response:
    del error  # the server logs it
    return _as_problem(request, internal_error())


def _as_problem(request: Request, problem: Problem) -> Response:
    call = Call.of(request.scope, request.receive)
    return as_response(problem.answer(call.path, call.request_id), call.request_id)

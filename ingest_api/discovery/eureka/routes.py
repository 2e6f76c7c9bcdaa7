"""Eureka's REST operations (v2), where its clients look for them: below /eureka.

Who reads needs services:read; who registers, services:write, and changes its own entries alone; who sets a status over
another's, services:operate. Clients give an API key as the user of Basic authentication. Faults are problem documents:
Eureka's clients look at the status alone.

Source: https://github.com/Netflix/eureka/wiki/Eureka-REST-operations
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from ingest_api.discovery.eureka import shown
from ingest_api.discovery.eureka.asked import JSON, XML, instance_of
from ingest_api.discovery.instance import InstanceStatus, require_metadata
from ingest_api.discovery.presence import APP
from ingest_api.discovery.registry import Name
from ingest_api.http.call import Answer, Call
from ingest_api.http.serving import BODY_BYTES_MAX, admit, require_media, respond, take_tokens
from ingest_api.identity.tokens import Principal, Scope, scope_missing
from ingest_api.problems import Fault, Problem
from ingest_api.services import Services

router = APIRouter(include_in_schema=False, prefix="/eureka")
_APP: Final = "/apps/{app}"
_ONE: Final = f"{_APP}/{{instance_id}}"
_READING: Final[dict[str, Any]] = {"openapi_extra": {"security": [{"bearer": [Scope.SERVICES_READ]}]}}
_CHANGING: Final[dict[str, Any]] = {"openapi_extra": {"security": [{"bearer": [Scope.SERVICES_WRITE]}]}}
"""For the table of routes. What somebody else has registered needs `services:operate`."""

_OWN_PREFIX: Final = APP.partition("-")[0] + "-"
"""Apps of this installation, which nobody else may be taken for."""


async def _read(request: Request, find: Callable[[Services], Awaitable[dict[str, Any]]]) -> Response:
    async def operation(services: Services, call: Call) -> Answer:
        services.tokens.principal(call.header(b"authorization"), Scope.SERVICES_READ)
        document = await find(services)
        if "json" in (call.header(b"accept") or ""):
            return Answer(200, shown.as_json(document))
        return Answer(200, shown.as_xml(document), content_type=b"application/xml")

    return await respond(request, operation)


async def _write(request: Request, change: Callable[[Services, Principal], Awaitable[bool]]) -> Response:
    """200 once it is done, 404 for what is not there or not the caller's: clients register then."""

    async def operation(services: Services, call: Call) -> Answer:
        principal = services.tokens.principal(call.header(b"authorization"), None)
        take_tokens(services, principal, 1)
        if not await change(services, principal):
            raise _unknown()
        return Answer(200, b"")

    return await respond(request, operation)


def _unknown() -> Problem:
    return Problem(Fault.INSTANCE_UNKNOWN, "It is not registered, not by this caller, or its lease has run out.")


def _name(app: str, instance_id: str) -> Name:
    return app.upper(), instance_id


def _require(principal: Principal, scope: Scope) -> None:
    if scope not in principal.scopes:
        raise scope_missing(scope)


@router.get("/apps", **_READING)
@router.get("/apps/", name="apps_slash", **_READING)
async def get_apps(request: Request) -> Response:
    """Everything that is there."""

    async def find(services: Services) -> dict[str, Any]:
        rows = await services.registry.find()
        return shown.applications(rows, rows)

    return await _read(request, find)


@router.get("/apps/delta", **_READING)
async def get_delta(request: Request) -> Response:
    """What came, changed or went in the last three minutes."""

    async def find(services: Services) -> dict[str, Any]:
        return shown.applications(await services.registry.changed(), await services.registry.find())

    return await _read(request, find)


@router.get("/vips/{vip}", **_READING)
async def get_vip(request: Request, vip: str) -> Response:
    """Those that serve under a name."""
    return await _read(request, lambda services: _named(services, vip=vip))


@router.get("/svips/{vip}", **_READING)
async def get_secure_vip(request: Request, vip: str) -> Response:
    """The same over TLS."""
    return await _read(request, lambda services: _named(services, secure_vip=vip))


async def _named(services: Services, **vip: str) -> dict[str, Any]:
    rows = await services.registry.find(**vip)
    if not rows:
        raise _unknown()
    return shown.applications(rows, rows)


@router.get(_APP, **_READING)
async def get_app(request: Request, app: str) -> Response:
    """Its instances."""

    async def find(services: Services) -> dict[str, Any]:
        rows = await services.registry.find(app=app.upper())
        if not rows:
            raise _unknown()
        return shown.application(list(rows))

    return await _read(request, find)


@router.get(_ONE, **_READING)
async def get_app_instance(request: Request, app: str, instance_id: str) -> Response:
    """One of an app."""
    return await _read(request, lambda services: _instance(services, app=app.upper(), instance_id=instance_id))


@router.get("/instances/{instance_id}", **_READING)
async def get_instance(request: Request, instance_id: str) -> Response:
    """One by its id alone."""
    return await _read(request, lambda services: _instance(services, instance_id=instance_id))


async def _instance(services: Services, **name: str) -> dict[str, Any]:
    rows = await services.registry.find(**name)
    if not rows:
        raise _unknown()
    return shown.instance(rows[0])


@router.post(_APP, **_CHANGING)
async def post_instance(request: Request, app: str) -> Response:
    """Register, or register again."""

    async def operation(services: Services, call: Call) -> Answer:
        principal = admit(services, call, Scope.SERVICES_WRITE, JSON | XML, 1)
        media = require_media(call, JSON | XML)
        instance = instance_of(await call.body(BODY_BYTES_MAX), media, app)
        if any(name.upper().startswith(_OWN_PREFIX) for name in (instance.app, instance.vip, instance.secure_vip)):
            raise Problem(Fault.INSTANCE_TAKEN, f"Names that begin with {_OWN_PREFIX} are this installation's own.")
        await services.registry.register(instance, principal.subject)
        return Answer(204, b"")

    return await respond(request, operation)


@router.put(_ONE, **_CHANGING)
async def put_heartbeat(request: Request, app: str, instance_id: str) -> Response:
    """Keep alive. What the query says of the status is not looked at: a client that changes registers again."""

    async def change(services: Services, principal: Principal) -> bool:
        _require(principal, Scope.SERVICES_WRITE)
        return await services.registry.renew(_name(app, instance_id), principal.subject)

    return await _write(request, change)


@router.delete(_ONE, **_CHANGING)
async def delete_instance(request: Request, app: str, instance_id: str) -> Response:
    """Deregister."""

    async def change(services: Services, principal: Principal) -> bool:
        _require(principal, Scope.SERVICES_WRITE)
        return await services.registry.end(_name(app, instance_id), principal.subject)

    return await _write(request, change)


@router.put(f"{_ONE}/status", **_CHANGING)
async def put_status(request: Request, app: str, instance_id: str, value: str) -> Response:
    """Set a status over what the instance says."""
    return await _override(request, _name(app, instance_id), value)


@router.delete(f"{_ONE}/status", **_CHANGING)
async def delete_status(request: Request, app: str, instance_id: str) -> Response:
    """What the instance says counts again."""
    return await _override(request, _name(app, instance_id), InstanceStatus.UNKNOWN)


async def _override(request: Request, name: Name, value: str) -> Response:
    async def change(services: Services, principal: Principal) -> bool:
        if Scope.SERVICES_OPERATE in principal.scopes:
            owner = None
        else:
            _require(principal, Scope.SERVICES_WRITE)
            owner = principal.subject
        try:
            status = InstanceStatus(value)
        except ValueError:
            raise Problem(Fault.PARAMETER_INVALID, f"value is one of {', '.join(InstanceStatus)}.") from None
        return await services.registry.override(name, status, owner)

    return await _write(request, change)


@router.put(f"{_ONE}/metadata", **_CHANGING)
async def put_metadata(request: Request, app: str, instance_id: str) -> Response:
    """Each parameter of the query is one."""

    async def change(services: Services, principal: Principal) -> bool:
        _require(principal, Scope.SERVICES_WRITE)
        rows = await services.registry.find(app.upper(), instance_id)
        if not rows:
            return False
        metadata = rows[0]["details"]["metadata"] | dict(request.query_params)
        require_metadata(metadata)
        return await services.registry.describe(_name(app, instance_id), metadata, principal.subject)

    return await _write(request, change)

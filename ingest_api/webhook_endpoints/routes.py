"""Webhook endpoints over HTTP: make, look at, change, delete, rotate the secret, try out; deliveries, and again.

Decided in Postgres. An endpoint is its maker's alone; a secret is told in the answer that makes it and never again.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.http.bodies import NoBody, decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import require_match, tagged
from ingest_api.http.openapi import describe, describe_at_once, guarded
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, admit_bare, read, respond
from ingest_api.identity.tokens import Principal, Scope, scope_missing
from ingest_api.owners.rights import Action, by_scope, user_of
from ingest_api.problems import Fault, Problem
from ingest_api.public_events.places import decode_place
from ingest_api.services import Services
from ingest_api.webhook_endpoints.asking import checked_description, checked_types, checked_url
from ingest_api.webhook_endpoints.shown import (
    Delivery,
    DeliveryPage,
    Endpoint,
    EndpointBody,
    EndpointChangeBody,
    EndpointList,
    shown,
    shown_delivery,
    shown_page,
)
from payments.identifiers import parse_id
from schemas.tables.webhooks import DELIVERY, ENDPOINT, DeliveryStatus, EndpointStatus

router = APIRouter(tags=["webhooks"])

PAGE_DEFAULT = 50
PAGE_MAX = 500
_PATH: Final = "/webhook-endpoints"
_ONE: Final = f"{_PATH}/{{endpoint_id}}"
_DELIVERIES: Final = f"{_ONE}/deliveries"
_DELIVERY: Final = f"{_DELIVERIES}/{{delivery_id}}"


class DeliveryQuery(BaseModel, extra="forbid"):
    """Query of an endpoint's deliveries."""

    status: DeliveryStatus | None = None
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def make(services: Services, call: Call) -> Answer:
    """Make an endpoint."""
    principal = admit(services, call, Scope.WEBHOOKS_WRITE, JSON_MEDIA, 1)
    body: EndpointBody = decoded(EndpointBody, await call.body(BODY_BYTES_MAX))
    fields = {
        "url": checked_url(body.url, plain=services.settings.webhook_local_receivers),
        "event_types": checked_types(body.event_types),
        "description": checked_description(body.description),
    }
    sees_all = by_scope(principal.scopes, Action.VIEW)
    user = user_of(principal)
    if user is None and not sees_all:
        raise scope_missing(Scope.ACCOUNTS_ANY)
    made, secret = await services.webhooks.enter(principal.subject, None if sees_all else user, fields, call.request_id)
    resource = shown(made, secret)
    location = (b"location", f"/v1{_PATH}/{resource.id}".encode("ascii"))
    return tagged(Answer(201, encode(resource), [location]), encode(shown(made)))


async def change(services: Services, call: Call, endpoint_id: str) -> Answer:
    """Change, disable or enable an endpoint."""
    principal = admit(services, call, Scope.WEBHOOKS_WRITE, JSON_MEDIA, 1)
    body: EndpointChangeBody = decoded(EndpointChangeBody, await call.body(BODY_BYTES_MAX))
    fields: dict[str, Any] = {}
    if body.url is not None:
        fields["url"] = checked_url(body.url, plain=services.settings.webhook_local_receivers)
    if body.event_types is not None:
        fields["event_types"] = checked_types(body.event_types)
    if body.description is not None:
        fields["description"] = checked_description(body.description)
    if body.status is not None:
        fields["status"] = EndpointStatus(body.status)
    return await _changed(services, call, principal, endpoint_id, fields)


async def _changed(
    services: Services, call: Call, principal: Principal, endpoint_id: str, fields: dict[str, Any]
) -> Answer:
    def check(before: Mapping[str, Any]) -> None:
        require_match(call, encode(shown(before)))

    asked = principal.subject, fields, call.request_id, check
    changed = await services.webhooks.change(_endpoint(endpoint_id), *asked)
    if changed is None:
        raise _unknown()
    return tagged(Answer(200, encode(shown(changed))))


async def delete(services: Services, call: Call, endpoint_id: str) -> Answer:
    """Nothing is sent to it any more."""
    principal = await _writer(services, call)
    return await _changed(services, call, principal, endpoint_id, {"status": EndpointStatus.DELETED})


async def rotate(services: Services, call: Call, endpoint_id: str) -> Answer:
    """Give it another secret; the one of before signs, too, for a day."""
    principal = await _writer(services, call)
    rotated = await services.webhooks.rotate(_endpoint(endpoint_id), principal.subject, call.request_id)
    if rotated is None:
        raise _unknown()
    return tagged(Answer(200, encode(shown(*rotated))), encode(shown(rotated[0])))


async def try_out(services: Services, call: Call, endpoint_id: str) -> Answer:
    """Send it a test event."""
    found = await _found(services, await _writer(services, call), endpoint_id)
    _require_enabled(found)
    queued = await services.webhooks.test(found["endpoint_id"].bytes)
    return Answer(201, encode(shown_delivery(queued)))


async def send_again(services: Services, call: Call, endpoint_id: str, delivery_id: str) -> Answer:
    """Queue a delivery once more, with all of its tries. One that is pending stays as it is."""
    found = await _found(services, await _writer(services, call), endpoint_id)
    _require_enabled(found)
    id_ = found["endpoint_id"].bytes
    delivery, _ = await _delivery_of(services, id_, delivery_id)
    await services.webhooks.send_again(delivery["delivery_id"].bytes)
    return Answer(200, encode(shown_delivery((await _delivery_of(services, id_, delivery_id))[0])))


async def _writer(services: Services, call: Call) -> Principal:
    return await admit_bare(services, call, Scope.WEBHOOKS_WRITE)


def _require_enabled(endpoint: dict[str, Any]) -> None:
    if endpoint["status"] != EndpointStatus.ENABLED:
        raise Problem(Fault.ENDPOINT_DISABLED, 'Enable it first: PATCH with {"status": "enabled"}.')


def _endpoint(text: str) -> bytes:
    endpoint = parse_id(ENDPOINT, text)
    if endpoint is None:
        raise _unknown()
    return endpoint


def _unknown() -> Problem:
    return Problem(Fault.ENDPOINT_UNKNOWN, "Check the id: whe_ and 26 characters, as it was answered to its maker.")


async def _found(services: Services, principal: Principal, endpoint_id: str) -> dict[str, Any]:
    found = await services.webhooks.find(principal.subject, _endpoint(endpoint_id))
    if found is None:
        raise _unknown()
    return found


async def _delivery_of(
    services: Services, endpoint: bytes, delivery_id: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    delivery = parse_id(DELIVERY, delivery_id)
    found = await services.webhooks.delivery(endpoint, delivery) if delivery is not None else None
    if found is None:
        raise Problem(Fault.DELIVERY_UNKNOWN, "Check the id: whd_ and 26 characters, of this endpoint's deliveries.")
    return found


async def _list(services: Services, principal: Principal) -> EndpointList:
    return EndpointList([shown(row) for row in await services.webhooks.endpoints(principal.subject)])


async def _one(services: Services, principal: Principal, endpoint_id: str) -> Endpoint:
    return shown(await _found(services, principal, endpoint_id))


async def _page(services: Services, principal: Principal, endpoint_id: str, query: DeliveryQuery) -> DeliveryPage:
    before = decode_place(query.cursor) if query.cursor is not None else None
    id_ = (await _found(services, principal, endpoint_id))["endpoint_id"].bytes
    return shown_page(await services.webhooks.deliveries(id_, query.status, before, query.limit + 1), query.limit)


async def _delivery(services: Services, principal: Principal, endpoint_id: str, delivery_id: str) -> Delivery:
    id_ = (await _found(services, principal, endpoint_id))["endpoint_id"].bytes
    return shown_delivery(*await _delivery_of(services, id_, delivery_id))


def _described(summary: str, result: type, body: type | None = None, status: int = 200) -> dict[str, Any]:
    return describe_at_once(summary, Scope.WEBHOOKS_WRITE, result, body, status, (409, 429))


@router.post(_PATH, **_described("Make a webhook endpoint", Endpoint, EndpointBody, 201))
async def post_endpoint(request: Request) -> Response:
    """The answer tells the secret, once. Deliveries follow Standard Webhooks 1.0."""
    return await respond(request, make)


@router.get(_PATH, **describe("The caller's webhook endpoints", Scope.WEBHOOKS_READ, EndpointList))
async def get_endpoints(request: Request) -> Response:
    """The latest first, 20 at most."""
    return await respond(
        request, lambda services, call: read(services, call, Scope.WEBHOOKS_READ, lambda who: _list(services, who))
    )


@router.get(_ONE, **describe("One webhook endpoint", Scope.WEBHOOKS_READ, Endpoint))
async def get_endpoint(request: Request, endpoint_id: str) -> Response:
    """Without its secret. The `ETag` goes into `If-Match` of a change."""

    async def operation(services: Services, call: Call) -> Answer:
        return tagged(await read(services, call, Scope.WEBHOOKS_READ, lambda who: _one(services, who, endpoint_id)))

    return await respond(request, operation)


@router.patch(_ONE, **guarded(_described("Change a webhook endpoint", Endpoint, EndpointChangeBody)))
async def patch_endpoint(request: Request, endpoint_id: str) -> Response:
    """Deliveries that wait go to the new URL."""
    return await respond(request, lambda services, call: change(services, call, endpoint_id))


@router.delete(_ONE, **guarded(_described("Delete a webhook endpoint", Endpoint)))
async def delete_endpoint(request: Request, endpoint_id: str) -> Response:
    """What waits is not sent."""
    return await respond(request, lambda services, call: delete(services, call, endpoint_id))


@router.post(f"{_ONE}/rotate-secret", **_described("Give a webhook endpoint another secret", Endpoint, NoBody))
async def post_rotation(request: Request, endpoint_id: str) -> Response:
    """For 24 hours deliveries carry the signatures of both."""
    return await respond(request, lambda services, call: rotate(services, call, endpoint_id))


@router.post(f"{_ONE}/test", **_described("Send a test event", Delivery, NoBody, 201))
async def post_test(request: Request, endpoint_id: str) -> Response:
    """Of the type webhook.test, whatever types the endpoint wants."""
    return await respond(request, lambda services, call: try_out(services, call, endpoint_id))


@router.get(_DELIVERIES, **describe("Deliveries to a webhook endpoint", Scope.WEBHOOKS_READ, DeliveryPage))
async def get_deliveries(request: Request, endpoint_id: str, query: Annotated[DeliveryQuery, Query()]) -> Response:
    """The latest event first, 30 days."""
    return await respond(
        request,
        lambda services, call: read(
            services, call, Scope.WEBHOOKS_READ, lambda who: _page(services, who, endpoint_id, query)
        ),
    )


@router.get(_DELIVERY, **describe("One delivery with its tries", Scope.WEBHOOKS_READ, Delivery))
async def get_delivery(request: Request, endpoint_id: str, delivery_id: str) -> Response:
    """With the beginning of what the endpoint answered to each."""
    return await respond(
        request,
        lambda services, call: read(
            services, call, Scope.WEBHOOKS_READ, lambda who: _delivery(services, who, endpoint_id, delivery_id)
        ),
    )


@router.post(f"{_DELIVERY}/redeliver", **_described("Send a delivery again", Delivery, NoBody))
async def post_redelivery(request: Request, endpoint_id: str, delivery_id: str) -> Response:
    """With the same webhook-id: a receiver that has it already passes over it."""
    return await respond(request, lambda services, call: send_again(services, call, endpoint_id, delivery_id))

"""Notifications over HTTP: what the caller wants to be told, devices, what was told; for operators what failed.

A user's are the user's alone. The link of an e-mail needs no login: it allows to switch off the kind that it names.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.http.bodies import NoBody, decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import require_match, tagged
from ingest_api.http.openapi import describe, describe_at_once, guarded, problem_answer, reference_to
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, admit_bare, read, respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.register import By
from ingest_api.owners.rights import user_of
from ingest_api.preferences.asking import checked_token, chosen_by
from ingest_api.preferences.shown import (
    Device,
    DeviceBody,
    DeviceList,
    NoticePage,
    NoticeResource,
    PreferencesBody,
    PreferencesResource,
    Unsubscribed,
    shown,
    shown_device,
    shown_notice,
    shown_page,
)
from ingest_api.problems import Fault, Problem
from ingest_api.reads.cursor import decode_cursor
from ingest_api.services import Services
from payments.identifiers import parse_id
from schemas.tables.notifications import DEVICE, NOTICE, Preferences

router = APIRouter(tags=["notifications"])

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 500
_PREFERENCES: Final = "/notification-preferences"
_DEVICES: Final = "/notification-devices"
_FAILED: Final = "/failed-notices"
_LINK: Final = "/notifications/unsubscribe/{token}"
_PAGE_OF_LINK: Final = b"""<!doctype html><title>E-mails</title>
<form method="post"><p>No more e-mails of this kind? <button>Yes</button></p></form>"""
"""Mail programs fetch links to look at them, so opening one changes nothing."""


class NoticeQuery(BaseModel, extra="forbid"):
    """Query of a list of notices."""

    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


def _user(principal: Principal) -> bytes:
    user = user_of(principal)
    if user is None:
        raise Problem(Fault.USER_UNKNOWN, "The token speaks for no user: machines are told by webhooks.")
    return user


async def _preferences(services: Services, principal: Principal) -> PreferencesResource:
    return shown(await services.notices.preferences(_user(principal)))


async def choose(services: Services, call: Call) -> Answer:
    """Other preferences in the place of those before."""
    principal = admit(services, call, Scope.USERS_WRITE, JSON_MEDIA, 1)
    chosen = chosen_by(decoded(PreferencesBody, await call.body(BODY_BYTES_MAX)))

    def check(before: Preferences) -> None:
        require_match(call, encode(shown(before)))

    kept = await services.notices.choose(_user(principal), chosen, By(principal.subject, call.request_id), check)
    return tagged(Answer(200, encode(shown(kept))))


async def add_device(services: Services, call: Call) -> Answer:
    """A device to push to."""
    principal = admit(services, call, Scope.USERS_WRITE, JSON_MEDIA, 1)
    token = checked_token(decoded(DeviceBody, await call.body(BODY_BYTES_MAX)).token)
    user = _user(principal)
    device = await services.notices.add_device(user, token, By(principal.subject, call.request_id))
    since = dict(await services.notices.devices(user))[device]
    return Answer(201, encode(shown_device(device, since)))


async def remove_device(services: Services, call: Call, device_id: str) -> Answer:
    """Nothing is pushed to it any more; what is left."""
    principal = await admit_bare(services, call, Scope.USERS_WRITE)
    by = By(principal.subject, call.request_id)
    known = parse_id(DEVICE, device_id) is not None
    if not (known and await services.notices.remove_device(_user(principal), device_id, by)):
        raise Problem(Fault.DEVICE_UNKNOWN, "Check the id: dev_ and 26 characters, as it was answered to its user.")
    return Answer(200, encode(await _devices(services, principal)))


async def _devices(services: Services, principal: Principal) -> DeviceList:
    return DeviceList([shown_device(*one) for one in await services.notices.devices(_user(principal))])


async def _page(services: Services, user: bytes | None, query: NoticeQuery) -> NoticePage:
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    return shown_page(await services.notices.page(user, after, query.limit + 1), query.limit)


async def send_again(services: Services, call: Call, notice_id: str) -> Answer:
    """Try a failed notice once more, with all of its tries."""
    await admit_bare(services, call, Scope.ACCOUNTS_OPERATE)
    notice = parse_id(NOTICE, notice_id)
    found = await services.notices.send_again(notice) if notice is not None else None
    if found is None:
        raise Problem(Fault.NOTICE_UNKNOWN, "Check the id: ntc_ and 26 characters, of a notice that has failed.")
    return Answer(200, encode(shown_notice(found)))


async def unsubscribe(services: Services, call: Call, token: str) -> Answer:
    """No more e-mails of a kind (RFC 8058: whatever the body says)."""
    await call.body(BODY_BYTES_MAX)
    asked = await services.notices.unsubscribe(token, call.request_id)
    if asked is None:
        raise Problem(Fault.NOTICE_UNKNOWN, "Take the whole link of the e-mail.")
    return Answer(200, encode(Unsubscribed(asked.kind)))


def _described(
    summary: str, scope: Scope, result: type, body: type | None, status: int = 200, *problems: int
) -> dict[str, Any]:
    return describe_at_once(summary, scope, result, body, status, (409, 429, *problems))


_OPEN: Final[dict[str, Any]] = {"response_model": None, "openapi_extra": {"security": []}}


@router.get(_PREFERENCES, **describe("Notification preferences", Scope.USERS_READ, PreferencesResource))
async def get_preferences(request: Request) -> Response:
    """What the caller is told of, when, and how."""

    async def operation(services: Services, call: Call) -> Answer:
        return tagged(await read(services, call, Scope.USERS_READ, lambda who: _preferences(services, who)))

    return await respond(request, operation)


@router.put(
    _PREFERENCES,
    **guarded(_described("Choose notifications", Scope.USERS_WRITE, PreferencesResource, PreferencesBody)),
)
async def put_preferences(request: Request) -> Response:
    """All of them at once; with If-Match only where nobody else has changed them. Security notices stay on."""
    return await respond(request, choose)


@router.get(_DEVICES, **describe("The caller's devices", Scope.USERS_READ, DeviceList))
async def get_devices(request: Request) -> Response:
    """To which push goes."""
    return await show(request, Scope.USERS_READ, _devices)


@router.post(_DEVICES, **_described("Push to a device", Scope.USERS_WRITE, Device, DeviceBody, 201))
async def post_device(request: Request) -> Response:
    """The same token again answers the same device."""
    return await respond(request, add_device)


@router.delete(f"{_DEVICES}/{{device_id}}", **_described("Forget a device", Scope.USERS_WRITE, DeviceList, None))
async def delete_device(request: Request, device_id: str) -> Response:
    """Answers what is left."""
    return await respond(request, lambda services, call: remove_device(services, call, device_id))


@router.get("/notifications", **describe("What the caller was told", Scope.USERS_READ, NoticePage))
async def get_notices(request: Request, query: Annotated[NoticeQuery, Query()]) -> Response:
    """The latest first, 30 days."""
    return await show(request, Scope.USERS_READ, lambda services, who: _page(services, _user(who), query))


@router.get(_FAILED, **describe("Notices that could not be told", Scope.ACCOUNTS_OPERATE, NoticePage))
async def get_failed(request: Request, query: Annotated[NoticeQuery, Query()]) -> Response:
    """Of everybody, the latest first, for operators."""
    return await show(request, Scope.ACCOUNTS_OPERATE, lambda services, _: _page(services, None, query))


@router.post(
    f"{_FAILED}/{{notice_id}}/resend", **_described("Tell it again", Scope.ACCOUNTS_OPERATE, NoticeResource, NoBody)
)
async def post_resend(request: Request, notice_id: str) -> Response:
    """With all of its tries. A text message of unknown outcome may then come twice."""
    return await respond(request, lambda services, call: send_again(services, call, notice_id))


@router.get(
    _LINK,
    summary="The page behind an e-mail's link",
    responses={
        200: {"description": "A button", "content": {"text/html": {}}},
        **{status: problem_answer(status) for status in (500, 503)},
    },
    **_OPEN,
)
async def get_link(request: Request, token: str) -> Response:
    """Asks whether it is meant, and changes nothing."""
    del token

    async def operation(_: Services, __: Call) -> Answer:
        return Answer(200, _PAGE_OF_LINK, content_type=b"text/html; charset=utf-8")

    return await respond(request, operation)


@router.post(
    _LINK,
    summary="No more e-mails of a kind",
    responses={
        200: {"description": "Done", "content": {"application/json": {"schema": reference_to(Unsubscribed)}}},
        **{status: problem_answer(status) for status in (404, 409, 413, 500, 503)},
    },
    **_OPEN,
)
async def post_link(request: Request, token: str) -> Response:
    """One click of a mail program (RFC 8058), or the button of the page."""
    return await respond(request, lambda services, call: unsubscribe(services, call, token))

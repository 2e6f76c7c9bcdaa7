"""Who looks at a page, and what they may ask of the API: a session is the API's own, with its tokens in the cookie.

Guarantees: an access token that expires is renewed by the refresh token, once; a form that does not repeat what the
cookie says changes nothing; a second factor that a form brings is given before what needs it is tried.
"""

from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from fastapi import Depends, Request

from console.http.cookie import Cookie
from console.http.faults import NotLive, Refused, SignInNeeded, refusal_of
from console.installation import Answered, Asked, Caller, Installation

ROOT: Final = "/console"
SEEN: Final = "millrace-seen"
"""The header of a page that asks by itself. It keeps no session alive: who has gone is signed out as ever."""

_LEFT_S: Final = 150
"""Of the access token, so that a page that a person opens is live for so long at least."""

_READING: Final = frozenset({"GET", "HEAD"})


class _Granted(msgspec.Struct):
    access_token: str
    refresh_token: str = ""


class _Session(msgspec.Struct):
    id: str
    current: bool


class _Sessions(msgspec.Struct):
    items: list[_Session]


class Calls:
    """The API, as the browser behind a request may call it."""

    def __init__(self, request: Request, cookie: Cookie) -> None:
        self.installation: Installation = request.app.state.installation
        self.cookie = cookie
        self._request = request

    async def api(self, method: str, path: str, body: Any = None, *, is_form: bool = False) -> Answered:
        """What the API answers. Raises Refused where that is a problem."""
        address = self._request.client.host if self._request.client is not None else ""
        request_id = self._request.headers.get("x-request-id", "")
        asked = Asked(method, path, body, self.cookie.access, address, request_id, is_form)
        answered = await self.installation.call(asked)
        if answered.status >= 400:
            raise refusal_of(answered)
        return answered

    def keep(self, cookie: Cookie) -> None:
        """From now on, and with the answer of this request."""
        self.cookie = self._request.state.cookie = cookie

    def require_own(self, form: str) -> None:
        """A form comes from a page of this browser's session. Raises Refused."""
        if not self.cookie.repeated(form):
            raise Refused(
                403, "The form is out of date", "It is not of this session: load the page again, then send it."
            )

    async def sign_in(self, username: str, password: str, code: str) -> None:
        """Raises Refused."""
        scope = self.installation.scope
        asked = {"grant_type": "password", "username": username, "password": password, "scope": scope}
        await self._grant(asked | ({"otp": code} if code else {}), is_new=True)

    async def refresh(self) -> None:
        """Raises Refused."""
        await self._grant({"grant_type": "refresh_token", "refresh_token": self.cookie.refresh})

    async def _grant(self, asked: dict[str, str], *, is_new: bool = False) -> None:
        granted = _granted(await self._without_token(asked))
        fresh = Cookie.new() if is_new else self.cookie
        self.keep(fresh._replace(refresh=granted.refresh_token, access=granted.access_token))

    async def _without_token(self, asked: dict[str, str]) -> Answered:
        self.cookie = self.cookie._replace(access="")  # who asks for a token is told by what it sends
        return await self.api("POST", "/oauth/token", asked, is_form=True)


class Visit(Calls):
    """A request of somebody who is signed in and may read."""

    def __init__(self, request: Request, cookie: Cookie, caller: Caller) -> None:
        super().__init__(request, cookie)
        self.caller = caller

    @property
    def seen(self) -> str | None:
        """What a page shows that asks whether there is more to show; None where a person asks."""
        return self._request.headers.get(SEEN)

    async def give_code(self, code: str) -> None:
        """A second factor, so that the session may approve. Raises Refused."""
        granted = _granted(await self.api("POST", "/auth/step-up", {"otp": code}))
        self.keep(self.cookie._replace(access=granted.access_token))
        self.caller = self.installation.who(granted.access_token) or self.caller

    async def sign_out(self) -> None:
        """The session is over everywhere. Raises Refused."""
        listed = await self.api("GET", "/auth/sessions")
        sessions = msgspec.json.decode(listed.content, type=_Sessions).items
        for own in (session.id for session in sessions if session.current):
            await self.api("DELETE", f"/auth/sessions/{own}")
        self.keep(Cookie.new())


def _granted(answered: Answered) -> _Granted:
    return msgspec.json.decode(answered.content, type=_Granted)


async def _visit(request: Request) -> Visit:
    calls = Calls(request, Cookie.of(request) or Cookie.new())
    who = calls.installation.who
    caller = who(calls.cookie.access) if calls.cookie.access else None
    if caller is None and SEEN in request.headers:
        raise NotLive
    if calls.cookie.refresh and (caller is None or (caller.left_s < _LEFT_S and SEEN not in request.headers)):
        try:
            await calls.refresh()
        except Refused as refused:
            if refused.status >= 500:
                raise
        else:
            caller = who(calls.cookie.access)
    if caller is None:
        raise SignInNeeded(_here(request))
    if not caller.may_read:
        raise Refused(
            403, "Not for this user", "The role finance may look at reconciliation, with an account of its own."
        )
    return Visit(request, calls.cookie, caller)


def _here(request: Request) -> str:
    """Where to go on after the sign-in. A form is not sent again by itself."""
    if request.method not in _READING:
        return ROOT
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def sign_in_path(after: str) -> str:
    """The sign-in page, and where it leads."""
    return f"{ROOT}/sign-in?after={quote(after)}"


Visitor = Annotated[Visit, Depends(_visit)]

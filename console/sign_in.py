"""Sign in, by password and code where the user has one, and sign out: sessions of the API, as any client has them."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from console.http.cookie import Cookie
from console.http.faults import Refused
from console.http.forms import OwnFields, read_fields
from console.http.visits import ROOT, Calls, Visitor
from console.pages import bare_page, go_to

router = APIRouter()

_CODE_NEEDED: Final = "second_factor_required"
_LATER: Final = 429


@router.get("/sign-in")
async def get_sign_in(request: Request, after: Annotated[str, Query(max_length=2_000)] = ROOT) -> Response:
    """Whoever is signed in already goes on."""
    calls = Calls(request, Cookie.of(request) or Cookie.new())
    if calls.cookie.access and calls.installation.who(calls.cookie.access) is not None:
        return go_to(_local(after))
    calls.keep(calls.cookie)
    return _page(calls, _local(after))


@router.post("/sign-in")
async def post_sign_in(request: Request) -> Response:
    """The session begins, with a cookie that nobody has seen before."""
    calls = Calls(request, Cookie.of(request) or Cookie.new())
    fields = await read_fields(request)
    after, username = _local(fields.get("after", ROOT)), fields.get("username", "")
    try:
        calls.require_own(fields.get("form", ""))
        await calls.sign_in(username, fields.get("password", ""), fields.get("code", "").strip())
    except Refused as refused:
        calls.keep(calls.cookie._replace(refresh="", access=""))
        return _page(calls, after, username, _in_words(refused))
    return go_to(after)


@router.post("/sign-out")
async def post_sign_out(visit: Visitor, _: OwnFields) -> Response:
    """Of this browser's session alone."""
    await visit.sign_out()
    return go_to(f"{ROOT}/sign-in")


def _page(calls: Calls, after: str, username: str = "", refused: Refused | None = None) -> Response:
    shown = {"form": calls.cookie.form, "after": after, "username": username, "refused": refused}
    return bare_page("sign_in.html", shown, refused.status if refused is not None else 200)


def _in_words(refused: Refused) -> Refused:
    """For somebody in front of a form. Who fails is told the same, whatever was wrong."""
    if refused.status >= 500 or refused.status in {403, _LATER}:
        return refused
    if refused.code == _CODE_NEEDED:
        return Refused(401, "A code is needed", "Send the password again, with the code of your app.")
    return Refused(401, "Not signed in", "No user has this name, password and code.")


def _local(after: str) -> str:
    """A page of the console; nobody is sent anywhere else."""
    return after if after == ROOT or after.startswith((f"{ROOT}/", f"{ROOT}?")) else ROOT

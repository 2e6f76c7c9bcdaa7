"""The console as one ASGI application: routes, assets, and what goes wrong as a page."""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from console import files, runs, sign_in, sign_offs
from console.breaks import changing, detail, listing
from console.http.envelope import Application, Envelope
from console.http.faults import NotLive, Refused, SignInNeeded
from console.http.visits import ROOT, sign_in_path
from console.installation import Installation, Unavailable
from console.pages import asset, bare_page, go_to

_ASK_NO_MORE: Final = 286
_PARTS = (sign_in, runs, listing, detail, changing, files, sign_offs)

router = APIRouter()


@router.get("")
@router.get("/")
async def get_start() -> Response:
    """The runs are where a day begins."""
    return go_to(f"{ROOT}/runs")


@router.get("/assets/{name}")
async def get_asset(name: str) -> Response:
    """Styles and scripts, for everybody."""
    found = asset(name)
    if found is None:
        raise HTTPException(404)
    return found


def make_console(installation: Installation) -> Application:
    """Every page, below /console."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.installation = installation
    for part in (router, *(part.router for part in _PARTS)):
        app.include_router(part, prefix=ROOT)
    app.add_exception_handler(SignInNeeded, _to_sign_in)
    app.add_exception_handler(NotLive, _not_live)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
    return Envelope(app)


async def _to_sign_in(_: Request, error: Exception) -> Response:
    assert isinstance(error, SignInNeeded)
    return go_to(sign_in_path(error.after))


async def _not_live(_: Request, error: Exception) -> Response:
    """The page stays as it is and asks no more (htmx: 286); it says so."""
    del error
    place = {"HX-Retarget": "#live", "HX-Reselect": "#live", "HX-Reswap": "outerHTML"}
    return bare_page("not_live.html", {}, _ASK_NO_MORE, place)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _page(error)


async def _unavailable(_: Request, error: Exception) -> Response:
    del error
    return _page(Refused(503, "Not now", "Postgres does not answer. Load the page again in a moment."))


async def _unknown(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = "There is no such page." if error.status_code == 404 else "The page is not for that."
    return _page(Refused(error.status_code, "Not here", detail), error.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = tuple(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
    return _page(Refused(422, "The address is not right", "Go back, and choose again.", places))


async def _broken(_: Request, error: Exception) -> Response:
    del error  # the server logs it
    return _page(Refused(500, "An error on our side", "Load the page again; tell an operator if it stays."))


def _page(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    return bare_page("refused.html", {"refused": refused}, refused.status, headers)

"""Templates → pages. Values are escaped by the environment; nothing on a page is a script of ours or of anybody else.

A page is read and written in one go beside the loop (`Installation.look`): ten thousand rows take 0.2 s of CPU, and
calls that pay are served meanwhile.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from psycopg import Connection

from console import words
from console.http.visits import ROOT, Visit

Values = Mapping[str, Any]

_MEDIA_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_KEPT: Final = {"cache-control": "public, max-age=31536000, immutable"}


def _assets() -> dict[str, tuple[bytes, str]]:
    folder = files("console") / "assets"
    found = ((one.name, one.read_bytes()) for one in folder.iterdir())
    return {name: (content, _MEDIA_TYPES.get(name.rpartition(".")[2], "text/plain")) for name, content in found}


ASSETS: Final = _assets()
_ADDRESSES: Final = {
    name: f"{ROOT}/assets/{name}?{hashlib.sha256(content).hexdigest()[:12]}" for name, (content, _) in ASSETS.items()
}
"""With what changes when the content does, so that browsers keep them for good."""


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= words.FILTERS
    made.globals |= {"root": ROOT, "assets": _ADDRESSES}
    return made


_ENVIRONMENT: Final = _environment()


_SEEN_DIGITS: Final = 16
_SEEN: Final = secrets.token_hex(16)
"""Stands in a page that keeps itself up to date where its digest comes; nothing that is shown says this by chance."""


def asset(name: str) -> Response | None:
    """A file of ours."""
    found = ASSETS.get(name)
    return Response(found[0], media_type=found[1], headers=_KEPT) if found is not None else None


def written(template: str, values: Values) -> str:
    """The text of a page."""
    return _ENVIRONMENT.get_template(template).render(values)


def bare_page(template: str, values: Values, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """For whoever it is."""
    return HTMLResponse(written(template, {"reader": None, "form": "", **values}), status, headers)


async def page(visit: Visit, template: str, read: Callable[[Connection], Values], status: int = 200) -> Response:
    """What was read, as a page; nothing where the browser asks by itself and shows this already. Raises Unavailable and
    what the read raises.
    """
    known = {"reader": visit.caller, "form": visit.cookie.form, "seen": _SEEN}
    html = await visit.installation.look(lambda connection: written(template, {**known, **read(connection)}))
    seen = hashlib.sha256(html.encode()).hexdigest()[:_SEEN_DIGITS]
    if seen == visit.seen:
        return Response(status_code=204)
    return HTMLResponse(html.replace(_SEEN, seen), status)


def go_to(path: str) -> Response:
    """After a form: the browser loads that page, and a reload sends nothing twice."""
    return RedirectResponse(path, 303)

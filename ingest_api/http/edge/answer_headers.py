"""What every answer tells a browser: nothing of it is a page, a script, a frame or a source for other sites.

`always` goes to uvicorn, which writes it before the headers of each answer, its own included. Pages narrow it by a
policy of their own: the documents page names its script by hash, those of the console are in console/http/envelope.py.
"""

import base64
import hashlib
import re
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

_ALWAYS: Final = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    ("cross-origin-resource-policy", "same-origin"),
]
HSTS: Final = ("strict-transport-security", "max-age=31536000; includeSubDomains")
"""A year: whoever came by TLS once doesn't come without it."""

_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
DOCUMENTS_PATH: Final = "/docs"
ASSETS_PATH: Final = "/static-offline-docs"


def always(*, by_tls: bool) -> list[tuple[str, str]]:
    """Headers of every answer; with HSTS where callers come by TLS."""
    return [*_ALWAYS, *([HSTS] if by_tls else [])]


def add_documents_page(app: FastAPI) -> None:
    """Swagger UI from this process alone, with a Content-Security-Policy. The page is the same for everybody."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=app.title,
        swagger_js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS_PATH}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},
    )
    html = bytes(page.body).decode()
    headers = {"content-security-policy": _policy(html), "cache-control": "no-cache"}

    @app.get(DOCUMENTS_PATH, include_in_schema=False)
    async def get_documents() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)


def _policy(html: str) -> str:
    """Scripts of this host and the page's own by its hash; styles inline, because Swagger UI writes them."""
    digests = (hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(html))
    own = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {own}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )

"""Token requests: what RFC 6749 sends as a form, and others as JSON, read into the same value.

Parameters that are not known are ignored (§3.2); a parameter that comes twice is refused.
"""

import base64
import binascii
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

import msgspec

from ingest_api.http.bodies import decoded
from ingest_api.http.call import Call
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, require_media
from ingest_api.identity.oauth.shown import TokenBody
from ingest_api.identity.tokens import ALL_SCOPES
from ingest_api.problems import Fault, Problem

FORM_MEDIA: Final = "application/x-www-form-urlencoded"
TOKEN_MEDIA: Final = JSON_MEDIA | {FORM_MEDIA}
_FIELDS_MAX: Final = 32
_KNOWN: Final = frozenset(map(str, ALL_SCOPES))


async def read_request(call: Call) -> TokenBody:
    """Raises Problem."""
    media = require_media(call, TOKEN_MEDIA)
    body = await call.body(BODY_BYTES_MAX)
    return _with_basic(_of_form(body) if media == FORM_MEDIA else decoded(TokenBody, body), call)


def asked_scopes(text: str | None) -> frozenset[str] | None:
    """The scopes of a request; None where it names none. Raises Problem for one that nobody can have."""
    if not text:
        return None
    asked = frozenset(text.split())
    if not asked <= _KNOWN:
        raise Problem(Fault.INVALID_SCOPE, f"A scope is one of: {', '.join(sorted(_KNOWN))}.")
    return asked


def required(value: str | None, name: str) -> str:
    """A parameter that this grant needs. Raises Problem."""
    if not value:
        raise Problem(Fault.INVALID_REQUEST, f"The parameter {name} is missing.")
    return value


def _of_form(body: bytes) -> TokenBody:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError:
        raise Problem(Fault.INVALID_REQUEST, "Send name=value pairs, percent-encoded and joined by &.") from None
    sent = dict(pairs)
    if len(sent) < len(pairs):
        raise Problem(Fault.INVALID_REQUEST, "A parameter comes twice.")
    return TokenBody(**{name: value for name, value in sent.items() if name in TokenBody.__struct_fields__})


def _with_basic(request: TokenBody, call: Call) -> TokenBody:
    """Client id and secret of the Authorization header (§2.3.1), where they are there."""
    kind, _, encoded = (call.header(b"authorization") or "").partition(" ")
    if kind.lower() != "basic":
        return request
    try:
        client, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        colon = ""
    if not colon or request.client_secret is not None:
        raise Problem(Fault.INVALID_REQUEST, "Send client id and secret in one way, and Basic as base64 of id:secret.")
    return msgspec.structs.replace(request, client_id=unquote_plus(client), client_secret=unquote_plus(secret))

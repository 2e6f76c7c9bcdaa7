"""Bodies → what an endpoint is to be. Refusals are raised as Problem."""

from typing import Final
from urllib.parse import urlsplit

from ingest_api.http.edge.hosts import may_be_public
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.webhook_endpoints.shown import DESCRIPTION_CHARS_MAX, TYPES_MAX, URL_CHARS_MAX
from payments.events.event import EventType

_TYPES: Final = frozenset(str(type_) for type_ in EventType)


def checked_url(url: str, *, plain: bool) -> str:
    """A URL that webhooks may be sent to. Where its name leads is looked at when something is sent. Raises Problem.
    `plain`: to any host, without TLS too.
    """
    fault = _url_fault(url, plain=plain)
    if fault is not None:
        raise field_problem(FieldError("/url", Fault.FIELD_INVALID, fault))
    return url


def _url_fault(url: str, *, plain: bool) -> str | None:
    if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return f"Send at most {URL_CHARS_MAX} ASCII characters without spaces; names of other scripts as punycode."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "Send a URL such as https://shop.example/hooks."
    if parts.scheme != "https" and not (plain and parts.scheme == "http"):
        return "Send a URL that begins with https://."
    if not host or port == 0:
        return "Send a URL with the name of a host, such as https://shop.example/hooks."
    if not (plain or may_be_public(host)):
        return "Send a host of the public internet: deliveries go to no other."
    if parts.username is not None or parts.password is not None or "#" in url:
        return "Leave out user, password and fragment: deliveries are signed."
    return None


def checked_types(types: list[str]) -> list[str]:
    """Types of events, sorted, each once. Raises Problem."""
    unknown = next((index for index, type_ in enumerate(types) if type_ not in _TYPES), None)
    if len(types) > TYPES_MAX or unknown is not None:
        pointer = "/event_types" if unknown is None else f"/event_types/{unknown}"
        detail = f"Send up to {TYPES_MAX} of the types that docs/events.md lists, such as payment.posted."
        raise field_problem(FieldError(pointer, Fault.FIELD_INVALID, detail))
    return sorted(set(types))


def checked_description(text: str) -> str:
    """Raises Problem."""
    if len(text) > DESCRIPTION_CHARS_MAX or not text.isprintable():
        detail = f"Send at most {DESCRIPTION_CHARS_MAX} printable characters."
        raise field_problem(FieldError("/description", Fault.FIELD_INVALID, detail))
    return text

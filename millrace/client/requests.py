"""From what a caller asks to the request that says it: pure.

Amounts are decimal text or Decimal; a binary number is refused, because 0.1 is none. Names and ids are percent-encoded,
and an empty one is refused: `GET /accounts/` would be another route.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

import msgspec

from millrace.client.exchange import Request

Amount: TypeAlias = str | Decimal
"""`"10.50"` or Decimal("10.50"), never more decimals than the currency has. `payments.money.format_minor` makes one of
minor units."""

Moment: TypeAlias = str | datetime
"""RFC 3339 text, or a datetime with a zone."""

NDJSON: Final = "application/x-ndjson"
_PARAMETER: Final = re.compile(r"\{\w+\}")
_ANSWER_S: Final = 30.0
_BEYOND_WAIT_S: Final = 15.0
"""The server answers at the end of `Prefer: wait`; this much later the line is taken for broken."""


@dataclass(frozen=True)
class Route:
    """A method and a path of the OpenAPI document. `keyed`: it takes an Idempotency-Key; `is_repeatable`: without one,
    twice is once all the same.
    """

    method: str
    path: str
    keyed: bool = False
    repeats: bool = False

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    @property
    def is_repeatable(self) -> bool:
        return self.keyed or self.repeats or self.method in {"GET", "PUT", "DELETE"}


@dataclass(frozen=True)
class Ask:
    """One call of a route. `body`: bytes go as they are (NDJSON, unless a header says otherwise),
    anything else as JSON."""

    path: tuple[str, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    key: str | None = None
    wait_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    with_credentials: bool = True


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None, amounts and moments as text. A trailing underscore is dropped: `from_`."""
    return {name.rstrip("_"): _text(value) for name, value in fields.items() if value is not None}


def amount_text(amount: Amount) -> str:
    """Decimal text. Raises TypeError for what may have lost digits, or does not say its unit."""
    if isinstance(amount, str):
        return amount
    if isinstance(amount, Decimal):
        return f"{amount:f}"
    raise TypeError(f'an amount is text or Decimal, such as "10.50", and not {type(amount).__name__}')


def moment_text(at: Moment) -> str:
    """RFC 3339 in UTC. Raises ValueError for a datetime without a zone."""
    if isinstance(at, str):
        return at
    if at.tzinfo is None:
        raise ValueError("a datetime needs a zone: datetime.now(UTC), not datetime.now()")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_key() -> str:
    """An idempotency key of 128 random bits."""
    return secrets.token_hex(16)


def request_of(base_url: str, route: Route, ask: Ask, key: str | None) -> Request:
    """The request without credentials. Raises ValueError, TypeError for arguments that can't be sent."""
    headers = {"Accept": "application/json", "User-Agent": "millrace-python"} | dict(ask.headers)
    content = b""
    if isinstance(ask.body, bytes):
        headers.setdefault("Content-Type", NDJSON)
        content = ask.body
    elif ask.body is not None:
        headers["Content-Type"], content = "application/json", msgspec.json.encode(ask.body)
    if key is not None:
        headers["Idempotency-Key"] = _quoted(key)
    if ask.wait_s is not None:
        headers["Prefer"] = f"wait={ask.wait_s}"
    query = f"?{urlencode(_flat(ask.query))}" if ask.query else ""
    url = f"{base_url}{_filled(route.path, ask.path)}{query}"
    return Request(route.method, url, headers, content, max(_ANSWER_S, (ask.wait_s or 0) + _BEYOND_WAIT_S))


def _filled(template: str, values: tuple[str, ...]) -> str:
    if len(values) != len(_PARAMETER.findall(template)):
        raise ValueError(f"{template} takes other parameters than {values}")
    left = iter(values)

    def next_value(_: re.Match[str]) -> str:
        value = next(left)
        if not value or value in {".", ".."}:
            raise ValueError(f"an id of {template} is empty")
        return quote(value, safe="")

    return _PARAMETER.sub(next_value, template)


def _quoted(key: str) -> str:
    """As a string of RFC 8941. Raises ValueError."""
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError("an idempotency key has 1 to 255 visible ASCII characters")
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _flat(query: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in query.items()}


def _text(value: Any) -> Any:
    if isinstance(value, float):
        raise TypeError("no binary numbers: amounts are text or Decimal")
    if isinstance(value, Decimal):
        return amount_text(value)
    if isinstance(value, datetime):
        return moment_text(value)
    return value.isoformat() if isinstance(value, date) else value

"""What the core and the two clients say to each other: requests, answers, and the steps of a call.

A call is a generator (`Flow`): it yields what has to be done in the world and is sent what came of it. It never touches
a socket, a clock or a lock, so the same code serves threads and tasks, and a test drives it with plain values.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Self, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, complete but for the credentials. `read_timeout_s`: how long an answer may take."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    read_timeout_s: float = 30.0

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """The same with further headers."""
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The content as plain values; numbers with decimals come as Decimal. Raises ValueError."""
        return _JSON.decode(self.content)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The connection failed. `may_have_arrived`: the server may have read the request all the same."""

    reason: str
    may_have_arrived: bool


_JSON = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request; the answer to this step is a Response or a NoAnswer."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Renew:
    """One at a time: get another access token than `stale`, unless somebody has done so meanwhile."""

    stale: str | None
    with_second_factor: bool = False


@dataclass(frozen=True, slots=True)
class AskCode:
    """Ask the user for the code of a second factor; the answer to this step is the code."""


Step: TypeAlias = Send | Pause | Renew | AskCode
Flow: TypeAlias = Generator[Step, Any, T]
"""The steps of something that ends in a T. A client sends back what came of each step, or throws ClientError in."""

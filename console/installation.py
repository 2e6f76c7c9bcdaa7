"""What the console stands in, handed to it by whoever composes it: the API, who a token speaks for, and Postgres."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from psycopg import Connection

T = TypeVar("T")


class Unavailable(Exception):
    """Postgres does not answer now."""


class Caller(NamedTuple):
    """Who is signed in, and what the token allows."""

    subject: str
    may_read: bool
    may_write: bool
    may_approve: bool
    approves_with_code: bool
    """May approve once the session gives a second factor (again)."""

    left_s: float
    """Until the token expires."""


class Asked(NamedTuple):
    """A call of the API. `path` stands below /v1; `body` is sent as JSON, or as a form where `is_form`."""

    method: str
    path: str
    body: Any = None
    token: str = ""
    address: str = ""
    request_id: str = ""
    is_form: bool = False


class Answered(NamedTuple):
    """What the API said."""

    status: int
    content: bytes
    media_type: str


class Look(Protocol):
    """Runs blocking work beside the loop, with a connection that commits each statement. Raises Unavailable."""

    def __call__(self, work: Callable[[Connection], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True)
class Installation:
    """`who` says None where a token is not valid (any more). `scope`: all that a session of the console asks for."""

    call: Callable[[Asked], Awaitable[Answered]]
    who: Callable[[str], Caller | None]
    look: Look
    scope: str

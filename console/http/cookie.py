"""The one cookie: what proves that a form is ours, and the session's tokens.

HttpOnly, SameSite=Strict, for this host alone and until the browser closes; Secure, but where the browser stands on the
machine itself: some keep no such cookie without TLS. Guarantees: the value that forms repeat is made anew at every
sign-in, and no other site can read or set it (`__Host-`).
"""

import secrets
from typing import Final, NamedTuple

from starlette.requests import HTTPConnection

_NAME: Final = "millrace"
_ATTRIBUTES: Final = "Path=/; HttpOnly; SameSite=Strict"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_VALUE_BYTES_MAX: Final = 4_096
"""What browsers keep of a cookie; ours has some 800 bytes."""


class Cookie(NamedTuple):
    """`form` is repeated by every form; without `refresh` nobody is signed in."""

    form: str
    refresh: str = ""
    access: str = ""

    @classmethod
    def of(cls, request: HTTPConnection) -> "Cookie | None":
        """What the browser sent, where it is one of ours."""
        parts = request.cookies.get(_name(request), "").split(
            ".", 2
        )  # neither of the first two has a dot, a JWT has two
        return cls(*parts) if len(parts) == len(cls._fields) and parts[0] else None

    @classmethod
    def new(cls, refresh: str = "", access: str = "") -> "Cookie":
        return cls(secrets.token_urlsafe(24), refresh, access)

    def repeated(self, form: str) -> bool:
        """Whether a form carries what it was made with."""
        return secrets.compare_digest(self.form.encode(), form.encode())

    def header(self, request: HTTPConnection) -> str:
        """The Set-Cookie that keeps it. Raises ValueError where no browser would."""
        value = ".".join(self)
        if len(value) > _VALUE_BYTES_MAX:
            raise ValueError(f"a cookie of {len(value)} bytes: the token has too many scopes")
        return f"{_name(request)}={value}; {_ATTRIBUTES}{'' if _is_local(request) else '; Secure'}"


def _name(request: HTTPConnection) -> str:
    return _NAME if _is_local(request) else f"__Host-{_NAME}"


def _is_local(request: HTTPConnection) -> bool:
    """By the host that the browser names: without TLS, no other host is given a cookie that anyone could read."""
    return request.url.scheme == "http" and request.url.hostname in _LOOPBACK

"""The one cookie: what proves that a form is ours, and the session's tokens.

HttpOnly, Secure, SameSite=Strict, for this host alone and until the browser closes. Guarantees: the value that forms
repeat is made anew at every sign-in, and no other site can read or set it (`__Host-`).
"""

import secrets
from typing import Final, NamedTuple

from starlette.requests import Request

_NAME: Final = "__Host-millrace"
_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Strict"
_VALUE_BYTES_MAX: Final = 4_096
"""What browsers keep of a cookie; ours has some 800 bytes."""


class Cookie(NamedTuple):
    """`form` is repeated by every form; without `refresh` nobody is signed in."""

    form: str
    refresh: str = ""
    access: str = ""

    @classmethod
    def of(cls, request: Request) -> "Cookie | None":
        """What the browser sent, where it is one of ours."""
        parts = request.cookies.get(_NAME, "").split(".", 2)  # neither of the first two has a dot, a JWT has two
        return cls(*parts) if len(parts) == len(cls._fields) and parts[0] else None

    @classmethod
    def new(cls, refresh: str = "", access: str = "") -> "Cookie":
        return cls(secrets.token_urlsafe(24), refresh, access)

    def repeated(self, form: str) -> bool:
        """Whether a form carries what it was made with."""
        return secrets.compare_digest(self.form.encode(), form.encode())

    @property
    def header(self) -> str:
        """The Set-Cookie that keeps it. Raises ValueError where no browser would."""
        value = ".".join(self)
        if len(value) > _VALUE_BYTES_MAX:
            raise ValueError(f"a cookie of {len(value)} bytes: the token has too many scopes")
        return f"{_NAME}={value}; {_ATTRIBUTES}"

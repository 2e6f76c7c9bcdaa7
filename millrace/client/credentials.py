"""Who calls: what a caller knows or has, and the tokens that come of it.

`Bearer`, `ApiKey` and `signatures.SignedRequests` need nothing further. `Password`, `ClientCredentials` and
`RefreshToken` are exchanged for access tokens of five minutes: one renewal at a time (the client sees to that), because
a refresh token that is used twice ends its session. Nothing of it is ever shown by repr.
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import quote_plus

from millrace.client.exchange import AskCode, Flow, Request
from millrace.client.faults import Problem, SecondFactorRequired
from millrace.client.models.people import TokenAnswer

AskForCode = Callable[[], str | Awaitable[str]]
"""Asks the user for the code of the app. Only AsyncClient takes one that has to be awaited."""

_EARLY_S: Final = 15.0
"""A token is renewed so long before it expires: as long as a call may be under way."""

SECOND_FACTOR: Final = "second_factor_required"
_EXPIRED: Final = "token_invalid"
_SESSION_ENDED: Final = "invalid_grant"


class Credentials(Protocol):
    """Says in each request who calls."""

    def authorised(self, request: Request) -> Request | None:
        """The request with credentials, or None where an access token has to be got first."""


@dataclass(frozen=True)
class Bearer:
    """An access token that somebody else has got."""

    token: str = field(repr=False)

    def authorised(self, request: Request) -> Request:
        return request.with_headers({"Authorization": f"Bearer {self.token}"})


@dataclass(frozen=True)
class ApiKey(Bearer):
    """`mk_…` of POST /v1/api-keys."""


@dataclass(frozen=True)
class Anonymous:
    """Nobody: for signing up and logging in."""

    def authorised(self, request: Request) -> Request:
        return request


@dataclass(frozen=True)
class Password:
    """A user. `otp` is asked when the user has an app, at login and when a call needs a fresh second factor."""

    username: str
    password: str = field(repr=False)
    otp: AskForCode | None = None
    scope: str | None = None

    def grant(self) -> dict[str, str]:
        return {"grant_type": "password", "username": self.username, "password": self.password}


@dataclass(frozen=True)
class ClientCredentials:
    """A machine: id and secret of `millrace clients create`."""

    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    otp: None = None

    def grant(self) -> dict[str, str]:
        return {"grant_type": "client_credentials"}


@dataclass(frozen=True)
class RefreshToken:
    """A session that somebody else has begun. It is this client's alone from now on."""

    refresh_token: str = field(repr=False)
    otp: AskForCode | None = None
    scope: str | None = None

    def grant(self) -> None:
        return None


Grant = Password | ClientCredentials | RefreshToken
AskToken = Callable[[dict[str, str], dict[str, str]], Flow[TokenAnswer]]
"""Fields and headers of a token request → its flow; raises ClientError."""

StepUp = Callable[[str, str], Flow[TokenAnswer]]
"""Code and access token → the flow of POST /v1/auth/step-up."""


class Tokens:
    """The tokens of one client. Whoever runs `renewal` holds the client's lock."""

    def __init__(self, grant: Grant, ask: AskToken, step_up: StepUp, clock: Callable[[], float]) -> None:
        self.grant = grant
        self._ask = ask
        self._step_up = step_up
        self._clock = clock
        self._token: str | None = None
        self._expires_s = 0.0
        self._refresh = grant.refresh_token if isinstance(grant, RefreshToken) else None

    def authorised(self, request: Request) -> Request | None:
        token = self.current
        return Bearer(token).authorised(request) if token is not None else None

    @property
    def current(self) -> str | None:
        """The access token, while it is good for some seconds more."""
        return self._token if self._clock() < self._expires_s else None

    def renewal(self, stale: str | None, *, with_second_factor: bool) -> Flow[None]:
        """Get a token other than `stale`. Raises ClientError."""
        if self.current is not None and self.current != stale:
            return
        if with_second_factor and self.current is not None:
            code = yield AskCode()
            self._adopt((yield from self._step_up(code, self.current)))
            return
        if not (yield from self._refreshed()):
            self._adopt((yield from self._logged_in()))

    def _refreshed(self) -> Flow[bool]:
        if self._refresh is None:
            return False
        fields = {"grant_type": "refresh_token", "refresh_token": self._refresh}
        try:
            self._adopt((yield from self._ask(fields, {})))
        except Problem as problem:
            if problem.code != _SESSION_ENDED or self.grant.grant() is None:
                raise
            self._refresh = None  # the session has ended: begin another one
            return False
        return True

    def _logged_in(self) -> Flow[TokenAnswer]:
        fields = self.grant.grant() or {}
        if self.grant.scope is not None:
            fields["scope"] = self.grant.scope
        headers = _basic(self.grant) if isinstance(self.grant, ClientCredentials) else {}
        try:
            return (yield from self._ask(fields, headers))
        except SecondFactorRequired:
            if self.grant.otp is None:
                raise
        fields["otp"] = yield AskCode()
        return (yield from self._ask(fields, headers))

    def _adopt(self, answer: TokenAnswer) -> None:
        self._token = answer.access_token
        self._expires_s = self._clock() + max(answer.expires_in - _EARLY_S, answer.expires_in / 2)
        self._refresh = answer.refresh_token or self._refresh

    def can_renew_after(self, code: str) -> bool:
        """Whether a 401 with this code is worth another token. A wrong password in a body is not."""
        return code == _EXPIRED or (code == SECOND_FACTOR and self.grant.otp is not None)


def _basic(client: ClientCredentials) -> dict[str, str]:
    """RFC 6749 §2.3.1: both are form-encoded before they are joined."""
    joined = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    return {"Authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"}

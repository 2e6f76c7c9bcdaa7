"""Bearer tokens: JWTs (RFC 7519, ES256) with issuer, audience, expiry and scopes, verified once and then remembered.

Verifying costs 50–90 µs, more than the rest of a hot request, so a verified token is kept until it expires.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ingest_api.identity.keys import signing_key
from ingest_api.problems import Fault, Problem
from runtime.settings import Settings

ALGORITHM = "ES256"
_VERIFIED_MAX = 10_000  # × about 1 kB of token and claims = 10 MB
_LEEWAY_S = 5  # clocks of two machines


class Scope(StrEnum):
    """What a token allows."""

    PAYMENTS_WRITE = "payments:write"
    PAYMENTS_READ = "payments:read"
    ACCOUNTS_WRITE = "accounts:write"
    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_ANY = "accounts:any"
    """For services: the accounts of everybody, as if they were their owner."""
    ACCOUNTS_OPERATE = "accounts:operate"
    """For operators: standing, limits and overdraft of every account, and money that has come in."""
    CASES_READ = "cases:read"
    CASES_DECIDE = "cases:decide"
    """For analysts: payments that a rule holds."""
    QUARANTINE_READ = "quarantine:read"
    QUARANTINE_WRITE = "quarantine:write"
    ALIASES_READ = "aliases:read"
    ALIASES_WRITE = "aliases:write"
    ALIASES_VERIFY = "aliases:verify"
    """For who has seen that an address is its user's: money sent to it arrives there."""
    AUDIT_READ = "audit:read"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    """The caller's own user: what is known, password, second factor, sessions, linked bank accounts."""
    USERS_ADMIN = "users:admin"
    """Every user: standing and roles, too."""


ALL_SCOPES: tuple[Scope, ...] = tuple(Scope)


class Principal(NamedTuple):
    """The caller: subject of the token, what it may do, and until when (seconds since 1970)."""

    subject: str
    scopes: frozenset[str]
    expires_at_s: int
    session: bytes | None = None
    """The login that the token comes from; None for machines, and for tokens that were made on the spot."""
    second_factor_at_s: int | None = None
    """When the session last gave a second factor."""
    withheld: frozenset[str] = frozenset()
    """Scopes that the session has once it gives a second factor (again)."""


def issue_token(settings: Settings, subject: str, scopes: Sequence[Scope], ttl_s: int) -> str:
    """A signed token for this installation. Raises ValueError for an empty subject or a life below one second."""
    if not subject or ttl_s < 1:
        raise ValueError("a token needs a subject and a life of at least one second")
    now = int(time.time())
    key = signing_key(settings.home)
    claims = {
        "iss": settings.api_token_issuer,
        "aud": settings.api_token_audience,
        "sub": subject,
        "scope": " ".join(scopes),
        "iat": now,
        "nbf": now,
        "exp": now + ttl_s,
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


class TokenVerifier:
    """Who a bearer token speaks for."""

    def __init__(self, key: ECKey, issuer: str, audience: str, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._verified: OrderedDict[str, Principal] = OrderedDict()

    @classmethod
    def of(cls, settings: Settings) -> "TokenVerifier":
        return cls(signing_key(settings.home), settings.api_token_issuer, settings.api_token_audience)

    def principal(self, authorization: str | None, scope: Scope | None) -> Principal:
        """The caller behind an Authorization header. Raises Problem: 401 without a valid token, 403 without the scope
        (None = the caller checks the scopes).
        """
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise _unauthorised(Fault.TOKEN_MISSING, "Send the header Authorization: Bearer <token>.", "")
        principal = self._verified.get(token)
        if principal is None or principal.expires_at_s <= self._clock():
            principal = self._verify(token)
        if scope is not None and scope not in principal.scopes:
            raise scope_missing(scope)
        return principal

    def _verify(self, token: str) -> Principal:
        self._verified.pop(token, None)
        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            principal = self._checked(claims)
        except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:  # exp 1e400 is infinite
            raise _invalid("The token is not signed by this installation, or not a token.") from error
        self._verified[token] = principal
        if len(self._verified) > _VERIFIED_MAX:
            self._verified.popitem(last=False)
        return principal

    def _checked(self, claims: dict[str, Any]) -> Principal:
        now = self._clock()
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims["iss"] != self._issuer or self._audience not in audience:
            raise _invalid("The token was issued by or for somebody else.")
        if int(claims["exp"]) <= now:
            raise _invalid("The token has expired.")
        if int(claims.get("nbf", 0)) > now + _LEEWAY_S:
            raise _invalid("The token is not valid yet.")
        subject, scope = claims["sub"], claims["scope"]
        if not (isinstance(subject, str) and subject and isinstance(scope, str)):
            raise _invalid("The token names no subject or scope.")
        return Principal(subject, frozenset(scope.split()), int(claims["exp"]))


def scope_missing(scope: Scope) -> Problem:
    """403 with the scope that would do."""
    challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
    detail = f"The token lacks the scope {scope}."
    return Problem(Fault.SCOPE_INSUFFICIENT, detail, headers={"WWW-Authenticate": challenge})


def _invalid(detail: str) -> Problem:
    return _unauthorised(Fault.TOKEN_INVALID, detail, f', error="invalid_token", error_description="{detail}"')


def _unauthorised(code: Fault, detail: str, parameters: str) -> Problem:
    return Problem(code, detail, headers={"WWW-Authenticate": f'Bearer realm="millrace"{parameters}'})

"""Bearer tokens: JWTs (RFC 7519, ES256) with issuer, audience, expiry and scopes, verified once and then remembered.

Verifying costs 50–90 µs, more than the rest of a hot request, so a verified token is kept until it expires.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ingest_api.identity.keys import ALGORITHM, TOKEN_LIFE_S_MAX, SigningKeys
from ingest_api.problems import Fault, Problem
from payments.identifiers import format_id, parse_id
from runtime.settings import Settings

SESSION = "ses"
"""Kind prefix of sessions' ids."""

SECOND_FACTOR_ACR = "urn:millrace:acr:second-factor"
_SECOND_FACTOR = "mfa"  # RFC 8176
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
    LEDGER_WRITE = "ledger:write"
    """For finance: journals of any legs, and debts recovered or given up."""
    RECONCILIATION_READ = "reconciliation:read"
    RECONCILIATION_WRITE = "reconciliation:write"
    """For finance: files, runs, and what is proposed about breaks."""
    RECONCILIATION_APPROVE = "reconciliation:approve"
    """For controllers: adjustments that another one has proposed, and sign-off."""
    ALIASES_READ = "aliases:read"
    ALIASES_WRITE = "aliases:write"
    ALIASES_VERIFY = "aliases:verify"
    """For who has seen that an address is its user's: money sent to it arrives there."""
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    SERVICES_READ = "services:read"
    SERVICES_WRITE = "services:write"
    """For machines: their own entries in the registry of services."""
    SERVICES_OPERATE = "services:operate"
    """For operators: takes any instance out of service."""
    API_KEYS_READ = "api_keys:read"
    API_KEYS_WRITE = "api_keys:write"
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


class Grant(NamedTuple):
    """What a token says beside who issued it and for whom: the caller, and its session where it has one."""

    subject: str
    scopes: Iterable[str]
    session: bytes | None = None
    authenticated_at_s: int | None = None
    second_factor_at_s: int | None = None
    withheld: Iterable[str] = ()


def issue_token(settings: Settings, subject: str, scopes: Sequence[Scope], ttl_s: int) -> str:
    """A signed token of this installation, made on the spot. Raises ValueError for an empty subject or a life that is
    not between one second and a day, SigningKeyFault.
    """
    return signed_token(settings, SigningKeys.of(settings), Grant(subject, scopes), ttl_s)


def signed_token(settings: Settings, keys: SigningKeys, grant: Grant, ttl_s: int) -> str:
    """A JWT access token (RFC 9068). Raises as issue_token."""
    if not grant.subject or not 1 <= ttl_s <= TOKEN_LIFE_S_MAX:
        raise ValueError(f"a token needs a subject and a life of at least one second and at most {TOKEN_LIFE_S_MAX}")
    now = int(time.time())
    key = keys.ring().signing(now)
    claims: dict[str, Any] = {
        "iss": settings.api_token_issuer,
        "aud": settings.api_token_audience,
        "sub": grant.subject,
        "scope": " ".join(sorted(grant.scopes)),
        "iat": now,
        "nbf": now,
        "exp": now + ttl_s,
        "jti": secrets.token_urlsafe(12),
    }
    if grant.session is not None:
        claims["sid"] = format_id(SESSION, grant.session)
    claims |= _of_login(grant)
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "at+jwt"}, claims, key, algorithms=[ALGORITHM])


def _of_login(grant: Grant) -> dict[str, Any]:
    """`amr` as RFC 8176 has it; `auth_time` is that of the last factor that was given."""
    last_s = grant.second_factor_at_s or grant.authenticated_at_s
    if last_s is None:
        return {}
    methods = ["pwd", _SECOND_FACTOR] if grant.second_factor_at_s is not None else ["pwd"]
    withheld = {"step_up_scope": " ".join(sorted(grant.withheld))} if grant.withheld else {}
    return {"auth_time": last_s, "amr": methods} | withheld


class TokenVerifier:
    """Who a bearer token speaks for."""

    def __init__(self, keys: SigningKeys, issuer: str, audience: str, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._ring = keys.ring()
        self._verified: OrderedDict[str, Principal] = OrderedDict()
        self._ended: dict[bytes, float] = {}
        """Sessions that were ended, and until when a token of theirs could be valid."""

    @classmethod
    def of(cls, settings: Settings) -> "TokenVerifier":
        """Raises SigningKeyFault."""
        return cls(SigningKeys.of(settings), settings.api_token_issuer, settings.api_token_audience)

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
            raise second_factor_required() if scope in principal.withheld else scope_missing(scope)
        return principal

    def refuse_sessions(self, ended: Mapping[bytes, float]) -> None:
        """These sessions were ended: none of their tokens is taken from now on. With each comes until when (seconds
        since 1970) one could be valid.
        """
        now = self._clock()
        new = ended.keys() - self._ended.keys()
        self._ended = {session: until for session, until in (self._ended | dict(ended)).items() if until > now}
        if new:
            self._verified = OrderedDict(
                (token, principal) for token, principal in self._verified.items() if principal.session not in new
            )

    def look_at_keys(self) -> None:
        """Tokens that were verified with a key that is gone are not taken any more. Raises SigningKeyFault."""
        ring = self._keys.ring()
        if ring is not self._ring:
            self._ring = ring
            self._verified.clear()

    def _verify(self, token: str) -> Principal:
        self._verified.pop(token, None)
        try:
            claims = jwt.decode(token, self._key_of, algorithms=[ALGORITHM]).claims
            principal = self._checked(claims)
        except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:  # exp 1e400 is infinite
            raise _invalid("The token is not signed by this installation, or not a token.") from error
        self._verified[token] = principal
        if len(self._verified) > _VERIFIED_MAX:
            self._verified.popitem(last=False)
        return principal

    def _key_of(self, token: Any) -> ECKey:
        """The key that the header names. Raises KeyError for one that is none of ours."""
        kid, now = token.headers().get("kid"), self._clock()
        try:
            return self._ring.find(kid, now)
        except KeyError:
            self.look_at_keys()  # it may have been made since
            return self._ring.find(kid, now)

    def _checked(self, claims: dict[str, Any]) -> Principal:
        now = self._clock()
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims["iss"] != self._issuer or self._audience not in audience:
            raise _invalid("The token was issued by or for somebody else.")
        if int(claims["exp"]) <= now:
            raise _invalid("The token has expired.")
        if int(claims.get("nbf", 0)) > now + _LEEWAY_S:
            raise _invalid("The token is not valid yet.")
        principal = _principal(claims)
        if principal.session in self._ended:
            raise session_ended()
        return principal


def _principal(claims: dict[str, Any]) -> Principal:
    subject, scope = claims["sub"], claims["scope"]
    if not (isinstance(subject, str) and subject and isinstance(scope, str)):
        raise _invalid("The token names no subject or scope.")
    principal = Principal(subject, frozenset(scope.split()), int(claims["exp"]))
    if "amr" not in claims:
        return principal
    return principal._replace(
        session=parse_id(SESSION, claims["sid"]) if "sid" in claims else None,
        second_factor_at_s=int(claims["auth_time"]) if _SECOND_FACTOR in claims["amr"] else None,
        withheld=frozenset(claims.get("step_up_scope", "").split()),
    )


_STEP_UP = "Give a second factor with POST /v1/auth/step-up, then send this again with the token that it answers."


def second_factor_required(max_age_s: int | None = None, detail: str = _STEP_UP) -> Problem:
    """401 with the challenge of RFC 9470 §3: a second factor has to be given (again)."""
    age = f", max_age={max_age_s}" if max_age_s is not None else ""
    challenge = (
        f'Bearer realm="millrace", error="insufficient_user_authentication", error_description="{detail}",'
        f' acr_values="{SECOND_FACTOR_ACR}"{age}'
    )
    return Problem(Fault.SECOND_FACTOR_REQUIRED, detail, headers={"WWW-Authenticate": challenge})


def scope_missing(scope: Scope) -> Problem:
    """403 with the scope that would do."""
    challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
    detail = f"The token lacks the scope {scope}."
    return Problem(Fault.SCOPE_INSUFFICIENT, detail, headers={"WWW-Authenticate": challenge})


def session_ended() -> Problem:
    """401: nobody speaks for the user with this token any more."""
    return _invalid("The session was ended.")


def _invalid(detail: str) -> Problem:
    return _unauthorised(Fault.TOKEN_INVALID, detail, f', error="invalid_token", error_description="{detail}"')


def _unauthorised(code: Fault, detail: str, parameters: str) -> Problem:
    return Problem(code, detail, headers={"WWW-Authenticate": f'Bearer realm="millrace"{parameters}'})

"""Tokens of other issuers (Keycloak, Cognito, Entra): read by their discovery document and JWKS, and checked here.

Keeps each issuer's keys; asks again for a key that it does not know at most once in REFETCH_S, and goes on with the
keys that it has while the issuer is away, for STALE_MAX_S at most. Guarantees: only the algorithms of `_ALGORITHMS`,
each with a key of its own kind; issuer, audience, expiry and not-before are checked.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.util import urlsafe_b64decode

from ingest_api.identity.directories.shadow import Known, roles_of, shadow_id
from ingest_api.identity.roles import UserRole
from ingest_api.problems import Fault, Problem, retry_later
from runtime.personal_data.personal import Personal

_ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "Ed25519")  # the last is what RFC 9864 calls the third
REFETCH_S: Final = 10
STALE_MAX_S: Final = 86_400
_FRESH_S: Final = 3_600
_DOCUMENT_BYTES_MAX: Final = 256 * 1024
_TIMEOUT_S: Final = 5
_LEEWAY_S: Final = 5
_TOKEN_CHARS_MAX: Final = 16_384


class Issuer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One issuer of MILLRACE_OIDC_ISSUERS. `audience`: what its tokens for us name in aud, or in azp or client_id where
    they have no aud (Cognito's access tokens). `roles`: a role, group or scope of its tokens → a role here.
    """

    issuer: str
    audience: str
    roles: dict[str, UserRole]
    role_claims: tuple[str, ...] = ("roles", "groups", "cognito:groups", "realm_access.roles", "scope", "scp")

    def __post_init__(self) -> None:
        _require_safe(self.issuer)


class Claims(NamedTuple):
    """What a good token says."""

    known: Known
    expires_at_s: int
    has_second_factor: bool
    """The issuer says `mfa` in amr (RFC 8176)."""


class IssuerAway(Exception):
    """The issuer does not answer, or not with what an issuer answers."""


class OidcIssuer:
    """The tokens of one issuer."""

    def __init__(self, issuer: Issuer, client: httpx.AsyncClient, clock: Callable[[], float] = time.time) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched_at_s = 0.0
        self._tried_at_s = -float(REFETCH_S)
        self._lock = asyncio.Lock()

    async def claims(self, token: str) -> Claims:
        """Raises Problem: 401 for a token that is not good, 503 while there are no keys to check it with."""
        try:
            header = _header(token)
            keys = await self._keys_with(header.get("kid"))
            claims = jwt.decode(token, keys, algorithms=list(_ALGORITHMS)).claims
            return self._checked(claims)
        except IssuerAway as away:
            raise retry_later(Fault.DIRECTORY_UNAVAILABLE, "The issuer of the token does not answer.", 5) from away
        except (JoseError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise _invalid("The token is not one of this issuer's.") from error

    def _checked(self, claims: dict[str, Any]) -> Claims:
        now = self._clock()
        if claims["iss"] != self._issuer.issuer or self._issuer.audience not in _audiences(claims):
            raise _invalid("The token was issued by or for somebody else.")
        if int(claims["exp"]) <= now or int(claims.get("nbf", 0)) > now + _LEEWAY_S:
            raise _invalid("The token has expired, or is not valid yet.")
        subject = claims["sub"]
        roles = roles_of(_granted(claims, self._issuer.role_claims), self._issuer.roles)
        if not isinstance(subject, str) or not subject:
            raise _invalid("The token names no subject.")
        if not roles:
            raise Problem(Fault.SCOPE_INSUFFICIENT, "None of the token's roles, groups and scopes has a role here.")
        known = Known(
            self._issuer.issuer, subject, Personal(f"oidc-{shadow_id(self._issuer.issuer, subject).hex()}"), roles
        )
        return Claims(known, int(claims["exp"]), "mfa" in (claims.get("amr") or ()))

    async def _keys_with(self, kid: object) -> KeySet:
        """Raises IssuerAway."""
        async with self._lock:
            now = self._clock()
            is_known = self._keys is not None and any(key.kid == kid for key in self._keys.keys)
            is_fresh = now - self._fetched_at_s < _FRESH_S
            if not (is_known and is_fresh) and now - self._tried_at_s >= REFETCH_S:
                self._tried_at_s = now
                await self._fetch(now)
            if self._keys is None or now - self._fetched_at_s > STALE_MAX_S:
                raise IssuerAway("no keys")
            return self._keys

    async def _fetch(self, now: float) -> None:
        """The keys there are, or those from before where the issuer is away."""
        try:
            document = await self._document(self._issuer.issuer.rstrip("/") + "/.well-known/openid-configuration")
            if document.get("issuer") != self._issuer.issuer:
                raise IssuerAway("the discovery document is of another issuer")
            _require_safe(document["jwks_uri"])
            self._keys = KeySet.import_key_set(await self._document(document["jwks_uri"]))  # type: ignore[arg-type]
            self._fetched_at_s = now
        except (IssuerAway, httpx.HTTPError, JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            if self._keys is None:
                raise IssuerAway(type(error).__name__) from error

    async def _document(self, url: str) -> dict[str, Any]:
        async with self._client.stream("GET", url, timeout=_TIMEOUT_S, follow_redirects=False) as response:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > _DOCUMENT_BYTES_MAX:
                    raise IssuerAway("too long")
        if response.status_code != httpx.codes.OK:
            raise IssuerAway(f"HTTP {response.status_code}")
        return msgspec.json.decode(bytes(content), type=dict[str, Any])


def _header(token: str) -> dict[str, Any]:
    if len(token) > _TOKEN_CHARS_MAX:
        raise ValueError("too long")
    return msgspec.json.decode(urlsafe_b64decode(token.partition(".")[0].encode("ascii")), type=dict[str, Any])


def _audiences(claims: dict[str, Any]) -> list[Any]:
    named = claims.get("aud", claims.get("azp", claims.get("client_id")))
    return named if isinstance(named, list) else [named]


def _granted(claims: dict[str, Any], paths: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for path in paths:
        value = claims.get(path) or _inside(claims, path)
        found += value.split() if isinstance(value, str) else [each for each in value or () if isinstance(each, str)]
    return found


def _inside(claims: Any, path: str) -> Any:
    for name in path.split("."):
        claims = claims.get(name) if isinstance(claims, dict) else None
    return claims


def _require_safe(url: str) -> None:
    """HTTPS, or plain HTTP on loopback: a key that came over an open line signs for anybody. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return
    raise ValueError(f"{url}: an issuer and its keys are reached by https://, or by http:// on this machine alone")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _invalid(detail: str) -> Problem:
    challenge = f'Bearer realm="millrace", error="invalid_token", error_description="{detail}"'
    return Problem(Fault.TOKEN_INVALID, detail, headers={"WWW-Authenticate": challenge})

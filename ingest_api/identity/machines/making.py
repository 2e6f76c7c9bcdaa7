"""A key from what a caller asks for: refused where it asks for more than the caller may."""

import base64
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final, NamedTuple

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from ingest_api.http.bodies import text_fault
from ingest_api.identity.machines.key import Algorithm, ApiKey, Network, hash_of, new_text, prefix_of
from ingest_api.identity.machines.machines import Machines
from ingest_api.identity.machines.shown import NAME_CHARS_MAX, ApiKeyBody
from ingest_api.identity.tokens import Principal, Scope, scope_missing
from ingest_api.problems import Fault, FieldError, field_problem
from payments.identifiers import uuid7

_NEVER_FOR_KEYS: Final = frozenset({Scope.API_KEYS_WRITE})
"""A key that makes keys would outlive its own revocation."""

_JWK_CHARS_MAX: Final = 1_024
_CURVES: Final = {Algorithm.ECDSA: "P-256", Algorithm.ED25519: "Ed25519"}


class Made(NamedTuple):
    """A key and what has to be told once: the key itself, or the secret in base64."""

    key: ApiKey
    secret: str | None


def made(machines: Machines, principal: Principal, body: ApiKeyBody) -> Made:
    """Raises Problem."""
    name_fault = text_fault(body.name, NAME_CHARS_MAX, "/name")
    if name_fault is not None:
        raise field_problem(name_fault)
    now = datetime.now(UTC)
    days = body.expires_in_days
    blank = ApiKey(
        key_id=uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)),
        name=body.name,
        subject=principal.subject,
        scopes=require_scopes(principal, body.scopes),
        algorithm=Algorithm(body.algorithm),
        prefix=None,
        secret_hash=None,
        public_key=None,
        networks=_networks(body.networks),
        created_at=now,
        expires_at=now + timedelta(days=days) if days is not None else None,
        last_used_at=None,
        revoked_at=None,
        rolled_to=None,
    )
    return with_secret(machines, blank, body.public_key)


def with_secret(machines: Machines, key: ApiKey, public_key: dict[str, Any] | None) -> Made:
    """The key with a fresh secret, or with the caller's public key. Raises Problem."""
    if key.algorithm in _CURVES:
        return Made(key._replace(public_key=_public_key(key.algorithm, public_key)), None)
    if public_key is not None:
        raise _refused("/public_key", f"A key of algorithm {key.algorithm} has none.")
    if key.algorithm is Algorithm.HMAC:
        return Made(key, base64.b64encode(machines.hmac_secret(key.key_id)).decode())
    text = new_text()
    return Made(key._replace(prefix=prefix_of(text), secret_hash=hash_of(text)), text)


def require_scopes(principal: Principal, wanted: Sequence[str] | frozenset[str]) -> frozenset[str]:
    """Raises Problem where the principal may not hand on one of these."""
    for number, scope in enumerate(sorted(wanted)):
        if scope not in set(Scope):
            raise _refused(f"/scopes/{number}", "There is no such scope.")
        if scope in _NEVER_FOR_KEYS:
            raise _refused(f"/scopes/{number}", f"No API key has {scope}: keys are made by those whom they speak for.")
        if scope not in principal.scopes:
            raise scope_missing(Scope(scope))
    return frozenset(wanted)


def _networks(texts: Sequence[str]) -> tuple[Network, ...]:
    networks = []
    for number, text in enumerate(texts):
        try:
            networks.append(ip_network(text))
        except ValueError:
            raise _refused(f"/networks/{number}", "Send networks as 192.0.2.0/24 or 2001:db8::/32.") from None
    return tuple(networks)


def _public_key(algorithm: Algorithm, jwk: dict[str, Any] | None) -> bytes:
    curve = _CURVES[algorithm]
    try:
        if jwk is None or len(str(jwk)) > _JWK_CHARS_MAX or jwk.get("crv") != curve or "d" in jwk:
            raise ValueError(curve)
        key = ECKey.import_key(jwk) if algorithm is Algorithm.ECDSA else OKPKey.import_key(jwk)
        return key.as_pem(private=False)
    except (JoseError, ValueError, TypeError, KeyError):
        raise _refused("/public_key", f"Send the public key alone as a JWK with crv {curve}.") from None


def _refused(pointer: str, detail: str) -> Exception:
    return field_problem(FieldError(pointer, Fault.FIELD_INVALID, detail))

"""Signed requests: RFC 9421 with Content-Digest of RFC 9530, by the library http-message-signatures.

What has to be signed: method, target (whole, or path and query), the content's digest where there is content, `created`
within five minutes, `nonce`, `keyid`. The algorithm is that of the registered key, never one that the call names.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import http_sf
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, VerifyResult
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519, HMAC_SHA256
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from ingest_api.identity.machines.key import Algorithm

AGE_MAX: Final = timedelta(minutes=5)
_SKEW: Final = timedelta(seconds=5)
_NONCE_CHARS_MAX: Final = 128
_FIELD_CHARS_MAX: Final = 4_096
_ALGORITHMS: Final = {
    Algorithm.HMAC: HMAC_SHA256,
    Algorithm.ECDSA: ECDSA_P256_SHA256,
    Algorithm.ED25519: ED25519,
}
_DOES_NOT_FIT: Final = "It does not fit the key, the method, the target and what else it covers"
"""The library says nothing of a signature that is wrong."""
_TARGETS: Final = ({'"@target-uri"'}, {'"@path"', '"@query"'})


class SignatureRefused(Exception):
    """Why a signature is not taken, in words for the caller."""


class HeaderLines:
    """All lines of a message's header, in order."""

    def __init__(self, lines: Iterable[tuple[bytes, bytes]]) -> None:
        self._lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines]

    def items(self) -> list[tuple[str, str]]:
        return self._lines


class Message(NamedTuple):
    """A request as its caller has signed it."""

    method: str
    url: str
    headers: HeaderLines


class Signed(NamedTuple):
    """A good signature. The content is still to be compared (`require_content`)."""

    nonce_hash: bytes
    expires_at: datetime
    """From then on the same request is too old."""
    result: VerifyResult


class _Verifier(HTTPMessageVerifier):
    max_clock_skew = _SKEW


def key_id_of(signature_input: str) -> str:
    """The key that a Signature-Input names. Raises SignatureRefused."""
    if len(signature_input) > _FIELD_CHARS_MAX:
        raise SignatureRefused(f"Signature-Input has at most {_FIELD_CHARS_MAX} characters.")
    try:
        labels: Any = http_sf.parse(signature_input.encode("latin-1"), tltype="dictionary")
        ((_, parameters),) = labels.values()
        key_id = parameters["keyid"]
    except (ValueError, TypeError, KeyError) as error:
        raise SignatureRefused("Send one signature, with keyid, in Signature-Input.") from error
    if not isinstance(key_id, str):
        raise SignatureRefused("keyid is a text: the id of an API key.")
    return key_id


def verified(message: Message, algorithm: Algorithm, key_id: str, key: bytes) -> Signed:
    """Raises SignatureRefused."""
    resolver = MappingKeyResolver(public_keys={key_id: key}, private_keys={})
    verifier = _Verifier(signature_algorithm=_ALGORITHMS[algorithm], key_resolver=resolver)
    try:
        (result,) = verifier.verify(message, max_age=AGE_MAX, require_components=("@method",))
    except (HTTPMessageSignaturesException, ValueError) as error:
        raise SignatureRefused(f"{str(error) or _DOES_NOT_FIT}.") from error
    covered = result.covered_components.keys()
    if not any(target <= covered for target in _TARGETS):
        raise SignatureRefused("Sign @target-uri, or both @path and @query.")
    nonce = result.nonce
    if not isinstance(nonce, str) or not 0 < len(nonce) <= _NONCE_CHARS_MAX:
        raise SignatureRefused(f"Sign a nonce of 1 to {_NONCE_CHARS_MAX} characters.")
    created = datetime.fromtimestamp(int(result.parameters["created"]), UTC)
    return Signed(hashlib.sha256(nonce.encode()).digest()[:16], created + AGE_MAX + 2 * _SKEW, result)


def require_content(message: Message, algorithm: Algorithm, signed: Signed, content: bytes) -> None:
    """Raises SignatureRefused where the content is not what was signed."""
    verifier = _Verifier(signature_algorithm=_ALGORITHMS[algorithm], key_resolver=None)
    try:
        verifier.verify_body(message, [signed.result], content)
    except (HTTPMessageSignaturesException, ValueError) as error:
        raise SignatureRefused(f"{error}.") from error

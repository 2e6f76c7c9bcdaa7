"""The installation's signing keys: ES256, in `<home>/keys` or where MILLRACE_API_TOKEN_KEYS_FILE says, readable by the
owner alone.

The first key is made on first use; `rotate` puts a new one in front. It is published at once and signs after
PUBLISHED_S, when everybody who keeps the JWKS has looked again; the one before verifies until the last token that it
signed has expired. Every process looks at the file again when it has changed.
"""

import json
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from runtime.private_file import made_once, replace
from runtime.settings import Settings

ALGORITHM: Final = "ES256"
TOKEN_LIFE_S_MAX: Final = 86_400
"""No token is issued for longer, so a key that signed none for a day verifies none."""

PUBLISHED_S: Final = 600
"""Twice as long as the JWKS may be kept by those who read it."""

_FILE: Final = "token-signing.jwk"


class SigningKeyFault(Exception):
    """The file can't be read, or holds no signing keys. Says what to do."""


class SigningKey(NamedTuple):
    """A key pair, and from when on (seconds since 1970) it signs."""

    key: ECKey
    signs_from_s: int


class KeyRing(NamedTuple):
    """All keys of a moment, the newest first."""

    keys: tuple[SigningKey, ...]

    def signing(self, now_s: float) -> ECKey:
        """The newest that signs already."""
        return next((one.key for one in self.keys if one.signs_from_s <= now_s), self.keys[-1].key)

    def verifying(self, now_s: float) -> tuple[SigningKey, ...]:
        """Those that sign, will sign, or have signed a token that may still be valid."""
        replaced_s = [*(one.signs_from_s for one in self.keys)]
        return tuple(
            one for at, one in enumerate(self.keys) if at == 0 or replaced_s[at - 1] + TOKEN_LIFE_S_MAX > now_s
        )

    def find(self, kid: object, now_s: float) -> ECKey:
        """The key of an id. Raises KeyError for one that is none of ours, or no longer."""
        return {one.key.kid: one.key for one in self.verifying(now_s)}[kid]  # type: ignore[index]


class SigningKeys:
    """The file, read again when it has changed. Every method raises SigningKeyFault."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ring: KeyRing | None = None
        self._stamp: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, settings: Settings) -> "SigningKeys":
        """Where no setting names a file, one in the home, made on first use."""
        named = settings.api_token_keys_file
        path = named or settings.home / "keys" / _FILE
        if named is None:
            made_once(path, lambda: _text(KeyRing((_fresh(0),))))
        return cls(path)

    def ring(self) -> KeyRing:
        """The keys as the file has them now: one `stat`, 1 µs."""
        try:
            stat = self._path.stat()
            stamp = stat.st_mtime_ns, stat.st_ino
            if self._ring is None or stamp != self._stamp:
                self._ring, self._stamp = _read(self._path), stamp
        except OSError as error:
            raise SigningKeyFault(f"{self._path}: {error.strerror}: correct MILLRACE_API_TOKEN_KEYS_FILE") from error
        return self._ring

    def rotate(self, *, at_once: bool = False) -> KeyRing:
        """A new key in front. `at_once`: it signs from now on, and no other verifies any more. Raises OSError."""
        now_s = int(time.time())
        old = () if at_once else self.ring().verifying(now_s)
        replace(self._path, _text(KeyRing((_fresh(now_s if at_once else now_s + PUBLISHED_S), *old))))
        return self.ring()


def public_keys(ring: KeyRing, now_s: float) -> dict[str, Any]:
    """The JWK Set (RFC 7517 §5) of those keys that verify."""
    return {
        "keys": [one.key.as_dict(private=False) | {"use": "sig", "alg": ALGORITHM} for one in ring.verifying(now_s)]
    }


def _fresh(signs_from_s: int) -> SigningKey:
    return SigningKey(ECKey.generate_key("P-256", auto_kid=True), signs_from_s)


def _text(ring: KeyRing) -> str:
    keys = [{"signs_from_s": one.signs_from_s, "jwk": one.key.as_dict(private=True)} for one in ring.keys]
    return json.dumps({"keys": keys}, indent=2) + "\n"


def _read(path: Path) -> KeyRing:
    """A file of before there was rotation holds one JWK alone."""
    try:
        document = json.loads(path.read_text())
        listed = document.get("keys", [{"signs_from_s": 0, "jwk": document}])
        keys = [SigningKey(_imported(one["jwk"]), int(one["signs_from_s"])) for one in listed]
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        raise SigningKeyFault(f"{path} holds no signing keys: restore it from where it is kept safe") from None
    if not keys:
        raise SigningKeyFault(f"{path} holds no signing keys: restore it from where it is kept safe")
    return KeyRing(tuple(keys))


def _imported(jwk: dict[str, Any]) -> ECKey:
    key = ECKey.import_key(jwk)
    if key.kid is None or not key.is_private or key.curve_name != "P-256":
        raise ValueError("not a key pair for ES256 with an id")
    return key

"""Where the chain ends, outside Postgres: whoever can change every table can't make this file agree.

Keeps `<home>/audit/head.jws`, signed by a key of its own in `<home>/keys`. The last head anchors all before it. Copy it
elsewhere now and then: `millrace audit log --verify --head FILE` takes an older one as well.
"""

import json
from pathlib import Path
from typing import Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from ingest_api.audit_log.store import Head
from runtime.private_file import made_once, replace

_ALGORITHM: Final = "Ed25519"
_KEY_FILE: Final = "audit-head-signing.jwk"


class HeadForged(Exception):
    """A head that this installation has not signed."""


class _Claims(msgspec.Struct, forbid_unknown_fields=True):
    position: int
    hash: str


class Heads:
    """The published head of one installation."""

    def __init__(self, home: Path) -> None:
        self._file = home / "audit" / "head.jws"
        self._key = OKPKey.import_key(json.loads(made_once(home / "keys" / _KEY_FILE, _made)))

    def signed(self, head: Head) -> str:
        """A head as text that `verified` reads."""
        claims = _Claims(head.position, head.hash.hex())
        return jws.serialize_compact({"alg": _ALGORITHM}, msgspec.json.encode(claims), self._key, [_ALGORITHM])

    def verified(self, text: str) -> Head:
        """The head of a signed text. Raises HeadForged."""
        try:
            claims = msgspec.json.decode(
                jws.deserialize_compact(text.strip(), self._key, [_ALGORITHM]).payload, type=_Claims
            )
            return Head(claims.position, bytes.fromhex(claims.hash))
        except (JoseError, ValueError) as error:
            raise HeadForged("the head of the audit log is not signed by this installation") from error

    def published(self) -> Head | None:
        """The last one, or None where nothing was published yet. Raises HeadForged."""
        return self.verified(self._file.read_text()) if self._file.exists() else None

    def publish(self, head: Head) -> None:
        """In the place of the one before. On disk when this returns."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(self._file, self.signed(head))


def _made() -> str:
    return json.dumps(OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=True))

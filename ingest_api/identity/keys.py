"""The installation's signing key: ES256, made on first use in `<home>/keys`, readable by its owner alone.

Several processes may start at once: each writes a key of its own under a private name and links it into place; the
first link wins and all read that one.
"""

import json
import os
import secrets
from pathlib import Path

from joserfc.jwk import ECKey

_FILE = "token-signing.jwk"


def signing_key(home: Path) -> ECKey:
    """The key pair that signs and verifies the tokens of this installation."""
    path = home / "keys" / _FILE
    if not path.exists():
        _make(path)
    return ECKey.import_key(json.loads(path.read_text()))


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ECKey.generate_key("P-256", auto_kid=True)
    private = path.with_name(f".{_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(key.as_dict(private=True), file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(private, path)
    except FileExistsError:
        pass  # another process was first: its key is the key
    finally:
        private.unlink()

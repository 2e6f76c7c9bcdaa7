"""The installation's signing key: ES256, made on first use in `<home>/keys`, readable by its owner alone."""

import json
from pathlib import Path

from joserfc.jwk import ECKey

from runtime.private_file import made_once

_FILE = "token-signing.jwk"


def signing_key(home: Path) -> ECKey:
    """The key pair that signs and verifies the tokens of this installation."""
    return ECKey.import_key(json.loads(made_once(home / "keys" / _FILE, _made)))


def _made() -> str:
    return json.dumps(ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True))

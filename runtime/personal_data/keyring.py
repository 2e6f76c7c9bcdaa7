"""The installation's keys for personal data, which never touch Postgres: wrapping keys by id, index key, signing key.

Reads MILLRACE_PERSONAL_KEYS_FILE, else MILLRACE_PERSONAL_KEYS, else `<home>/keys/personal-data.json`, which is made on
first use: right for one machine. Several machines share one file, or none can read what another one has written.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from runtime.private_file import made_once, replace
from runtime.settings import Settings

KEY_BYTES: Final = 32  # AES-256, HMAC-SHA-256
_FILE: Final = "personal-data.json"

Key = Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
KeyId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class KeyringFault(Exception):
    """The keys can't be read, or are not those that the rows in Postgres were made with. Says what to do."""


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """The file; keys in base64."""

    current: KeyId
    wrapping_keys: dict[KeyId, Key]
    index_key: Key
    certificate_key: dict[str, str | list[str]]
    """An Ed25519 key pair as a JWK (RFC 8037)."""


class Keyring:
    """What wraps subjects' keys, makes blind indexes and signs certificates."""

    def __init__(self, document: _Document) -> None:
        self._document = document
        self.certificate_key = OKPKey.import_key(document.certificate_key)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The keys of this installation. Raises KeyringFault."""
        if settings.personal_keys is not None:
            return cls.read(settings.personal_keys.get_secret_value(), "MILLRACE_PERSONAL_KEYS")
        path = settings.personal_keys_file
        if path is None:
            made = home_file(settings.home)
            return cls.read(made_once(made, new_document), str(made))
        try:
            return cls.read(path.read_text(), str(path))
        except OSError as error:
            raise KeyringFault(f"{path}: {error.strerror}: correct MILLRACE_PERSONAL_KEYS_FILE") from error

    @classmethod
    def read(cls, text: str, source: str) -> Self:
        """The keys in a text of the file's form. Raises KeyringFault, which repeats nothing of the text."""
        try:
            document = msgspec.json.decode(text, type=_Document)
        except (msgspec.DecodeError, UnicodeError) as error:
            fault = str(error) if isinstance(error, msgspec.ValidationError) else "it is not JSON"
            raise KeyringFault(
                f"{source} holds no keyring ({fault}): restore it from where it is kept safe; docs/personal_data.md"
                " has its form"
            ) from None
        if document.current not in document.wrapping_keys:
            raise KeyringFault(f"{source}: `current` must name one of `wrapping_keys`")
        try:
            return cls(document)
        except (JoseError, ValueError, KeyError):
            raise KeyringFault(f"{source}: `certificate_key` must be an Ed25519 key pair as a JWK") from None

    @property
    def current(self) -> str:
        """Id of the key that wraps from now on."""
        return self._document.current

    @property
    def index_key(self) -> bytes:
        return self._document.index_key

    @property
    def wrapping_keys(self) -> Mapping[str, bytes]:
        return self._document.wrapping_keys

    def wrapping_key(self, key_id: str) -> bytes:
        """The key of an id. Raises KeyringFault."""
        try:
            return self._document.wrapping_keys[key_id]
        except KeyError:
            raise KeyringFault(
                f"the keyring lacks the wrapping key {key_id}: put it back under `wrapping_keys` until"
                " `millrace personal-data rewrap` has moved every row to another key"
            ) from None


def home_file(home: Path) -> Path:
    """Where the keys lie when no setting names another place."""
    return home / "keys" / _FILE


def new_document() -> str:
    """A keyring of fresh keys."""
    certificate_key = OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=True)
    wrapping, index = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
    return _text(_Document("key-1", {"key-1": wrapping}, index, certificate_key))


def add_wrapping_key(path: Path, key_id: str) -> None:
    """Put a fresh key into the file and make it the current one. Raises KeyringFault, OSError."""
    document = Keyring.read(path.read_text(), str(path))._document
    if key_id in document.wrapping_keys:
        raise KeyringFault(f"{path} has a key {key_id}: choose another id")
    wrapping = document.wrapping_keys | {key_id: secrets.token_bytes(KEY_BYTES)}
    text = _text(msgspec.structs.replace(document, current=key_id, wrapping_keys=wrapping))
    Keyring.read(text, f"the id {key_id}")  # an id of another form is refused before it is written
    replace(path, text)


def _text(document: _Document) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"

"""AES-256-GCM (NIST SP 800-38D) with the place of a text as additional data: a sealed text opens only where it was put.

Nonces are 96 random bits. SP 800-38D §8.3 allows 2³² messages under one key with such nonces (the chance that two are
equal is then 2⁻³²). A subject's key seals one message per stored version, and a version is a 31-bit number, so the
bound holds by construction; a wrapping key wraps one key per subject, so one is good for 2³² subjects.
"""

import hashlib
import os
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.personal_data.keyring import Keyring

_NONCE_BYTES: Final = 12


class Tampered(Exception):
    """A sealed text is not what was sealed for this place: rows were moved or changed, or the key is another one."""


class WrappedKey(NamedTuple):
    """A subject's key as it lies in Postgres."""

    wrapping_key: str
    wrapped: bytes


def wrap(keyring: Keyring, subject: bytes, key: bytes) -> WrappedKey:
    """A subject's key under the current wrapping key."""
    name = keyring.current
    return WrappedKey(name, _seal(keyring.wrapping_key(name), key, _key_place(subject, name)))


def unwrap(keyring: Keyring, subject: bytes, wrapped: WrappedKey) -> bytes:
    """A subject's key. Raises KeyringFault where its wrapping key is missing, Tampered."""
    key = keyring.wrapping_key(wrapped.wrapping_key)
    return _open(key, wrapped.wrapped, _key_place(subject, wrapped.wrapping_key))


def seal_value(key: bytes, subject: bytes, field: str, version: int, text: str) -> bytes:
    """One version of one field of one subject: nonce, ciphertext and tag."""
    return _seal(key, text.encode(), _value_place(subject, field, version))


def open_value(key: bytes, subject: bytes, field: str, version: int, sealed: bytes) -> str:
    """The text that was sealed for just this place. Raises Tampered."""
    return _open(key, sealed, _value_place(subject, field, version)).decode()


def fingerprint(key: bytes) -> bytes:
    """Sixteen bytes that tell keys apart. A key is 256 random bits, so its hash leads nowhere."""
    return hashlib.sha256(b"millrace key fingerprint\0" + key).digest()[:16]


def _key_place(subject: bytes, wrapping_key: str) -> bytes:
    return b"millrace subject key\0" + subject + wrapping_key.encode()


def _value_place(subject: bytes, field: str, version: int) -> bytes:
    """Unambiguous: what has a fixed length comes first."""
    return b"millrace personal value\0" + subject + version.to_bytes(8, "big") + field.encode()


def _seal(key: bytes, plain: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, place)


def _open(key: bytes, sealed: bytes, place: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce and a tag
        raise Tampered("a sealed text does not open in the place where it was found") from None

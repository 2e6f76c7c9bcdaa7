"""The right to be forgotten: a subject's key, values and index rows go in one transaction; a signed certificate stays.

Reads and writes the tables of this package on the caller's connection. Guarantees: after the commit no row leads back
to a value, a subject has one certificate whatever is asked again, and nothing of the ledger is touched: it holds
accounts and amounts alone, so its hash chain verifies as before. The certificate names the heads of that chain at the
time, for anybody to check it against the ledger before and after.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from runtime.personal_data.keyring import Keyring
from runtime.personal_data.rows import Connection, all_rows, first_row

ALGORITHM: Final = "Ed25519"  # RFC 9864
_TYPE: Final = "millrace-erasure"

_LOCK: Final = "SELECT fingerprint, erased_at, now() FROM subject_keys WHERE subject_id = %s FOR UPDATE"
_FORGET_VALUES: Final = "DELETE FROM personal_values WHERE subject_id = %s RETURNING field, version, stored_at"
_FORGET_INDEX: Final = "DELETE FROM personal_index WHERE subject_id = %s RETURNING index_name"
_DESTROY_KEY: Final = (
    "UPDATE subject_keys SET wrapping_key = NULL, wrapped = NULL, erased_at = now() WHERE subject_id = %s"
)
_KEEP: Final = "INSERT INTO erasure_certificates (subject_id, certificate) VALUES (%s, %s)"
_KEPT: Final = "SELECT certificate FROM erasure_certificates WHERE subject_id = %s"


class LedgerHead(msgspec.Struct, frozen=True):
    """Where the hash chain of one ledger partition stood: what came before `next_offset` ends in this hash (hex)."""

    partition: int
    next_offset: int
    sequence: int
    hash: str


class ErasedField(msgspec.Struct, frozen=True):
    """A value that there was. The version counts what was ever stored of the subject."""

    field: str
    version: int
    stored_at: datetime


class Erasure(msgspec.Struct, frozen=True):
    """What a certificate certifies. `key_fingerprint` tells which key was destroyed, and nothing about it."""

    subject: str
    erased_at: datetime
    key_fingerprint: str
    fields: list[ErasedField]
    indexes: dict[str, int]
    """Names of the indexes that the subject stood in, and in how many rows."""
    ledger_heads: list[LedgerHead]


class CertificateRefused(Exception):
    """The certificate was not signed by this installation's key, or was changed."""


async def erase(connection: Connection, keyring: Keyring, subject: bytes, heads: Sequence[LedgerHead]) -> str | None:
    """Destroy what leads back to this subject and certify it (a compact JWS); the certificate of the first time where
    it was erased before; None for a subject that never had anything stored. Takes effect when the caller commits.
    """
    subject_id = UUID(bytes=subject)
    row = await first_row(connection, _LOCK, subject_id)
    if row is None:
        return None
    fingerprint, erased_at, now = row
    if erased_at is not None:
        return await certificate_of(connection, subject)
    fields = [ErasedField(*one) for one in await all_rows(connection, _FORGET_VALUES, subject_id)]
    indexes = [name for (name,) in await all_rows(connection, _FORGET_INDEX, subject_id)]
    await connection.execute(_DESTROY_KEY, (subject_id,))
    erasure = Erasure(
        subject=str(subject_id),
        erased_at=now.astimezone(UTC),
        key_fingerprint=fingerprint.hex(),
        fields=sorted(fields, key=lambda one: one.field),
        indexes={name: indexes.count(name) for name in sorted(set(indexes))},
        ledger_heads=list(heads),
    )
    certificate = _signed(keyring.certificate_key, erasure)
    await connection.execute(_KEEP, (subject_id, certificate))
    return certificate


async def certificate_of(connection: Connection, subject: bytes) -> str | None:
    """The certificate of an erased subject."""
    row = await first_row(connection, _KEPT, UUID(bytes=subject))
    return str(row[0]) if row else None


def verify_certificate(certificate: str, key: OKPKey) -> Erasure:
    """What the certificate certifies. `key` may be the public half alone. Raises CertificateRefused."""
    try:
        signed = jws.deserialize_compact(certificate.strip(), key, algorithms=[ALGORITHM])
        if signed.headers().get("typ") != _TYPE:
            raise CertificateRefused("it is signed, but it is no certificate of an erasure")
        return msgspec.json.decode(signed.payload, type=Erasure)
    except (JoseError, ValueError) as error:
        raise CertificateRefused("it was not signed with this installation's certificate key, or changed") from error


def _signed(key: OKPKey, erasure: Erasure) -> str:
    header = {"alg": ALGORITHM, "typ": _TYPE, "kid": key.thumbprint()}
    return jws.serialize_compact(header, msgspec.json.encode(erasure), key, algorithms=[ALGORITHM])

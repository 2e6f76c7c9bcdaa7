"""Blind indexes: a value is found by a keyed hash of its normal form, so the table of hashes tells nothing without it.

HMAC-SHA-256 under a key of its own, cut to 128 bits. Two values that share a digest would send one person's money to
another: with 10⁹ values the chance of one such pair is 10¹⁸ ÷ 2¹²⁹ ≈ 10⁻²¹, and the key keeps anybody from looking for
one. Fewer bits would save nothing that matters. The name of the index is hashed along, so that the same address in two
indexes can't be linked by its digest.
"""

import hashlib
import hmac
from typing import Final

from runtime.personal_data.normal_forms import Identifier, normal_form
from runtime.personal_data.personal import Personal

DIGEST_BYTES: Final = 16


def digest_of(index_key: bytes, index: str, kind: Identifier, value: Personal) -> bytes | None:
    """Where this value stands in an index, or None where it is not of its kind."""
    normal = normal_form(kind, value)
    return None if normal is None else digest_of_text(index_key, f"{index}\0{kind}", normal)


def digest_of_text(index_key: bytes, index: str, normal: str) -> bytes:
    """Where a text in its normal form stands in an index."""
    return hmac.digest(index_key, f"{index}\0{normal}".encode(), hashlib.sha256)[:DIGEST_BYTES]

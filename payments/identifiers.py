"""Identifiers: sixteen bytes inside, a TypeID outside (`pay_01jd…`: kind prefix + base32 of a UUID).

Ids of consequences are derived from their cause (UUIDv8 of RFC 9562 over SHA-256), so a replay gives equal ids.
Text form: TypeID specification 0.3 (Crockford base32, 26 characters, most significant bits first, so texts sort as
bytes do).
"""

import hashlib
import re
from functools import lru_cache
from typing import Final

NIL: Final = bytes(16)
"""No account, no payment: fills a fixed field that does not apply."""

ACCOUNT: Final = "acc"
PAYMENT: Final = "pay"
JOURNAL: Final = "jnl"
CHECKOUT: Final = "chk"
ORDER: Final = "ord"
REFUND: Final = "rfd"
SCHEDULE: Final = "sch"
HOLD: Final = "hld"
DISPUTE: Final = "dsp"
RECEIVABLE: Final = "rcv"
QUOTE: Final = "fxq"
ALIAS: Final = "als"
USER: Final = "usr"
BANK_ACCOUNT: Final = "bnk"
"""A bank account that a user has linked: the id of its alias, by another name."""
EXTERNAL_BANK: Final = "xbk"

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_BASE32HEX = "0123456789abcdefghijklmnopqrstuv"  # the digits that int(…, 32) reads
_TO_HEX_DIGITS = str.maketrans(_CROCKFORD, _BASE32HEX)
_PAIRS = tuple(a + b for a in _CROCKFORD for b in _CROCKFORD)
_TEXT = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")


def format_id(prefix: str, value: bytes) -> str:
    """`("acc", 16 bytes)` → `"acc_…"`."""
    number = int.from_bytes(value, "big")
    return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def parse_id(prefix: str, text: str) -> bytes | None:
    """The sixteen bytes of an id of this kind, or None where the text is not one."""
    if len(text) != len(prefix) + 27:  # in front of the cache, which would keep texts of any length
        return None
    return _parse(prefix, text)


@lru_cache(maxsize=65_536)  # accounts repeat; 65,536 × about 150 bytes = 10 MB
def _parse(prefix: str, text: str) -> bytes | None:
    kind, _, digits = text.partition("_")
    if kind != prefix or not _TEXT.fullmatch(digits):
        return None
    return int(digits.translate(_TO_HEX_DIGITS), 32).to_bytes(16, "big")


def uuid7(unix_ms: int, entropy: bytes) -> bytes:
    """UUIDv7 (RFC 9562 §5.7) from a time and ten random bytes, both handed in by the caller."""
    tail = bytearray(entropy[:10])
    tail[0] = tail[0] & 0x0F | 0x70
    tail[2] = tail[2] & 0x3F | 0x80
    return unix_ms.to_bytes(6, "big") + bytes(tail)


def _uuid8(digest: bytes) -> bytearray:
    value = bytearray(digest[:16])
    value[6] = value[6] & 0x0F | 0x80
    value[8] = value[8] & 0x3F | 0x80
    return value


def derive_operation_id(authority: bytes, idempotency_key: str, shard: int) -> bytes:
    """The id of the payment (or account operation) that this key means at this authority account.

    The last two bytes carry the authority's shard, so that a later capture or refund by id knows its partition.
    """
    value = _uuid8(hashlib.sha256(b"operation\0" + authority + idempotency_key.encode()).digest())
    value[14:16] = shard.to_bytes(2, "big")
    return bytes(value)


def derive_account_id(principal: str, idempotency_key: str) -> bytes:
    """The account that this principal opens with this key: a retried request opens it once."""
    name = principal.encode()
    scope = len(name).to_bytes(4, "big") + name  # the length, since both texts may hold any character
    return bytes(_uuid8(hashlib.sha256(b"account\0" + scope + idempotency_key.encode()).digest()))


def derive_consequence_id(cause: bytes, name: str) -> bytes:
    """The id of what follows from an operation, such as one leg of a journal; it carries the cause's shard, too."""
    value = _uuid8(hashlib.sha256(b"consequence\0" + cause + name.encode()).digest())
    value[14:16] = cause[14:16]
    return bytes(value)


def derive_checkout_id(checkout_id: str) -> bytes:
    """The checkout that its caller knows by this text: whoever sends it meets the same partition."""
    return bytes(_uuid8(hashlib.sha256(b"checkout\0" + checkout_id.encode()).digest()))


def derive_order_id(checkout: bytes, payment_order_id: str, shard: int) -> bytes:
    """The id of a payment order of a checkout, and of the journal that pays it in; it carries the checkout's shard."""
    value = _uuid8(hashlib.sha256(b"order\0" + checkout + payment_order_id.encode()).digest())
    value[14:16] = shard.to_bytes(2, "big")
    return bytes(value)


def shard_of_operation(operation_id: bytes) -> int:
    """The authority's shard, as carried by a derived operation id."""
    return int.from_bytes(operation_id[14:16], "big")


def system_account(code: int, currency: str) -> bytes:
    """A system account (clearing, fees …): unconstrained, no partition state. Version nibble 0, unlike any UUID."""
    return bytes(8) + code.to_bytes(2, "big") + currency.encode("ascii") + bytes(3)


def is_system(account: bytes) -> bool:
    """True for system accounts (and for NIL); no UUID of version 1 to 8 has a zero version nibble."""
    return account[6] < 0x10

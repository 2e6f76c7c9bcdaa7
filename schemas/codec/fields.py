"""Enum and currency fields as single wire values. An Avro enum below 64 is one byte: twice its index (zigzag)."""

from payments.accounts import AccountStatus, AccountType
from payments.entries import EntryKind
from payments.errors import UndecodableRecord
from payments.money import EXPONENTS
from payments.rejections import Reason

REASONS: tuple[Reason, ...] = tuple(Reason)
_KINDS: tuple[EntryKind, ...] = tuple(EntryKind)
_STATUSES: tuple[AccountStatus, ...] = tuple(AccountStatus)
_TYPES: tuple[AccountType, ...] = tuple(AccountType)
REASON_BYTE: dict[Reason, int] = {reason: index << 1 for index, reason in enumerate(REASONS)}

_CODES: dict[bytes, str] = {code.encode("ascii"): code for code in EXPONENTS} | {bytes(3): ""}
_BYTES: dict[str, bytes] = {code: value for value, code in _CODES.items()}


def currency_bytes(code: str) -> bytes:
    """Three ASCII bytes; zeros where no currency applies. Raises ValueError on a code that does not fit."""
    known = _BYTES.get(code)
    if known is not None:
        return known
    if len(code) > 3 or not code.isascii():  # cut to three, "EURO" would become money of another name
        raise ValueError(f"a currency code has three ASCII letters: {code!r}")
    return code.encode("ascii").ljust(3, b"\0")


def currency_code(value: bytes) -> str:
    """The code of three bytes, known to ISO 4217 or not (the decision refuses unknown ones by name)."""
    known = _CODES.get(value)
    if known is not None:
        return known
    text = value.rstrip(b"\0").decode("ascii", "replace")
    if not text.isalnum():
        raise UndecodableRecord("a currency that is not three letters")
    return text


def entry_kind_of(byte: int) -> EntryKind:
    """The kind of an enum byte. Raises UndecodableRecord."""
    if byte & 1 or byte >> 1 >= len(_KINDS):
        raise UndecodableRecord("an unknown kind of entry")
    return _KINDS[byte >> 1]


def reason_of(byte: int) -> Reason:
    """The reason of an enum byte. Raises UndecodableRecord."""
    if byte & 1 or byte >> 1 >= len(REASONS):
        raise UndecodableRecord("an unknown reason")
    return REASONS[byte >> 1]


def account_status_of(byte: int) -> AccountStatus:
    """The status of an enum byte. Raises UndecodableRecord."""
    if byte & 1 or byte >> 1 >= len(_STATUSES):
        raise UndecodableRecord("an unknown status of an account")
    return _STATUSES[byte >> 1]


def account_type_of(byte: int) -> AccountType:
    """The type of an enum byte. Raises UndecodableRecord."""
    if byte & 1 or byte >> 1 >= len(_TYPES):
        raise UndecodableRecord("an unknown type of an account")
    return _TYPES[byte >> 1]

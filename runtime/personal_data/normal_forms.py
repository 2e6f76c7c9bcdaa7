"""One spelling per address: what two people would call the same e-mail, number, bank account or user name is equal.

The normal form is what is looked up, never what is shown: the value is stored as it was given.
"""

import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import idna
import phonenumbers

from runtime.personal_data.ibans import is_iban
from runtime.personal_data.personal import Personal

TEXT_CHARS_MAX: Final = 320  # the longest e-mail address: 64 + @ + 255 (RFC 5321 §4.5.3.1)

_LOCAL_PART = re.compile(r"[^\s@\"(),:;<>\[\\\]\x00-\x1f\x7f]{1,64}")
_USER_NAME = re.compile(r"[\w][\w.-]{0,63}")
_ROUTED = re.compile(r"([0-9]{9})/([0-9]{1,17})")
_GROUPING = re.compile(r"[\s-]")


class Identifier(StrEnum):
    """What persons are found by."""

    USER = "user"
    PHONE = "phone"
    EMAIL = "email"
    BANK_ACCOUNT = "bank_account"


EXPECTED: Final = {
    Identifier.USER: "a user id or user name: at most 64 letters, digits, dots, hyphens or underscores",
    Identifier.PHONE: "a phone number with its country code: +49 151 23456789",
    Identifier.EMAIL: "an e-mail address: name@example.com",
    Identifier.BANK_ACCOUNT: "an IBAN, or a US routing number and account number: 021000021/123456789",
}
"""What a refused text should have been. No refusal repeats the text."""


def normal_form(kind: Identifier, value: Personal) -> str | None:
    """The one spelling of this value, or None where it is not of its kind."""
    text = unicodedata.normalize("NFKC", value.reveal()).strip()
    return _FORMS[kind](text) if 0 < len(text) <= TEXT_CHARS_MAX else None


def _email(text: str) -> str | None:
    """Local part and domain without case. RFC 5321 lets the host tell cases of the local part apart; none that people
    use does, and a payment must not go astray because a phone wrote a capital.
    """
    local, _, domain = text.rpartition("@")
    local = unicodedata.normalize("NFKC", local.casefold())
    if not _LOCAL_PART.fullmatch(local) or local[0] == "." or local[-1] == "." or ".." in local:
        return None
    try:
        ascii_domain = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None
    return f"{local}@{ascii_domain}" if "." in ascii_domain.rstrip(".") else None


def _phone(text: str) -> str | None:
    """E.164. Without a country code a number is anybody's, so it is refused."""
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number) or number.extension:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _user_name(text: str) -> str | None:
    folded = unicodedata.normalize("NFKC", text.casefold())
    return folded if _USER_NAME.fullmatch(folded) else None


def _bank_account(text: str) -> str | None:
    compact = _GROUPING.sub("", text).upper()
    routed = _ROUTED.fullmatch(compact)
    if routed:
        return compact if _routing_number_checks(routed.group(1)) else None
    return compact if is_iban(compact) else None


def _routing_number_checks(digits: str) -> bool:
    """ABA: 3, 7, 1 by turns; the sum is a multiple of ten."""
    return sum(weight * int(digit) for weight, digit in zip((3, 7, 1) * 3, digits, strict=True)) % 10 == 0


_FORMS: Final[dict[Identifier, Callable[[str], str | None]]] = {
    Identifier.USER: _user_name,
    Identifier.PHONE: _phone,
    Identifier.EMAIL: _email,
    Identifier.BANK_ACCOUNT: _bank_account,
}

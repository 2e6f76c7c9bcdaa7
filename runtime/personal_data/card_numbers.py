"""Card numbers in free text: found by length, issuer and check digit, so that none is kept, sent on or shown.

Usual texts cost well under a microsecond: a text with fewer than thirteen digits holds no card number, and counting
digits is all that happens to it.
"""

import re
from itertools import accumulate
from typing import Final

from runtime.personal_data.ibans import is_iban

DIGITS_MIN, DIGITS_MAX = 13, 19  # ISO/IEC 7812-1; shorter numbers are no longer issued
_DIGITS: Final = b"0123456789"
_GAP: Final = "[ ._/-]{0,2}"
"""What people write between the groups of a number."""

_RUN: Final = re.compile(f"[0-9](?:{_GAP}[0-9]){{12,}}")
_REFERENCE: Final = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?\b")
_UUID: Final = re.compile(r"(\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b)")
"""One random UUID in 760 has digits that would pass, and orders are often named by one."""

_ISSUED: Final = re.compile("[3-6]|22|2[3-6]|27[01]|2720|8[12]|9792")
"""First digits of payment cards: the industries 3 to 6, Mir, Mastercard's second range, RuPay, Troy. Dates written
20261121… and most numbers of orders begin otherwise."""


def holds_card_number(text: str) -> bool:
    """True where digits look like a card number, alone or beside others such as an expiry date. An IBAN or an RF
    creditor reference with right check digits is none, though one in ten holds sixteen digits that would pass; nor is
    a UUID.

    For texts of up to a few hundred characters; 140 digits in groups cost 0.2 ms.
    """
    if not _has_enough_digits(text):
        return False
    return any(map(_run_holds_one, _RUN.findall(_REFERENCE.sub(_without_reference, _UUID.sub("", text)))))


def without_card_numbers(text: str, mark: str) -> str:
    """The text with a mark in the place of each run of digits that holds what looks like a card number."""
    if not _has_enough_digits(text):
        return text

    def marked(run: re.Match[str]) -> str:
        return mark if _run_holds_one(run.group()) else run.group()

    parts = _UUID.split(text)  # every second one is a UUID
    return "".join(part if place % 2 else _RUN.sub(marked, part) for place, part in enumerate(parts))


def _has_enough_digits(text: str) -> bool:
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded) - len(encoded.translate(None, _DIGITS)) >= DIGITS_MIN


def _without_reference(found: re.Match[str]) -> str:
    return "" if is_iban(found.group().replace(" ", "")) else found.group()


def _run_holds_one(run: str) -> bool:
    """Cards begin with a group of four or more. At most 16 groups make a number."""
    groups = re.split("[ ._/-]+", run)
    if _is_card_number("".join(groups)):
        return True
    starts = (start for start, group in enumerate(groups) if len(group) >= 4)
    return any(_is_card_number(digits) for start in starts for digits in accumulate(groups[start : start + 16]))


def _is_card_number(digits: str) -> bool:
    """Length, issuer, and the check digit of ISO/IEC 7812-1 (Luhn)."""
    if not DIGITS_MIN <= len(digits) <= DIGITS_MAX or not _ISSUED.match(digits):
        return False
    numbers = list(map(int, digits))
    doubled = (2 * number - 9 * (number > 4) for number in numbers[-2::-2])
    return (sum(numbers[-1::-2]) + sum(doubled)) % 10 == 0

"""Texts of amounts and dates → minor units and days, exactly. What isn't clear is refused, never rounded.

Amounts are refused when they have more decimals than their currency (trailing zeros are none), when a separator may
mean two things, or from 10^18 minor units on.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from functools import lru_cache

from payments.money import EXPONENTS
from reconciliation.statements.refusals import Reason, Refused

_WITHDRAWN_TWO = (
    "ANG ATS AZM BGL BYR CSD CUC CYP DEM EEK FIM FRF GHC GWP HRK IEP LTL LVL MRO MTL MZM NLG PLZ ROL RUR SDD SIT SKK"
    " SLL SRG STD TMM VEB VEF XEU ZMK ZWD ZWL ZWR"
)
_WITHDRAWN_NONE = "BEF ESP GRD ITL LUF PTE TRL"
WITHDRAWN: dict[str, int] = dict.fromkeys(_WITHDRAWN_TWO.split(), 2) | dict.fromkeys(_WITHDRAWN_NONE.split(), 0)
"""Currencies of ISO 4217 list three: no payment has them any more, old statements do."""

DIGITS_MAX = 18
"""A sum of nine lines of 10^18 still fits 64 bits; no statement on earth has such a line."""

_PLAIN = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?", re.ASCII)
_CENTS = re.compile(r"(-?\d{1,15})\.(\d\d)", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:[ ,.'’]\d{2,3})*[ ,.'’]\d{3}|\d+", re.ASCII)
_SIGNS = re.compile(r"^(\()?\s*([+-])?\s*(?:[A-Z]{3}|[$€£¥])?\s*([+-])?(.*?)\s*([+-]|CR|DR)?\s*(\))?$", re.DOTALL)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SPACES = str.maketrans("", "", "\u00a0\u202f\u2009 ")


def exponent_of(currency: str) -> int:
    """Decimals of a currency. Raises Refused for a code that ISO 4217 never listed."""
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        exponent = WITHDRAWN.get(currency)
    if exponent is None:
        raise Refused(Reason.CURRENCY, f"{currency!r} is no currency of ISO 4217")
    return exponent


def minor(text: str, currency: str) -> int:
    """Minor units of a plain decimal text ("-12.5", ".2", "7."). Raises Refused; never rounds."""
    match = _PLAIN.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise Refused(Reason.AMOUNT, f"{text[:40]!r} is no amount")
    return scaled(match[1], match[2], match[3] or "", exponent_of(currency))


def scaled(sign: str, whole: str, fraction: str, exponent: int) -> int:
    """An integer of 10^-exponent units. Raises Refused when digits other than 0 would be lost."""
    if len(fraction) > exponent:
        if fraction[exponent:].strip("0"):
            raise Refused(Reason.AMOUNT, f"{whole}.{fraction} has more than the {exponent} decimals of its currency")
        fraction = fraction[:exponent]
    digits = whole + fraction.ljust(exponent, "0")
    if len(digits.lstrip("0")) > DIGITS_MAX:
        raise Refused(Reason.AMOUNT, f"{whole[:40]} is too large for an amount")
    number = int(digits or "0")
    return -number if sign == "-" else number


def implied_minor(text: str) -> int:
    """Minor units of a text without decimal point ("+0010050" of BAI2 and NACHA)."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise Refused(Reason.AMOUNT, f"{text[:40]!r} is no amount in minor units")
    return int(text)


def written_minor(text: str, currency: str, decimal: str = "", unit_exponent: int | None = None) -> int:
    """Minor units of an amount as people write it: 1,234.50  1.234,50  (12.00)  12.00-  1 234,5  $5  5.00 DR.

    `decimal` is the decimal mark of the source; without one it is read from the text, and a text that may mean two
    things ("1,234") is refused. `unit_exponent` 2 means hundredths whatever the currency has (PayPal), −1 that the
    source counts in minor units.
    """
    if unit_exponent is None and decimal != "," and (cents := _CENTS.fullmatch(text)) and EXPONENTS.get(currency) == 2:
        return int(cents[1] + cents[2])  # most amounts of most files, as the rest would read them
    sign, whole, fraction = _written(text, decimal)
    exponent = exponent_of(currency)
    if unit_exponent is None:
        return scaled(sign, whole, fraction, exponent)
    unit_exponent = exponent if unit_exponent < 0 else unit_exponent
    return scaled(sign, *_shifted(whole, fraction, unit_exponent), exponent)


FRACTION_PLACES = 12
"""Decimals of a minor unit that a provider may count in; Checkout.com writes up to eight."""


def written_fractions(text: str, currency: str, decimal: str = "") -> int:
    """10^-12 minor units of an amount that may have more decimals than its currency. Raises Refused; never rounds."""
    sign, whole, fraction = _written(text, decimal)
    places = exponent_of(currency) + FRACTION_PLACES
    if len(whole) > DIGITS_MAX or len(fraction) > places:
        raise Refused(Reason.AMOUNT, f"{text[:40]!r} has more digits than an amount")
    return int(f"{sign}{whole}{fraction.ljust(places, '0')}")


def nearest_minor(fractions: int) -> int:
    """Minor units nearest to 10^-12 of them; the half goes to the even one."""
    unit: int = 10**FRACTION_PLACES
    whole, rest = divmod(fractions, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))


def _written(text: str, decimal: str) -> tuple[str, str, str]:
    """Sign, whole and decimals of a written amount. Raises Refused."""
    sign, digits = _signed(text.strip())
    mark = decimal or _decimal_mark(digits, text)
    whole, _, fraction = digits.partition(mark) if mark else (digits, "", "")
    if whole and not _GROUPED.fullmatch(whole):
        raise Refused(Reason.AMOUNT, f"{text[:40]!r} is no amount")
    whole = re.sub(r"[^0-9]", "", whole)
    if not (whole or fraction) or not re.fullmatch(r"\d*", fraction, re.ASCII):
        raise Refused(Reason.AMOUNT, f"{text[:40]!r} is no amount")
    return sign, whole, fraction


def _shifted(whole: str, fraction: str, places: int) -> tuple[str, str]:
    """An integer of 10^-places units as whole and fraction: ("10050", "", 2) → ("100", "50")."""
    if fraction.strip("0"):
        raise Refused(Reason.AMOUNT, f"{whole}.{fraction}: the source counts in whole units, it has no decimals")
    if places == 0:
        return whole, ""
    padded = whole.rjust(places + 1, "0")
    return padded[:-places], padded[-places:]


def _signed(text: str) -> tuple[str, str]:
    """Sign and digits of a written amount; one sign at most."""
    match = _SIGNS.match(text)
    if match is None or bool(match[1]) != bool(match[6]):
        raise Refused(Reason.AMOUNT, f"{text[:40]!r} is no amount")
    signs = [sign for sign in (match[1], match[2], match[3], match[5]) if sign]
    if len(signs) > 1:
        raise Refused(Reason.AMOUNT, f"{text[:40]!r} has more than one sign")
    negative = bool(signs) and signs[0] in {"(", "-", "DR"}
    return "-" if negative else "", match[4].translate(_SPACES)


def _decimal_mark(digits: str, text: str) -> str:
    """The last separator, when it can be nothing else than a decimal mark; nothing when there is none."""
    marks = [mark for mark in digits if mark in ".,"]
    if not marks:
        return ""
    last = marks[-1]
    if len(set(marks)) == 2:
        return last if marks.count(last) == 1 else _ambiguous(text)
    if len(marks) > 1:
        return ""
    after = len(digits) - digits.index(last) - 1
    return _ambiguous(text) if last == "," and after == 3 else last


def _ambiguous(text: str) -> str:
    raise Refused(Reason.AMOUNT, f"{text[:40]!r} may mean two amounts; name the decimal mark in a profile")


@lru_cache(maxsize=1_024)  # a file has few days and many lines
def day(text: str) -> str:
    """The day of an ISO 8601 date or date-time ("2026-11-22", "2026-11-22T08:00:00+01:00", "2026-11-22Z")."""
    head = text[:10]
    if _DAY.fullmatch(head):
        try:
            return date.fromisoformat(head).isoformat()
        except ValueError:
            pass
    raise Refused(Reason.DATE, f"{text[:40]!r} is no date")


def day_of(text: str, formats: tuple[str, ...]) -> str:
    """The day of a text in the first of strptime's formats that it has. Raises Refused."""
    for _, found in fitting(text, formats):
        return found
    raise Refused(Reason.DATE, f"{text[:40]!r} is no date of the form {' or '.join(formats)}")


def fitting(text: str, formats: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The forms of a date that a text has, each with the day that it would be."""
    for form in formats:
        with suppress(ValueError):
            yield form, datetime.strptime(text, form).date().isoformat()


@lru_cache(maxsize=1_024)
def one_day_of(text: str, formats: tuple[str, ...]) -> str:
    """The day of a text that has one of several forms. Raises Refused for none, and where it may be two days."""
    days = {found for _, found in fitting(text, formats)}
    if len(days) > 1:
        raise Refused(Reason.DATE, f"{text[:40]!r} may be {' or '.join(sorted(days))}: name its form in a profile")
    return days.pop() if days else day_of(text, formats)


def short_day(text: str) -> str | None:
    """YYMMDD of SWIFT, BAI2 and NACHA; blank or zeros: none. Years from 80 on are of the last century."""
    digits = text.strip()
    if not digits.strip("0"):
        return None
    if not re.fullmatch(r"\d{6}|\d{8}", digits, re.ASCII):
        raise Refused(Reason.DATE, f"{text[:40]!r} is no date YYMMDD")
    century = "" if len(digits) == 8 else "19" if digits >= "80" else "20"
    full = century + digits
    return day(f"{full[:4]}-{full[4:6]}-{full[6:8]}")

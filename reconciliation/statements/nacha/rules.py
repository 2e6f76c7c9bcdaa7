"""Words and codes of the Nacha Operating Rules (appendix three, ACH record format specifications). Pure."""

import re

RECORD_COLUMNS = 94


def _codes(words: str) -> frozenset[str]:
    return frozenset(words.split())


SERVICE_CLASSES = frozenset({"200", "220", "225", "280"})
CREDITS_ONLY, DEBITS_ONLY, ADVICES = "220", "225", "280"

ENTRY_CLASSES = _codes("ACK ADV ARC ATX BOC CCD CIE COR CTX DNE ENR IAT MTE POP POS PPD RCK SHR TEL TRC TRX WEB XCK")

TRANSACTION_CODES = _codes(
    "21 22 23 24 26 27 28 29 31 32 33 34 36 37 38 39 41 42 43 46 47 48 51 52 53 55 56 81 82 83 84 85 86 87 88"
)

ADDENDA_TYPES = _codes("02 05 10 11 12 13 14 15 16 17 18 98 99")
IAT_MANDATORY = ("10", "11", "12", "13", "14", "15", "16")

IAT_TRANSACTION_TYPES = _codes(
    "ANN BUS DEP LOA MIS MOR PEN REM RLS SAL TAX ARC BOC CCD MTE POP POS PPD RCK SHR TEL WEB"
)

_CHANGE_NUMBERS = (*range(1, 10), 13, 14, *range(61, 70))
CHANGE_CODES = frozenset(f"C{number:02}" for number in _CHANGE_NUMBERS)
"""Notifications of change, and C61–C69 that refuse one."""

_RETURN_NUMBERS = (*range(1, 48), 50, 51, 52, 53, 61, 62, *range(67, 78), *range(80, 86))
RETURN_CODES = frozenset(f"R{number:02}" for number in _RETURN_NUMBERS)
"""Returns; R61–R70 dishonour one, R71–R77 contest that."""
DISHONOURED = RETURN_CODES & {f"R{number}" for number in range(61, 71)}
CONTESTED = RETURN_CODES & {f"R{number}" for number in range(71, 78)}

REVERSAL = "REVERSAL"
"""A company that takes its entries back must call the batch so."""

COUNTED_ADDENDA = frozenset({"ATX", "CTX", "ENR", "TRX"})
"""Classes whose entries count their addenda in columns 55–58, before the name."""


def is_credit(transaction_code: str) -> bool:
    """Whether the receiver's account is credited: last digit 0–4, odd for advices (8x)."""
    last = int(transaction_code[1])
    return last % 2 == 1 if transaction_code.startswith("8") else last < 5


def routing_number_is_valid(nine: str) -> bool:
    """The check digit of an ABA routing number: weights 3, 7, 1."""
    if not re.fullmatch(r"\d{9}", nine, re.ASCII):
        return False
    return sum(int(digit) * weight for digit, weight in zip(nine, (3, 7, 1) * 3, strict=True)) % 10 == 0

"""Ways in which money comes in and leaves, as data: clearing account, availability, and the codes of its returns.

A deposit debits the method's clearing account, a withdrawal credits it; what stands there is matched with the method's
settlement files.
"""

import re
from enum import StrEnum
from typing import NamedTuple

from payments.identifiers import system_account
from payments.money import EXPONENTS
from payments.postings import SystemAccount


class Method(StrEnum):
    """The value is the public word."""

    CASH = "cash"
    CHECK = "check"
    PAYROLL = "payroll"
    PAYPAL = "paypal"
    ZELLE = "zelle"
    DIRECT_DEBIT = "direct_debit"
    WIRE = "wire"
    PRE_AUTHORISED = "pre_authorised"
    THIRD_PARTY = "third_party"
    MONEY_ORDER = "money_order"
    CARD = "card"


class MethodTerms(NamedTuple):
    """What the deciding stage has to know of a method."""

    clearing: SystemAccount
    is_collected_at_once: bool
    """False: a deposit is posted, and available only when the drawee has paid."""
    return_codes: re.Pattern[str]
    """The codes with which its network returns an entry."""


_NONE = re.compile(r"(?!)")
_NACHA = re.compile(r"R(0[1-9]|[1-7][0-9]|8[0-5])")
"""Nacha Operating Rules, Appendix Four: return reason codes R01 to R85."""

_CHECK = re.compile(r"[A-Z]|[1-9]")
"""ANSI X9.100-188, return reasons for check image exchange: A not sufficient funds … Z, and 1 to 9 administrative."""

_ISO_20022 = re.compile(r"[A-Z]{2}[0-9]{2}|[A-Z]{4}")
"""ISO 20022 external code set ExternalReturnReason1Code: AC04, AM04, MD06, NARR …"""

_PSP = re.compile(r"[a-z][a-z0-9_]{1,39}")
"""A provider's own words, such as insufficient_funds."""

TERMS: dict[Method, MethodTerms] = {
    Method.CASH: MethodTerms(SystemAccount.CASH_CLEARING, True, _NONE),
    Method.CHECK: MethodTerms(SystemAccount.CHECK_CLEARING, False, _CHECK),
    Method.PAYROLL: MethodTerms(SystemAccount.PAYROLL_CLEARING, True, _NACHA),
    Method.PAYPAL: MethodTerms(SystemAccount.PAYPAL_CLEARING, True, _PSP),
    Method.ZELLE: MethodTerms(SystemAccount.ZELLE_CLEARING, True, _PSP),
    Method.DIRECT_DEBIT: MethodTerms(
        SystemAccount.DIRECT_DEBIT_CLEARING, False, re.compile(f"{_NACHA.pattern}|{_ISO_20022.pattern}")
    ),
    Method.WIRE: MethodTerms(SystemAccount.WIRE_CLEARING, True, _ISO_20022),
    Method.PRE_AUTHORISED: MethodTerms(SystemAccount.PRE_AUTHORISED_CLEARING, True, _NACHA),
    Method.THIRD_PARTY: MethodTerms(SystemAccount.THIRD_PARTY_CLEARING, True, _PSP),
    Method.MONEY_ORDER: MethodTerms(SystemAccount.MONEY_ORDER_CLEARING, False, _CHECK),
    Method.CARD: MethodTerms(SystemAccount.CARD_CLEARING, True, _PSP),
}

METHOD_OF: dict[bytes, Method] = {
    system_account(terms.clearing, currency): method for method, terms in TERMS.items() for currency in EXPONENTS
}
"""Clearing account → method."""

UNCOLLECTED_FROM: frozenset[bytes] = frozenset(
    account for account, method in METHOD_OF.items() if not TERMS[method].is_collected_at_once
)
"""Clearing accounts whose deposits wait for their collection."""


def method_account(method: Method, currency: str) -> bytes:
    """The clearing account of a method in a currency."""
    return system_account(TERMS[method].clearing, currency)

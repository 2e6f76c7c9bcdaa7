"""Numbers of bank accounts: an IBAN, or an ABA routing number with an account number; checked, and shown masked."""

import re
from typing import Final

from schwifty import IBAN
from schwifty.exceptions import SchwiftyException

from ingest_api.problems import Fault, FieldError
from runtime.personal_data.normal_forms import Identifier, normal_form
from runtime.personal_data.personal import Personal

SHOWN_CHARS: Final = 4
_GROUPING = re.compile(r"[\s-]")
_ACCOUNT = re.compile(r"[0-9]{4,17}")


def bank_number(account_number: str, routing_number: str) -> Personal | FieldError:
    """The number in its normal form. Without a routing number it is an IBAN: of a country that has them, with the
    length, the form and the national check digits of that country. No refusal repeats it.
    """
    number = _GROUPING.sub("", account_number)
    if not routing_number:
        return _iban(number)
    if not _ACCOUNT.fullmatch(number):
        return FieldError("/bankAccountNumber", Fault.FIELD_INVALID, "Send 4 to 17 digits.")
    normal = normal_form(Identifier.BANK_ACCOUNT, Personal(f"{_GROUPING.sub('', routing_number)}/{number}"))
    if normal is None:
        return FieldError("/bankRoutingNumber", Fault.FIELD_INVALID, "Not an ABA routing number: nine digits, checked.")
    return Personal(normal)


def _iban(number: str) -> Personal | FieldError:
    try:
        return Personal(str(IBAN(number, validate_bban=True)))
    except SchwiftyException:
        detail = "Not a valid IBAN. Where the bank has routing numbers, send bankRoutingNumber, too."
        return FieldError("/bankAccountNumber", Fault.FIELD_INVALID, detail)


def masked(number: Personal) -> str:
    """The last four characters; of an IBAN its country, too."""
    text = number.reveal()
    shown = text[-SHOWN_CHARS:]
    return f"{text[:2]}…{shown}" if text[:2].isalpha() else f"…{shown}"

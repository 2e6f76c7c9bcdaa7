"""What the API has asked of a bank about a linked account, and what the connectors have found out: bank_verifications.

The API calls nobody outside, so it leaves a row and, sealed among the user's personal values, what only the bank may
read; the connectors ask the bank and write the finding.
"""

from enum import StrEnum

import msgspec

from payments.identifiers import BANK_ACCOUNT, format_id


class Finding(StrEnum):
    """What came of it. Only a MATCH proves that the account is its user's."""

    MATCH = "match"
    """The bank has given this code to the holder of the account, who has the name that is told."""
    NO_MATCH = "no_match"
    UNKNOWN = "unknown"
    """The bank does not say whose account it is."""
    REFUSED = "refused"
    """The code is not one of the bank's for this account, or was used."""
    UNANSWERED = "unanswered"


class ToldBank(msgspec.Struct, frozen=True):
    """What the bank compares."""

    holder: str
    code: str

    def __repr__(self) -> str:
        return "ToldBank(…)"


def field_of(bank_account: bytes) -> str:
    """Under which name it lies sealed; the user is the subject."""
    return f"verification of {format_id(BANK_ACCOUNT, bank_account)}"

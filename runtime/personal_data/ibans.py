"""International bank account numbers: form and check digits."""

import re
from typing import Final

_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


def is_iban(compact: str) -> bool:
    """ISO 13616: form and check digits (mod 97 is 1). Also true for an ISO 11649 creditor reference (RF…) of that
    length.
    """
    if not _IBAN.fullmatch(compact):
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1

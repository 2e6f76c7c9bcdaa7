"""How a call names a party: an account id, or an alias as `usr_…`, `email:…`, `phone:…`, `user:…`, `bank_account:…`."""

from typing import Annotated, Final, NamedTuple

import msgspec

from payments.identifiers import ACCOUNT
from payments.identifiers import USER as USER
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal

_KINDS: Final = {kind.value: kind for kind in Identifier}
_ACCOUNT_START: Final = f"{ACCOUNT}_"

PartyText = Annotated[
    str,
    msgspec.Meta(
        description=f"Account id, user id, or alias: {', '.join(f'`{kind}:…`' for kind in Identifier)}",
        extra_json_schema={"examples": ["acc_01jd5v2q7xf8k8v6n3m4p5r6st", "email:anna@example.com"]},
    ),
]


class AliasName(NamedTuple):
    """A party that is named by alias."""

    kind: Identifier
    value: Personal


def is_account_id(party: str) -> bool:
    """True where the text can only mean an account (whether it is one is seen later)."""
    return party.startswith(_ACCOUNT_START)


def alias_name(party: str) -> AliasName | None:
    """The alias that a party is named by, or None where it is not named by one."""
    if party.startswith(f"{USER}_"):
        return AliasName(Identifier.USER, Personal(party))
    kind, colon, value = party.partition(":")
    return AliasName(_KINDS[kind], Personal(value)) if colon and kind in _KINDS else None

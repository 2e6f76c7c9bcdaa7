"""What callers send and see of registered banks and of transfers over them. Credentials come in and never go out."""

from typing import Annotated

import msgspec

from ingest_api.aliases.parties import PartyText
from ingest_api.external_banks.register import Asked, ExternalBank
from ingest_api.http.bodies import AmountText, CurrencyText, Description
from ingest_api.http.resources import account_text, rfc3339
from payments.identifiers import BANK_ACCOUNT, EXTERNAL_BANK, PAYMENT, format_id
from payments.money import format_minor

NAME_CHARS_MAX = 140
URL_CHARS_MAX = 500
SECRET_CHARS_MAX = 500

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
_Url = Annotated[str, msgspec.Meta(max_length=URL_CHARS_MAX, description="https, without query and user")]
_Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=SECRET_CHARS_MAX)]


class BankCredentials(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Of the OAuth 2.0 client that the bank knows the operator as."""

    client_id: _Secret
    client_secret: _Secret

    def __repr__(self) -> str:
        return "BankCredentials(…)"


class ExternalBankBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Register a bank. The protocol that it has to speak: docs/people.md."""

    bank_name: _Name
    api_url: _Url
    auth_credentials: BankCredentials


class ExternalBankResource(msgspec.Struct, omit_defaults=True):
    """A registered bank. `api_url` is shown to operators."""

    id: str
    bank_name: str
    registered_at: str
    api_url: str | None = None


class ExternalBankList(msgspec.Struct):
    """Banks, in the order in which they were registered. `next_cursor` leads on where `has_more`."""

    items: list[ExternalBankResource]
    has_more: bool
    next_cursor: str | None


class BankTransferBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Money from an account to a linked bank account (`bnk_…`), or from there to the account."""

    from_account: PartyText
    to_account: PartyText
    amount: AmountText
    currency: CurrencyText
    description: Description = ""


class BankTransfer(msgspec.Struct, omit_defaults=True):
    """A transfer over a bank. `reason` says why it came to nothing: nothing has moved then."""

    id: str
    bank_id: str
    from_account: str
    to_account: str
    status: str
    final: bool
    amount: str
    amount_minor: int
    currency: str
    reason: str | None = None
    decline: str | None = None
    asked_at: str | None = None


RESOURCES: tuple[type, ...] = (
    ExternalBankBody,
    ExternalBankResource,
    ExternalBankList,
    BankTransferBody,
    BankTransfer,
)


def shown_bank(bank: ExternalBank, *, for_operator: bool) -> ExternalBankResource:
    """One bank."""
    id_, at = format_id(EXTERNAL_BANK, bank.bank), rfc3339(bank.registered_at)
    return ExternalBankResource(id_, bank.name, at, bank.api_url if for_operator else None)


def shown_transfer(transfer: bytes, asked: Asked, status: str, *, is_final: bool) -> BankTransfer:
    """A transfer at a status."""
    parties = account_text(asked.account), format_id(BANK_ACCOUNT, asked.bank_account)
    payer, payee = reversed(parties) if asked.is_collection else parties
    return BankTransfer(
        id=format_id(PAYMENT, transfer),
        bank_id=format_id(EXTERNAL_BANK, asked.bank),
        from_account=payer,
        to_account=payee,
        status=status,
        final=is_final,
        amount=format_minor(asked.amount_minor, asked.currency),
        amount_minor=asked.amount_minor,
        currency=asked.currency,
    )

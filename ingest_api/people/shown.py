"""What callers send and see of users and their bank accounts: document 0's names, its two spellings included."""

from typing import Annotated, Literal

import msgspec

from ingest_api.aliases.parties import USER
from ingest_api.http.resources import account_text, rfc3339
from ingest_api.identity.users.user import Field, User, Values
from ingest_api.owners.holdings import Holding
from ingest_api.people.linked import LinkedBankAccount
from ingest_api.people.numbers import masked
from payments.identifiers import BANK_ACCOUNT, EXTERNAL_BANK, format_id

TEXT_CHARS_MAX = 320

_Text = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": TEXT_CHARS_MAX})]
_Number = Annotated[str, msgspec.Meta(description="An IBAN, or with a routing number an account number")]
_AccountId = Annotated[str, msgspec.Meta(description="The account that the bank account is linked for")]
_CardId = Annotated[str, msgspec.Meta(description="A provider's token of a debit card, never its number")]
_Code = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": TEXT_CHARS_MAX})]
_Amounts = Annotated[tuple[str, ...], msgspec.Meta(description="Decimals, in either order", min_length=2, max_length=2)]


class SignUpBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """Register a user. `phone` is another name of `phoneNumber`."""

    username: _Text
    password: _Text
    email: _Text = ""
    phone_number: _Text = ""
    phone: _Text = ""
    name: _Text = ""
    address: _Text = ""
    debit_card_id: _CardId = ""


class BankDetails(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """A bank account to link. `bankAcountNumber` is another spelling of `bankAccountNumber`."""

    bank_account_number: _Number = ""
    bank_acount_number: _Number = ""
    bank_routing_number: _Text = ""
    bank_name: _Text = ""
    bank_phone_number: _Text = ""
    bank_email: _Text = ""
    external_bank_id: _Text = ""
    holder_name: _Text = ""
    account_id: _AccountId = ""

    @property
    def number(self) -> str:
        return self.bank_account_number or self.bank_acount_number


class UserChangeBody(BankDetails, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """Change what is left out as it stands; with a bank's number link it, with `unlinkBankAccountId` end a link."""

    user_id: str = ""
    email: str | None = None
    phone_number: str | None = None
    address: str | None = None
    debit_card_id: str | None = None
    unlink_bank_account_id: str = ""


class VerificationBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A code that the bank has given its holder for this, or the two amounts that have arrived; without either these
    are sent.
    """

    amounts: _Amounts | None = None
    code: _Code | None = None


class BankAccountResource(msgspec.Struct, rename="camel", omit_defaults=True):
    """A linked bank account. Money leaves to it once it is `verified`. `BankAcountId` repeats `bankAccountId`."""

    bank_account_id: str
    bank_acount_id: str = msgspec.field(name="BankAcountId")
    user_id: str
    create_time: str
    bank_name: str
    bank_phone_number: str
    bank_email: str
    account_id: str
    currency: str
    status: Literal["pending", "verified", "failed", "expired", "unlinked"]
    number: str | None = None
    external_bank_id: str | None = None


class BankAccountList(msgspec.Struct, rename="camel"):
    """A user's bank accounts, in the order in which they were linked. `bankacounts` repeats `bankAccounts`."""

    user_id: str
    bank_accounts: list[BankAccountResource]
    bankacounts: list[BankAccountResource]


class UserResource(msgspec.Struct, rename="camel"):
    """A user. `balance`: what the default account has posted, in minor units of `currency`; 0 without one.
    `bankacounts` repeats `bankAccounts`.
    """

    user_id: str
    create_time: str
    username: str
    email: str
    phone_number: str
    name: str
    address: str
    status: str
    debit_card_id: str
    balance: int
    currency: str | None
    account_id: str | None
    bank_accounts: list[BankAccountResource]
    bankacounts: list[BankAccountResource]


RESOURCES: tuple[type, ...] = (
    SignUpBody,
    BankDetails,
    UserChangeBody,
    VerificationBody,
    BankAccountResource,
    BankAccountList,
    UserResource,
)


def shown_bank_account(linked: LinkedBankAccount) -> BankAccountResource:
    """One bank account, its number masked."""
    id_ = format_id(BANK_ACCOUNT, linked.id)
    return BankAccountResource(
        bank_account_id=id_,
        bank_acount_id=id_,
        user_id=format_id(USER, linked.user),
        create_time=rfc3339(linked.linked_at),
        bank_name=linked.told.name,
        bank_phone_number=linked.told.phone_number,
        bank_email=linked.told.email,
        account_id=account_text(linked.account),
        currency=linked.currency,
        status=linked.status.value,
        number=masked(linked.number) if linked.number is not None else None,
        external_bank_id=format_id(EXTERNAL_BANK, linked.told.bank) if linked.told.bank is not None else None,
    )


def shown_bank_accounts(user: bytes, linked: list[LinkedBankAccount]) -> BankAccountList:
    """All of a user's."""
    shown = [shown_bank_account(one) for one in linked]
    return BankAccountList(format_id(USER, user), shown, shown)


def shown_user(
    user: User, values: Values, card: str, default: Holding | None, linked: list[LinkedBankAccount]
) -> UserResource:
    """One user, with what is known about the user that the caller may see."""
    accounts = [shown_bank_account(one) for one in linked]
    told = {field: values[field].reveal() if field in values else "" for field in Field}
    return UserResource(
        user_id=format_id(USER, user.user),
        create_time=rfc3339(user.created_at),
        username=told[Field.USERNAME],
        email=told[Field.EMAIL],
        phone_number=told[Field.PHONE],
        name=told[Field.NAME],
        address=told[Field.ADDRESS],
        status=user.status.value,
        debit_card_id=card,
        balance=default.posted_minor if default is not None else 0,
        currency=default.currency if default is not None else None,
        account_id=account_text(default.account.bytes) if default is not None else None,
        bank_accounts=accounts,
        bankacounts=accounts,
    )

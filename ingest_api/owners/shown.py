"""What callers send and see of owners, of a user's accounts, and of a user's wallet."""

from collections.abc import Iterable
from itertools import groupby
from typing import Annotated, Literal

import msgspec

from ingest_api.aliases.parties import USER
from ingest_api.aliases.shown import UserText
from ingest_api.http.resources import account_text, rfc3339
from ingest_api.owners.holdings import Holding
from ingest_api.owners.register import Ownership
from ingest_api.reads.cursor import Cursor, encode_cursor
from payments.identifiers import format_id
from payments.money import format_minor

RoleText = Annotated[
    Literal["owner", "co_owner", "viewer"],
    msgspec.Meta(description="A co-owner moves money, a viewer looks; the owner decides who else has a part"),
]


class OwnerBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A user's part in an account. `owner` hands the account over: the owner before becomes a co-owner."""

    user: UserText
    role: RoleText


class Owner(msgspec.Struct, omit_defaults=True):
    """Who has which part since when; from `until` on no more."""

    user: str
    role: str
    since: str
    until: str | None = None


class OwnerList(msgspec.Struct):
    """The users with a part in an account."""

    account: str
    items: list[Owner]


class HeldAccount(msgspec.Struct):
    """An account of a user and what it holds. `default`: money sent to the user in this currency arrives here."""

    account: str
    role: str
    type: str
    currency: str
    status: str
    default: bool
    posted: str
    posted_minor: int
    available: str
    available_minor: int
    since: str


class HeldAccountPage(msgspec.Struct):
    """Accounts of a user, the latest first. `next_cursor` leads on where `has_more`."""

    items: list[HeldAccount]
    has_more: bool
    next_cursor: str | None


class WalletCurrency(msgspec.Struct):
    """What a user's wallet holds in one currency."""

    currency: str
    posted: str
    posted_minor: int
    available: str
    available_minor: int
    accounts: list[HeldAccount]


class Wallet(msgspec.Struct):
    """A wallet of several currencies is one account of type wallet for each."""

    user: str
    currencies: list[WalletCurrency]


RESOURCES: tuple[type, ...] = (OwnerBody, OwnerList, HeldAccountPage, Wallet)


def shown_owners(account: bytes, owners: Iterable[Ownership]) -> OwnerList:
    """The owners of one account."""
    return OwnerList(account_text(account), [_owner(row) for row in owners])


def _owner(row: Ownership) -> Owner:
    until = rfc3339(row.until) if row.until else None
    return Owner(format_id(USER, row.user), row.role, rfc3339(row.since), until)


def shown_page(found: list[Holding], limit: int) -> HeldAccountPage:
    """Up to `limit` of them; one more than that says that there are more."""
    has_more = len(found) > limit
    last = found[limit - 1] if has_more else None
    cursor = encode_cursor(Cursor(last.since, last.account)) if last else None
    return HeldAccountPage([_held(one) for one in found[:limit]], has_more, cursor)


def shown_wallet(user: bytes, found: list[Holding]) -> Wallet:
    """Wallet accounts, which come in the order of their currencies, summed up by currency."""
    grouped = groupby(found, key=lambda holding: holding.currency)
    return Wallet(format_id(USER, user), [_of_currency(currency, list(accounts)) for currency, accounts in grouped])


def _of_currency(currency: str, accounts: list[Holding]) -> WalletCurrency:
    posted_minor = sum(one.posted_minor for one in accounts)
    available_minor = sum(one.available_minor for one in accounts)
    return WalletCurrency(
        currency,
        format_minor(posted_minor, currency),
        posted_minor,
        format_minor(available_minor, currency),
        available_minor,
        [_held(one) for one in accounts],
    )


def _held(one: Holding) -> HeldAccount:
    return HeldAccount(
        account_text(one.account.bytes),
        one.role,
        one.type.name.lower(),
        one.currency,
        one.status.name.lower(),
        one.is_default,
        format_minor(one.posted_minor, one.currency),
        one.posted_minor,
        format_minor(one.available_minor, one.currency),
        one.available_minor,
        rfc3339(one.since),
    )

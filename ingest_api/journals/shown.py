"""What may be sent about journals, and what they and the entries of a user look like."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from ingest_api.http.bodies import (
    AccountText,
    AmountText,
    CurrencyText,
    Description,
    LimitText,
    description_fault,
    parse_account,
    parse_amount,
    text_fault,
)
from ingest_api.http.resources import account_text
from ingest_api.problems import Fault, FieldError
from ingest_api.statements.line import system_name
from ingest_api.statements.shown import AccountEntry
from payments.identifiers import ACCOUNT, system_account
from payments.items.details import Posting
from payments.money import EXPONENTS, format_minor
from payments.movements.journals import MAX_LEGS
from payments.postings import SystemAccount
from payments.terms.fees import BASIS_POINTS
from payments.terms.splits import MAX_SHARES
from schemas.codec.instructions import MAX_CODE_CHARS

_SYSTEM: Final = {code.name.lower(): code for code in SystemAccount}

LegAccount = Annotated[
    str,
    msgspec.Meta(
        description=f"Account id, or the name of an account of the operator: {', '.join(_SYSTEM)}",
        extra_json_schema={"examples": ["suspense", "acc_01jd5v2q7xf8k8v6n3m4p5r6st"]},
    ),
]


class LegBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One leg: what is debited or credited. A credit raises what a customer has."""

    account: LegAccount
    side: Literal["debit", "credit"]
    amount: AmountText
    currency: CurrencyText


class JournalBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Post a journal: in every currency its debits and credits are equal. `reason`: of an adjustment, such as the id
    of the break that it settles.
    """

    legs: Annotated[list[LegBody], msgspec.Meta(min_length=2, max_length=MAX_LEGS)]
    description: Description = ""
    reason: Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_CODE_CHARS})] = ""


class ShareBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What one account gets: basis points of the whole amount, rounded down, and a fixed part."""

    account: LegAccount
    basis_points: Annotated[int, msgspec.Meta(ge=0, le=BASIS_POINTS)] = 0
    fixed: LimitText = msgspec.field(default_factory=lambda: msgspec.Raw(b"0"))


class SplitBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Divide an amount. What the shares leave is `remainder_to`'s; without it the basis points make the whole, and each
    missing minor unit goes to the share that rounding cut most.
    """

    from_account: AccountText
    amount: AmountText
    currency: CurrencyText
    shares: Annotated[list[ShareBody], msgspec.Meta(min_length=1, max_length=MAX_SHARES)]
    remainder_to: LegAccount | None = None
    description: Description = ""


class Leg(msgspec.Struct):
    """One leg of a journal. `account_name` says what an account of the operator is for."""

    account: str
    account_name: str | None
    side: Literal["debit", "credit"]
    amount: str
    amount_minor: int
    currency: str


class Journal(msgspec.Struct):
    """A journal with the legs that the caller may look at. `code`: why it was cancelled."""

    id: str
    status: Literal["received", "pending", "posted", "cancelled"]
    legs: list[Leg]
    description: str
    reason: str
    code: str | None
    opened_at: str | None
    posted_at: str | None


class LedgerEntry(AccountEntry):
    """An entry with the account that it is of."""

    account: str
    currency: str


class LedgerPage(msgspec.Struct):
    """Entries of all accounts of a user, newest first. `next_cursor` leads on where `has_more`."""

    user: str
    items: list[LedgerEntry]
    has_more: bool
    next_cursor: str | None


RESOURCES: tuple[type, ...] = (JournalBody, SplitBody, Journal, LedgerPage)


class Asked(NamedTuple):
    """A journal as it is asked for."""

    legs: tuple[Posting, ...]
    description: str
    reason: str


def asked_journal(body: JournalBody) -> Asked | FieldError:
    """What a body means; whether it balances is told where it is decided."""
    fault = description_fault(body.description) or text_fault(body.reason, MAX_CODE_CHARS, "/reason")
    if fault is not None:
        return fault
    legs = asked_legs(body.legs)
    return legs if isinstance(legs, FieldError) else Asked(legs, body.description, body.reason)


def asked_legs(asked: Iterable[LegBody]) -> tuple[Posting, ...] | FieldError:
    """Credits positive."""
    legs: list[Posting] = []
    for index, leg in enumerate(asked):
        posting = _posting(leg)
        if isinstance(posting, FieldError):
            return posting._replace(pointer=f"/legs/{index}{posting.pointer}")
        legs.append(posting)
    return tuple(legs)


def _posting(leg: LegBody) -> Posting | FieldError:
    amount_minor = parse_amount(leg.amount, leg.currency)
    if isinstance(amount_minor, FieldError):
        return amount_minor
    account = leg_account(leg.account, leg.currency)
    if isinstance(account, FieldError):
        return account
    return Posting(account, amount_minor if leg.side == "credit" else -amount_minor, leg.currency)


def leg_account(text: str, currency: str, pointer: str = "/account") -> bytes | FieldError:
    """An account by its id, or one of the operator's by its name."""
    if text in _SYSTEM:
        return system_account(_SYSTEM[text], currency)
    account = parse_account(text, pointer)
    if isinstance(account, FieldError) and not text.startswith(f"{ACCOUNT}_"):
        names = ", ".join(_SYSTEM)
        return FieldError(pointer, Fault.FIELD_INVALID, f"Send an account id, or one of: {names}.")
    return account


def shown_legs(legs: Iterable[Posting]) -> list[Leg]:
    """Legs as JSON shows them."""
    return [_leg(leg) for leg in legs]


def _leg(leg: Posting) -> Leg:
    assert leg.currency in EXPONENTS, leg
    return Leg(
        account=account_text(leg.account),
        account_name=system_name(leg.account) or None,
        side="debit" if leg.amount_minor < 0 else "credit",
        amount=format_minor(abs(leg.amount_minor), leg.currency),
        amount_minor=abs(leg.amount_minor),
        currency=leg.currency,
    )

"""What deposits and wallets look like: one Struct each, for encoding and for OpenAPI alike."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ingest_api.cash.bodies import ReturnBody, WalletBody
from ingest_api.http.bodies import WithdrawalBody
from ingest_api.http.resources import Balance, account_text, rfc3339
from ingest_api.journals.reads import FoundJournal
from payments.identifiers import JOURNAL, PAYMENT, format_id
from payments.money import format_minor
from payments.terms.methods import METHOD_OF


class Deposit(msgspec.Struct):
    """Money that came in by a method. What is `uncollected` is posted, and available once it has cleared."""

    id: str
    status: Literal["available", "uncollected", "returned"]
    account: str
    method: str
    amount: str
    amount_minor: int
    currency: str
    description: str
    return_code: str | None
    deposited_at: str
    changed_at: str


class Withdrawal(msgspec.Struct):
    """Money that went out by a method. `amount` is what the account paid, `fee` what of it was the operator's and does
    not come back. `return_journal_id` is the journal by which the rest came back.
    """

    id: str
    status: Literal["posted", "returned"]
    account: str
    method: str
    amount: str
    amount_minor: int
    fee: str
    fee_minor: int
    currency: str
    description: str
    return_code: str | None
    return_journal_id: str | None
    posted_at: str
    changed_at: str


class WalletBalance(msgspec.Struct):
    """What a user has, currency by currency."""

    user: str
    balances: list[Balance]


RESOURCES: tuple[type, ...] = (WithdrawalBody, WalletBody, ReturnBody, Deposit, Withdrawal, WalletBalance)


def shown_deposit(row: Mapping[str, Any]) -> Deposit:
    """A deposit of a row."""
    status: Literal["available", "uncollected", "returned"] = "uncollected" if row["is_waiting"] else "available"
    return Deposit(
        id=format_id(PAYMENT, row["payment_id"].bytes),
        status="returned" if row["return_code"] is not None else status,
        account=account_text(row["payee"].bytes),
        method=METHOD_OF[row["payer"].bytes],
        amount=format_minor(row["amount_minor"], row["currency"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        description=row["description"] or "",
        return_code=row["return_code"],
        deposited_at=rfc3339(row["decided_at"]),
        changed_at=rfc3339(row["changed_at"]),
    )


def shown_withdrawal(
    row: Mapping[str, Any], paid_out_minor: int, return_id: bytes, back: FoundJournal | None
) -> Withdrawal:
    """A withdrawal of a row, of which so much reached its method, and what came back of it."""
    fee_minor = row["amount_minor"] - paid_out_minor
    returned_at = back.posted_at if back is not None else None
    is_back = back is not None and returned_at is not None
    return Withdrawal(
        id=format_id(PAYMENT, row["payment_id"].bytes),
        status="returned" if is_back else "posted",
        account=account_text(row["payer"].bytes),
        method=METHOD_OF[row["payee"].bytes],
        amount=format_minor(row["amount_minor"], row["currency"]),
        amount_minor=row["amount_minor"],
        fee=format_minor(fee_minor, row["currency"]),
        fee_minor=fee_minor,
        currency=row["currency"],
        description=row["description"] or "",
        return_code=back.reason if back is not None and is_back else None,
        return_journal_id=format_id(JOURNAL, return_id) if is_back else None,
        posted_at=rfc3339(row["posted_at"]),
        changed_at=rfc3339(returned_at or row["posted_at"]),
    )

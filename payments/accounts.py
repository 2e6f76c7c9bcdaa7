"""One account as its partition sees it, and the refusals that depend on it alone."""

from enum import IntEnum
from typing import NamedTuple

from payments.money import MAX_MINOR
from payments.rejections import Reason


class AccountStatus(IntEnum):
    """The value is the wire value in snapshots: append only."""

    OPEN = 0
    FROZEN = 1
    """Neither debits nor credits; returns still arrive."""
    CLOSED = 2
    DEBITS_FROZEN = 3
    """Credits arrive, nothing leaves."""
    DORMANT = 4
    """Not used for long: credits arrive, nothing leaves until it is woken."""


class AccountType(IntEnum):
    """The value is the wire value: append only."""

    CHECKING = 0
    SAVINGS = 1
    WALLET = 2
    MERCHANT = 3
    """What it receives is remembered, because it may be refunded or disputed."""


class Account(NamedTuple):
    """`available_minor` = posted balance less what is reserved or in flight."""

    currency: str
    available_minor: int
    overdraft_limit_minor: int = 0
    status: AccountStatus = AccountStatus.OPEN
    type: AccountType = AccountType.CHECKING
    is_limited: bool = False
    """It has limits of its own: every payment of it is assessed, whether or not there are rules."""


_DEBIT_REFUSALS = {
    AccountStatus.FROZEN: Reason.ACCOUNT_FROZEN,
    AccountStatus.CLOSED: Reason.ACCOUNT_CLOSED,
    AccountStatus.DEBITS_FROZEN: Reason.ACCOUNT_DEBITS_FROZEN,
    AccountStatus.DORMANT: Reason.ACCOUNT_DORMANT,
}
_CREDIT_REFUSALS = {AccountStatus.FROZEN: Reason.PAYEE_FROZEN, AccountStatus.CLOSED: Reason.PAYEE_CLOSED}


def debit_refusal(account: Account | None, amount_minor: int, currency: str) -> Reason | None:
    """Why this account cannot pay, or None where it can. Order: existence, standing, currency, funds."""
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.status is not AccountStatus.OPEN:
        return _DEBIT_REFUSALS[account.status]
    if account.currency != currency:
        return Reason.CURRENCY_MISMATCH
    if account.available_minor - amount_minor < -account.overdraft_limit_minor:
        return Reason.INSUFFICIENT_FUNDS
    return None


def credit_refusal(account: Account | None, amount_minor: int, currency: str) -> Reason | None:
    """Why this account cannot receive, or None where it can."""
    if account is None:
        return Reason.PAYEE_NOT_FOUND
    if account.status is not AccountStatus.OPEN and account.status in _CREDIT_REFUSALS:
        return _CREDIT_REFUSALS[account.status]
    if account.currency != currency:
        return Reason.PAYEE_CURRENCY_MISMATCH
    if account.available_minor + amount_minor > MAX_MINOR:
        return Reason.BALANCE_LIMIT_EXCEEDED
    return None

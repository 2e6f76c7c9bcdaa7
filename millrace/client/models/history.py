"""Entries, statements, journals and rates."""

import msgspec

from millrace.client.models.model import Model


class AccountEntry(Model, kw_only=True):
    """One entry with the posted balance after it. Credits are positive, debits negative. `counterparty_name` says
    what an account of the operator is for. `fee` is what the operator has charged for the payment, to the one
    party or the other.
    """

    journal_id: str
    at: str
    kind: str
    amount: str
    amount_minor: int
    balance: str
    balance_minor: int
    counterparty: str | None = None
    counterparty_name: str | None = None
    description: str
    fee: str
    fee_minor: int


class StatementTotal(Model, kw_only=True):
    """Entries of a kind in the month."""

    kind: str
    credits: int
    credited: str
    credited_minor: int
    fees_on_credits: str
    fees_on_credits_minor: int
    debits: int
    debited: str
    debited_minor: int
    fees_on_debits: str
    fees_on_debits_minor: int


class Statement(Model, kw_only=True):
    """A month or a year (UTC) of an account: `from` is inclusive, `to` exclusive. `final`: no entry can join it any
    more. The closing balance is the opening balance of the next period; available, held and incoming are as they stood
    then.
    """

    account: str
    currency: str
    month: str | None
    year: str | None
    from_: str = msgspec.field(name="from")
    to: str
    as_of: str
    final: bool
    opening_balance: str
    opening_balance_minor: int
    closing_balance: str
    closing_balance_minor: int
    closing_available: str
    closing_available_minor: int
    closing_held: str
    closing_held_minor: int
    closing_incoming: str
    closing_incoming_minor: int
    entries: list[AccountEntry]
    totals: list[StatementTotal]


class Leg(Model, kw_only=True):
    """One leg of a journal. `account_name` says what an account of the operator is for."""

    account: str
    account_name: str | None = None
    side: str
    amount: str
    amount_minor: int
    currency: str


class Journal(Model, kw_only=True):
    """A journal with the legs that the caller may look at. `code`: why it was cancelled."""

    id: str
    status: str
    legs: list[Leg]
    description: str
    reason: str
    code: str | None = None
    opened_at: str | None = None
    posted_at: str | None = None


class LedgerEntry(AccountEntry, kw_only=True):
    """An entry with the account that it is of."""

    account: str
    currency: str


class FxQuote(Model, kw_only=True):
    """An offer to convert this amount, once, until it expires. `rate` is the mid rate: units of the buy currency for
    one of the sell currency; the spread and one rounding by the rule are in what is bought, or sold.
    """

    id: str
    sell_amount: str
    sell_amount_minor: int
    sell_currency: str
    buy_amount: str
    buy_amount_minor: int
    buy_currency: str
    fixed_side: str
    rate: str
    spread_basis_points: int
    rounding: str
    quoted_at: str
    expires_at: str
    used: bool

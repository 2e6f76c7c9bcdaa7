"""Accounts, payments and what moves or holds money."""

from millrace.client.models.model import Model


class Step(Model, kw_only=True):
    """One step of a payment and where it stands in the log."""

    status: str
    at: str
    topic: str
    partition: int
    offset: int
    item: int | None = None
    ledger_sequence: int | None = None
    journal_id: str | None = None
    code: str | None = None


class Payment(Model, kw_only=True):
    """A transfer or a deposit. `reason` says why it was refused or came back."""

    id: str
    status: str
    final: bool
    from_account: str
    to_account: str
    amount: str
    amount_minor: int
    currency: str
    description: str = ""
    reason: str | None = None
    journal_id: str | None = None
    decided_at: str | None = None
    posted_at: str | None = None
    returned_at: str | None = None
    timeline: list[Step] | None = None


class PaymentState(Model, kw_only=True):
    """Where a payment stands, and no more. `transfer_status`: the same in one word of `pending`, `processing`,
    `under_review`, `completed`, `cancelled` and `failed`.
    """

    id: str
    transfer_status: str
    status: str
    final: bool
    reason: str | None = None


class AccountLimits(Model, kw_only=True):
    """An account's own limits and its KYC tier. A limit that is left out is none."""

    tier: str
    per_transaction: str | None = None
    daily: str | None = None
    monthly: str | None = None


class Account(Model, kw_only=True):
    """An account. Without `status` the opening is not decided yet."""

    id: str
    type: str
    currency: str
    overdraft_limit: str | None = None
    overdraft_limit_minor: int | None = None
    status: str | None = None
    opened_at: str | None = None
    changed_at: str | None = None
    limits: AccountLimits | None = None


class CommandOutcome(Model, kw_only=True):
    """One command of a change. Without `decided_at` it is not decided yet."""

    command: str
    decided_at: str | None = None
    code: str | None = None


class AccountChange(Model, kw_only=True):
    """What was asked of an account, command by command."""

    account: str
    commands: list[CommandOutcome]


class Balance(Model, kw_only=True):
    """`available` is `posted` less what is held, in flight, or not collected yet. `held` waits for a capture or for
    the other legs of a journal; `incoming` is to come: deposits that may bounce, credits of journals under way.
    """

    account: str
    currency: str
    posted: str
    posted_minor: int
    available: str
    available_minor: int
    held: str
    held_minor: int
    incoming: str
    incoming_minor: int
    as_of: str


class WalletBalance(Model, kw_only=True):
    """What a user has, currency by currency."""

    user: str
    balances: list[Balance]


class Owner(Model, kw_only=True):
    """Who has which part since when; from `until` on no more."""

    user: str
    role: str
    since: str
    until: str | None = None


class OwnerList(Model, kw_only=True):
    """The users with a part in an account."""

    account: str
    items: list[Owner]


class HeldAccount(Model, kw_only=True):
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


class WalletCurrency(Model, kw_only=True):
    """What a user's wallet holds in one currency."""

    currency: str
    posted: str
    posted_minor: int
    available: str
    available_minor: int
    accounts: list[HeldAccount]


class Wallet(Model, kw_only=True):
    """A wallet of several currencies is one account of type wallet for each."""

    user: str
    currencies: list[WalletCurrency]


class Deposit(Model, kw_only=True):
    """Money that came in by a method. What is `uncollected` is posted, and available once it has cleared."""

    id: str
    status: str
    account: str
    method: str
    amount: str
    amount_minor: int
    currency: str
    description: str
    return_code: str | None = None
    deposited_at: str
    changed_at: str


class Withdrawal(Model, kw_only=True):
    """Money that went out by a method. `amount` is what the account paid, `fee` what of it was the operator's and does
    not come back. `return_journal_id` is the journal by which the rest came back.
    """

    id: str
    status: str
    account: str
    method: str
    amount: str
    amount_minor: int
    fee: str
    fee_minor: int
    currency: str
    description: str
    return_code: str | None = None
    return_journal_id: str | None = None
    posted_at: str
    changed_at: str


class Hold(Model, kw_only=True):
    """An amount set aside. `amount` is all that was authorised, `remaining` what may still be captured."""

    id: str
    status: str
    from_account: str
    to_account: str
    amount: str
    amount_minor: int
    captured: str
    captured_minor: int
    remaining: str
    remaining_minor: int
    currency: str
    description: str
    expires_at: str
    placed_at: str | None = None
    changed_at: str | None = None
    captures: list[Payment] | None = None


class Evidence(Model, kw_only=True):
    """A document, by its hash, and when it was handed in."""

    sha256: str
    at: str


class Dispute(Model, kw_only=True):
    """A payment that its payer contests. While it is `open` the amount lies with neither side. `won` and `lost` are
    the merchant's; `owed` is what the merchant did not have, and owes.
    """

    id: str
    status: str
    payment_id: str
    merchant_account: str
    customer_account: str
    amount: str
    amount_minor: int
    fee: str
    fee_minor: int
    currency: str
    provisional: bool
    description: str
    receivable_id: str | None = None
    owed: str | None = None
    owed_minor: int | None = None
    opened_at: str | None = None
    resolved_at: str | None = None
    evidence: list[Evidence] | None = None
    provider_fee: str | None = None
    provider_fee_minor: int | None = None


class Receivable(Model, kw_only=True):
    """What an account owes, because an involuntary debit found too little."""

    id: str
    status: str
    account: str
    owed: str
    owed_minor: int
    currency: str
    opened_at: str
    changed_at: str


class Position(Model, kw_only=True):
    """Last command of a request in one partition of the log."""

    topic: str
    partition: int
    offset: int


class LineRefusal(Model, kw_only=True):
    """A batch line that was not taken, counted from 1. Nothing of it moved."""

    line: int
    code: str
    detail: str
    pointer: str


class LineAccepted(Model, kw_only=True):
    """A batch line that Kafka has: the payment (or account) that it means."""

    line: int
    id: str


class BatchReceipt(Model, kw_only=True):
    """Every accepted line is in Kafka; the outcomes follow."""

    accepted: int
    rejected: list[LineRefusal]
    positions: list[Position]
    lines: list[LineAccepted] | None = None

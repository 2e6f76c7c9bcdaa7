"""What the model keeps: every account, posting and open matter of the whole ledger in plain dictionaries.

No shards, messages or entries shape it. Two sums are kept apart on purpose: what is *available* is moved by the rules
of each kind, what is *posted* by the legs of its journal entries. `check` compares them: an account's available balance
is what is posted to it, less all that is held, on its way, uncollected or promised to a journal.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from payments.accounts import AccountStatus, AccountType
from payments.commerce.connector import ConnectorOperation, Decline, Outcome
from payments.entries import Credit, Step
from payments.identifiers import derive_consequence_id, system_account
from payments.items import details
from payments.items.details import OrderStatus, Posting
from payments.money import EXPONENTS
from payments.postings import SystemAccount
from payments.rejections import Reason
from payments.risk.limits import NO_LIMIT, Tier

HOUR_US = 3_600_000_000
KEY_HOURS = 72
RECEIPT_HOURS = 180 * 24
GRACE_US = 14 * 24 * HOUR_US
KEPT_US = RECEIPT_HOURS * HOUR_US + GRACE_US
"""For so long nothing is forgotten of what was charged, given back or settled; then it is looked at."""

OPERATORS = {system_account(code, currency): currency for code in SystemAccount for currency in EXPONENTS}
"""The operator's own accounts with their currencies."""


def is_operators(account: bytes) -> bool:
    """An id of the form that no customer's account has, whether or not the operator has such an account."""
    return account[6] >> 4 == 0


@dataclass
class Account:
    """A customer's account."""

    currency: str
    limit: int
    type: AccountType
    standing: AccountStatus = AccountStatus.OPEN
    available: int = 0
    limits: tuple[int, int, int] = (NO_LIMIT, NO_LIMIT, NO_LIMIT)
    """At once, in a day, in a month."""
    tier: Tier = Tier.UNVERIFIED
    newest_attempt_us: int = 0
    spent: list[tuple[int, int]] = field(default_factory=list)
    """Time and amount of what was assessed and set aside."""


@dataclass
class Hold:
    payer: bytes
    payee: bytes
    amount: int
    """What may still be captured."""
    captured: int
    currency: str
    expires_at_us: int
    is_review: bool = False


@dataclass
class Review:
    """A payment that waits for people; it has the id of its hold."""

    payer: bytes
    legs: tuple[Posting, ...]
    needed: int
    approved_by: tuple[bytes, ...] = ()


@dataclass
class Deposit:
    """Posted and not yet available."""

    account: bytes
    amount: int
    currency: str
    refunding: int = 0
    """Taken out of the amount by refunds that a provider has not done yet, and by open disputes."""


@dataclass
class Payment:
    """Received by a merchant, or paid in: it may have to be given back."""

    payer: bytes
    payee: bytes
    amount: int
    currency: str


@dataclass
class GivenBack:
    """What was refunded or disputed of a payment, also where it has come back since."""

    payee: bytes
    amount: int
    refunded: int = 0
    disputed: int = 0
    under_way: int = 0
    """Disputes that are open, refunds that a provider has not done."""
    ends_at_us: int = 0


@dataclass
class Dispute:
    merchant: bytes
    payment_id: bytes
    customer: bytes
    amount: int
    currency: str
    is_provisional: bool
    uncollected: int = 0
    """What of it was not available to the merchant yet."""


@dataclass
class Debt:
    account: bytes
    amount: int
    currency: str


@dataclass
class Leg:
    """One leg of a journal, reserved at its account."""

    account: bytes
    journal_id: bytes
    amount: int
    currency: str
    is_posted: bool = False
    uncollected: int = 0
    """Of a refund: what was not available yet."""


@dataclass
class Order:
    """A seller's part of a checkout."""

    checkout: bytes
    name: str
    """What the caller and the provider call it."""
    provider: str
    buyer: str
    seller: bytes
    amount: int
    currency: str
    on_delivery: bool
    status: OrderStatus = OrderStatus.NOT_STARTED
    reason: Reason = Reason.NONE
    reference: str = ""
    refunded: int = 0
    ends_at_us: int = 0


@dataclass
class Settlement:
    """What people say of a request."""

    owner: bytes
    succeeded: bool
    reference: str
    by: tuple[bytes, ...]
    contradiction: str = ""
    ends_at_us: int = 0


@dataclass
class Request:
    """What a provider has to do before a journal is posted; it has the journal's id."""

    owner: bytes
    provider: str
    operation: ConnectorOperation
    order_id: bytes
    name: str
    amount: int
    currency: str
    key: str
    token: str = ""
    refers_to: str = ""
    attempt: int = 0
    outcome: Outcome = Outcome.PENDING
    follows: bool = True
    decline: Decline = Decline.NONE
    reference: str = ""
    fee: int = 0
    fee_currency: str = ""


@dataclass
class Journal:
    """Waits for the answers of its legs, and then perhaps for a provider."""

    owner: bytes
    legs: tuple[Posting, ...]
    awaited: int
    reply_to: bytes
    refusal: Reason = Reason.NONE


class Memory:
    """Remembers by the hour, place by place: for `hours`, counted from the newest thing remembered at the place."""

    def __init__(self, hours: int) -> None:
        self._hours = hours
        self._newest: Counter[int] = Counter()
        self._kept: dict[tuple[int, bytes], int] = {}

    def remember(self, place: int, id_: bytes, time_us: int) -> None:
        self._newest[place] = max(self._newest[place], time_us // HOUR_US)
        self._kept[place, id_] = self._newest[place]

    def knows(self, place: int, id_: bytes) -> bool:
        hour = self._kept.get((place, id_))
        return hour is not None and hour >= self._newest[place] - self._hours

    def known(self, place: int) -> set[bytes]:
        """All that a place remembers."""
        return {id_ for at, id_ in self._kept if at == place and self.knows(at, id_)}


At = tuple[int, bytes]
"""A place and an id, which names two payments at two places where a key was used again after its time."""


@dataclass
class State:
    """The whole ledger. `home` names the place where an account is decided; only memories need it."""

    home: Callable[[bytes], int]
    accounts: dict[bytes, Account] = field(default_factory=dict)
    posted: Counter[tuple[bytes, str]] = field(default_factory=Counter)
    holds: dict[bytes, Hold] = field(default_factory=dict)
    deposits: dict[At, Deposit] = field(default_factory=dict)
    payments: dict[At, Payment] = field(default_factory=dict)
    given_back: dict[At, GivenBack] = field(default_factory=dict)
    disputes: dict[bytes, Dispute] = field(default_factory=dict)
    debts: dict[bytes, Debt] = field(default_factory=dict)
    legs: dict[bytes, Leg] = field(default_factory=dict)
    journals: dict[bytes, Journal] = field(default_factory=dict)
    reviews: dict[bytes, Review] = field(default_factory=dict)
    orders: dict[bytes, Order] = field(default_factory=dict)
    requests: dict[bytes, Request] = field(default_factory=dict)
    settlements: dict[bytes, Settlement] = field(default_factory=dict)
    rules: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Place → version and text of the rule set in force."""
    attempts: dict[bytes, list[tuple[int, bytes]]] = field(default_factory=dict)
    """Device → time and payer of each attempt that its place was told of."""
    under_way: set[Credit] = field(default_factory=set)
    """What one account was told of another and has not heard yet."""
    receipts: Memory = field(default_factory=lambda: Memory(RECEIPT_HOURS))

    def at(self, account: bytes, id_: bytes) -> At:
        """What this id names where the account is."""
        return self.home(account), id_

    def available(self, account: bytes) -> int:
        """0 for the operator's accounts and for strangers."""
        return self.accounts[account].available if account in self.accounts else 0

    def move(self, account: bytes, amount: int) -> None:
        """Change what is available, where there is such a thing."""
        if account in self.accounts:
            self.accounts[account].available += amount

    def post(self, *legs: Posting) -> tuple[Posting, ...]:
        """One journal entry."""
        sums: Counter[str] = Counter()
        for leg in legs:
            sums[leg.currency] += leg.amount_minor
            self.posted[leg.account, leg.currency] += leg.amount_minor
        assert not any(sums.values()), f"does not balance: {legs}"
        return legs

    def received(self, payment_id: bytes, payment: Payment, time_us: int) -> None:
        """Keep a payment that may have to be given back."""
        self.payments[self.at(payment.payee, payment_id)] = payment
        self.receipts.remember(self.home(payment.payee), payment_id, time_us)

    def give_back(
        self,
        payee: bytes,
        payment_id: bytes,
        refunded: int = 0,
        disputed: int = 0,
        under_way: int = 0,
        time_us: int = 0,
    ) -> details.GivenBack:
        """More of a payment is refunded or disputed at this time, or (below 0, whenever) less."""
        given = self.given_back[self.at(payee, payment_id)] = self.given(payee, payment_id)
        if refunded > 0 or disputed > 0:
            paid = self.payments[self.at(payee, payment_id)]
            given.amount = paid.amount  # another, where a key was used again after its time
            given.ends_at_us = time_us + KEPT_US
        given.under_way += under_way
        given.refunded += refunded
        given.disputed += disputed
        return given_back_item(payment_id, given)

    def given(self, payee: bytes, payment_id: bytes) -> GivenBack:
        """What was given back of a payment so far."""
        paid = self.payments[self.at(payee, payment_id)]
        return self.given_back.get(self.at(payee, payment_id)) or GivenBack(paid.payee, paid.amount)

    def left_of(self, payee: bytes, payment_id: bytes) -> int:
        """What may still be given back."""
        given = self.given(payee, payment_id)
        return self.payments[self.at(payee, payment_id)].amount - given.refunded - given.disputed

    def has_open_items(self, account: bytes) -> bool:
        """Something is begun that may still move the account's money, or that it owes."""
        return (
            any(hold.payer == account for hold in self.holds.values())
            or any(deposit.account == account for deposit in self.deposits.values())
            or any(dispute.merchant == account for dispute in self.disputes.values())
            or any(debt.account == account for debt in self.debts.values())
            or any(leg.account == account for leg in self.legs.values())
            or any(journal.owner == account for journal in self.journals.values())
        )

    def items(self) -> list[details.OpenItem]:
        """Everything open, in the words of the pipeline."""
        return [
            *(hold_item(id_, hold) for id_, hold in self.holds.items()),
            *(deposit_item(id_, deposit) for (_, id_), deposit in self.deposits.items()),
            *(given_back_item(id_, given) for (_, id_), given in self.given_back.items()),
            *(dispute_item(id_, dispute) for id_, dispute in self.disputes.items()),
            *(debt_item(id_, debt) for id_, debt in self.debts.items()),
            *(leg_item(id_, leg) for id_, leg in self.legs.items()),
            *(review_item(id_, review) for id_, review in self.reviews.items()),
            *(journal_item(id_, journal, is_open=True) for id_, journal in self.journals.items()),
            *(order_item(id_, order) for id_, order in self.orders.items()),
            *(request_item(id_, request) for id_, request in self.requests.items()),
            *(settlement_item(id_, settlement) for id_, settlement in self.settlements.items()),
        ]

    def check(self) -> None:
        """Money is conserved, nobody is below the limit, and available and posted balances explain each other."""
        totals: Counter[str] = Counter()
        for (_, currency), amount in self.posted.items():
            totals[currency] += amount
        assert not any(totals.values()), f"the postings do not add up to zero: {dict(totals)}"
        apart = self._apart()
        for id_, account in self.accounts.items():
            assert account.available >= -account.limit, f"{id_.hex()} is overdrawn: {account}"
            expected = self.posted[id_, account.currency] - apart[id_]
            assert account.available == expected, f"{id_.hex()}: available {account.available}, explained {expected}"
        strange = [key for key, sum_ in self.posted.items() if sum_ and not self._holds_currency(*key)]
        assert not strange, f"posted in another currency than the account's: {strange}"

    def _apart(self) -> Counter[bytes]:
        """Per account: what is posted and not available, or taken and not yet posted."""
        apart: Counter[bytes] = Counter()
        for hold in self.holds.values():
            apart[hold.payer] += hold.amount
        for deposit in self.deposits.values():
            apart[deposit.account] += deposit.amount
        for message in self.under_way:
            if message.step is Step.CREDIT:
                apart[message.payer] += message.amount_minor
        for leg in self.legs.values():
            if leg.is_posted != (leg.amount < 0):  # a debit not yet posted, or a credit posted and not yet settled
                apart[leg.account] += abs(leg.amount)
        return apart

    def _holds_currency(self, account: bytes, currency: str) -> bool:
        if account in self.accounts:
            return self.accounts[account].currency == currency
        return OPERATORS.get(account) == currency


def journal_cause(journal_id: bytes) -> details.Cause:
    return details.Cause(details.CauseKind.JOURNAL, journal_id)


def leg_id(journal_id: bytes, index: int) -> bytes:
    return derive_consequence_id(journal_id, f"leg {index}")


def hold_item(id_: bytes, hold: Hold, is_open: bool = True) -> details.Hold:
    amount = hold.amount if is_open else 0
    return details.Hold(
        id_,
        hold.payer,
        hold.payee,
        amount,
        hold.captured,
        hold.currency,
        hold.expires_at_us,
        is_open,
        hold.is_review,
    )


def review_item(id_: bytes, review: Review, is_open: bool = True) -> details.Review:
    return details.Review(id_, review.payer, review.legs, review.needed, review.approved_by, is_open)


def deposit_item(id_: bytes, deposit: Deposit, is_open: bool = True) -> details.Uncollected:
    return details.Uncollected(id_, deposit.account, deposit.amount, deposit.currency, is_open, deposit.refunding)


def wait_again(state: State, payee: bytes, id_: bytes, taken: int, kept: int) -> tuple[details.Uncollected, ...]:
    """A refund or dispute that had `taken` of what is not available yet is over: what is kept of it waits again."""
    waiting = state.deposits.get(state.at(payee, id_))
    if waiting is None or not taken:
        return ()
    waiting.refunding -= taken
    waiting.amount += kept
    is_open = waiting.amount > 0 or waiting.refunding > 0
    if not is_open:
        del state.deposits[state.at(payee, id_)]
    return (deposit_item(id_, waiting, is_open),)


def given_back_item(id_: bytes, given: GivenBack, is_open: bool = True) -> details.GivenBack:
    return details.GivenBack(
        id_, given.payee, given.amount, given.refunded, given.disputed, is_open, given.under_way, given.ends_at_us
    )


def settlement_item(id_: bytes, settlement: Settlement, is_open: bool = True) -> details.AttemptSettlement:
    return details.AttemptSettlement(
        id_,
        settlement.owner,
        settlement.succeeded,
        settlement.reference,
        settlement.by,
        settlement.contradiction,
        settlement.ends_at_us,
        is_open,
    )


def dispute_item(id_: bytes, dispute: Dispute, is_open: bool = True) -> details.Dispute:
    return details.Dispute(
        id_,
        dispute.merchant,
        dispute.payment_id,
        dispute.customer,
        dispute.amount,
        dispute.currency,
        dispute.is_provisional,
        is_open,
        dispute.uncollected,
    )


def debt_item(id_: bytes, debt: Debt) -> details.Receivable:
    return details.Receivable(id_, debt.account, debt.amount, debt.currency, is_open=debt.amount > 0)


def leg_item(id_: bytes, leg: Leg, is_open: bool = True) -> details.JournalLeg:
    return details.JournalLeg(id_, leg.account, leg.journal_id, leg.amount, leg.currency, is_open, leg.uncollected)


def journal_item(id_: bytes, journal: Journal, is_open: bool) -> details.Journal:
    return details.Journal(
        id_, journal.owner, journal.legs, journal.awaited, journal.refusal, journal.reply_to, is_open
    )


def order_item(id_: bytes, order: Order, is_open: bool = True) -> details.PaymentOrder:
    return details.PaymentOrder(
        id_,
        order.checkout,
        order.name,
        order.provider,
        order.buyer,
        order.seller,
        order.amount,
        order.currency,
        order.on_delivery,
        order.status,
        order.reason,
        order.reference,
        order.refunded,
        is_open,
        order.ends_at_us,
    )


def request_item(id_: bytes, request: Request, is_open: bool = True) -> details.ProviderRequest:
    return details.ProviderRequest(
        id_,
        request.owner,
        request.provider,
        request.operation,
        request.order_id,
        request.name,
        request.amount,
        request.currency,
        request.key,
        request.token,
        request.refers_to,
        request.attempt,
        request.outcome,
        request.follows,
        request.decline,
        request.reference,
        is_open,
        request.fee,
        request.fee_currency,
    )

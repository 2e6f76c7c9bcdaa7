"""What an entry carries beyond its fixed fields: legs, cause, and the open items of the book as they stand after it.

An open item is what accounting calls one: something begun that a later command or answer ends. The entry states it
whole, so that nothing is computed twice and whoever reads the ledger needs no rule to know what is open.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from payments.accounts import AccountType
from payments.items.outside import AttemptSettlement as AttemptSettlement
from payments.items.outside import OrderStatus as OrderStatus
from payments.items.outside import PaymentOrder as PaymentOrder
from payments.items.outside import ProviderRequest as ProviderRequest
from payments.rejections import Reason
from payments.risk.activity import Key
from payments.risk.limits import Tier


class Posting(NamedTuple):
    """One leg: credits are positive, debits negative."""

    account: bytes
    amount_minor: int
    currency: str


class Legs(NamedTuple):
    """Every leg of a journal entry, in place of the two that its fixed fields would mean."""

    legs: tuple[Posting, ...]


class CauseKind(IntEnum):
    """What an entry follows from. The value is the wire value: append only."""

    CAPTURE = 0
    REFUND = 1
    DEPOSIT = 2
    DISPUTE = 3
    RECEIVABLE = 4
    JOURNAL = 5
    REVIEW = 6


class Cause(NamedTuple):
    """The hold, payment, deposit, dispute, receivable or journal that an entry follows from."""

    kind: CauseKind
    cause_id: bytes
    code: str = ""
    """Reason code of the method's own network (R01, AC04 …) where there is one."""


class Opening(NamedTuple):
    """What an opened account is."""

    type: AccountType


class Assessed(NamedTuple):
    """The verdict of limits and rules on a payment: enough to explain it, and to evolve the account's profile."""

    verdict: bytes
    """payments.risk.verdict.encode."""


class RiskTerms(NamedTuple):
    """An account's own limits, in minor units of its currency, and its KYC tier."""

    per_transaction_minor: int
    daily_minor: int
    monthly_minor: int
    tier: Tier


class OrderTerms(NamedTuple):
    """The payment order that a leg at its seller belongs to."""

    order_id: bytes
    clearing_account: bytes
    """The provider's, which paid."""
    amount_minor: int
    """Of the order."""
    is_on_delivery: bool


class Observation(NamedTuple):
    """One attempt as the shard of a key that spans accounts counts it; amount and currency are its entry's."""

    of: Key
    keys: tuple[bytes, ...]
    """Of the attempt, by Key."""
    at_us: int
    """When it was decided, at the payer's shard."""
    approved: bool


class PublishedValue(NamedTuple):
    """What is 0 is left out."""

    feature: int
    """Its position in payments.risk.features."""
    value: int


class Published(NamedTuple):
    """Features over all accounts, as the shard of their key tells those that asked of it lately."""

    of: Key
    key: bytes
    currency: str
    """Of the sums."""
    at_us: int
    values: tuple[PublishedValue, ...]
    askers: tuple[bytes, ...]
    """An account of each shard that is told; nobody in what it is told."""


class Hold(NamedTuple):
    """An amount set aside for one payee. `amount_minor` is what may still be captured."""

    item_id: bytes
    owner: bytes
    """The payer."""
    payee: bytes
    amount_minor: int
    captured_minor: int
    currency: str
    expires_at_us: int
    is_open: bool
    is_review: bool = False
    """It waits for an analyst, not for its payee."""


class Uncollected(NamedTuple):
    """A deposit, or a payment order before its delivery, that is posted and not yet available."""

    item_id: bytes
    owner: bytes
    amount_minor: int
    currency: str
    is_open: bool
    refunding_minor: int = 0
    """What refunds under way and open disputes have taken out of `amount_minor`: it waits again where they fail."""


class GivenBack(NamedTuple):
    """How much of one received payment was refunded or is disputed: what refuses one refund more, for as long as its
    receipt is remembered.
    """

    item_id: bytes
    """The payment."""
    owner: bytes
    """Who received it."""
    amount_minor: int
    """Of the payment."""
    refunded_minor: int
    disputed_minor: int
    is_open: bool = True
    under_way: int = 0
    """Disputes that are open, and refunds that a provider has not done yet."""
    ends_at_us: int = 0
    """When it is looked at whether it may be forgotten (payments.items.endings)."""


class Dispute(NamedTuple):
    """A payment that its payer contests; the amount lies on the disputes account until it is resolved."""

    item_id: bytes
    owner: bytes
    """The merchant."""
    payment_id: bytes
    customer: bytes
    amount_minor: int
    currency: str
    is_provisional: bool
    """The customer has the amount already and owes it again if the merchant wins."""
    is_open: bool
    uncollected_minor: int = 0
    """What of it was not available to the merchant yet when it was opened."""


class Receivable(NamedTuple):
    """What an account owes because an involuntary debit found too little."""

    item_id: bytes
    """The operation that found too little."""
    owner: bytes
    amount_minor: int
    currency: str
    is_open: bool


class JournalLeg(NamedTuple):
    """One leg of a journal that is neither posted nor cancelled yet, at the shard of its account."""

    item_id: bytes
    owner: bytes
    journal_id: bytes
    amount_minor: int
    currency: str
    is_open: bool
    uncollected_minor: int = 0
    """What of a refund came from the order's uncollected amount; the rest left the available balance."""


class Journal(NamedTuple):
    """A journal at its coordinating shard, until every leg has answered."""

    item_id: bytes
    owner: bytes
    """The first leg's account."""
    legs: tuple[Posting, ...]
    awaited: int
    """Answers that are still out."""
    refusal: Reason
    """The first leg's refusal, or NONE."""
    reply_to: bytes
    is_open: bool


class Review(NamedTuple):
    """A payment that a rule holds until people have decided."""

    item_id: bytes
    """The hold that sets its amount aside."""
    owner: bytes
    legs: tuple[Posting, ...]
    """What it will post, where legs were stated."""
    approvals_needed: int
    """Two from the reporting threshold on: four eyes."""
    approved_by: tuple[bytes, ...]
    """Analysts, each once."""
    is_open: bool


class Rules(NamedTuple):
    """The rule set in force at a shard."""

    item_id: bytes
    owner: bytes
    """RULES_OWNER: no account."""
    version: int
    text: str
    is_open: bool = True


class RiskProfile(NamedTuple):
    """What is kept of an account for its limits and rules: evolved from what entries record, never stated by one."""

    item_id: bytes
    owner: bytes
    state: bytes
    """payments.risk.state.encode."""
    is_open: bool = True


class KeyCounts(NamedTuple):
    """What is counted of a payee, card, device or address over all accounts: evolved from observations."""

    item_id: bytes
    owner: bytes
    """payments.spanning.keeping.set_of: no account."""
    seen_at_us: int
    state: bytes
    """payments.spanning.counts.Counts."""
    is_open: bool = True


class KeyLearned(NamedTuple):
    """What a payer's shard was told of such a key: evolved from publications."""

    item_id: bytes
    owner: bytes
    seen_at_us: int
    state: bytes
    """payments.spanning.counts.Learned."""
    is_open: bool = True


OpenItem = (
    Hold
    | Uncollected
    | GivenBack
    | Dispute
    | Receivable
    | JournalLeg
    | Journal
    | Review
    | Rules
    | RiskProfile
    | PaymentOrder
    | ProviderRequest
    | KeyCounts
    | KeyLearned
    | AttemptSettlement
)
"""`owner` is the account at whose shard, and in whose snapshot page, the item is kept."""

OPEN_ITEMS: tuple[type[OpenItem], ...] = (
    Hold,
    Uncollected,
    GivenBack,
    Dispute,
    Receivable,
    JournalLeg,
    Journal,
    Review,
    Rules,
    RiskProfile,
    PaymentOrder,
    ProviderRequest,
    KeyCounts,
    KeyLearned,
    AttemptSettlement,
)
"""The place is part of an item's key: append only."""

HINDERS_CLOSING = (Hold, Uncollected, JournalLeg, Journal, Receivable, Dispute)
"""Items of an account that can't be closed while it has one."""

Detail = Legs | Cause | Opening | Assessed | RiskTerms | OrderTerms | Observation | Published | OpenItem

RULES_OWNER: Final = bytes(15) + b"\1"
"""Owner of the rule set in a shard's book. Of the form of the operator's accounts, and none of them."""

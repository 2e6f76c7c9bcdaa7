"""What callers ask for beyond transfers and deposits: one class per instruction, with only the fields that it needs.

Imperative, without state or outcome. The first field is the *authority*: the account at whose partition the
instruction is decided, which is the scope of its idempotency key and the Kafka key of its record.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple

from payments.accounts import AccountStatus, AccountType
from payments.commands import NO_REPLY
from payments.identifiers import NIL
from payments.items.details import RULES_OWNER, Posting
from payments.risk.limits import Tier


class Attributes(NamedTuple):
    """What is known of how a payment was asked for, for the risk rules; empty where it is not known.

    The keys are keyed hashes of eight bytes, made where the payment is taken in; countries are ISO 3166-1 alpha-2.
    """

    card_key: bytes = b""
    device_key: bytes = b""
    ip_key: bytes = b""
    payer_country: str = ""
    payee_country: str = ""
    card_country: str = ""
    ip_country: str = ""


class Envelope(NamedTuple):
    """What every instruction carries."""

    idempotency_key: str
    reply_to: bytes = NO_REPLY
    description: str = ""
    attributes: Attributes = Attributes()


class Headline(NamedTuple):
    """The parties and the amount that a refusal names."""

    debit_account: bytes
    credit_account: bytes = NIL
    amount_minor: int = 0
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction to one account."""

    envelope: Envelope

    @property
    def authority(self) -> bytes:
        """The account at whose partition this is decided."""
        raise NotImplementedError

    @property
    def headline(self) -> Headline:
        """What a refusal of it shows."""
        return Headline(self.authority)

    @property
    def fingerprint(self) -> bytes:
        """Eight bytes over everything that the same key must repeat: as of `Command.fingerprint`."""
        facts = (
            type(self).__name__,
            *(getattr(self, field.name) for field in fields(self) if field.name != "envelope"),
        )
        return hashlib.blake2b(canonical((*facts, self.envelope.description)), digest_size=8).digest()


def canonical(value: object) -> bytes:
    """One text for equal values and another for others: bencoding (BEP 3), with `n` for None."""
    if value is None:
        return b"n"
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    assert isinstance(value, Iterable), value
    return b"l%be" % b"".join(map(canonical, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount(Instruction):
    """Open an account of a type."""

    account: bytes
    type: AccountType
    currency: str
    overdraft_limit_minor: int = 0

    @property
    def authority(self) -> bytes:
        return self.account


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStanding(Instruction):
    """Freeze (debits only or both), mark as dormant, open again."""

    account: bytes
    status: AccountStatus

    @property
    def authority(self) -> bytes:
        return self.account


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedTransfer(Instruction):
    """A transfer with fees, or into another currency: all legs are stated, those between payer and payee are accounts
    of the operator.
    """

    payer: bytes
    payee: bytes
    legs: tuple[Posting, ...]
    valid_until_us: int = 0
    """The first microsecond at which the prices are no longer good; 0 = they don't expire."""

    @property
    def authority(self) -> bytes:
        return self.payer

    @property
    def headline(self) -> Headline:
        paid = next((leg for leg in self.legs if leg.account == self.payer), Posting(self.payer, 0, ""))
        return Headline(self.payer, self.payee, -paid.amount_minor, paid.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold(Instruction):
    """Authorise: set an amount aside for a payee until it is captured, voided or expired."""

    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str
    expires_at_us: int

    @property
    def authority(self) -> bytes:
        return self.payer

    @property
    def headline(self) -> Headline:
        return Headline(self.payer, self.payee, self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseHold(Instruction):
    """Add an amount to an open hold (incremental authorisation)."""

    payer: bytes
    hold_id: bytes
    amount_minor: int

    @property
    def authority(self) -> bytes:
        return self.payer

    @property
    def headline(self) -> Headline:
        return Headline(self.payer, NIL, self.amount_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureHold(RaiseHold):
    """Take part or all of a hold; the final capture gives the rest back."""

    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidHold(Instruction):
    """Give back what is left of a hold."""

    payer: bytes
    hold_id: bytes

    @property
    def authority(self) -> bytes:
        return self.payer


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearDeposit(Instruction):
    """The deposit (a check) has cleared: it becomes available."""

    account: bytes
    deposit_id: bytes

    @property
    def authority(self) -> bytes:
        return self.account


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnDeposit(Instruction):
    """The deposit has bounced or was returned: take it back, involuntarily where it was available."""

    account: bytes
    deposit_id: bytes
    clearing_account: bytes
    amount_minor: int
    currency: str
    code: str

    @property
    def authority(self) -> bytes:
        return self.account

    @property
    def headline(self) -> Headline:
        return Headline(self.account, self.clearing_account, self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(Instruction):
    """Give back part or all of a received payment."""

    merchant: bytes
    """Who received the payment and pays the refund."""
    customer: bytes
    """Who paid; a clearing account where the money came through a PSP."""
    payment_id: bytes
    payment_amount_minor: int
    """Of the whole payment. Checked against what the merchant's shard remembers of it."""
    amount_minor: int
    currency: str

    @property
    def authority(self) -> bytes:
        return self.merchant

    @property
    def headline(self) -> Headline:
        return Headline(self.merchant, self.customer, self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDispute(Refund):
    """A chargeback: the payment's payer contests it. Debits the merchant whatever is there; the rest becomes a debt."""

    fee_minor: int
    is_provisional: bool
    """Credit the customer at once; owed again if the merchant wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteEvidence(Instruction):
    """Evidence was handed in for a dispute; `evidence_hash` names the document."""

    merchant: bytes
    dispute_id: bytes
    evidence_hash: bytes

    @property
    def authority(self) -> bytes:
        return self.merchant


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveDispute(Instruction):
    """The dispute has ended."""

    merchant: bytes
    dispute_id: bytes
    is_won: bool
    """By the merchant."""

    @property
    def authority(self) -> bytes:
        return self.merchant


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverReceivable(Instruction):
    """Pay part or all of a debt from the account's available balance."""

    account: bytes
    receivable_id: bytes
    amount_minor: int

    @property
    def authority(self) -> bytes:
        return self.account

    @property
    def headline(self) -> Headline:
        return Headline(self.account, NIL, self.amount_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOff(Instruction):
    """Give a debt up: it becomes a loss."""

    account: bytes
    receivable_id: bytes

    @property
    def authority(self) -> bytes:
        return self.account


@dataclass(frozen=True, slots=True, kw_only=True)
class PostJournal(Instruction):
    """A balanced journal of two to MAX_LEGS legs, posted whole or not at all. The first leg's account coordinates."""

    legs: tuple[Posting, ...]
    code: str = ""
    """Why, where it is an adjustment: break id or reason."""

    @property
    def authority(self) -> bytes:
        return self.legs[0].account if self.legs else NIL


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimits(Instruction):
    """The account's own limits and its KYC tier. payments.risk.limits.NO_LIMIT where there is none."""

    account: bytes
    per_transaction_minor: int
    daily_minor: int
    monthly_minor: int
    tier: Tier

    @property
    def authority(self) -> bytes:
        return self.account


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRules(Instruction):
    """Decide by this rule set from here on, at one shard: written once to each."""

    shard: int
    text: str
    """The YAML document of payments.risk.document."""

    @property
    def authority(self) -> bytes:
        return RULES_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideReview(Instruction):
    """An analyst approves or declines a payment that a rule holds."""

    payer: bytes
    hold_id: bytes
    analyst: bytes
    is_approved: bool

    @property
    def authority(self) -> bytes:
        return self.payer


INSTRUCTIONS: tuple[type[Instruction], ...] = (
    OpenAccount,
    SetStanding,
    PricedTransfer,
    PlaceHold,
    RaiseHold,
    CaptureHold,
    VoidHold,
    ClearDeposit,
    ReturnDeposit,
    Refund,
    OpenDispute,
    NoteEvidence,
    ResolveDispute,
    RecoverReceivable,
    WriteOff,
    PostJournal,
    SetLimits,
    SetRules,
    DecideReview,
)
"""Every kind. The name of each is that of its Avro record."""

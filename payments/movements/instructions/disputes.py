"""Refunds, disputes and the debts that they leave behind."""

from dataclasses import dataclass

from payments.identifiers import NIL
from payments.movements.instructions.instruction import Headline, Instruction


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

    LATER = frozenset({"provider_fee_minor"})

    fee_minor: int
    is_provisional: bool
    """Credit the customer at once; owed again if the merchant wins."""
    provider_fee_minor: int = 0
    """What the provider keeps for the dispute; only where the money came through one."""


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

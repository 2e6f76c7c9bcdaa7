"""Limits, rules, what analysts decide, and what the rules would say."""

from dataclasses import dataclass

from payments.entries import NO_FINGERPRINT
from payments.items.details import RULES_OWNER
from payments.movements.instructions.instruction import Instruction, PaymentInstruction
from payments.risk.limits import Tier


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessTransfer(PaymentInstruction):
    """What limits and rules would say of a transfer now. Nothing is moved, counted or remembered under its key."""

    @property
    def fingerprint(self) -> bytes:
        return NO_FINGERPRINT

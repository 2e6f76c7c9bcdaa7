"""What is asked of holds: place, raise, capture, void."""

from dataclasses import dataclass

from payments.identifiers import NIL
from payments.movements.instructions.instruction import Headline, Instruction, PaymentInstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold(PaymentInstruction):
    """Authorise: set an amount aside for a payee until it is captured, voided or expired."""

    expires_at_us: int


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

"""Transfers whose legs are stated."""

from dataclasses import dataclass

from payments.items.details import Posting
from payments.movements.instructions.instruction import Headline, Instruction


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

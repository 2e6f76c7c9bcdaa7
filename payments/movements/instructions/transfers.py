"""Transfers whose legs are stated, and those of which it is known how they were asked for."""

from dataclasses import dataclass

from payments.commands import Command, CommandKind
from payments.items.details import Posting
from payments.movements.instructions.instruction import Attributes, Envelope, Headline, Instruction, PaymentInstruction


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
class AttributedTransfer(PaymentInstruction):
    """A plain transfer with what is known of how it was asked for (the attributes of its envelope)."""

    @property
    def command(self) -> Command:
        """The transfer without them: it is decided as this one, and its key means the same payment."""
        key, reply_to, description, _ = self.envelope
        return Command(
            CommandKind.TRANSFER, self.payer, self.payee, self.amount_minor, self.currency, reply_to, key, description
        )

    @property
    def attributes(self) -> Attributes:
        """How it was asked for."""
        return self.envelope.attributes

    @property
    def fingerprint(self) -> bytes:
        return self.command.fingerprint


def attributed(transfer: Command, attributes: Attributes) -> AttributedTransfer:
    """A plain transfer, and how it was asked for."""
    _, payer, payee, amount_minor, currency, reply_to, key, description = transfer
    envelope = Envelope(key, reply_to, description, attributes)
    return AttributedTransfer(payer=payer, payee=payee, amount_minor=amount_minor, currency=currency, envelope=envelope)

"""What is asked of deposits that wait for their collection, or come back."""

from dataclasses import dataclass

from payments.movements.instructions.instruction import Headline, Instruction


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

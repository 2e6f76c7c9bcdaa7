"""What is asked of an account itself: to be opened, and its standing."""

from dataclasses import dataclass

from payments.accounts import AccountStatus, AccountType
from payments.movements.instructions.instruction import Instruction


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

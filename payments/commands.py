"""What callers ask for: commands are imperative, carry no state and no outcome.

The *authority* of a command is the account at whose partition it is decided: the payer where the payer is constrained,
else the receiver. It is the scope of the idempotency key and the Kafka key of the record.
"""

import hashlib
from enum import IntEnum
from typing import NamedTuple

from payments.identifiers import NIL

MAX_KEY_CHARS = 255
MAX_DESCRIPTION_CHARS = 140
NO_REPLY = bytes(8)


class CommandKind(IntEnum):
    """The value is the wire value (an Avro enum index): append only."""

    TRANSFER = 0
    DEPOSIT = 1
    OPEN_ACCOUNT = 2
    FREEZE_ACCOUNT = 3
    UNFREEZE_ACCOUNT = 4
    CLOSE_ACCOUNT = 5
    SET_OVERDRAFT_LIMIT = 6


class Command(NamedTuple):
    """One command. For account operations `payer` is the account and `amount_minor` the overdraft limit."""

    kind: CommandKind
    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str
    reply_to: bytes
    """API process (2 bytes) and its request number (6 bytes) that wait for the outcome; NO_REPLY where nobody waits."""
    idempotency_key: str
    description: str = ""

    @property
    def authority(self) -> bytes:
        """The account at whose partition this is decided. A deposit is paid by a system account, which has none."""
        return self.payee if self.kind == CommandKind.DEPOSIT else self.payer

    @property
    def fingerprint(self) -> bytes:
        """Eight bytes over everything that the same key must repeat. 2⁻⁶⁴: a guard against mistakes, not against
        attack.
        """
        body = b"%d\0%b%b%d\0%b\0%b" % (
            self.kind,
            self.payer,
            self.payee,
            self.amount_minor,
            self.currency.encode(),
            self.description.encode(),
        )
        return hashlib.blake2b(body, digest_size=8).digest()


def account_command(kind: CommandKind, account: bytes, idempotency_key: str, reply_to: bytes = NO_REPLY) -> Command:
    """A command that changes an account's standing and moves no money."""
    return Command(kind, account, NIL, 0, "", reply_to, idempotency_key)

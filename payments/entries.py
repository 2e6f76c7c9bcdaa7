"""What was decided: ledger entries are past tense, carry every fact that the state needs, and are the only way it
changes.
"""

from enum import IntEnum
from typing import NamedTuple

from payments.identifiers import NIL
from payments.rejections import Reason

NO_FINGERPRINT = bytes(8)
"""Carried by entries that follow a credit or a return: their operation is remembered where it was decided."""


class EntryKind(IntEnum):
    """The value is the wire value (an Avro enum index): append only."""

    RESERVED = 0
    """Authorised: the amount left the payer's available balance and is in flight."""
    REJECTED = 1
    """Refused at the authority; nothing moved."""
    POSTED = 2
    """The journal entry, both legs: Dr debit_account, Cr credit_account."""
    REFUSED = 3
    """The receiver could not take the credit; a return is on its way to the payer. Nothing moved here."""
    RETURNED = 4
    """The reserved amount is back in the payer's available balance."""
    REPLAYED = 5
    """The same key and body as before: the first outcome stands."""
    KEY_REUSED = 6
    """The same key with another body: refused, the first outcome stands."""
    QUARANTINED = 7
    """Could not be decided; the record lies in quarantine with its reason."""
    ACCOUNT_OPENED = 8
    ACCOUNT_FROZEN = 9
    ACCOUNT_UNFROZEN = 10
    ACCOUNT_CLOSED = 11
    OVERDRAFT_LIMIT_SET = 12


class Entry(NamedTuple):
    """One decision about one input item. Account entries keep the account in `debit_account` and a limit in
    `amount_minor`.
    """

    kind: EntryKind
    reason: Reason
    operation_id: bytes
    debit_account: bytes
    credit_account: bytes
    amount_minor: int
    currency: str
    available_after_minor: int
    """Available balance of the deciding account after this entry; 0 where no account decided."""
    decided_at_us: int
    """Broker time of the input record, microseconds since 1970 (UTC)."""
    fingerprint: bytes
    source_offset: int
    source_item: int
    """Place inside a packed input record, from 0."""


class Source(NamedTuple):
    """Where an input item stands in the log, and when the broker took it in."""

    offset: int
    item: int
    time_us: int


class Credit(NamedTuple):
    """A reserved amount on its way to the receiver, or (with a reason) on its way back to the payer."""

    operation_id: bytes
    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str
    reply_to: bytes
    reason: Reason = Reason.NONE


def quarantined(reason: Reason, source: Source) -> Entry:
    """The trace that a record leaves in the ledger when it could not be decided."""
    return Entry(
        EntryKind.QUARANTINED,
        reason,
        NIL,
        NIL,
        NIL,
        0,
        "",
        0,
        source.time_us,
        NO_FINGERPRINT,
        source.offset,
        source.item,
    )

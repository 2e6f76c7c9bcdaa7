"""What was decided: ledger entries are past tense, carry every fact that the state needs, and are the only way it
changes.
"""

from enum import IntEnum
from typing import NamedTuple

from payments.identifiers import NIL
from payments.items.details import Detail
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
    HELD = 13
    """An explicit hold: the amount left the payer's available balance and waits for its capture."""
    HOLD_RAISED = 14
    """The amount was added to an open hold."""
    CAPTURED = 15
    """Part or all of a hold is in flight; what a final capture leaves over is available again."""
    RELEASED = 16
    """What was left of a hold is available again: voided, expired or declined."""
    POSTED_UNCOLLECTED = 17
    """The journal entry of a deposit that may still bounce: posted, not yet available."""
    COLLECTED = 18
    """An uncollected deposit is available from here on."""
    DEBITED = 19
    """The journal entry of an involuntary debit, posted where the debited account is; its legs tell the shortfall."""
    RECEIVED = 20
    """Posted, like POSTED, to a merchant: remembered, because it may be refunded or disputed."""
    JOURNAL_OPENED = 21
    """A journal waits for the answers of its legs. Nothing moved here."""
    LEG_RESERVED = 22
    """One leg can be posted: a debit has left the available balance, a credit is expected."""
    LEG_REFUSED = 23
    LEG_SETTLED = 24
    """The journal is posted: a debit's reservation is used up, a credit is available."""
    LEG_RELEASED = 25
    """The journal is cancelled: a debit's reservation is available again."""
    JOURNAL_POSTED = 26
    """The journal entry with all legs of its detail; no balance of the deciding shard changes by it."""
    JOURNAL_CANCELLED = 27
    STANDING_SET = 28
    """The account's status is now the value in `amount_minor`."""
    NOTED = 29
    """Something about a payment became known, and moved nothing."""
    LIMITS_SET = 30
    """The account's own limits and its KYC tier are now those of its detail."""
    RULES_SET = 31
    """The shard decides by the rule set of its detail from here on."""
    ORDERS_PLACED = 32
    """The payment orders of a checkout wait, each in a journal of its own, for the answers of their sellers."""
    PROVIDER_ASKED = 33
    """Every leg of a journal is reserved, and the provider is asked to move the money outside."""
    OBSERVED = 34
    """An attempt is counted at the shard of its payee, card, device or address. Nothing moved."""
    LEARNED = 35
    """What was counted over all accounts is known at this shard from here on. Nothing moved."""
    ADVISED = 36
    """What limits and rules would say of a payment. Nothing moved, and nothing is counted."""


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
    details: tuple[Detail, ...] = ()
    """Legs beyond the two, the cause, and open items as they stand after this entry."""


class Source(NamedTuple):
    """Where an input item stands in the log, and when the broker took it in."""

    offset: int
    item: int
    time_us: int


class Step(IntEnum):
    """What a message between two shards asks for or answers. The value is the wire value: append only."""

    CREDIT = 0
    """Take this amount; on its way back: take it again."""
    COLLECT = 1
    """An involuntary debit of the payee: what is not there becomes a receivable."""
    PREPARE = 2
    """Reserve one leg of a journal."""
    PREPARED = 3
    """The leg's answer; with a reason it is refused."""
    SETTLE = 4
    """The journal is posted."""
    CANCEL = 5
    """The journal is not posted."""
    OBSERVE = 6
    """Count this attempt: the payee is the place of its payee, card, device or address."""
    LEARN = 7
    """This was counted over all accounts."""
    CONCLUDE = 8
    """People have settled an attempt: conclude its request, in the same shard."""


class Credit(NamedTuple):
    """What one shard asks of another: in the plain case a reserved amount on its way to the receiver, or (with a
    reason) on its way back to the payer.

    It goes to the shard of `payee`, an answer to the shard of `payer`. The amount of a journal's debit is negative.
    """

    operation_id: bytes
    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str
    reply_to: bytes
    reason: Reason = Reason.NONE
    step: Step = Step.CREDIT
    details: tuple[Detail, ...] = ()


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

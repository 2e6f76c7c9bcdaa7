"""Which instruction is decided where, what follows from an entry, and what a message between shards asks for.

`decide` → entry → `following` → messages → `arrive` → entry …, until nothing follows. All of it is pure: whoever calls
it evolves the book with each entry before the next decision.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from payments.book import Book, evolve
from payments.commands import NO_REPLY
from payments.commerce import orders, payouts, settling
from payments.commerce.requests import order_terms, provider_fees
from payments.commerce.requests import requests_of as requests_of
from payments.commerce.results import conclude as conclude
from payments.entries import Credit, Entry, EntryKind, Source, Step
from payments.items.details import (
    AttemptSettlement,
    Cause,
    CauseKind,
    Dispute,
    Hold,
    Journal,
    Legs,
    OpenItem,
    Receivable,
)
from payments.lifecycle import post, take_back
from payments.movements import (
    advising,
    deposits,
    disputes,
    holds,
    journals,
    refunds,
    reviews,
    standing,
    transfers,
)
from payments.movements.assessing import assessed
from payments.movements.deeds import Deed, available_of
from payments.movements.instructions import (
    AssessTransfer,
    AttributedTransfer,
    CancelOrder,
    CaptureHold,
    ClearDeposit,
    DecideReview,
    Instruction,
    NoteEvidence,
    OpenAccount,
    OpenDispute,
    PayOut,
    PlaceCheckout,
    PlaceHold,
    PostJournal,
    PricedTransfer,
    RaiseHold,
    RecoverReceivable,
    Refund,
    RefundOrder,
    ResolveDispute,
    ReturnDeposit,
    SetLimits,
    SetRules,
    SetStanding,
    SettleAttempt,
    VoidHold,
    WriteOff,
)
from payments.rejections import Reason
from payments.risk.moment import PaymentKind
from payments.spanning import messages
from payments.spanning.messages import observations as observations

Kind = TypeVar("Kind", Journal, Dispute)
Decision = Callable[[Book, bytes, Any, Source], Deed | Reason]

DECISIONS: dict[type[Instruction], Decision] = {
    OpenAccount: standing.open_account,
    SetStanding: standing.set_standing,
    PricedTransfer: transfers.transfer,
    AttributedTransfer: transfers.plain,
    AssessTransfer: advising.advise,
    PlaceHold: holds.place,
    RaiseHold: holds.increase,
    CaptureHold: holds.capture,
    VoidHold: holds.void,
    ClearDeposit: deposits.clear,
    ReturnDeposit: deposits.send_back,
    Refund: refunds.refund,
    OpenDispute: disputes.open_dispute,
    NoteEvidence: disputes.note_evidence,
    ResolveDispute: disputes.resolve,
    RecoverReceivable: disputes.recover,
    WriteOff: disputes.write_off,
    PostJournal: journals.open_journal,
    SetLimits: reviews.set_limits,
    SetRules: reviews.set_rules,
    DecideReview: reviews.decide_review,
    PlaceCheckout: orders.place_checkout,
    CancelOrder: orders.cancel_order,
    RefundOrder: orders.refund_order,
    PayOut: payouts.pay_out,
    SettleAttempt: settling.settle_attempt,
}

ASSESSED: dict[type[Instruction], PaymentKind] = {
    PricedTransfer: PaymentKind.TRANSFER,
    AttributedTransfer: PaymentKind.TRANSFER,
    PlaceHold: PaymentKind.HOLD,
    PayOut: PaymentKind.PAYOUT,
}
"""On these limits and rules have a say, as on every plain transfer and on a hold that is raised."""

_BEGINS: dict[type[Instruction], tuple[type[OpenItem], ...]] = {
    PricedTransfer: (Hold,),  # while it waits for an analyst
    AttributedTransfer: (Hold,),
    PlaceHold: (Hold,),
    ReturnDeposit: (Receivable,),
    OpenDispute: (Dispute, Receivable),
    PostJournal: (Journal,),
    CancelOrder: (Journal, AttemptSettlement),
    RefundOrder: (Journal, AttemptSettlement),
    PayOut: (Journal, AttemptSettlement),
}
"""Open items that have the id of the operation that began them."""


_STEPS = {
    EntryKind.ORDERS_PLACED: Step.PREPARE,
    EntryKind.JOURNAL_OPENED: Step.PREPARE,
    EntryKind.JOURNAL_POSTED: Step.SETTLE,
    EntryKind.JOURNAL_CANCELLED: Step.CANCEL,
}
"""What the legs of an entry's journals are told."""

_ENDS = (EntryKind.JOURNAL_POSTED, EntryKind.JOURNAL_CANCELLED)


def decide(book: Book, operation_id: bytes, asked: Instruction, source: Source) -> Entry:
    """The one decision about an instruction at its authority's shard. Idempotency first, then refusals, then deed."""
    fingerprint = asked.fingerprint
    known = book.operations.fingerprint_of(operation_id)
    if known is not None or _is_open(book, operation_id, asked):
        repeated = known == fingerprint
        kind = EntryKind.REPLAYED if repeated else EntryKind.KEY_REUSED
        reason = Reason.NONE if repeated else Reason.IDEMPOTENCY_KEY_REUSED
        return _refused(book, kind, reason, asked).entry(operation_id, source, fingerprint)
    decided = DECISIONS[type(asked)](book, operation_id, asked, source)
    assessed_as = ASSESSED.get(type(asked))
    if assessed_as is not None:
        decided = assessed(book, operation_id, asked.headline, decided, source, asked.envelope.attributes, assessed_as)
    if isinstance(decided, Reason):
        decided = _refused(book, EntryKind.REJECTED, decided, asked)
    return decided.entry(operation_id, source, fingerprint)


def _is_open(book: Book, operation_id: bytes, asked: Instruction) -> bool:
    """Whether the id still names what was begun under it: it may outlive its key, and nothing may take its place."""
    return any(
        book.items.find(kind, asked.authority, operation_id) is not None for kind in _BEGINS.get(type(asked), ())
    )


def following(entry: Entry, reply_to: bytes = NO_REPLY) -> list[Credit]:
    """The messages that an entry of this shard sends, in order."""
    match entry.kind:
        case EntryKind.RESERVED | EntryKind.CAPTURED:
            return [_credit(entry, reply_to)]
        case kind if kind in _STEPS:
            questions = [
                message
                for journal in _items(entry, Journal)
                for message in journals.questions(journal, _STEPS[kind], *order_terms(entry.details, journal))
            ]
            return questions if kind not in _ENDS else [*questions, *provider_fees(entry)]
        case EntryKind.DEBITED | EntryKind.POSTED | EntryKind.NOTED if entry.details:
            found = [disputes.following(entry, dispute) for dispute in _items(entry, Dispute)]
            return [message for message in found if message is not None] or settling.following(entry)
        case EntryKind.OBSERVED:
            return messages.publications(entry)
        case _:
            return []


def arrive(book: Book, message: Credit, source: Source) -> tuple[Entry | None, Credit | None]:
    """What a message does at its shard, and the answer that it sends back, if any. Raises InvariantViolation."""
    match message.step:
        case Step.CREDIT if message.reason is not Reason.NONE:
            return take_back(book, message, source), None
        case Step.CREDIT:
            entry = post(book, message, source)
            returned = message._replace(reason=entry.reason) if entry.kind is EntryKind.REFUSED else None
            return entry, returned
        case Step.COLLECT:
            return disputes.collect(book, message, source), None
        case Step.PREPARE:
            entry = journals.prepare(book, message, source)
            return entry, message._replace(step=Step.PREPARED, reason=entry.reason)
        case Step.PREPARED:
            return journals.answered(book, message, source), None
        case Step.SETTLE | Step.CANCEL:
            return journals.end(book, message, source), None
        case Step.OBSERVE:
            return messages.observe(book, message, source), None
        case Step.LEARN:
            return messages.learn(message, source), None
        case Step.CONCLUDE:
            return settling.concluded(book, message, source), None


def settled(book: Book, entry: Entry, source: Source) -> Iterator[Entry]:
    """An entry and all that follows from it, applied to a book that holds every account: no shards, no waiting."""
    evolve(book, entry)
    yield entry
    for message in (*following(entry), *observations(book, entry)):
        yield from _arrived(book, message, source)


def _arrived(book: Book, message: Credit, source: Source) -> Iterator[Entry]:
    entry, answer = arrive(book, message, source)
    if entry is not None:
        yield from settled(book, entry, source)
    if answer is not None:
        yield from _arrived(book, answer, source)


def is_answer(message: Credit) -> bool:
    """Whether a message goes back to the payer's shard: a return, or the answer of a leg."""
    return message.step in (Step.PREPARED, Step.LEARN) or (
        message.step is Step.CREDIT and message.reason is not Reason.NONE
    )


def _credit(entry: Entry, reply_to: bytes) -> Credit:
    """What was held for a review is posted as the payment that it was, not as the analyst's decision."""
    reviewed = [d.cause_id for d in entry.details if isinstance(d, Cause) and d.kind is CauseKind.REVIEW]
    return Credit(
        reviewed[0] if reviewed else entry.operation_id,
        entry.debit_account,
        entry.credit_account,
        entry.amount_minor,
        entry.currency,
        NO_REPLY if reviewed else reply_to,
        details=tuple(detail for detail in entry.details if isinstance(detail, (Legs, Cause))) if entry.details else (),
    )


def _refused(book: Book, kind: EntryKind, reason: Reason, asked: Instruction) -> Deed:
    return Deed(kind, *asked.headline, available_of(book, asked.authority), reason=reason)


def _items(entry: Entry, kind: type[Kind]) -> list[Kind]:
    return [detail for detail in entry.details if isinstance(detail, kind)]

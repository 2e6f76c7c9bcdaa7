"""The life of a payment as data, and the decisions that move it on.

received ─▶ authorised ─▶ posted            decided at the authority, then at the receiver
    │  │         ▲   └──▶ returned          the receiver could not take it; the payer has it back
    │  └▶ in review ─┐                      a rule holds it until people have decided
    └─────▶ rejected ◀

Every refusal stands before the reservation. `decide`, `post` and `take_back` read the book and change nothing.
"""

from enum import StrEnum

from payments.accounts import AccountType, credit_refusal
from payments.book import Book
from payments.commands import Command, CommandKind
from payments.entries import NO_FINGERPRINT, Credit, Entry, EntryKind, Source
from payments.errors import InvariantViolation
from payments.identifiers import is_system, system_account
from payments.items.details import Cause, CauseKind, Hold, Uncollected
from payments.movements.assessing import assessed, is_watched
from payments.movements.deeds import Deed
from payments.movements.instructions import Headline
from payments.movements.refunds import refund_undone
from payments.postings import SystemAccount, legs_of
from payments.refusals import REFUSALS
from payments.rejections import Reason
from payments.terms.methods import UNCOLLECTED_FROM


class PaymentStatus(StrEnum):
    """The status words of the canonical routes (other documents' words are mapped from these in the HTTP layer)."""

    RECEIVED = "received"
    IN_REVIEW = "in_review"
    AUTHORISED = "authorised"
    POSTED = "posted"
    REJECTED = "rejected"
    RETURNED = "returned"


TRANSITIONS: dict[tuple[PaymentStatus, EntryKind], PaymentStatus] = {
    (PaymentStatus.RECEIVED, EntryKind.RESERVED): PaymentStatus.AUTHORISED,
    (PaymentStatus.RECEIVED, EntryKind.REJECTED): PaymentStatus.REJECTED,
    (PaymentStatus.RECEIVED, EntryKind.POSTED): PaymentStatus.POSTED,  # a deposit: one hop
    (PaymentStatus.RECEIVED, EntryKind.POSTED_UNCOLLECTED): PaymentStatus.POSTED,
    (PaymentStatus.RECEIVED, EntryKind.HELD): PaymentStatus.IN_REVIEW,
    (PaymentStatus.IN_REVIEW, EntryKind.CAPTURED): PaymentStatus.AUTHORISED,
    (PaymentStatus.IN_REVIEW, EntryKind.RELEASED): PaymentStatus.REJECTED,
    (PaymentStatus.AUTHORISED, EntryKind.POSTED): PaymentStatus.POSTED,
    (PaymentStatus.AUTHORISED, EntryKind.RECEIVED): PaymentStatus.POSTED,  # by a merchant
    (PaymentStatus.AUTHORISED, EntryKind.REFUSED): PaymentStatus.AUTHORISED,  # the return is in flight
    (PaymentStatus.AUTHORISED, EntryKind.RETURNED): PaymentStatus.RETURNED,
}
FINAL = frozenset({PaymentStatus.POSTED, PaymentStatus.REJECTED, PaymentStatus.RETURNED})


def decide(book: Book, operation_id: bytes, command: Command, source: Source) -> Entry:
    """The one decision about a command at its authority's shard. Idempotency first, then refusals, then the deed."""
    fingerprint = command.fingerprint
    available = _available(book, command.authority)
    known = book.operations.fingerprint_of(operation_id)
    is_assessed = command.kind is CommandKind.TRANSFER and is_watched(book, command.payer)
    if known is not None or _is_open(book, operation_id, command, is_assessed):
        kind, reason = _REPLAYED if known == fingerprint else _KEY_REUSED
        return _entry(kind, reason, operation_id, command, source, fingerprint, available)
    refusal = REFUSALS[command.kind](book, command)
    if is_assessed:
        paid = Headline(command.payer, command.payee, command.amount_minor, command.currency)
        reserved = Deed(EntryKind.RESERVED, *paid, available - command.amount_minor)
        decided = assessed(book, operation_id, paid, reserved if refusal is None else refusal, source)
        if isinstance(decided, Deed):
            return decided.entry(operation_id, source, fingerprint)
    if refusal is not None:
        return _entry(EntryKind.REJECTED, refusal, operation_id, command, source, fingerprint, available)
    # From here on the command must succeed.
    if command.payer in UNCOLLECTED_FROM:  # only a deposit has a clearing account for its payer
        entry = _entry(EntryKind.POSTED_UNCOLLECTED, Reason.NONE, operation_id, command, source, fingerprint, available)
        waiting = Uncollected(operation_id, command.payee, command.amount_minor, command.currency, is_open=True)
        return entry._replace(details=(waiting,))
    available += _CHANGES.get(command.kind, 0) * command.amount_minor
    return _entry(DEEDS[command.kind], Reason.NONE, operation_id, command, source, fingerprint, available)


def post(book: Book, credit: Credit, source: Source) -> Entry:
    """The journal entry at the receiver's shard (Dr payer, Cr payee), or its refusal. Credits commute: no funds are
    checked. What the operator itself owes and nobody can take is posted to unclaimed property.
    """
    if is_system(credit.payee):
        return _credit_entry(EntryKind.POSTED, Reason.NONE, credit, source, 0)
    amount_minor, currency = arriving(credit)
    account = book.accounts.get(credit.payee)
    refusal = credit_refusal(account, amount_minor, currency)
    if refusal is None:
        assert account is not None
        kind = EntryKind.RECEIVED if account.type is AccountType.MERCHANT and is_sale(credit) else EntryKind.POSTED
        return _credit_entry(kind, Reason.NONE, credit, source, account.available_minor + amount_minor)
    if is_system(credit.payer):
        unclaimed = credit._replace(payee=system_account(SystemAccount.UNCLAIMED, credit.currency))
        return _credit_entry(EntryKind.POSTED, refusal, unclaimed, source, 0)
    return _credit_entry(EntryKind.REFUSED, refusal, credit, source, _available(book, credit.payee))


def arriving(credit: Credit) -> tuple[int, str]:
    """Amount and currency that reach the payee: what was paid, unless legs state something else."""
    for leg in legs_of(credit.details):
        if leg.account == credit.payee:
            return leg.amount_minor, leg.currency
    return credit.amount_minor, credit.currency


def is_sale(credit: Credit) -> bool:
    """False for money that comes back from a merchant's own refund or from a dispute: it can't be refunded again."""
    return not any(
        isinstance(detail, Cause) and detail.kind in (CauseKind.REFUND, CauseKind.DISPUTE) for detail in credit.details
    )


def take_back(book: Book, credit: Credit, source: Source) -> Entry:
    """Restore a refused credit to its payer: always, even to an account frozen or closed meanwhile."""
    if credit.payer not in book.accounts:
        raise InvariantViolation("a return reached a shard that never opened its payer", credit.operation_id.hex())
    available_after = _available(book, credit.payer) + credit.amount_minor
    entry = _credit_entry(EntryKind.RETURNED, credit.reason, credit, source, available_after)
    return entry._replace(details=(*credit.details, *refund_undone(book, credit))) if credit.details else entry


def _available(book: Book, account_id: bytes) -> int:
    account = book.accounts.get(account_id)
    return account.available_minor if account is not None else 0


def _is_open(book: Book, operation_id: bytes, command: Command, is_assessed: bool) -> bool:
    """Whether the id names a deposit or a review that still waits: it may outlive its key, and no other may take its
    place.
    """
    if command.payer in UNCOLLECTED_FROM:
        return book.items.find(Uncollected, command.payee, operation_id) is not None
    return is_assessed and book.items.find(Hold, command.payer, operation_id) is not None


DEEDS = {
    CommandKind.TRANSFER: EntryKind.RESERVED,
    CommandKind.DEPOSIT: EntryKind.POSTED,
    CommandKind.OPEN_ACCOUNT: EntryKind.ACCOUNT_OPENED,
    CommandKind.FREEZE_ACCOUNT: EntryKind.ACCOUNT_FROZEN,
    CommandKind.UNFREEZE_ACCOUNT: EntryKind.ACCOUNT_UNFROZEN,
    CommandKind.CLOSE_ACCOUNT: EntryKind.ACCOUNT_CLOSED,
    CommandKind.SET_OVERDRAFT_LIMIT: EntryKind.OVERDRAFT_LIMIT_SET,
}
"""The entry that a command becomes when nothing refuses it."""

_REPLAYED = EntryKind.REPLAYED, Reason.NONE
_KEY_REUSED = EntryKind.KEY_REUSED, Reason.IDEMPOTENCY_KEY_REUSED
_CHANGES = {CommandKind.TRANSFER: -1, CommandKind.DEPOSIT: 1}
"""What a command does to the available balance of its authority, as a factor of its amount."""


def _entry(
    kind: EntryKind,
    reason: Reason,
    operation_id: bytes,
    command: Command,
    source: Source,
    fingerprint: bytes,
    available_after_minor: int,
) -> Entry:
    return Entry(
        kind,
        reason,
        operation_id,
        command.payer,
        command.payee,
        command.amount_minor,
        command.currency,
        available_after_minor,
        source.time_us,
        fingerprint,
        source.offset,
        source.item,
    )


def _credit_entry(kind: EntryKind, reason: Reason, credit: Credit, source: Source, available_after_minor: int) -> Entry:
    return Entry(
        kind,
        reason,
        credit.operation_id,
        credit.payer,
        credit.payee,
        credit.amount_minor,
        credit.currency,
        available_after_minor,
        source.time_us,
        NO_FINGERPRINT,
        source.offset,
        source.item,
        credit.details,
    )

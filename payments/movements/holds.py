"""Holds: authorise, raise, capture in parts, void, expire. All decided where the payer is.

A hold reserves its amount for one payee. Captures never exceed it; the final one, a void and the expiry give the rest
back. Expiry is by stream time: at or after it nothing can be captured, whether or not the tick has come by.
"""

from payments.accounts import debit_refusal
from payments.book import Book
from payments.entries import EntryKind, Source
from payments.items.details import Cause, CauseKind, Hold, Review
from payments.money import MAX_MINOR
from payments.movements.assessing import assessed_raise
from payments.movements.deeds import Deed, available_of, released
from payments.movements.instructions import CaptureHold, PlaceHold, RaiseHold, VoidHold
from payments.refusals import transfer_refusal
from payments.rejections import Reason

MAX_HOLD_US = 31 * 24 * 3_600_000_000
"""The longest authorisation that card networks know: 31 days (Visa: lodging, car and boat rental, cruises)."""


def place(book: Book, operation_id: bytes, asked: PlaceHold, source: Source) -> Deed | Reason:
    """Authorise. The operation's id is the hold's."""
    refusal = transfer_refusal(book, asked.payer, asked.payee, asked.amount_minor, asked.currency)
    if refusal is not None:
        return refusal
    if not source.time_us < asked.expires_at_us <= source.time_us + MAX_HOLD_US:
        return Reason.EXPIRY_INVALID
    hold = Hold(
        operation_id, asked.payer, asked.payee, asked.amount_minor, 0, asked.currency, asked.expires_at_us, is_open=True
    )
    available = available_of(book, asked.payer) - asked.amount_minor
    return Deed(EntryKind.HELD, asked.payer, asked.payee, asked.amount_minor, asked.currency, available, (hold,))


def increase(book: Book, _operation_id: bytes, asked: RaiseHold, source: Source) -> Deed | Reason:
    """Add to an open hold what the account can still give, and limits and rules allow."""
    hold = _usable(book, asked.payer, asked.hold_id, source)
    if isinstance(hold, Reason):
        return hold
    if not 0 < asked.amount_minor <= MAX_MINOR - hold.amount_minor:
        return Reason.AMOUNT_INVALID
    refusal = debit_refusal(book.accounts.get(asked.payer), asked.amount_minor, hold.currency)
    return assessed_raise(book, hold, asked.amount_minor, refusal or _raised(book, hold, asked.amount_minor), source)


def _raised(book: Book, hold: Hold, added_minor: int) -> Deed:
    raised = hold._replace(amount_minor=hold.amount_minor + added_minor)
    available = available_of(book, hold.owner) - added_minor
    return Deed(EntryKind.HOLD_RAISED, hold.owner, hold.payee, added_minor, hold.currency, available, (raised,))


def capture(book: Book, _operation_id: bytes, asked: CaptureHold, source: Source) -> Deed | Reason:
    """Send part or all of a hold on its way. Honoured on a frozen account, too: the hold was the promise."""
    hold = _usable(book, asked.payer, asked.hold_id, source)
    if isinstance(hold, Reason):
        return hold
    if asked.amount_minor <= 0:
        return Reason.AMOUNT_INVALID
    rest = hold.amount_minor - asked.amount_minor
    if rest < 0:
        return Reason.CAPTURE_EXCEEDS_HOLD
    is_open = rest > 0 and not asked.is_final
    after = hold._replace(
        amount_minor=rest if is_open else 0,
        captured_minor=hold.captured_minor + asked.amount_minor,
        is_open=is_open,
    )
    available = available_of(book, asked.payer) + (0 if is_open else rest)
    cause = Cause(CauseKind.CAPTURE, asked.hold_id)
    return Deed(
        EntryKind.CAPTURED, hold.owner, hold.payee, asked.amount_minor, hold.currency, available, (cause, after)
    )


def void(book: Book, _operation_id: bytes, asked: VoidHold, _source: Source) -> Deed | Reason:
    """Give back what is left. An expired hold that no tick has met yet may be voided as well."""
    hold = book.items.find(Hold, asked.payer, asked.hold_id)
    return (
        Reason.HOLD_NOT_FOUND
        if hold is None or hold.is_review
        else released(book, hold, Reason.NONE, Cause(CauseKind.CAPTURE, hold.item_id))
    )


def expired(book: Book, hold: Hold) -> Deed:
    """Its time has come: what is left is the payer's again, and a review that nobody has decided ends with it."""
    review = book.items.find(Review, hold.owner, hold.item_id) if hold.is_review else None
    if review is None:
        return released(book, hold, Reason.HOLD_EXPIRED, Cause(CauseKind.CAPTURE, hold.item_id))
    cause = Cause(CauseKind.REVIEW, hold.item_id)
    return released(book, hold, Reason.REVIEW_EXPIRED, cause, review._replace(is_open=False))


def _usable(book: Book, payer: bytes, hold_id: bytes, source: Source) -> Hold | Reason:
    hold = book.items.find(Hold, payer, hold_id)
    if hold is None or hold.is_review:
        return Reason.HOLD_NOT_FOUND
    return Reason.HOLD_EXPIRED if hold.expires_at_us <= source.time_us else hold

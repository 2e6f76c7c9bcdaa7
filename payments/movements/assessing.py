"""Risk in the same step as the reservation: limits and rules on a payment, before anything of it is set aside.

allow: as decided. deny: rejected. review: the amount is held, and analysts decide; two of them from the reporting
threshold on (four eyes). Every assessed attempt is recorded with its verdict, refused ones too, because windows count
attempts apart from approvals. An account without limits, where there are no rules, costs one comparison.
"""

from payments.book import Book
from payments.entries import EntryKind, Source
from payments.identifiers import NIL
from payments.items.details import Assessed, Detail, Hold, Review
from payments.items.profiles import risk_state_of
from payments.money import MAX_MINOR
from payments.movements.deeds import Deed, available_of
from payments.movements.instructions import Attributes, Headline
from payments.postings import legs_of
from payments.rejections import Reason
from payments.risk.activity import key_of_account
from payments.risk.assess import assess
from payments.risk.moment import Attempt, PaymentKind
from payments.risk.rules import NO_RULES
from payments.risk.signals import Countries
from payments.risk.verdict import Outcome, encode
from payments.spanning.messages import known
from payments.terms.methods import METHOD_OF

REVIEW_US = 24 * 3_600_000_000
"""What nobody has decided for a day goes back to the payer."""

UNKNOWN = Attributes()


def is_watched(book: Book, payer: bytes) -> bool:
    """Whether a payment of this account is assessed at all."""
    if book.rules is not NO_RULES:
        return True
    account = book.accounts.get(payer)
    return account is not None and account.is_limited


def assessed(
    book: Book,
    operation_id: bytes,
    paid: Headline,
    decided: Deed | Reason,
    source: Source,
    attributes: Attributes = UNKNOWN,
    kind: PaymentKind = PaymentKind.TRANSFER,
) -> Deed | Reason:
    """What becomes of a payment that was decided so far as `decided`: a deed, or the refusal that stands."""
    account = book.accounts.get(paid.debit_account)
    if account is None or not is_watched(book, paid.debit_account):
        return decided
    if account.currency != paid.currency or not 0 < paid.amount_minor <= MAX_MINOR:
        return decided  # refused already, and no amount that windows could add up
    attempt = _attempt(book, paid, source, attributes, kind)
    verdict = assess(risk_state_of(book.items, paid.debit_account), attempt, book.rules)
    record = Assessed(encode(verdict))
    if isinstance(decided, Reason):
        return _rejected(book, paid, decided, record)
    if verdict.outcome is Outcome.ALLOW:
        return decided._replace(details=(*decided.details, record))
    reason = Reason(verdict.reason or Reason.DENIED_BY_RULE)
    if verdict.outcome is Outcome.DENY or decided.kind is not EntryKind.RESERVED:
        return _rejected(book, paid, reason, record)  # an authorisation can't wait for people
    return _held(book, operation_id, decided, reason, record, source, _approvals_needed(book, paid))


def assessed_raise(book: Book, hold: Hold, added_minor: int, decided: Deed | Reason, source: Source) -> Deed | Reason:
    """What becomes of a hold that is raised: one payment for the limit on each and for the rules, else it could be
    asked for bit by bit. A refusal is recorded without a payee, since it is about the hold.
    """
    account = book.accounts.get(hold.owner)
    if account is None or not is_watched(book, hold.owner):
        return decided
    paid = Headline(hold.owner, hold.payee, added_minor, hold.currency)
    attempt = _attempt(book, paid, source, UNKNOWN, PaymentKind.HOLD)
    before_minor = hold.amount_minor + hold.captured_minor
    attempt = attempt._replace(amount_minor=before_minor + added_minor, before_minor=before_minor)
    verdict = assess(risk_state_of(book.items, hold.owner), attempt, book.rules)
    record, refused = Assessed(encode(verdict)), paid._replace(credit_account=NIL)
    if isinstance(decided, Reason):
        return _rejected(book, refused, decided, record)
    if verdict.outcome is not Outcome.ALLOW:
        return _rejected(book, refused, Reason(verdict.reason or Reason.DENIED_BY_RULE), record)
    return decided._replace(details=(*decided.details, record))


def kind_of(payee: bytes) -> PaymentKind:
    """Of a transfer."""
    return PaymentKind.WITHDRAWAL if payee in METHOD_OF else PaymentKind.TRANSFER


def _attempt(book: Book, paid: Headline, source: Source, attributes: Attributes, kind: PaymentKind) -> Attempt:
    keys = (
        key_of_account(paid.debit_account),
        key_of_account(paid.credit_account),
        attributes.card_key,
        attributes.device_key,
        attributes.ip_key,
    )
    countries = Countries(
        attributes.payer_country, attributes.payee_country, attributes.card_country, attributes.ip_country
    )
    return Attempt(
        source.time_us,
        paid.amount_minor,
        paid.currency,
        keys,
        kind_of(paid.credit_account) if kind is PaymentKind.TRANSFER else kind,
        available_minor=available_of(book, paid.debit_account),
        countries=countries,
        published=known(book, keys, paid.currency, source.time_us),
    )


def _rejected(book: Book, paid: Headline, reason: Reason, record: Assessed) -> Deed:
    available = available_of(book, paid.debit_account)
    return Deed(EntryKind.REJECTED, *paid, available, (record,), reason)


def _held(
    book: Book, hold_id: bytes, decided: Deed, reason: Reason, record: Assessed, source: Source, approvals_needed: int
) -> Deed:
    payer, amount_minor, currency = decided.debit_account, decided.amount_minor, decided.currency
    expires_at_us = source.time_us + REVIEW_US
    hold = Hold(
        hold_id, payer, decided.credit_account, amount_minor, 0, currency, expires_at_us, is_open=True, is_review=True
    )
    review = Review(hold_id, payer, legs_of(decided.details), approvals_needed, (), is_open=True)
    details: tuple[Detail, ...] = (hold, review, record)
    return decided._replace(kind=EntryKind.HELD, details=details, reason=reason)


def _approvals_needed(book: Book, paid: Headline) -> int:
    threshold_minor = book.rules.reporting_thresholds_minor.get(paid.currency)
    return 2 if threshold_minor is not None and paid.amount_minor >= threshold_minor else 1

"""What people decide: payments that a rule holds, limits and tiers of accounts, and the rules themselves."""

from payments.accounts import AccountStatus, debit_refusal
from payments.book import Book
from payments.entries import EntryKind, Source
from payments.items.details import (
    RULES_OWNER,
    Cause,
    CauseKind,
    Detail,
    Hold,
    Legs,
    Review,
    RiskTerms,
    Rules,
)
from payments.movements.deeds import Deed, available_of, released
from payments.movements.instructions import DecideReview, SetLimits, SetRules
from payments.rejections import Reason
from payments.risk.limits import NO_LIMIT
from payments.risk.rules import RuleSet, parse


def decide_review(book: Book, _operation_id: bytes, asked: DecideReview, source: Source) -> Deed | Reason:
    """Approved by as many as are needed: the held amount is on its way. Declined by one: it is the payer's again."""
    review = book.items.find(Review, asked.payer, asked.hold_id)
    hold = book.items.find(Hold, asked.payer, asked.hold_id)
    if review is None or hold is None:
        return Reason.REVIEW_NOT_FOUND
    if hold.expires_at_us <= source.time_us:
        return Reason.REVIEW_EXPIRED
    if asked.analyst in review.approved_by:
        return Reason.REVIEWER_REPEATED
    cause = Cause(CauseKind.REVIEW, asked.hold_id, asked.analyst.hex())
    if not asked.is_approved:
        return released(book, hold, Reason.REVIEW_DECLINED, cause, review._replace(is_open=False))
    refusal = debit_refusal(book.accounts.get(hold.owner), 0, hold.currency)
    if refusal is not None:  # unlike a capture, which was promised to its payee, it must be payable now
        return refusal
    approved_by = (*review.approved_by, asked.analyst)
    if len(approved_by) < review.approvals_needed:
        return Deed(EntryKind.NOTED, asked.payer, details=(cause, review._replace(approved_by=approved_by)))
    legs = (Legs(review.legs),) if review.legs else ()
    details: tuple[Detail, ...] = (
        *legs,
        cause,
        hold._replace(amount_minor=0, captured_minor=hold.amount_minor, is_open=False),
        review._replace(approved_by=approved_by, is_open=False),
    )
    available = available_of(book, hold.owner)
    return Deed(EntryKind.CAPTURED, hold.owner, hold.payee, hold.amount_minor, hold.currency, available, details)


def set_limits(book: Book, _operation_id: bytes, asked: SetLimits, _source: Source) -> Deed | Reason:
    """Limits and tier of an account that is not closed."""
    account = book.accounts.get(asked.account)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.status is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    limits = asked.per_transaction_minor, asked.daily_minor, asked.monthly_minor
    if not all(0 <= limit <= NO_LIMIT for limit in limits):
        return Reason.AMOUNT_INVALID
    details = (RiskTerms(*limits, asked.tier),)
    return Deed(
        EntryKind.LIMITS_SET,
        asked.account,
        currency=account.currency,
        available_after_minor=account.available_minor,
        details=details,
    )


def set_rules(book: Book, _operation_id: bytes, asked: SetRules, _source: Source) -> Deed | Reason:
    """A rule set of a newer version than the one in force."""
    parsed = parse(asked.text)
    if not isinstance(parsed, RuleSet) or parsed.version <= book.rules.version:
        return Reason.RULES_INVALID
    rules = Rules(RULES_OWNER, RULES_OWNER, parsed.version, asked.text)
    return Deed(EntryKind.RULES_SET, RULES_OWNER, details=(rules,))

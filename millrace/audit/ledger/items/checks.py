"""What each kind of item must be after an entry, by the item before it and what the entry does."""

from collections.abc import Callable
from typing import Any

from millrace.audit.ledger.items.commerce import (
    ended,
    given_back_share,
    is_ending,
    kept_from,
    payment_order,
    provider_request,
    requests_in,
    settlement,
    uncollected_after,
    uncollected_part,
    uncollected_share,
)
from millrace.audit.ledger.items.required import cause_of, detail_of, posted_on, require, require_open, text
from millrace.audit.ledger.rules import is_operators, posted_legs
from millrace.audit.report import Differs, Invariant
from payments.entries import Entry, EntryKind
from payments.items.details import (
    AttemptSettlement,
    Dispute,
    GivenBack,
    Hold,
    Journal,
    JournalLeg,
    OpenItem,
    OrderTerms,
    PaymentOrder,
    Posting,
    ProviderRequest,
    Receivable,
    Review,
    Uncollected,
)
from payments.postings import SystemAccount
from payments.rejections import Reason


def _hold(entry: Entry, before: Hold | None, after: Hold, place: str) -> None:
    if entry.kind is EntryKind.HELD:
        parties = entry.operation_id, entry.debit_account, entry.credit_account
        is_review = any(isinstance(detail, Review) for detail in entry.details)
        before = Hold(*parties, 0, 0, entry.currency, after.expires_at_us, is_open=True, is_review=is_review)
    before = require_open(before, place)
    left, captured, amount, is_open = before.amount_minor, before.captured_minor, entry.amount_minor, True
    if entry.kind is EntryKind.CAPTURED:
        if amount > left:
            raise Differs(Invariant.LIMITS, place, f"a capture of at most {left}, which is left of its hold", amount)
        is_open = after.is_open and left > amount
        left, captured = (left - amount if is_open else 0), captured + amount
    elif entry.kind is EntryKind.RELEASED:
        require(place, "amount_minor of what is left of the hold", left, amount)
        left, is_open = 0, False
    else:
        left += amount
    expected = before._replace(amount_minor=left, captured_minor=captured, is_open=is_open)
    require(place, "a hold", expected, after)


def _uncollected(entry: Entry, before: Uncollected | None, after: Uncollected, place: str) -> None:
    leg, terms = detail_of(entry, JournalLeg), detail_of(entry, OrderTerms)
    if leg is not None and terms is not None:
        require(place, "an uncollected order", uncollected_share(entry, before, leg, terms), after)
        return
    contested = detail_of(entry, Dispute)
    if contested is not None:
        expected = uncollected_after(entry, require_open(before, place), contested.uncollected_minor)
        require(place, "what is uncollected of a dispute", expected, after)
        return
    deposit = Uncollected(entry.operation_id, entry.credit_account, entry.amount_minor, entry.currency, is_open=True)
    opens = entry.kind is EntryKind.POSTED_UNCOLLECTED
    expected = deposit if opens else require_open(before, place)._replace(is_open=False)
    require(place, "an uncollected deposit", expected, after)
    require(place, "amount_minor of the deposit", after.amount_minor, entry.amount_minor)


def _given_back(entry: Entry, before: GivenBack | None, after: GivenBack, place: str) -> None:
    if is_ending(entry):
        so_far = require_open(before, place)
        require(place, "what was given back", ended(entry, so_far, after, place), after)
        if not after.is_open and so_far.under_way:
            raise Differs(Invariant.LIMITS, place, "nothing under way that is forgotten", so_far.under_way)
        return
    contested = detail_of(entry, Dispute)
    if contested is not None:
        require(place, "the payment of a dispute", after.item_id, contested.payment_id)
    known = before if before is not None and before.is_open else None  # else forgotten, and begun anew
    expected = _given_back_after(entry, known, after, contested)
    if min(expected.refunded_minor, expected.disputed_minor) < 0 or (
        expected.refunded_minor + expected.disputed_minor > expected.amount_minor
    ):
        given = f"{expected.refunded_minor} refunded and {expected.disputed_minor} disputed"
        raise Differs(Invariant.LIMITS, place, f"at most the payment of {expected.amount_minor} given back", given)
    require(place, "what was given back", expected, after)


def _given_back_after(entry: Entry, before: GivenBack | None, after: GivenBack, contested: Dispute | None) -> GivenBack:
    """A dispute is under way from its opening to its end, and lost it stays given back."""
    leg, terms = detail_of(entry, JournalLeg), detail_of(entry, OrderTerms)
    if leg is not None and terms is not None:
        return given_back_share(entry, before, leg, terms)
    payment = contested.payment_id if contested is not None else cause_of(entry)
    so_far = before or GivenBack(payment, entry.debit_account, after.amount_minor, 0, 0)
    begins = entry.kind in (EntryKind.RESERVED, EntryKind.DEBITED)
    so_far = so_far._replace(ends_at_us=kept_from(entry)) if begins else so_far
    if contested is None:
        sign = 1 if begins else -1
        return so_far._replace(refunded_minor=so_far.refunded_minor + sign * entry.amount_minor)
    moved = {EntryKind.DEBITED: contested.amount_minor, EntryKind.POSTED: -contested.amount_minor}.get(entry.kind, 0)
    return so_far._replace(
        disputed_minor=so_far.disputed_minor + moved, under_way=so_far.under_way + (1 if begins else -1)
    )


def _dispute(entry: Entry, before: Dispute | None, after: Dispute, place: str) -> None:
    if entry.kind is EntryKind.DEBITED:
        expected = after._replace(item_id=entry.operation_id, owner=entry.debit_account, is_open=True)
    else:
        expected = require_open(before, place)._replace(is_open=after.is_open)
    require(place, "a dispute", expected, after)
    if after.uncollected_minor and entry.kind is EntryKind.DEBITED and detail_of(entry, Uncollected) is None:
        raise Differs(Invariant.LIMITS, place, "what a dispute takes out of what is uncollected", "none that is")
    moved = after.amount_minor if entry.kind is EntryKind.DEBITED else -after.amount_minor
    if entry.kind is not EntryKind.NOTED:
        found = posted_on(entry, SystemAccount.DISPUTES, after.currency)
        require(place, "posted on disputes", moved, found)


def _receivable(entry: Entry, before: Receivable | None, after: Receivable, place: str) -> None:
    opening = Receivable(entry.operation_id, entry.debit_account, 0, after.currency, is_open=True)
    debt = before or opening
    owed = debt.amount_minor
    expected = owed - posted_on(entry, SystemAccount.RECEIVABLES, after.currency)
    require(place, "a debt", debt._replace(amount_minor=expected, is_open=expected > 0), after)
    if expected > owed and entry.available_after_minor > 0:
        found = f"{entry.available_after_minor} left available"
        raise Differs(Invariant.LIMITS, place, "a debt only for what the account does not have", found)


def _journal_leg(entry: Entry, before: JournalLeg | None, after: JournalLeg, place: str) -> None:
    is_debit, terms = after.amount_minor < 0, detail_of(entry, OrderTerms)
    account = entry.debit_account if is_debit else entry.credit_account
    stated = JournalLeg(entry.operation_id, account, after.journal_id, after.amount_minor, entry.currency, is_open=True)
    if entry.kind is EntryKind.LEG_RESERVED:
        expected = stated._replace(uncollected_minor=after.uncollected_minor if is_debit and terms else 0)
    else:
        expected = require_open(before, place)._replace(is_open=False)
    require(place, "a leg of a journal", expected, after)
    moved_minor = abs(after.amount_minor) - uncollected_part(entry, after)
    require(place, "amount_minor of the leg", moved_minor, entry.amount_minor)
    if terms is not None and not is_debit and entry.kind is EntryKind.LEG_SETTLED:
        require(place, "is_on_delivery", terms.is_on_delivery, detail_of(entry, Uncollected) is not None)


def _journal(entry: Entry, before: Journal | None, after: Journal, place: str) -> None:
    request = next((request for request in requests_in(entry) if request.item_id == after.item_id), None)
    require(place, "a journal", _journal_after(entry, before, after, request), after)
    if entry.kind is EntryKind.JOURNAL_POSTED:
        require(place, "a posted journal that nobody refused", Reason.NONE, after.refusal)
        legs = tuple(Posting(leg.account, leg.posted, leg.currency) for leg in posted_legs(entry))
        require(place, "legs", after.legs, legs)
    if entry.kind is EntryKind.JOURNAL_CANCELLED and after.refusal is Reason.NONE:
        raise Differs(Invariant.ONE_OUTCOME, place, "a cancelled journal that somebody refused", "none who did")


def _journal_after(entry: Entry, before: Journal | None, after: Journal, request: ProviderRequest | None) -> Journal:
    """Asked of its legs one by one, then of the provider, if there is one; a caller may cancel it before that."""
    if before is None:
        asked = sum(not is_operators(leg.account) for leg in after.legs)
        named = (request.item_id, request.owner) if request is not None else (entry.operation_id, entry.debit_account)
        return Journal(*named, after.legs, asked, Reason.NONE, after.reply_to, is_open=asked > 0)
    refusal = after.refusal if before.refusal is Reason.NONE else before.refusal
    is_cancelled_early = entry.kind is EntryKind.NOTED and detail_of(entry, PaymentOrder) is not None
    awaited = before.awaited - (0 if is_cancelled_early or before.awaited == 0 else 1)
    is_open = awaited > 0 or entry.kind is EntryKind.PROVIDER_ASKED
    return before._replace(awaited=awaited, refusal=refusal, is_open=is_open)


def _review(entry: Entry, before: Review | None, after: Review, place: str) -> None:
    if entry.kind is EntryKind.HELD:
        so_far = Review(entry.operation_id, entry.debit_account, after.legs, after.approvals_needed, (), is_open=True)
    else:
        so_far = require_open(before, place)
    approves = entry.kind in (EntryKind.NOTED, EntryKind.CAPTURED)
    approved_by = (*so_far.approved_by, *after.approved_by[-1:]) if approves else so_far.approved_by
    is_open = entry.kind in (EntryKind.HELD, EntryKind.NOTED)
    require(place, "a review", so_far._replace(approved_by=approved_by, is_open=is_open), after)
    if len(set(approved_by)) < len(approved_by):
        raise Differs(Invariant.LIMITS, place, "analysts who approve once each", text(approved_by))
    if entry.kind is EntryKind.CAPTURED and len(approved_by) != after.approvals_needed:
        raise Differs(Invariant.LIMITS, place, f"{after.approvals_needed} approvals", len(approved_by))


CHECKS: dict[type[OpenItem], Callable[[Entry, Any, Any, str], None]] = {
    Hold: _hold,
    Uncollected: _uncollected,
    GivenBack: _given_back,
    Dispute: _dispute,
    Receivable: _receivable,
    JournalLeg: _journal_leg,
    Journal: _journal,
    Review: _review,
    PaymentOrder: payment_order,
    ProviderRequest: provider_request,
    AttemptSettlement: settlement,
}
"""Of the items that money rests on."""

"""Journals of n legs over several shards: all or nothing, without a lock.

The shard of the first leg's account coordinates. It asks the shard of every leg to reserve it (a debit leaves the
available balance, a credit is expected and can't fail any more); when all have answered it posts the one journal entry
or cancels it, and tells the legs. Legs of the operator's accounts are unconstrained and need no asking.
"""

from payments.accounts import credit_refusal, debit_refusal
from payments.book import Book
from payments.entries import Credit, Entry, EntryKind, Source, Step
from payments.errors import InvariantViolation
from payments.identifiers import NIL, derive_consequence_id, is_system
from payments.items.details import Cause, CauseKind, Journal, JournalLeg, Legs, Posting
from payments.money import MAX_MINOR
from payments.movements.deeds import Deed, available_of
from payments.movements.instructions import PostJournal
from payments.postings import SYSTEM_CURRENCIES, is_balanced
from payments.rejections import Reason

MAX_LEGS = 64
"""Every answer restates the journal: 64 × 64 legs × 27 bytes = 110 kB of entries for the largest one."""


def open_journal(_book: Book, operation_id: bytes, asked: PostJournal, _source: Source) -> Deed | Reason:
    """Post at once where only accounts of the operator are concerned, else ask the legs."""
    refusal = _legs_refusal(asked.legs)
    if refusal is not None:
        return refusal
    constrained = sum(not is_system(leg.account) for leg in asked.legs)
    cause = Cause(CauseKind.JOURNAL, operation_id, asked.code)
    journal = Journal(
        operation_id,
        asked.authority,
        asked.legs,
        constrained,
        Reason.NONE,
        asked.envelope.reply_to,
        is_open=constrained > 0,
    )
    kind = EntryKind.JOURNAL_OPENED if constrained else EntryKind.JOURNAL_POSTED
    return _deed(kind, journal, (cause,) if constrained else (Legs(asked.legs), cause))


def prepare(book: Book, credit: Credit, source: Source) -> Entry:
    """At the leg: reserve it, or refuse."""
    account_id, amount_minor, currency = credit.payee, credit.amount_minor, credit.currency
    account = book.accounts.get(account_id)
    if amount_minor < 0:
        refusal = debit_refusal(account, -amount_minor, currency)
    else:
        refusal = credit_refusal(account, amount_minor, currency)
    if refusal is not None:
        return _leg(EntryKind.LEG_REFUSED, credit, available_of(book, account_id), refusal).entry(
            credit.operation_id, source
        )
    leg = JournalLeg(credit.operation_id, account_id, _journal_id(credit), amount_minor, currency, is_open=True)
    available = available_of(book, account_id) + min(amount_minor, 0)
    return _leg(EntryKind.LEG_RESERVED, credit, available, Reason.NONE, leg).entry(credit.operation_id, source)


def end(book: Book, credit: Credit, source: Source) -> Entry | None:
    """At the leg: the journal is posted or cancelled. None where this leg was the one that refused."""
    leg = book.items.find(JournalLeg, credit.payee, credit.operation_id)
    if leg is None:
        if credit.step is Step.SETTLE:
            raise InvariantViolation("a journal was posted without one of its legs", credit.operation_id.hex())
        return None
    is_posted = credit.step is Step.SETTLE
    change = max(leg.amount_minor, 0) if is_posted else -min(leg.amount_minor, 0)
    kind = EntryKind.LEG_SETTLED if is_posted else EntryKind.LEG_RELEASED
    available = available_of(book, leg.owner) + change
    return _leg(kind, credit, available, credit.reason, leg._replace(is_open=False)).entry(credit.operation_id, source)


def answered(book: Book, credit: Credit, source: Source) -> Entry:
    """At the coordinator: one leg has answered; the last answer decides."""
    journal = book.items.find(Journal, credit.payer, _journal_id(credit))
    if journal is None:
        raise InvariantViolation("a leg answered for a journal that is not open", credit.operation_id.hex())
    awaited = journal.awaited - 1
    refusal = journal.refusal if journal.refusal is not Reason.NONE else credit.reason
    after = journal._replace(awaited=awaited, refusal=refusal, is_open=awaited > 0)
    if awaited:
        return _deed(EntryKind.NOTED, after, ()).entry(credit.operation_id, source)
    if refusal is Reason.NONE:
        return _deed(EntryKind.JOURNAL_POSTED, after, (Legs(journal.legs),)).entry(journal.item_id, source)
    return _deed(EntryKind.JOURNAL_CANCELLED, after, (), refusal).entry(journal.item_id, source)


def questions(journal: Journal, step: Step) -> list[Credit]:
    """One message to every constrained leg."""
    return [
        Credit(
            derive_consequence_id(journal.item_id, f"leg {index}"),
            journal.owner,
            leg.account,
            leg.amount_minor,
            leg.currency,
            journal.reply_to,
            Reason.NONE,
            step,
            (Cause(CauseKind.JOURNAL, journal.item_id),),
        )
        for index, leg in enumerate(journal.legs)
        if not is_system(leg.account)
    ]


def _legs_refusal(legs: tuple[Posting, ...]) -> Reason | None:
    if not 2 <= len(legs) <= MAX_LEGS:
        return Reason.LEGS_INVALID
    for leg in legs:
        if not 0 < abs(leg.amount_minor) <= MAX_MINOR or leg.account == NIL:
            return Reason.LEGS_INVALID
        if is_system(leg.account) and SYSTEM_CURRENCIES.get(leg.account) != leg.currency:
            return Reason.LEGS_INVALID
    return None if is_balanced(legs) else Reason.JOURNAL_UNBALANCED


def _journal_id(credit: Credit) -> bytes:
    return next(detail.cause_id for detail in credit.details if isinstance(detail, Cause))


def _deed(kind: EntryKind, journal: Journal, details: tuple[Legs | Cause, ...], reason: Reason = Reason.NONE) -> Deed:
    """Headline: what is debited in the first leg's currency."""
    currency = journal.legs[0].currency
    debited = -sum(leg.amount_minor for leg in journal.legs if leg.currency == currency and leg.amount_minor < 0)
    return Deed(kind, journal.owner, NIL, debited, currency, 0, (*details, journal), reason)


def _leg(kind: EntryKind, credit: Credit, available: int, reason: Reason, *item: JournalLeg) -> Deed:
    is_debit = credit.amount_minor < 0
    return Deed(
        kind,
        credit.payee if is_debit else NIL,
        NIL if is_debit else credit.payee,
        abs(credit.amount_minor),
        credit.currency,
        available,
        (*credit.details, *item),
        reason,
    )

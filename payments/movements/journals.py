"""Journals of n legs over several shards: all or nothing, without a lock.

The shard of the first leg's account coordinates. It asks the shard of every leg to reserve it (a debit leaves the
available balance, a credit is expected and can't fail any more); when all have answered it posts the one journal entry
or cancels it, and tells the legs. Legs of the operator's accounts are unconstrained and need no asking. Where money
moves outside, the provider is one participant more: it is asked when the legs have agreed, and its answer decides.
"""

from payments.accounts import Account, AccountStatus, credit_refusal, debit_refusal
from payments.book import Book
from payments.commerce import requests, shares
from payments.commerce.requests import Outside
from payments.commerce.shares import Change
from payments.entries import Credit, Entry, EntryKind, Source, Step
from payments.errors import InvariantViolation
from payments.identifiers import NIL, derive_consequence_id, is_system
from payments.items.details import (
    Cause,
    CauseKind,
    Detail,
    Journal,
    JournalLeg,
    Legs,
    OpenItem,
    Posting,
    ProviderRequest,
)
from payments.money import MAX_MINOR
from payments.movements.deeds import Deed, available_of
from payments.movements.instructions import PostJournal
from payments.postings import SYSTEM_CURRENCIES, is_balanced
from payments.rejections import Reason

MAX_LEGS = 64
"""Every answer restates the journal: 64 × 64 legs × 27 bytes = 110 kB of entries for the largest one."""


def open_journal(_book: Book, operation_id: bytes, asked: PostJournal, _source: Source) -> Deed | Reason:
    """Post at once where only accounts of the operator are concerned, else ask the legs."""
    refusal = legs_refusal(asked.legs)
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
    return deed(kind, journal, (cause,) if constrained else (Legs(asked.legs), cause))


def prepare(book: Book, credit: Credit, source: Source) -> Entry:
    """At the leg: reserve it, or refuse."""
    account_id, amount_minor, currency = credit.payee, credit.amount_minor, credit.currency
    change = _reservation(book, credit, source)
    if isinstance(change, Reason):
        refused = _leg(EntryKind.LEG_REFUSED, credit, abs(amount_minor), available_of(book, account_id), change)
        return refused.entry(credit.operation_id, source)
    leg = JournalLeg(
        credit.operation_id,
        account_id,
        _journal_id(credit),
        amount_minor,
        currency,
        is_open=True,
        uncollected_minor=change.uncollected_minor,
    )
    # A credit is named whole, because nothing of it moves yet.
    named_minor = -change.available_minor if amount_minor < 0 else amount_minor
    available = available_of(book, account_id) + change.available_minor
    reserved = _leg(EntryKind.LEG_RESERVED, credit, named_minor, available, Reason.NONE, leg, *change.items)
    return reserved.entry(credit.operation_id, source)


def _reservation(book: Book, credit: Credit, source: Source) -> Change | Reason:
    account, amount_minor, currency = book.accounts.get(credit.payee), credit.amount_minor, credit.currency
    if amount_minor > 0:
        return credit_refusal(account, amount_minor, currency) or Change(0)
    terms = shares.terms_of(credit.details)
    if terms is not None:
        return shares.reserve(book, credit, terms, source.time_us)
    return debit_refusal(_emptied(account), -amount_minor, currency) or Change(amount_minor)


def _emptied(account: Account | None) -> Account | None:
    """What came back to an account after it was closed leaves it by a journal, and by nothing else."""
    if account is None or account.status is not AccountStatus.CLOSED or account.available_minor <= 0:
        return account
    return account._replace(status=AccountStatus.OPEN, overdraft_limit_minor=0)


def end(book: Book, credit: Credit, source: Source) -> Entry | None:
    """At the leg: the journal is posted or cancelled. None where this leg was the one that refused."""
    leg = book.items.find(JournalLeg, credit.payee, credit.operation_id)
    if leg is None:
        if credit.step is Step.SETTLE:
            raise InvariantViolation("a journal was posted without one of its legs", credit.operation_id.hex())
        return None
    is_posted = credit.step is Step.SETTLE
    terms = shares.terms_of(credit.details)
    if terms is not None:
        change = shares.settled(book, leg, terms) if is_posted else shares.released(book, leg, terms)
    else:
        change = Change(max(leg.amount_minor, 0) if is_posted else -min(leg.amount_minor, 0))
    kind = EntryKind.LEG_SETTLED if is_posted else EntryKind.LEG_RELEASED
    # Named is what moves the available balance; a debit that is posted and a credit that is not are named whole.
    moves = is_posted is (leg.amount_minor > 0)
    named_minor = change.available_minor if moves else abs(leg.amount_minor)
    available = available_of(book, leg.owner) + change.available_minor
    ended = leg._replace(is_open=False)
    return _leg(kind, credit, named_minor, available, credit.reason, ended, *change.items).entry(
        credit.operation_id, source
    )


def answered(book: Book, credit: Credit, source: Source) -> Entry:
    """At the coordinator: one leg has answered; the last answer decides."""
    journal = book.items.find(Journal, credit.payer, _journal_id(credit))
    if journal is None:
        raise InvariantViolation("a leg answered for a journal that is not open", credit.operation_id.hex())
    refusal = journal.refusal if journal.refusal is not Reason.NONE else credit.reason
    after = journal._replace(awaited=journal.awaited - 1, refusal=refusal)
    if after.awaited:
        return deed(EntryKind.NOTED, after, ()).entry(credit.operation_id, source)
    return _agreed(book, after, source).entry(journal.item_id, source)


def _agreed(book: Book, journal: Journal, source: Source) -> Deed:
    request = requests.request_of(book, journal)
    if journal.refusal is not Reason.NONE:
        return cancelled(book, journal, request, journal.refusal)
    if request is not None:
        return deed(EntryKind.PROVIDER_ASKED, journal, (), outside=requests.asking(book, request))
    return posted(book, journal, request, source)


def posted(book: Book, journal: Journal, request: ProviderRequest | None, source: Source) -> Deed:
    """The journal entry."""
    outside = () if request is None else requests.succeeded(book, request, source.time_us)
    return deed(EntryKind.JOURNAL_POSTED, journal._replace(is_open=False), (Legs(journal.legs),), outside)


def cancelled(book: Book, journal: Journal, request: ProviderRequest | None, refusal: Reason) -> Deed:
    """None of it, because a leg or the provider has refused."""
    outside = () if request is None else requests.failed(book, request, refusal)
    after = journal._replace(refusal=refusal, is_open=False)
    return deed(EntryKind.JOURNAL_CANCELLED, after, (), outside, refusal)


def questions(journal: Journal, step: Step, *details: Detail) -> list[Credit]:
    """One message to every constrained leg, with what it has to know."""
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
            (Cause(CauseKind.JOURNAL, journal.item_id), *details),
        )
        for index, leg in enumerate(journal.legs)
        if not is_system(leg.account)
    ]


def legs_refusal(legs: tuple[Posting, ...]) -> Reason | None:
    """Why legs make no journal, whatever the accounts are; None where they do."""
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


def deed(
    kind: EntryKind,
    journal: Journal,
    details: tuple[Legs | Cause, ...],
    outside: Outside = (),
    reason: Reason = Reason.NONE,
) -> Deed:
    """Headline: what is debited in the first leg's currency; of one with a provider, its two legs."""
    currency = journal.legs[0].currency
    debited = -sum(leg.amount_minor for leg in journal.legs if leg.currency == currency and leg.amount_minor < 0)
    parties = (journal.legs[0].account, journal.legs[1].account) if outside else (journal.owner, NIL)
    return Deed(kind, *parties, debited, currency, 0, (*details, *outside, journal), reason)


def _leg(kind: EntryKind, credit: Credit, amount_minor: int, available: int, reason: Reason, *items: OpenItem) -> Deed:
    """`amount_minor`: what of the leg moves the available balance, where its kind moves it."""
    is_debit = credit.amount_minor < 0
    return Deed(
        kind,
        credit.payee if is_debit else NIL,
        NIL if is_debit else credit.payee,
        amount_minor,
        credit.currency,
        available,
        (*credit.details, *items),
        reason,
    )

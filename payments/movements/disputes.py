"""Disputes and what they leave behind: chargeback, evidence, win, loss, debts. Decided where the merchant (debtor) is.

Dr merchant, Cr disputes when it opens; Dr disputes, Cr customer when the merchant loses, Cr merchant when it wins. A
provisional credit goes to the customer at once and is collected again when the merchant wins. The merchant's debit is
involuntary: what is not there becomes a receivable. What of the payment is not available to the merchant yet is taken
first, and waits again when the merchant wins before it would have become available.
"""

from payments.accounts import debit_refusal
from payments.book import Book
from payments.commands import NO_REPLY
from payments.entries import Credit, Entry, EntryKind, Source, Step
from payments.identifiers import derive_consequence_id, is_system, system_account
from payments.items.details import Cause, CauseKind, Detail, Dispute, GivenBack, Legs, Posting, Receivable, Uncollected
from payments.money import MAX_MINOR
from payments.movements.deeds import Deed, available_of, debit_involuntarily
from payments.movements.deposits import uncollected_moved
from payments.movements.instructions import NoteEvidence, OpenDispute, RecoverReceivable, ResolveDispute, WriteOff
from payments.movements.refunds import given_back, paid_of
from payments.postings import SystemAccount
from payments.rejections import Reason


def open_dispute(book: Book, operation_id: bytes, asked: OpenDispute, source: Source) -> Deed | Reason:
    """The chargeback: debit the merchant for the amount and the fee, whatever is there."""
    before = given_back(book, asked.payment_id, paid_of(asked), asked.amount_minor, source.time_us)
    if isinstance(before, Reason):
        return before
    if not (0 <= asked.fee_minor <= MAX_MINOR and 0 <= asked.provider_fee_minor <= MAX_MINOR):
        return Reason.AMOUNT_INVALID
    if asked.provider_fee_minor and not is_system(asked.customer):
        return Reason.PROVIDER_UNKNOWN
    credits = [Posting(disputes_account(asked.currency), asked.amount_minor, asked.currency)]
    if asked.fee_minor:
        credits.append(Posting(system_account(SystemAccount.FEES, asked.currency), asked.fee_minor, asked.currency))
    waiting = book.items.find(Uncollected, asked.merchant, asked.payment_id)
    uncollected_minor = min(waiting.amount_minor, asked.amount_minor) if waiting is not None else 0
    dispute = Dispute(
        operation_id,
        asked.merchant,
        asked.payment_id,
        asked.customer,
        asked.amount_minor,
        asked.currency,
        asked.is_provisional,
        is_open=True,
        uncollected_minor=uncollected_minor,
    )
    after = before._replace(disputed_minor=before.disputed_minor + asked.amount_minor, under_way=before.under_way + 1)
    taken = uncollected_moved(waiting, -uncollected_minor, uncollected_minor)
    details: tuple[Detail, ...] = (Cause(CauseKind.DISPUTE, operation_id), after, dispute, *taken)
    deed = debit_involuntarily(book, operation_id, asked.merchant, tuple(credits), details, uncollected_minor)
    return deed if asked.provider_fee_minor == 0 else _with_provider_fee(deed, asked)


def _with_provider_fee(deed: Deed, asked: OpenDispute) -> Deed:
    """Dr provider fees, Cr the clearing account of the provider, which keeps it: the merchant pays only the fee."""
    fee = Posting(
        system_account(SystemAccount.PROVIDER_FEES, asked.currency), -asked.provider_fee_minor, asked.currency
    )
    kept = Posting(asked.customer, asked.provider_fee_minor, asked.currency)
    stated, *details = deed.details
    assert isinstance(stated, Legs)
    return deed._replace(details=(Legs((*stated.legs, fee, kept)), *details))


def note_evidence(book: Book, _operation_id: bytes, asked: NoteEvidence, _source: Source) -> Deed | Reason:
    """Evidence is on record with its hash; nothing moves."""
    dispute = book.items.find(Dispute, asked.merchant, asked.dispute_id)
    if dispute is None:
        return Reason.DISPUTE_NOT_FOUND
    cause = Cause(CauseKind.DISPUTE, dispute.item_id, asked.evidence_hash.hex())
    return Deed(EntryKind.NOTED, asked.merchant, details=(cause, dispute))


def resolve(book: Book, _operation_id: bytes, asked: ResolveDispute, _source: Source) -> Deed | Reason:
    """Won: the merchant has the amount again, less what it still owes of it. Lost: it is the customer's."""
    dispute = book.items.find(Dispute, asked.merchant, asked.dispute_id)
    if dispute is None:
        return Reason.DISPUTE_NOT_FOUND
    cause = Cause(CauseKind.DISPUTE, dispute.item_id, "won" if asked.is_won else "lost")
    ended = dispute._replace(is_open=False)
    if not asked.is_won:
        waiting = book.items.find(Uncollected, asked.merchant, dispute.payment_id)
        gone = uncollected_moved(waiting, 0, -dispute.uncollected_minor)
        return Deed(EntryKind.NOTED, asked.merchant, details=(cause, ended, *_counted(book, dispute, 0), *gone))
    return _credit_less_debt(book, dispute, (cause, ended, *_counted(book, dispute, dispute.amount_minor)))


def _counted(book: Book, dispute: Dispute, back_minor: int) -> tuple[GivenBack, ...]:
    """So much of the payment can be given back again, and one matter less is under way. Nothing where it is forgotten:
    a dispute from before matters under way were counted keeps nobody from that.
    """
    found = book.items.find(GivenBack, dispute.owner, dispute.payment_id)
    if found is None:
        return ()
    return (found._replace(disputed_minor=found.disputed_minor - back_minor, under_way=found.under_way - 1),)


def _credit_less_debt(book: Book, dispute: Dispute, details: tuple[Detail, ...]) -> Deed:
    """Dr disputes, Cr receivables as far as the merchant still owes of this dispute, Cr merchant the rest.

    What had not been available waits again, whole, unless it would be available by now: no debt is paid of it.
    """
    amount_minor, currency = dispute.amount_minor, dispute.currency
    waiting = book.items.find(Uncollected, dispute.owner, dispute.payment_id)
    waits_minor = dispute.uncollected_minor if waiting is not None else 0
    debt = book.items.find(Receivable, dispute.owner, dispute.item_id)
    repaid = min(debt.amount_minor, amount_minor - waits_minor) if debt is not None else 0
    legs = [Posting(disputes_account(currency), -amount_minor, currency)]
    if repaid:
        legs.append(Posting(system_account(SystemAccount.RECEIVABLES, currency), repaid, currency))
    if amount_minor > repaid:
        legs.append(Posting(dispute.owner, amount_minor - repaid, currency))
    waits = uncollected_moved(waiting, waits_minor, -waits_minor)
    available = available_of(book, dispute.owner) + amount_minor - repaid - waits_minor
    stated: tuple[Detail, ...] = (Legs(tuple(legs)), *details, *waits, *_paid_down(debt, repaid))
    return Deed(EntryKind.POSTED, legs[0].account, dispute.owner, amount_minor, currency, available, stated)


def recover(book: Book, _operation_id: bytes, asked: RecoverReceivable, _source: Source) -> Deed | Reason:
    """Pay part or all of a debt from what is available."""
    debt = book.items.find(Receivable, asked.account, asked.receivable_id)
    if debt is None:
        return Reason.RECEIVABLE_NOT_FOUND
    if asked.amount_minor <= 0:
        return Reason.AMOUNT_INVALID
    if asked.amount_minor > debt.amount_minor:
        return Reason.RECEIVABLE_EXCEEDED
    refusal = debit_refusal(book.accounts.get(asked.account), asked.amount_minor, debt.currency)
    if refusal is not None:
        return refusal
    receivables = system_account(SystemAccount.RECEIVABLES, debt.currency)
    details: tuple[Detail, ...] = (Cause(CauseKind.RECEIVABLE, debt.item_id), *_paid_down(debt, asked.amount_minor))
    available = available_of(book, asked.account) - asked.amount_minor
    return Deed(EntryKind.DEBITED, asked.account, receivables, asked.amount_minor, debt.currency, available, details)


def write_off(book: Book, _operation_id: bytes, asked: WriteOff, _source: Source) -> Deed | Reason:
    """Dr losses, Cr receivables."""
    debt = book.items.find(Receivable, asked.account, asked.receivable_id)
    if debt is None:
        return Reason.RECEIVABLE_NOT_FOUND
    legs = (
        Posting(system_account(SystemAccount.LOSSES, debt.currency), -debt.amount_minor, debt.currency),
        Posting(system_account(SystemAccount.RECEIVABLES, debt.currency), debt.amount_minor, debt.currency),
    )
    cause = Cause(CauseKind.RECEIVABLE, debt.item_id)
    details: tuple[Detail, ...] = (Legs(legs), cause, *_paid_down(debt, debt.amount_minor))
    return Deed(
        EntryKind.JOURNAL_POSTED, asked.account, amount_minor=debt.amount_minor, currency=debt.currency, details=details
    )


def collect(book: Book, credit: Credit, source: Source) -> Entry:
    """At the customer: take a provisional credit back, whatever is there.

    An account of another currency can't have taken it: there it went to unclaimed property, and is taken from it.
    """
    account = book.accounts.get(credit.payee)
    debtor = credit.payee
    if account is not None and account.currency != credit.currency:
        debtor = system_account(SystemAccount.UNCLAIMED, credit.currency)
    legs = (Posting(credit.payer, credit.amount_minor, credit.currency),)
    deed = debit_involuntarily(book, credit.operation_id, debtor, legs, credit.details)
    return deed.entry(credit.operation_id, source)


_STEPS = {
    (EntryKind.DEBITED, True, True): Step.CREDIT,
    (EntryKind.NOTED, False, False): Step.CREDIT,
    (EntryKind.POSTED, False, True): Step.COLLECT,
}
"""(kind of entry, dispute still open, customer credited at once) → what the customer's shard is asked for."""


def following(entry: Entry, dispute: Dispute) -> Credit | None:
    """What a dispute that was opened or resolved by this entry asks of the customer's shard.

    Opened with a provisional credit: pay it. Lost without: pay. Won with: collect it again.
    """
    step = _STEPS.get((entry.kind, dispute.is_open, dispute.is_provisional))
    if step is None:
        return None
    return Credit(
        derive_consequence_id(entry.operation_id, step.name),
        disputes_account(dispute.currency),
        dispute.customer,
        dispute.amount_minor,
        dispute.currency,
        NO_REPLY,
        step=step,
        details=(Cause(CauseKind.DISPUTE, dispute.item_id),),
    )


def disputes_account(currency: str) -> bytes:
    """Where contested amounts lie."""
    return system_account(SystemAccount.DISPUTES, currency)


def _paid_down(debt: Receivable | None, amount_minor: int) -> tuple[Receivable, ...]:
    if debt is None or amount_minor == 0:
        return ()
    rest = debt.amount_minor - amount_minor
    return (debt._replace(amount_minor=rest, is_open=rest > 0),)

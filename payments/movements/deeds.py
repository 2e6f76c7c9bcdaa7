"""What a decision becomes: an entry that has no place in the log yet."""

from typing import NamedTuple

from payments.book import Book
from payments.entries import NO_FINGERPRINT, Entry, EntryKind, Source
from payments.identifiers import NIL, is_system, system_account
from payments.items.details import Cause, Detail, Hold, Legs, OpenItem, Posting, Receivable
from payments.postings import SystemAccount
from payments.rejections import Reason


class Deed(NamedTuple):
    """An entry less its operation, time, fingerprint and source."""

    kind: EntryKind
    debit_account: bytes
    credit_account: bytes = NIL
    amount_minor: int = 0
    currency: str = ""
    available_after_minor: int = 0
    details: tuple[Detail, ...] = ()
    reason: Reason = Reason.NONE

    def entry(self, operation_id: bytes, source: Source, fingerprint: bytes = NO_FINGERPRINT) -> Entry:
        """The entry at its place in the log."""
        return Entry(
            self.kind,
            self.reason,
            operation_id,
            self.debit_account,
            self.credit_account,
            self.amount_minor,
            self.currency,
            self.available_after_minor,
            source.time_us,
            fingerprint,
            source.offset,
            source.item,
            self.details,
        )


def available_of(book: Book, account_id: bytes) -> int:
    """Available balance of an account of this shard; 0 for one that does not exist or has no state."""
    account = book.accounts.get(account_id)
    return account.available_minor if account is not None else 0


def released(book: Book, hold: Hold, reason: Reason, cause: Cause, *others: OpenItem) -> Deed:
    """What is left of a hold is the payer's again; `others` end with it."""
    details = (cause, hold._replace(amount_minor=0, is_open=False), *others)
    available = available_of(book, hold.owner) + hold.amount_minor
    return Deed(
        EntryKind.RELEASED, hold.owner, hold.payee, hold.amount_minor, hold.currency, available, details, reason
    )


def debit_involuntarily(
    book: Book,
    operation_id: bytes,
    account_id: bytes,
    credits: tuple[Posting, ...],
    details: tuple[Detail, ...],
    uncollected_minor: int = 0,
) -> Deed:
    """Debit an account for credits of one currency to accounts of the operator, whatever is there.

    `uncollected_minor` of it is taken out of what is not available yet. What the available balance does not cover of
    the rest is debited to receivables, and the account owes it (promise I3). An account of the operator is
    unconstrained: it covers everything.
    """
    currency = credits[0].currency
    amount_minor = sum(leg.amount_minor for leg in credits)
    rest_minor = amount_minor - uncollected_minor
    available = rest_minor if is_system(account_id) else available_of(book, account_id)
    paid = max(0, min(available, rest_minor))
    owed = rest_minor - paid
    debited_minor = paid + uncollected_minor
    debits = [Posting(account_id, -debited_minor, currency)] if debited_minor else []
    if owed:
        debits.append(Posting(system_account(SystemAccount.RECEIVABLES, currency), -owed, currency))
        details = (*details, Receivable(operation_id, account_id, owed, currency, is_open=True))
    return Deed(
        EntryKind.DEBITED,
        account_id,
        credits[0].account,
        amount_minor,
        currency,
        available - paid,
        (Legs((*debits, *credits)), *details),
    )

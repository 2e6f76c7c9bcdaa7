"""The life of a payment as data, and the decisions that move it on.

received ─▶ authorised ─▶ posted            decided at the authority, then at the receiver
    │            └──────▶ returned          the receiver could not take it; the payer has it back
    └─────▶ rejected

Every refusal stands before the reservation. `decide`, `post` and `take_back` read the book and change nothing.
"""

from enum import StrEnum

from payments.accounts import AccountStatus, credit_refusal, debit_refusal
from payments.book import Book
from payments.commands import Command, CommandKind
from payments.entries import NO_FINGERPRINT, Credit, Entry, EntryKind, Source
from payments.errors import InvariantViolation
from payments.identifiers import is_system
from payments.money import EXPONENTS, MAX_MINOR
from payments.postings import SYSTEM_CURRENCIES
from payments.rejections import Reason


class PaymentStatus(StrEnum):
    """The status words of the canonical routes (other documents' words are mapped from these in the HTTP layer)."""

    RECEIVED = "received"
    AUTHORISED = "authorised"
    POSTED = "posted"
    REJECTED = "rejected"
    RETURNED = "returned"


TRANSITIONS: dict[tuple[PaymentStatus, EntryKind], PaymentStatus] = {
    (PaymentStatus.RECEIVED, EntryKind.RESERVED): PaymentStatus.AUTHORISED,
    (PaymentStatus.RECEIVED, EntryKind.REJECTED): PaymentStatus.REJECTED,
    (PaymentStatus.RECEIVED, EntryKind.POSTED): PaymentStatus.POSTED,  # a deposit: one hop
    (PaymentStatus.AUTHORISED, EntryKind.POSTED): PaymentStatus.POSTED,
    (PaymentStatus.AUTHORISED, EntryKind.REFUSED): PaymentStatus.AUTHORISED,  # the return is in flight
    (PaymentStatus.AUTHORISED, EntryKind.RETURNED): PaymentStatus.RETURNED,
}
FINAL = frozenset({PaymentStatus.POSTED, PaymentStatus.REJECTED, PaymentStatus.RETURNED})


def decide(book: Book, operation_id: bytes, command: Command, source: Source) -> Entry:
    """The one decision about a command at its authority's shard. Idempotency first, then refusals, then the deed."""
    fingerprint = command.fingerprint
    available = _available(book, command.authority)
    known = book.operations.fingerprint_of(operation_id)
    if known is not None:
        kind, reason = _REPLAYED if known == fingerprint else _KEY_REUSED
        return _entry(kind, reason, operation_id, command, source, fingerprint, available)
    refusal = _REFUSALS[command.kind](book, command)
    if refusal is not None:
        return _entry(EntryKind.REJECTED, refusal, operation_id, command, source, fingerprint, available)
    # From here on the command must succeed.
    available += _CHANGES.get(command.kind, 0) * command.amount_minor
    return _entry(DEEDS[command.kind], Reason.NONE, operation_id, command, source, fingerprint, available)


def post(book: Book, credit: Credit, source: Source) -> Entry:
    """The journal entry at the receiver's shard (Dr payer, Cr payee), or its refusal. Credits commute: no funds are
    checked.
    """
    if is_system(credit.payee):
        return _credit_entry(EntryKind.POSTED, Reason.NONE, credit, source, 0)
    refusal = credit_refusal(book.accounts.get(credit.payee), credit.amount_minor, credit.currency)
    available = _available(book, credit.payee)
    if refusal is not None:
        return _credit_entry(EntryKind.REFUSED, refusal, credit, source, available)
    return _credit_entry(EntryKind.POSTED, Reason.NONE, credit, source, available + credit.amount_minor)


def take_back(book: Book, credit: Credit, source: Source) -> Entry:
    """Restore a refused credit to its payer: always, even to an account frozen or closed meanwhile."""
    if credit.payer not in book.accounts:
        raise InvariantViolation("a return reached a shard that never opened its payer", credit.operation_id.hex())
    available_after = _available(book, credit.payer) + credit.amount_minor
    return _credit_entry(EntryKind.RETURNED, credit.reason, credit, source, available_after)


def _available(book: Book, account_id: bytes) -> int:
    account = book.accounts.get(account_id)
    return account.available_minor if account is not None else 0


def _transfer_refusal(book: Book, command: Command) -> Reason | None:
    if not 0 < command.amount_minor <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    if is_system(command.payer):
        return Reason.ACCOUNT_RESERVED
    if command.payer == command.payee:
        return Reason.SAME_ACCOUNT
    if is_system(command.payee) and SYSTEM_CURRENCIES.get(command.payee) != command.currency:
        known = command.payee in SYSTEM_CURRENCIES
        return Reason.PAYEE_CURRENCY_MISMATCH if known else Reason.PAYEE_NOT_FOUND
    return debit_refusal(book.accounts.get(command.payer), command.amount_minor, command.currency)


def _deposit_refusal(book: Book, command: Command) -> Reason | None:
    if not 0 < command.amount_minor <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    if command.payer not in SYSTEM_CURRENCIES:
        return Reason.PAYER_NOT_SYSTEM
    if SYSTEM_CURRENCIES[command.payer] != command.currency:
        return Reason.CURRENCY_MISMATCH
    if is_system(command.payee):
        return Reason.ACCOUNT_RESERVED
    return credit_refusal(book.accounts.get(command.payee), command.amount_minor, command.currency)


def _open_refusal(book: Book, command: Command) -> Reason | None:
    if is_system(command.payer):
        return Reason.ACCOUNT_RESERVED
    if command.payer in book.accounts:
        return Reason.ACCOUNT_EXISTS
    if command.currency not in EXPONENTS:
        return Reason.CURRENCY_UNKNOWN
    return None if 0 <= command.amount_minor <= MAX_MINOR else Reason.AMOUNT_INVALID


def _freeze_refusal(book: Book, command: Command) -> Reason | None:
    account = book.accounts.get(command.payer)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    return Reason.ACCOUNT_CLOSED if account.status is AccountStatus.CLOSED else None


def _close_refusal(book: Book, command: Command) -> Reason | None:
    account = book.accounts.get(command.payer)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.status is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    return Reason.BALANCE_NOT_ZERO if account.available_minor else None


def _overdraft_refusal(book: Book, command: Command) -> Reason | None:
    account = book.accounts.get(command.payer)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.status is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    if not 0 <= command.amount_minor <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    return Reason.OVERDRAFT_IN_USE if account.available_minor < -command.amount_minor else None


_REFUSALS = {
    CommandKind.TRANSFER: _transfer_refusal,
    CommandKind.DEPOSIT: _deposit_refusal,
    CommandKind.OPEN_ACCOUNT: _open_refusal,
    CommandKind.FREEZE_ACCOUNT: _freeze_refusal,
    CommandKind.UNFREEZE_ACCOUNT: _freeze_refusal,
    CommandKind.CLOSE_ACCOUNT: _close_refusal,
    CommandKind.SET_OVERDRAFT_LIMIT: _overdraft_refusal,
}
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
    )

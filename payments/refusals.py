"""Why a command can't be done, as far as the shard of its authority can tell. One function per command, no effect."""

from payments.accounts import AccountStatus, credit_refusal, debit_refusal
from payments.book import Book
from payments.commands import Command, CommandKind
from payments.identifiers import is_system
from payments.items.details import HINDERS_CLOSING
from payments.money import EXPONENTS, MAX_MINOR
from payments.postings import SYSTEM_CURRENCIES
from payments.rejections import Reason
from payments.terms.methods import METHOD_OF


def transfer_refusal(book: Book, payer: bytes, payee: bytes, amount_minor: int, currency: str) -> Reason | None:
    """Why this payer cannot pay this payee, as far as the payer's shard can tell."""
    if not 0 < amount_minor <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    if is_system(payer):
        return Reason.ACCOUNT_RESERVED
    if payer == payee:
        return Reason.SAME_ACCOUNT
    if is_system(payee) and SYSTEM_CURRENCIES.get(payee) != currency:
        return Reason.PAYEE_CURRENCY_MISMATCH if payee in SYSTEM_CURRENCIES else Reason.PAYEE_NOT_FOUND
    return debit_refusal(book.accounts.get(payer), amount_minor, currency)


def _transfer_refusal(book: Book, command: Command) -> Reason | None:
    return transfer_refusal(book, command.payer, command.payee, command.amount_minor, command.currency)


def _deposit_refusal(book: Book, command: Command) -> Reason | None:
    if not 0 < command.amount_minor <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    if command.payer not in METHOD_OF:
        return Reason.PAYER_NOT_SYSTEM
    if SYSTEM_CURRENCIES[command.payer] != command.currency:
        return Reason.CURRENCY_MISMATCH
    if is_system(command.payee):
        return Reason.ACCOUNT_RESERVED
    return credit_refusal(book.accounts.get(command.payee), command.amount_minor, command.currency)


def opening_refusal(book: Book, account_id: bytes, currency: str, overdraft_limit_minor: int) -> Reason | None:
    """Why this account cannot be opened."""
    if is_system(account_id):
        return Reason.ACCOUNT_RESERVED
    if account_id in book.accounts:
        return Reason.ACCOUNT_EXISTS
    if currency not in EXPONENTS:
        return Reason.CURRENCY_UNKNOWN
    return None if 0 <= overdraft_limit_minor <= MAX_MINOR else Reason.AMOUNT_INVALID


def _open_refusal(book: Book, command: Command) -> Reason | None:
    return opening_refusal(book, command.payer, command.currency, command.amount_minor)


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
    if account.available_minor:
        return Reason.BALANCE_NOT_ZERO
    has_items = any(isinstance(item, HINDERS_CLOSING) for item in book.items.of(command.payer))
    return Reason.ACCOUNT_HAS_OPEN_ITEMS if has_items else None


def _overdraft_refusal(book: Book, command: Command) -> Reason | None:
    account = book.accounts.get(command.payer)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.status is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    if not 0 <= command.amount_minor <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    return Reason.OVERDRAFT_IN_USE if account.available_minor < -command.amount_minor else None


REFUSALS = {
    CommandKind.TRANSFER: _transfer_refusal,
    CommandKind.DEPOSIT: _deposit_refusal,
    CommandKind.OPEN_ACCOUNT: _open_refusal,
    CommandKind.FREEZE_ACCOUNT: _freeze_refusal,
    CommandKind.UNFREEZE_ACCOUNT: _freeze_refusal,
    CommandKind.CLOSE_ACCOUNT: _close_refusal,
    CommandKind.SET_OVERDRAFT_LIMIT: _overdraft_refusal,
}

"""An independent auditor: a plain, slow fold over what was asked for, which predicts every answer.

Reads commands, credits and the entries that answered them. Keeps its own accounts, keys and payments, and shares no
rule with payments.lifecycle, payments.accounts or payments.book (it imports none of them): where both agree, two
readings of the rules agree. Guarantees of `finish`: money conserved per currency, nobody below the limit, nothing in
flight, every payment final exactly once.
"""

from collections import Counter
from dataclasses import dataclass

from payments.commands import Command, CommandKind
from payments.entries import Credit, Entry, EntryKind
from payments.money import EXPONENTS, MAX_MINOR
from payments.postings import clearing_account, postings
from payments.rejections import Reason

Answer = tuple[EntryKind, Reason, int]
"""Kind, reason, and the available balance of the deciding account afterwards."""


@dataclass
class AuditedAccount:
    """An account as the auditor counts it: available and posted balance are added up separately."""

    currency: str
    limit: int
    available: int = 0
    posted: int = 0
    standing: str = "open"


class Auditor:
    """Follow a world with `command`, `credit` and `give_back` in the order things happen; end with `finish`."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, AuditedAccount] = {}
        self.system: Counter[tuple[bytes, str]] = Counter()
        self.first_bodies: dict[tuple[bytes, str], tuple[object, ...]] = {}
        self.moved: Counter[tuple[bytes, str]] = Counter()
        self.in_flight: dict[bytes, tuple[int, str]] = {}
        self.refused: set[bytes] = set()
        self.finals: Counter[bytes] = Counter()
        self.reserved: set[bytes] = set()

    def command(self, command: Command, entry: Entry) -> None:
        """A command was decided by this entry."""
        _check(entry, self._answer(command))
        scope = (_scope(command), command.idempotency_key)
        if entry.kind not in (EntryKind.REPLAYED, EntryKind.KEY_REUSED):
            self.first_bodies[scope] = _body(command)
        if entry.kind in (EntryKind.RESERVED, EntryKind.POSTED):
            self.moved[scope] += 1
            assert self.moved[scope] == 1, f"the key {command.idempotency_key!r} moved money twice"
        self._apply_command(command, entry)
        self.check_limits()

    def credit(self, credit: Credit, entry: Entry) -> None:
        """A credit reached the receiver's shard and was answered by this entry."""
        _check(entry, self._credit_answer(credit))
        if entry.kind is EntryKind.REFUSED:
            assert credit.operation_id in self.in_flight
            self.refused.add(credit.operation_id)
        else:
            self._finish_payment(credit)
            self._post(entry)
            if credit.payee in self.accounts:
                self.accounts[credit.payee].available += credit.amount_minor
            self.accounts[credit.payer].posted -= credit.amount_minor

    def give_back(self, credit: Credit, entry: Entry) -> None:
        """A refused credit came back to the payer's shard."""
        payer = self.accounts[credit.payer]
        _check(entry, (EntryKind.RETURNED, credit.reason, payer.available + credit.amount_minor))
        assert credit.operation_id in self.refused, "returned without a refusal"
        self._finish_payment(credit)
        payer.available += credit.amount_minor

    def check_limits(self) -> None:
        """No account below its limit, right now."""
        for account_id, account in self.accounts.items():
            assert account.available >= -account.limit, f"{account_id.hex()} is overdrawn: {account}"

    def check_conservation(self) -> None:
        """Per currency: what customers hold, what is in flight and what the system accounts owe add up to nothing."""
        totals: Counter[str] = Counter()
        posted: Counter[str] = Counter()
        for account in self.accounts.values():
            totals[account.currency] += account.available
            posted[account.currency] += account.posted
        for amount, currency in self.in_flight.values():
            totals[currency] += amount
        for (account_id, currency), amount in self.system.items():
            assert _operator_currency(account_id) == currency, "an account of the operator holds another currency"
            totals[currency] += amount
            posted[currency] += amount
        assert not any(totals.values()), f"money appeared or vanished: {dict(totals)}"
        assert not any(posted.values()), f"the postings do not add up to zero: {dict(posted)}"

    def finish(self) -> None:
        """Everything was delivered: nothing may be in flight and every payment is final exactly once."""
        self.check_conservation()
        self.check_limits()
        assert not self.in_flight, f"{len(self.in_flight)} payments never ended"
        assert set(self.finals) == self.reserved
        assert set(self.finals.values()) <= {1}, "a payment ended twice"
        for account_id, account in self.accounts.items():
            assert account.available == account.posted, f"{account_id.hex()}: available and posted differ at rest"

    def _answer(self, command: Command) -> Answer:
        account = self.accounts.get(_scope(command))
        available = account.available if account else 0
        first = self.first_bodies.get((_scope(command), command.idempotency_key))
        if first is not None and first == _body(command):
            return EntryKind.REPLAYED, Reason.NONE, available
        if first is not None:
            return EntryKind.KEY_REUSED, Reason.IDEMPOTENCY_KEY_REUSED, available
        refusal = self._refusal(command)
        if refusal is not None:
            return EntryKind.REJECTED, refusal, available
        moved = {CommandKind.TRANSFER: -command.amount_minor, CommandKind.DEPOSIT: command.amount_minor}
        return _SUCCESS[command.kind], Reason.NONE, available + moved.get(command.kind, 0)

    def _refusal(self, command: Command) -> Reason | None:
        match command.kind:
            case CommandKind.TRANSFER:
                return self._transfer_refusal(command)
            case CommandKind.DEPOSIT:
                return self._deposit_refusal(command)
            case CommandKind.OPEN_ACCOUNT:
                return self._opening_refusal(command)
            case _:
                return self._change_refusal(command)

    def _transfer_refusal(self, command: Command) -> Reason | None:
        if command.amount_minor < 1 or command.amount_minor > MAX_MINOR:
            return Reason.AMOUNT_INVALID
        if _owned_by_operator(command.payer):
            return Reason.ACCOUNT_RESERVED
        if command.payee == command.payer:
            return Reason.SAME_ACCOUNT
        if _owned_by_operator(command.payee) and _operator_currency(command.payee) is None:
            return Reason.PAYEE_NOT_FOUND
        if _owned_by_operator(command.payee) and _operator_currency(command.payee) != command.currency:
            return Reason.PAYEE_CURRENCY_MISMATCH
        payer = self.accounts.get(command.payer)
        if payer is None:
            return Reason.ACCOUNT_NOT_FOUND
        if payer.standing == "frozen":
            return Reason.ACCOUNT_FROZEN
        if payer.standing == "closed":
            return Reason.ACCOUNT_CLOSED
        if payer.currency != command.currency:
            return Reason.CURRENCY_MISMATCH
        return None if payer.available + payer.limit >= command.amount_minor else Reason.INSUFFICIENT_FUNDS

    def _deposit_refusal(self, command: Command) -> Reason | None:
        if command.amount_minor < 1 or command.amount_minor > MAX_MINOR:
            return Reason.AMOUNT_INVALID
        if _operator_currency(command.payer) is None:
            return Reason.PAYER_NOT_SYSTEM
        if _operator_currency(command.payer) != command.currency:
            return Reason.CURRENCY_MISMATCH
        if _owned_by_operator(command.payee):
            return Reason.ACCOUNT_RESERVED
        return self._receiving_refusal(command.payee, command.amount_minor, command.currency)

    def _receiving_refusal(self, payee: bytes, amount: int, currency: str) -> Reason | None:
        account = self.accounts.get(payee)
        if account is None:
            return Reason.PAYEE_NOT_FOUND
        if account.standing == "frozen":
            return Reason.PAYEE_FROZEN
        if account.standing == "closed":
            return Reason.PAYEE_CLOSED
        if account.currency != currency:
            return Reason.PAYEE_CURRENCY_MISMATCH
        return None if account.available + amount <= MAX_MINOR else Reason.BALANCE_LIMIT_EXCEEDED

    def _opening_refusal(self, command: Command) -> Reason | None:
        if _owned_by_operator(command.payer):
            return Reason.ACCOUNT_RESERVED
        if command.payer in self.accounts:
            return Reason.ACCOUNT_EXISTS
        if command.currency not in EXPONENTS:
            return Reason.CURRENCY_UNKNOWN
        return Reason.AMOUNT_INVALID if command.amount_minor < 0 or command.amount_minor > MAX_MINOR else None

    def _change_refusal(self, command: Command) -> Reason | None:
        account = self.accounts.get(command.payer)
        if account is None:
            return Reason.ACCOUNT_NOT_FOUND
        if account.standing == "closed":
            return Reason.ACCOUNT_CLOSED
        if command.kind is CommandKind.CLOSE_ACCOUNT and account.available != 0:
            return Reason.BALANCE_NOT_ZERO
        if command.kind is not CommandKind.SET_OVERDRAFT_LIMIT:
            return None
        if command.amount_minor < 0 or command.amount_minor > MAX_MINOR:
            return Reason.AMOUNT_INVALID
        return Reason.OVERDRAFT_IN_USE if account.available + command.amount_minor < 0 else None

    def _credit_answer(self, credit: Credit) -> Answer:
        if _owned_by_operator(credit.payee):
            return EntryKind.POSTED, Reason.NONE, 0
        refusal = self._receiving_refusal(credit.payee, credit.amount_minor, credit.currency)
        account = self.accounts.get(credit.payee)
        available = account.available if account else 0
        if refusal is not None:
            return EntryKind.REFUSED, refusal, available
        return EntryKind.POSTED, Reason.NONE, available + credit.amount_minor

    def _apply_command(self, command: Command, entry: Entry) -> None:
        match entry.kind:
            case EntryKind.RESERVED:
                self.accounts[command.payer].available -= command.amount_minor
                self.in_flight[entry.operation_id] = (command.amount_minor, command.currency)
                self.reserved.add(entry.operation_id)
            case EntryKind.POSTED:
                self.accounts[command.payee].available += command.amount_minor
                self._post(entry)
            case EntryKind.ACCOUNT_OPENED:
                self.accounts[command.payer] = AuditedAccount(command.currency, command.amount_minor)
            case EntryKind.OVERDRAFT_LIMIT_SET:
                self.accounts[command.payer].limit = command.amount_minor
            case EntryKind.ACCOUNT_FROZEN | EntryKind.ACCOUNT_UNFROZEN | EntryKind.ACCOUNT_CLOSED:
                self.accounts[command.payer].standing = _STANDING[entry.kind]

    def _post(self, entry: Entry) -> None:
        legs = postings(entry)
        assert sum(leg.amount_minor for leg in legs) == 0, "a journal entry that does not balance"
        assert [leg.account for leg in legs] == [entry.debit_account, entry.credit_account]
        if entry.credit_account in self.accounts:
            self.accounts[entry.credit_account].posted += entry.amount_minor
        for account_id, sign in ((entry.debit_account, -1), (entry.credit_account, 1)):
            if _owned_by_operator(account_id):
                self.system[account_id, entry.currency] += sign * entry.amount_minor

    def _finish_payment(self, credit: Credit) -> None:
        assert self.in_flight.pop(credit.operation_id, None) == (credit.amount_minor, credit.currency), (
            f"payment {credit.operation_id.hex()} ended without being in flight"
        )
        self.finals[credit.operation_id] += 1


_SUCCESS = {
    CommandKind.TRANSFER: EntryKind.RESERVED,
    CommandKind.DEPOSIT: EntryKind.POSTED,
    CommandKind.OPEN_ACCOUNT: EntryKind.ACCOUNT_OPENED,
    CommandKind.FREEZE_ACCOUNT: EntryKind.ACCOUNT_FROZEN,
    CommandKind.UNFREEZE_ACCOUNT: EntryKind.ACCOUNT_UNFROZEN,
    CommandKind.CLOSE_ACCOUNT: EntryKind.ACCOUNT_CLOSED,
    CommandKind.SET_OVERDRAFT_LIMIT: EntryKind.OVERDRAFT_LIMIT_SET,
}
_STANDING = {
    EntryKind.ACCOUNT_FROZEN: "frozen",
    EntryKind.ACCOUNT_UNFROZEN: "open",
    EntryKind.ACCOUNT_CLOSED: "closed",
}


def _scope(command: Command) -> bytes:
    return command.payee if command.kind is CommandKind.DEPOSIT else command.payer


def _body(command: Command) -> tuple[object, ...]:
    return command.kind, command.payer, command.payee, command.amount_minor, command.currency, command.description


def _owned_by_operator(account_id: bytes) -> bool:
    return account_id[:8] == bytes(8)


def _operator_currency(account_id: bytes) -> str | None:
    currencies = [currency for currency in EXPONENTS if account_id == clearing_account(currency)]
    return currencies[0] if currencies else None


def _check(entry: Entry, expected: Answer) -> None:
    got = (entry.kind, entry.reason, entry.available_after_minor)
    assert got == expected, f"{entry.operation_id.hex()}: decided {got}, the auditor expects {expected}"

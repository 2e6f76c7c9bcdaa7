"""Asks a world for everything that can be asked for: each kind of command and instruction, on what the ledger says is
open, so that most of it succeeds; now and then on what has ended, on a stranger, or for too much.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar, cast

from payments.accounts import AccountStatus, AccountType
from payments.book import is_receipt, received
from payments.commands import CommandKind, account_command
from payments.entries import Entry
from payments.identifiers import system_account
from payments.items.details import (
    OPEN_ITEMS,
    Dispute,
    Hold,
    OpenItem,
    Posting,
    Receivable,
    Uncollected,
)
from payments.movements.instructions import (
    CaptureHold,
    ClearDeposit,
    Envelope,
    Instruction,
    NoteEvidence,
    OpenAccount,
    OpenDispute,
    PlaceHold,
    PostJournal,
    PricedTransfer,
    RaiseHold,
    RecoverReceivable,
    Refund,
    ResolveDispute,
    ReturnDeposit,
    SetStanding,
    VoidHold,
    WriteOff,
)
from payments.postings import SystemAccount
from payments.terms.methods import Method, method_account
from schemas import topics
from schemas.codec.ledger import decode_ledger_record
from tests.streams.accounts import CURRENCY, deposit, transfer
from tests.streams.world import Asked, World

Item = TypeVar("Item", bound=OpenItem)

CHECKS = method_account(Method.CHECK, CURRENCY)
FEES = system_account(SystemAccount.FEES, CURRENCY)


class Clerk:
    """Reads the ledgers of a world and asks for one thing after the other. The same random numbers ask for the same."""

    def __init__(self, world: World, accounts: list[bytes]) -> None:
        self.world = world
        self.accounts = accounts
        self._asked = 0
        self._read: defaultdict[int, int] = defaultdict(int)
        self._receipts: list[Entry] = []
        self._items: dict[tuple[type, bytes], OpenItem] = {}

    def open_accounts(self, amount_minor: int) -> None:
        """Every third one is a merchant's; all have this much in cash."""
        types = [AccountType.MERCHANT, AccountType.CHECKING, AccountType.WALLET]
        for number, account_id in enumerate(self.accounts):
            kind = types[number % len(types)]
            self.world.send(
                OpenAccount(envelope=self._envelope(), account=account_id, type=kind, currency=CURRENCY),
                deposit(account_id, amount_minor),
            )

    def ask(self, kind: str, rng: random.Random) -> None:
        """Send one command, instruction or tick."""
        self._follow()
        asked = _KINDS[kind](self, rng)
        if asked is None:
            self.world.tick(rng.randrange(self.world.shards))
        else:
            self.world.send(asked)

    def _follow(self) -> None:
        for shard in range(self.world.shards):
            log = self.world.logs[topics.LEDGER.name, shard]
            for message in log[self._read[shard] :]:
                for entry in decode_ledger_record(message.value()).entries():
                    self._learn(entry)
            self._read[shard] = len(log)

    def _learn(self, entry: Entry) -> None:
        if is_receipt(entry):
            self._receipts.append(entry)
        for detail in entry.details:
            if isinstance(detail, OPEN_ITEMS):
                self._items[type(detail), detail.item_id] = detail

    def _envelope(self) -> Envelope:
        self._asked += 1
        return Envelope(f"asked-{self._asked}")

    def _account(self, rng: random.Random) -> bytes:
        return rng.choice(self.accounts)

    def _item(self, kind: type[Item], rng: random.Random) -> Item | None:
        """One of the newest, open or not."""
        known = [item for item in self._items.values() if type(item) is kind]
        found = rng.choice(known[-12:]) if known else None
        return cast("Item | None", found)

    def _transfer(self, rng: random.Random) -> Asked:
        payer, payee = rng.sample(self.accounts, 2)
        return transfer(payer, payee, rng.randrange(1, 120), self._envelope().idempotency_key)

    def _deposit(self, rng: random.Random) -> Asked:
        paid = deposit(self._account(rng), rng.randrange(1, 300), self._envelope().idempotency_key)
        return paid._replace(payer=CHECKS) if rng.random() < 0.7 else paid

    def _close(self, rng: random.Random) -> Asked:
        return account_command(CommandKind.CLOSE_ACCOUNT, self._account(rng), self._envelope().idempotency_key)

    def _standing(self, rng: random.Random) -> Asked:
        statuses = [AccountStatus.OPEN] * 4 + [AccountStatus.FROZEN, AccountStatus.DEBITS_FROZEN, AccountStatus.DORMANT]
        return SetStanding(envelope=self._envelope(), account=self._account(rng), status=rng.choice(statuses))

    def _priced(self, rng: random.Random) -> Asked:
        payer, payee = rng.sample(self.accounts, 2)
        paid, fee = rng.randrange(10, 100), rng.randrange(1, 9)
        legs = Posting(payer, -paid, CURRENCY), Posting(payee, paid - fee, CURRENCY), Posting(FEES, fee, CURRENCY)
        return PricedTransfer(envelope=self._envelope(), payer=payer, payee=payee, legs=legs)

    def _place(self, rng: random.Random) -> Asked:
        payer, payee = rng.sample(self.accounts, 2)
        expires_at_us = (self.world.now_ms + rng.randrange(60_000, 7_200_000)) * 1_000
        return PlaceHold(
            envelope=self._envelope(),
            payer=payer,
            payee=payee,
            amount_minor=rng.randrange(1, 90),
            currency=CURRENCY,
            expires_at_us=expires_at_us,
        )

    def _on_hold(self, kind: Callable[..., Instruction], rng: random.Random, **more: Any) -> Asked:
        hold = self._item(Hold, rng)
        if hold is None:
            return self._place(rng)
        return kind(envelope=self._envelope(), payer=hold.owner, hold_id=hold.item_id, **more)

    def _raise(self, rng: random.Random) -> Asked:
        return self._on_hold(RaiseHold, rng, amount_minor=rng.randrange(1, 40))

    def _capture(self, rng: random.Random) -> Asked:
        return self._on_hold(CaptureHold, rng, amount_minor=rng.randrange(1, 50), is_final=rng.random() < 0.4)

    def _void(self, rng: random.Random) -> Asked:
        return self._on_hold(VoidHold, rng)

    def _clear(self, rng: random.Random) -> Asked:
        waiting = self._item(Uncollected, rng)
        if waiting is None:
            return self._deposit(rng)
        return ClearDeposit(envelope=self._envelope(), account=waiting.owner, deposit_id=waiting.item_id)

    def _send_back(self, rng: random.Random) -> Asked:
        paid_in = [entry for entry in self._receipts if entry.debit_account == CHECKS]
        if not paid_in:
            return self._deposit(rng)
        entry = rng.choice(paid_in[-12:])
        return ReturnDeposit(
            envelope=self._envelope(),
            account=entry.credit_account,
            deposit_id=entry.operation_id,
            clearing_account=CHECKS,
            amount_minor=entry.amount_minor,
            currency=CURRENCY,
            code="A",
        )

    def _sale(self, kind: Callable[..., Instruction], rng: random.Random, **more: Any) -> Asked:
        if not self._receipts:
            return self._transfer(rng)
        entry = rng.choice(self._receipts[-20:])
        amount_minor, currency = received(entry)
        return kind(
            envelope=self._envelope(),
            merchant=entry.credit_account,
            customer=entry.debit_account,
            payment_id=entry.operation_id,
            payment_amount_minor=amount_minor,
            amount_minor=rng.randrange(1, amount_minor + 2),
            currency=currency,
            **more,
        )

    def _refund(self, rng: random.Random) -> Asked:
        return self._sale(Refund, rng)

    def _dispute(self, rng: random.Random) -> Asked:
        return self._sale(OpenDispute, rng, fee_minor=rng.randrange(0, 15), is_provisional=rng.random() < 0.5)

    def _evidence(self, rng: random.Random) -> Asked:
        return self._on_dispute(NoteEvidence, rng, evidence_hash=bytes(32))

    def _resolve(self, rng: random.Random) -> Asked:
        return self._on_dispute(ResolveDispute, rng, is_won=rng.random() < 0.5)

    def _on_dispute(self, kind: Callable[..., Instruction], rng: random.Random, **more: Any) -> Asked:
        dispute = self._item(Dispute, rng)
        if dispute is None:
            return self._dispute(rng)
        return kind(envelope=self._envelope(), merchant=dispute.owner, dispute_id=dispute.item_id, **more)

    def _recover(self, rng: random.Random) -> Asked:
        debt = self._item(Receivable, rng)
        if debt is None:
            return self._send_back(rng)
        return RecoverReceivable(
            envelope=self._envelope(),
            account=debt.owner,
            receivable_id=debt.item_id,
            amount_minor=rng.randrange(1, max(2, debt.amount_minor + 1)),
        )

    def _write_off(self, rng: random.Random) -> Asked:
        debt = self._item(Receivable, rng)
        if debt is None:
            return self._send_back(rng)
        return WriteOff(envelope=self._envelope(), account=debt.owner, receivable_id=debt.item_id)

    def _journal(self, rng: random.Random) -> Asked:
        parties = rng.sample(self.accounts, rng.randrange(2, 5))
        amounts = [rng.randrange(1, 60) * rng.choice([-1, 1]) for _ in parties]
        legs = [Posting(party, amount, CURRENCY) for party, amount in zip(parties, amounts, strict=True)]
        if sum(amounts):
            legs.insert(rng.randrange(len(legs) + 1), Posting(FEES, -sum(amounts), CURRENCY))
        return PostJournal(envelope=self._envelope(), legs=tuple(legs))

    def _tick(self, _rng: random.Random) -> None:
        """Time has come this far at some shard."""


_KINDS: dict[str, Callable[[Clerk, random.Random], Asked | None]] = {
    "transfer": Clerk._transfer,
    "deposit": Clerk._deposit,
    "close": Clerk._close,
    "standing": Clerk._standing,
    "priced transfer": Clerk._priced,
    "hold": Clerk._place,
    "raise": Clerk._raise,
    "capture": Clerk._capture,
    "void": Clerk._void,
    "clear": Clerk._clear,
    "send back": Clerk._send_back,
    "refund": Clerk._refund,
    "dispute": Clerk._dispute,
    "evidence": Clerk._evidence,
    "resolve": Clerk._resolve,
    "recover": Clerk._recover,
    "write off": Clerk._write_off,
    "journal": Clerk._journal,
    "tick": Clerk._tick,
}
KINDS = list(_KINDS)

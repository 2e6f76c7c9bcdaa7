"""CPU µs of each kind of decision: everything that follows from it included, applied to the book, nothing encoded.

Keeps one book in memory. A transfer is the authorisation and the posting, a journal all of its answers; of money that
moves outside, first all until the provider is asked, then all that its answer does.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from payments.accounts import AccountType
from payments.book import Book
from payments.commands import NO_REPLY, Command, CommandKind
from payments.commerce.connector import ConnectorResult, Decline, Outcome
from payments.entries import Entry, EntryKind, Source
from payments.identifiers import derive_operation_id, system_account
from payments.items.details import Posting, ProviderRequest
from payments.lifecycle import decide as decide_command
from payments.movements.deciding import conclude, decide, settled
from payments.movements.instructions import (
    CaptureHold,
    ClearDeposit,
    Envelope,
    Instruction,
    OpenAccount,
    OpenDispute,
    Order,
    PayOut,
    PlaceCheckout,
    PlaceHold,
    PostJournal,
    PricedTransfer,
    Refund,
    ResolveDispute,
    VoidHold,
)
from payments.postings import SystemAccount, clearing_account
from payments.terms.methods import Method, method_account

ROUNDS, CALLS = 7, 2_000
_START_US = 1_795_000_000_000_000
_CUSTOMERS = [bytes([0x71, number % 251, number // 251]) + b"\x70" * 13 for number in range(1_000)]
_SHOPS = [bytes([0x72, number]) + b"\x70" * 14 for number in range(50)]
_FEES = system_account(SystemAccount.FEES, "EUR")


class Answer(NamedTuple):
    """What a provider says, and who waits for it."""

    owner: bytes
    result: ConnectorResult


Asked = Command | Instruction | Answer
Prepare = Callable[["Core"], list[Asked]]
"""Makes what a round asks; whatever it refers to is decided before."""


class Core:
    """A book of a thousand customers and fifty merchants who have enough."""

    def __init__(self) -> None:
        self.book = Book()
        self._number = 0
        for account in (*_CUSTOMERS, *_SHOPS):
            type_ = AccountType.MERCHANT if account in _SHOPS else AccountType.CHECKING
            self.ask(OpenAccount(account=account, type=type_, currency="EUR", envelope=self.envelope()))
            self.ask(self.command(CommandKind.DEPOSIT, clearing_account("EUR"), account, 10**12))

    def envelope(self) -> Envelope:
        """A key of its own."""
        self._number += 1
        return Envelope(f"key {self._number}")

    def command(self, kind: CommandKind, payer: bytes, payee: bytes, amount_minor: int = 10) -> Command:
        """A transfer or deposit with a key of its own."""
        return Command(kind, payer, payee, amount_minor, "EUR", NO_REPLY, self.envelope().idempotency_key)

    def ask(self, asked: Asked) -> Entry:
        """Decide and apply it with all that follows; its own entry."""
        self._number += 1
        source = Source(self._number, 0, _START_US + self._number)
        if isinstance(asked, Answer):
            entry, _ = conclude(self.book, *asked, source)
        elif isinstance(asked, Command):
            operation_id = derive_operation_id(asked.authority, asked.idempotency_key, 0)
            entry = decide_command(self.book, operation_id, asked, source)
        else:
            operation_id = derive_operation_id(asked.authority, asked.envelope.idempotency_key, 0)
            entry = decide(self.book, operation_id, asked, source)
        assert entry.kind is not EntryKind.REJECTED, entry.reason
        for _ in settled(self.book, entry, source):
            pass
        return entry

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """A customer and a merchant, as many as one round asks."""
        for number in range(CALLS):
            yield _CUSTOMERS[number % len(_CUSTOMERS)], _SHOPS[number % len(_SHOPS)]


def kinds() -> dict[str, Prepare]:
    """By name: how a round of each kind is prepared."""
    return {
        "transfer": lambda core: [core.command(CommandKind.TRANSFER, one, _next(one)) for one, _ in core.pairs()],
        "transfer to a merchant": lambda core: [
            core.command(CommandKind.TRANSFER, one, shop) for one, shop in core.pairs()
        ],
        "transfer with a fee": _priced,
        "deposit": lambda core: [
            core.command(CommandKind.DEPOSIT, clearing_account("EUR"), one) for one, _ in core.pairs()
        ],
        "check deposited": lambda core: list(_checks(core)),
        "check cleared": lambda core: [
            ClearDeposit(account=check.payee, deposit_id=core.ask(check).operation_id, envelope=core.envelope())
            for check in _checks(core)
        ],
        "hold placed": lambda core: list(_holds(core)),
        "hold captured": lambda core: [_captured(core, hold) for hold in _holds(core)],
        "hold voided": lambda core: [
            VoidHold(payer=hold.payer, hold_id=core.ask(hold).operation_id, envelope=core.envelope())
            for hold in _holds(core)
        ],
        "refund": lambda core: [_refund(core, one, shop) for one, shop in core.pairs()],
        "dispute opened": lambda core: [_dispute(core, one, shop) for one, shop in core.pairs()],
        "dispute won": lambda core: [_won(core, one, shop) for one, shop in core.pairs()],
        "order until the provider is asked": lambda core: [_order(core, shop) for _, shop in core.pairs()],
        "order charged": lambda core: [_done(core, _order(core, shop)) for _, shop in core.pairs()],
        "payout until the provider is asked": lambda core: [_payout(core, one) for one, _ in core.pairs()],
        "payout done": lambda core: [_done(core, _payout(core, one)) for one, _ in core.pairs()],
        "journal of four legs": lambda core: [_journal(core, one, shop) for one, shop in core.pairs()],
    }


def measured(prepare: Prepare) -> float:
    """CPU µs of one, in the quickest round: what makes the others slower is the rest of the machine."""
    core, rounds = Core(), []
    for _ in range(ROUNDS):
        asked = prepare(core)
        began_ns = time.process_time_ns()
        for each in asked:
            core.ask(each)
        rounds.append((time.process_time_ns() - began_ns) / 1_000 / len(asked))
    return round(min(rounds), 1)


def _next(customer: bytes) -> bytes:
    return _CUSTOMERS[(_CUSTOMERS.index(customer) + 1) % len(_CUSTOMERS)]


def _priced(core: Core) -> list[Asked]:
    return [
        PricedTransfer(
            payer=one,
            payee=shop,
            legs=(Posting(one, -100, "EUR"), Posting(shop, 99, "EUR"), Posting(_FEES, 1, "EUR")),
            envelope=core.envelope(),
        )
        for one, shop in core.pairs()
    ]


def _checks(core: Core) -> Iterator[Command]:
    for one, _ in core.pairs():
        yield core.command(CommandKind.DEPOSIT, method_account(Method.CHECK, "EUR"), one)


def _holds(core: Core) -> Iterator[PlaceHold]:
    for one, shop in core.pairs():
        yield PlaceHold(
            payer=one,
            payee=shop,
            amount_minor=10,
            currency="EUR",
            expires_at_us=_START_US + 86_400_000_000,
            envelope=core.envelope(),
        )


def _captured(core: Core, hold: PlaceHold) -> CaptureHold:
    hold_id = core.ask(hold).operation_id
    return CaptureHold(payer=hold.payer, hold_id=hold_id, amount_minor=5, is_final=True, envelope=core.envelope())


def _refund(core: Core, one: bytes, shop: bytes) -> Refund:
    paid = core.ask(core.command(CommandKind.TRANSFER, one, shop))
    return Refund(
        merchant=shop,
        customer=one,
        payment_id=paid.operation_id,
        payment_amount_minor=10,
        amount_minor=6,
        currency="EUR",
        envelope=core.envelope(),
    )


def _dispute(core: Core, one: bytes, shop: bytes) -> OpenDispute:
    paid = core.ask(core.command(CommandKind.TRANSFER, one, shop))
    return OpenDispute(
        merchant=shop,
        customer=one,
        payment_id=paid.operation_id,
        payment_amount_minor=10,
        amount_minor=10,
        currency="EUR",
        fee_minor=1,
        is_provisional=True,
        envelope=core.envelope(),
    )


def _won(core: Core, one: bytes, shop: bytes) -> ResolveDispute:
    dispute_id = core.ask(_dispute(core, one, shop)).operation_id
    return ResolveDispute(merchant=shop, dispute_id=dispute_id, is_won=True, envelope=core.envelope())


def _order(core: Core, shop: bytes) -> PlaceCheckout:
    """A checkout of one order."""
    envelope = core.envelope()
    checkout = envelope.idempotency_key.encode().rjust(16, b"\x73")
    orders = (Order(envelope.idempotency_key, shop, 10, "EUR", False),)
    return PlaceCheckout(
        checkout=checkout, provider="stripe", token="pm_card_visa", buyer="", orders=orders, envelope=envelope
    )


def _payout(core: Core, one: bytes) -> PayOut:
    return PayOut(
        account=one, provider="stripe", token="ba_1", amount_minor=10, currency="EUR", envelope=core.envelope()
    )


def _done(core: Core, asked: PlaceCheckout | PayOut) -> Answer:
    """The provider's answer to what was asked of it."""
    [request] = [detail for detail in core.ask(asked).details if isinstance(detail, ProviderRequest)]
    result = ConnectorResult(
        request.item_id,
        1,
        request.provider,
        request.operation,
        request.payment_order_id,
        Outcome.SUCCEEDED,
        "pi_1",
        Decline.NONE,
        "",
        None,
        "",
        0,
        attempt_follows=False,
    )
    return Answer(request.owner, result)


def _journal(core: Core, one: bytes, shop: bytes) -> PostJournal:
    legs = (
        Posting(one, -20, "EUR"),
        Posting(_next(one), -30, "EUR"),
        Posting(shop, 49, "EUR"),
        Posting(_FEES, 1, "EUR"),
    )
    return PostJournal(legs=legs, envelope=core.envelope())

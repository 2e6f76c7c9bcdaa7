"""A script in which every kind of movement happens, in every way in which it ends: for sinks, audits and replays.

It only asks; whoever drives it brings the shards and the clock. Some items are left open at its end.
"""

from collections.abc import Callable
from itertools import count
from typing import Protocol

from payments.accounts import AccountStatus, AccountType
from payments.commands import NO_REPLY, Command, CommandKind, account_command
from payments.commerce.connector import ConnectorOperation, ConnectorRequest, ConnectorResult, Decline, Outcome
from payments.entries import EntryKind
from payments.identifiers import derive_account_id, derive_operation_id, derive_order_id, system_account
from payments.items.details import Posting
from payments.movements.instructions import (
    AssessTransfer,
    CancelOrder,
    CaptureHold,
    ClearDeposit,
    DecideReview,
    Envelope,
    Instruction,
    NoteEvidence,
    OpenAccount,
    OpenDispute,
    Order,
    PayOut,
    PlaceCheckout,
    PlaceHold,
    PostJournal,
    PricedTransfer,
    RaiseHold,
    RecoverReceivable,
    Refund,
    RefundOrder,
    ResolveDispute,
    ReturnDeposit,
    SetLimits,
    SetRules,
    SetStanding,
    SettleAttempt,
    VoidHold,
    WriteOff,
)
from payments.postings import SystemAccount
from payments.risk.limits import NO_LIMIT, Tier
from payments.terms.methods import Method, method_account
from schemas.partitioning import shard_of

SHARDS = 3
EXPIRY_US = 3_000_000
RULES = """
version: 1
reporting_thresholds: {EUR: 25.00}
rules:
  - {id: large, when: amount_minor > 10000, verdict: deny, reason: too much}
  - {id: unusual, when: amount_minor > 2000, verdict: review, reason: look at it}
  - {id: popular, when: payee_attempts_24h > 100, verdict: deny, reason: too many at once, mode: shadow}
"""
KINDS = frozenset(EntryKind) - {EntryKind.QUARANTINED, EntryKind.OVERDRAFT_LIMIT_SET, EntryKind.ACCOUNT_UNFROZEN}
"""What the script makes; the others are no movements beyond transfers."""


def shard_meant(asked: Command | Instruction) -> int:
    """Rules are written once to each shard; all else to that of its authority."""
    return asked.shard if isinstance(asked, SetRules) else shard_of(asked.authority, SHARDS)


class Drive(Protocol):
    """Takes what is asked, in order, and decides it."""

    def now_us(self) -> int:
        """The broker's clock."""
        ...

    def ask(self, asked: Command | Instruction) -> None:
        """Send; decided with the next `settle`."""
        ...

    def settle(self) -> None:
        """Decide everything until nothing waits."""
        ...

    def tick_at(self, time_us: int) -> None:
        """Let the time come this far and tell every shard."""
        ...


def _account(name: str, shard: int) -> bytes:
    ids = (derive_account_id("every kind", f"{name} {number}") for number in count())
    return next(id_ for id_ in ids if shard_of(id_, SHARDS) == shard)


ANNA, CARL = _account("anna", 0), _account("carl", 0)
BERT, DORA = _account("bert", 1), _account("dora", 1)
SHOP, EVE = _account("shop", 2), _account("eve", 2)
CHECKOUT, CANCELLED_CHECKOUT = _account("checkout", 0), _account("cancelled", 1)
CONTESTED_CHECKOUT = _account("contested", 1)
CHECKOUTS = frozenset({CHECKOUT, CANCELLED_CHECKOUT, CONTESTED_CHECKOUT})
STRIPE = system_account(SystemAccount.STRIPE_CLEARING, "EUR")
DISPUTES = system_account(SystemAccount.DISPUTES, "EUR")
CHECK, PAYROLL = method_account(Method.CHECK, "EUR"), method_account(Method.PAYROLL, "EUR")


def answers_of_provider(request: ConnectorRequest) -> list[ConnectorResult]:
    """What the provider of the script says, told by the last two digits of the amount: 66 is declined, 77 takes a while
    (a charge also waits for its payer) and is done, of 88 nobody knows, of 99 nothing is heard, all else is done.
    """
    declined, done = (Outcome.FAILED, Decline.CARD_DECLINED), (Outcome.SUCCEEDED, Decline.NONE)
    open_ = (Outcome.PENDING, Decline.NONE), (Outcome.UNKNOWN, Decline.NONE)
    acts = [(Outcome.REQUIRES_ACTION, Decline.NONE)] * 2 if request.operation is ConnectorOperation.CHARGE else []
    by_digits = {66: [declined], 77: [open_[0], *acts, done, done], 88: [open_[1]], 99: []}
    told = enumerate(by_digits.get(request.amount_minor % 100, [done]), 1)
    return [_result(request, attempt, outcome, decline) for attempt, (outcome, decline) in told]


def _result(request: ConnectorRequest, attempt: int, outcome: Outcome, decline: Decline) -> ConnectorResult:
    is_paid_out = outcome is Outcome.SUCCEEDED and request.operation is ConnectorOperation.PAYOUT
    return ConnectorResult(
        request.request_id,
        attempt,
        request.provider,
        request.operation,
        request.payment_order_id,
        outcome,
        f"pi_{request.request_id.hex()}" if outcome is not Outcome.FAILED else "",
        decline,
        "",
        3 if is_paid_out else None,
        "EUR" if is_paid_out else "",
        0,
        attempt_follows=outcome in (Outcome.PENDING, Outcome.REQUIRES_ACTION),
    )


class EveryKind:
    """`run` asks for everything, part after part."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._number = count()

    def run(self) -> None:
        for part in (
            self.accounts,
            self.payments,
            self.refunds,
            self.holds,
            self.deposits,
            self.disputes,
            self.debts,
            self.journals,
            self.priced,
            self.standings,
            self.reviews,
            self.checkouts,
            self.deliveries,
            self.payouts,
            self.settlements,
            self.contested_orders,
        ):
            part()
            self._drive.settle()

    def _key(self) -> str:
        return f"key {next(self._number)}"

    def _ask(self, kind: Callable[..., Instruction], **fields: object) -> bytes:
        asked = kind(envelope=Envelope(self._key(), description="every kind"), **fields)
        self._drive.ask(asked)
        return derive_operation_id(asked.authority, asked.envelope.idempotency_key, shard_of(asked.authority, SHARDS))

    def _command(self, kind: CommandKind, payer: bytes, payee: bytes, amount: int, currency: str = "EUR") -> bytes:
        command = Command(kind, payer, payee, amount, currency, NO_REPLY, self._key(), "a payment")
        self._drive.ask(command)
        authority = command.authority
        return derive_operation_id(authority, command.idempotency_key, shard_of(authority, SHARDS))

    def _pay(self, payer: bytes, payee: bytes, amount: int) -> bytes:
        return self._command(CommandKind.TRANSFER, payer, payee, amount)

    def _deposit(self, source: bytes, account: bytes, amount: int, currency: str = "EUR") -> bytes:
        return self._command(CommandKind.DEPOSIT, source, account, amount, currency)

    def accounts(self) -> None:
        """Of every type, with money on them."""
        types = {
            ANNA: AccountType.CHECKING,
            BERT: AccountType.SAVINGS,
            CARL: AccountType.WALLET,
            SHOP: AccountType.MERCHANT,
            EVE: AccountType.CHECKING,
        }
        for account, type_ in types.items():
            self._ask(OpenAccount, account=account, type=type_, currency="EUR")
        self._ask(OpenAccount, account=DORA, type=AccountType.CHECKING, currency="USD", overdraft_limit_minor=100)
        cash = system_account(SystemAccount.CASH_CLEARING, "EUR")
        for account in types:
            self._deposit(cash, account, 10_000)

    def payments(self) -> None:
        """To the merchant, who may have to give them back."""
        self.refundable = self._pay(ANNA, SHOP, 3_000)
        self.contested = self._pay(ANNA, SHOP, 4_000)
        self.contested_lost = self._pay(BERT, SHOP, 1_500)
        self.of_carl = self._pay(CARL, SHOP, 500)
        self.of_eve = self._pay(EVE, SHOP, 10_000)
        self._pay(ANNA, BERT, 100)
        self._pay(ANNA, CARL, 50)
        self._pay(BERT, ANNA, 999_999)
        self._pay(CARL, DORA, 5)

    def refunds(self) -> None:
        """Part of a payment, too much of one, and one that comes back."""
        paid = {"merchant": SHOP, "currency": "EUR"}
        of_anna = paid | {"customer": ANNA, "payment_id": self.refundable, "payment_amount_minor": 3_000}
        self._ask(Refund, **of_anna, amount_minor=1_000)
        self._ask(Refund, **of_anna, amount_minor=2_500)
        self._ask(Refund, **of_anna, amount_minor=600)
        self._drive.ask(account_command(CommandKind.FREEZE_ACCOUNT, CARL, "freeze"))
        self._drive.ask(account_command(CommandKind.CLOSE_ACCOUNT, EVE, "close"))
        self._drive.settle()
        of_carl = {"customer": CARL, "payment_id": self.of_carl, "payment_amount_minor": 500}
        self._ask(Refund, **paid, **of_carl, amount_minor=500)
        self._drive.settle()
        self._ask(SetStanding, account=CARL, status=AccountStatus.OPEN)

    def holds(self) -> None:
        """Captured in parts, voided, expired, and one that stays open."""
        later = self._drive.now_us() + 86_400_000_000
        hold = {"payer": ANNA, "payee": SHOP, "currency": "EUR", "expires_at_us": later}
        captured = self._ask(PlaceHold, **hold, amount_minor=1_000)
        self._ask(RaiseHold, payer=ANNA, hold_id=captured, amount_minor=200)
        self._ask(CaptureHold, payer=ANNA, hold_id=captured, amount_minor=500, is_final=False)
        self._ask(CaptureHold, payer=ANNA, hold_id=captured, amount_minor=701, is_final=False)
        self._drive.settle()
        self._ask(CaptureHold, payer=ANNA, hold_id=captured, amount_minor=300, is_final=True)
        voided = self._ask(PlaceHold, **hold, amount_minor=70)
        self._ask(VoidHold, payer=ANNA, hold_id=voided)
        self._ask(VoidHold, payer=ANNA, hold_id=voided)
        whole = self._ask(PlaceHold, **hold | {"payee": CARL}, amount_minor=40)
        self._ask(CaptureHold, payer=ANNA, hold_id=whole, amount_minor=40, is_final=False)
        self._ask(PlaceHold, **hold, amount_minor=111)
        expiry = self._drive.now_us() + EXPIRY_US
        self._ask(PlaceHold, **hold | {"expires_at_us": expiry}, amount_minor=222)
        self._ask(PlaceHold, **hold, amount_minor=10**9)
        self._drive.settle()
        self._drive.tick_at(expiry)

    def deposits(self) -> None:
        """Checks that clear, bounce and wait; a payroll that is called back."""
        cleared, bounced = self._deposit(CHECK, ANNA, 700), self._deposit(CHECK, ANNA, 900)
        self._deposit(CHECK, BERT, 333)
        called_back = self._deposit(PAYROLL, CARL, 400)
        self._drive.settle()
        self._ask(ClearDeposit, account=ANNA, deposit_id=cleared)
        self._ask(ClearDeposit, account=ANNA, deposit_id=cleared)
        back = {"account": ANNA, "deposit_id": bounced, "clearing_account": CHECK, "amount_minor": 900}
        self._ask(ReturnDeposit, **back, currency="EUR", code="A")
        back = {"account": CARL, "deposit_id": called_back, "clearing_account": PAYROLL, "amount_minor": 400}
        self._ask(ReturnDeposit, **back, currency="EUR", code="R01")

    def disputes(self) -> None:
        """A merchant without money: won with a debt and a provisional credit, lost, and lost by nobody's customer."""
        self._pay(SHOP, BERT, 26_000)
        self._drive.settle()
        paid = {"merchant": SHOP, "currency": "EUR", "fee_minor": 150}
        of_anna = {"customer": ANNA, "payment_id": self.contested, "payment_amount_minor": 4_000}
        won = self._ask(OpenDispute, **paid, **of_anna, amount_minor=4_000, is_provisional=True)
        of_bert = {"customer": BERT, "payment_id": self.contested_lost, "payment_amount_minor": 1_500}
        lost = self._ask(OpenDispute, **paid, **of_bert, amount_minor=1_000, is_provisional=False)
        of_eve = {"customer": EVE, "payment_id": self.of_eve, "payment_amount_minor": 10_000}
        unclaimed = self._ask(OpenDispute, **paid, **of_eve, amount_minor=77, is_provisional=False)
        of_eve["amount_minor"] = 55
        self._ask(OpenDispute, **paid, **of_eve, is_provisional=False)
        self._drive.settle()
        self._pay(ANNA, BERT, 8_000)
        self._drive.settle()
        self._ask(NoteEvidence, merchant=SHOP, dispute_id=won, evidence_hash=bytes(range(32)))
        self._ask(ResolveDispute, merchant=SHOP, dispute_id=won, is_won=True)
        self._ask(ResolveDispute, merchant=SHOP, dispute_id=lost, is_won=False)
        self._ask(ResolveDispute, merchant=SHOP, dispute_id=unclaimed, is_won=False)
        self.recovered, self.written_off = lost, unclaimed

    def debts(self) -> None:
        """Paid in part, and given up."""
        self._pay(BERT, SHOP, 500)
        self._drive.settle()
        self._ask(RecoverReceivable, account=SHOP, receivable_id=self.recovered, amount_minor=100)
        self._ask(RecoverReceivable, account=SHOP, receivable_id=self.recovered, amount_minor=10**6)
        self._ask(WriteOff, account=SHOP, receivable_id=self.written_off)

    def journals(self) -> None:
        """Over all shards: posted, cancelled by one leg, in two currencies, and of the operator alone."""
        fees = system_account(SystemAccount.FEES, "EUR")
        legs = (_leg(BERT, -300), _leg(CARL, -200), _leg(SHOP, 450), _leg(fees, 50))
        self._ask(PostJournal, legs=legs, code="split of a bill")
        self._ask(PostJournal, legs=(_leg(BERT, -10), _leg(CARL, -999_999), _leg(SHOP, 1_000_009)))
        exchanged = (_leg(BERT, -100), _leg(_fx("EUR"), 100), _leg(_fx("USD"), -110, "USD"), _leg(DORA, 110, "USD"))
        self._ask(PostJournal, legs=exchanged)
        self._ask(
            PostJournal, legs=(_leg(fees, -7), _leg(system_account(SystemAccount.SUSPENSE, "EUR"), 7)), code="brk_1"
        )
        self._ask(PostJournal, legs=(_leg(BERT, -7), _leg(SHOP, 8)))

    def priced(self) -> None:
        """With a fee and an exchange; one that its payee can't take."""
        fee = _leg(system_account(SystemAccount.FEES, "EUR"), 25)
        legs = (_leg(BERT, -1_025), fee, _leg(_fx("EUR"), 1_000), _leg(_fx("USD"), -1_100, "USD"))
        self._ask(PricedTransfer, payer=BERT, payee=DORA, legs=(*legs, _leg(DORA, 1_100, "USD")))
        self._ask(PricedTransfer, payer=BERT, payee=ANNA, legs=(*legs, _leg(ANNA, 1_100, "USD")))
        self._ask(
            PricedTransfer, payer=BERT, payee=CARL, legs=(_leg(BERT, -105), _leg(CARL, 100), _leg(fee.account, 5))
        )
        self._ask(PricedTransfer, payer=BERT, payee=CARL, legs=(_leg(BERT, -105), _leg(CARL, 100)))

    def standings(self) -> None:
        """Frozen for debits, dormant, woken; a key used again for the same and for something else."""
        for status in (AccountStatus.DEBITS_FROZEN, AccountStatus.DORMANT, AccountStatus.OPEN, AccountStatus.CLOSED):
            self._ask(SetStanding, account=DORA, status=status)
        again = SetStanding(envelope=Envelope("again"), account=CARL, status=AccountStatus.DORMANT)
        self._drive.ask(again)
        self._drive.ask(again)
        self._drive.ask(SetStanding(envelope=Envelope("again"), account=CARL, status=AccountStatus.OPEN))

    def reviews(self) -> None:
        """Held by a rule: approved by two, declined, left waiting; denied by a rule and by a limit."""
        for shard in range(SHARDS):
            self._ask(SetRules, shard=shard, text=RULES)
        limits = {"per_transaction_minor": 900, "daily_minor": NO_LIMIT, "monthly_minor": NO_LIMIT}
        self._ask(SetLimits, account=CARL, **limits, tier=Tier.BASIC)
        self._ask(SetStanding, account=CARL, status=AccountStatus.OPEN)
        self._drive.settle()
        self.approved = self._pay(BERT, SHOP, 3_000)
        self.declined, self.waiting = self._pay(BERT, CARL, 2_001), self._pay(BERT, SHOP, 2_002)
        for amount in (1_999, 12_000):
            self._pay(BERT, ANNA, amount)
        self._pay(CARL, ANNA, 901)
        self._pay(CARL, ANNA, 899)
        self._ask(AssessTransfer, payer=BERT, payee=SHOP, amount_minor=12_001, currency="EUR")
        self._drive.settle()
        for hold, analyst, is_approved in (
            (self.approved, b"1" * 16, True),
            (self.approved, b"1" * 16, True),
            (self.approved, b"2" * 16, True),
            (self.declined, b"1" * 16, False),
        ):
            self._ask(DecideReview, payer=BERT, hold_id=hold, analyst=analyst, is_approved=is_approved)

    def checkouts(self) -> None:
        """Of several sellers: done, declined, refused by a seller, waited for, unknown; cancelled in time and after."""
        for seller, amount in ((SHOP, 1_000), (BERT, 500), (SHOP, 266), (EVE, 100), (SHOP, 477), (SHOP, 988)):
            self._order(CHECKOUT, seller, amount, is_on_delivery=seller == SHOP)
        self._order(CHECKOUT, SHOP, 40, is_on_delivery=False)
        self._order(CANCELLED_CHECKOUT, SHOP, 900, is_on_delivery=True)
        self._ask(CancelOrder, checkout=CANCELLED_CHECKOUT, payment_order_id="900")
        self._drive.settle()
        for order in ("500", "988", "266", "none"):
            self._ask(CancelOrder, checkout=CHECKOUT, payment_order_id=order)
        of_shop = {"checkout": CHECKOUT, "payment_order_id": "1000", "currency": "EUR"}
        for amount_minor in (300, 166, 177, 600, 188):
            self._ask(RefundOrder, **of_shop, amount_minor=amount_minor)
            self._drive.settle()

    def deliveries(self) -> None:
        """Once: what is left is the seller's, and refunds take it from there."""
        shard = shard_of(CHECKOUT, SHARDS)
        for order, times in (("1000", 2), ("477", 1)):
            deposit = derive_order_id(CHECKOUT, order, shard)
            for _ in range(times):
                self._ask(ClearDeposit, account=SHOP, deposit_id=deposit)
        self._drive.settle()
        for amount_minor in (100, 66):
            of_shop = {"checkout": CHECKOUT, "payment_order_id": "477", "currency": "EUR"}
            self._ask(RefundOrder, **of_shop, amount_minor=amount_minor)

    def payouts(self) -> None:
        """Done, declined, waited for, unknown, and without the money for it."""
        for amount_minor in (10, 66, 77, 88, 10**9):
            self._ask(PayOut, account=BERT, provider="stripe", token="ba_1", amount_minor=amount_minor, currency="EUR")

    def settlements(self) -> None:
        """Of payouts of which nobody knows: done, not done, proposed by one person, and by another otherwise."""
        told = {"account": BERT, "provider": "stripe", "token": "ba_1", "currency": "EUR"}
        unknown = [self._ask(PayOut, **told, amount_minor=amount_minor) for amount_minor in (188, 288, 388)]
        self._drive.settle()
        for payout, sayings in zip(unknown, ((True, True), (False, False), (True, False)), strict=True):
            for operator, is_succeeded in enumerate(sayings, 1):
                said = {"is_succeeded": is_succeeded, "provider_reference": "po_1" if is_succeeded else ""}
                self._ask(SettleAttempt, owner=BERT, request_id=payout, operator=bytes([operator]) * 16, **said)
                self._drive.settle()

    def contested_orders(self) -> None:
        """Before their delivery: won in time, won after it, lost, and not decided; each takes what waits first."""
        shard = shard_of(CONTESTED_CHECKOUT, SHARDS)
        disputed = {}
        for amount in (1_100, 1_200, 1_300, 1_400):
            self._order(CONTESTED_CHECKOUT, SHOP, amount, is_on_delivery=True)
            self._drive.settle()
            order = derive_order_id(CONTESTED_CHECKOUT, str(amount), shard)
            of_order = {"merchant": SHOP, "customer": STRIPE, "payment_id": order, "payment_amount_minor": amount}
            asked = of_order | {"currency": "EUR", "amount_minor": amount - 300, "fee_minor": 150}
            disputed[amount] = order, self._ask(OpenDispute, **asked, is_provisional=False)
            self._drive.settle()
        self._ask(ClearDeposit, account=SHOP, deposit_id=disputed[1_200][0])
        for amount, is_won in ((1_100, True), (1_200, True), (1_300, False)):
            self._ask(ResolveDispute, merchant=SHOP, dispute_id=disputed[amount][1], is_won=is_won)
            self._drive.settle()
        self._ask(ClearDeposit, account=SHOP, deposit_id=disputed[1_300][0])

    def _order(self, checkout: bytes, seller: bytes, amount: int, *, is_on_delivery: bool) -> None:
        """A payment order is named by its amount."""
        orders = (Order(str(amount), seller, amount, "EUR", is_on_delivery),)
        self._ask(PlaceCheckout, checkout=checkout, provider="stripe", token="pm_1", buyer="customer-7", orders=orders)


def _leg(account: bytes, amount_minor: int, currency: str = "EUR") -> Posting:
    return Posting(account, amount_minor, currency)


def _fx(currency: str) -> bytes:
    return system_account(SystemAccount.FX_POSITION, currency)

"""Goal: what goes wrong elsewhere when two things happen at once is told here by name, and what went wrong here.

Every case plays on several shards with messages under way, and every entry is held against the independent model
(tests/model), which raises on the first that it would have answered otherwise.
"""

import pytest

from payments.accounts import AccountStatus, AccountType
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import Entry, EntryKind
from payments.identifiers import NIL, derive_operation_id, system_account
from payments.items.details import Posting, Receivable
from payments.movements.instructions import (
    CaptureHold,
    Envelope,
    Instruction,
    OpenAccount,
    OpenDispute,
    PlaceHold,
    PostJournal,
    PricedTransfer,
    Refund,
    ResolveDispute,
    ReturnDeposit,
    SetStanding,
    VoidHold,
)
from payments.postings import SystemAccount, postings
from payments.rejections import Reason
from payments.terms.methods import Method, method_account
from tests.model.ledger import authority
from tests.model.world import Ask, Deliver, Tick, World, home

HOUR_US = 3_600_000_000
START_US = 1_700_000_000_000_000
CARD, CHECK = method_account(Method.CARD, "USD"), method_account(Method.CHECK, "USD")
IDS = [bytes([number]) * 6 + b"\x70" + bytes([number]) * 9 for number in range(1, 30)]
ANN, MERCHANT, EURO = (next(id_ for id_ in IDS if home(id_) == shard) for shard in range(3))


class Scene:
    """A world with a customer of $100.00, a merchant, and one account in euro."""

    def __init__(self) -> None:
        self.world = World()
        self.now_us = START_US
        self._keys = 0
        for account, type_, currency in (
            (ANN, AccountType.CHECKING, "USD"),
            (MERCHANT, AccountType.MERCHANT, "USD"),
            (EURO, AccountType.CHECKING, "EUR"),
        ):
            self.ask(OpenAccount(envelope=self.key(), account=account, type=type_, currency=currency))
        self.deposit(ANN, 100_00)

    def key(self, name: str = "") -> Envelope:
        self._keys += 1
        return Envelope(name or f"key {self._keys}")

    def ask(self, asked: Command | Instruction) -> Entry:
        """The first entry that the answer consists of."""
        shard = self.world.shards[home(authority(asked))]
        before = len(shard.log)
        self.world.play(Ask(asked, self.now_us))
        return shard.log[before]

    def command(self, kind: CommandKind, payer: bytes, payee: bytes, amount: int, currency: str = "USD") -> Entry:
        return self.ask(Command(kind, payer, payee, amount, currency, NO_REPLY, self.key().idempotency_key))

    def deposit(self, account: bytes, amount: int, clearing: bytes = CARD, currency: str = "USD") -> Entry:
        return self.command(CommandKind.DEPOSIT, clearing, account, amount, currency)

    def paid(self, amount: int = 100_00) -> bytes:
        """Ann has paid the merchant."""
        payment_id = self.command(CommandKind.TRANSFER, ANN, MERCHANT, amount).operation_id
        self.deliver()
        return payment_id

    def refund(self, payment_id: bytes, amount: int, of: int = 100_00, customer: bytes = ANN) -> Refund:
        return Refund(
            envelope=self.key(),
            merchant=MERCHANT,
            customer=customer,
            payment_id=payment_id,
            payment_amount_minor=of,
            amount_minor=amount,
            currency="USD",
        )

    def dispute(self, payment_id: bytes, amount: int, is_provisional: bool = False, **fields: object) -> OpenDispute:
        refund = self.refund(payment_id, amount)
        stated = {name: getattr(refund, name) for name in Refund.__dataclass_fields__} | fields
        return OpenDispute(**stated, fee_minor=15_00, is_provisional=is_provisional)

    def resolve(self, dispute_id: bytes, is_won: bool) -> Entry:
        asked = ResolveDispute(envelope=self.key(), merchant=MERCHANT, dispute_id=dispute_id, is_won=is_won)
        return self.ask(asked)

    def returned(self, deposit_id: bytes, account: bytes, amount: int) -> ReturnDeposit:
        """The card network takes a deposit back."""
        return ReturnDeposit(
            envelope=self.key(),
            account=account,
            deposit_id=deposit_id,
            clearing_account=CARD,
            amount_minor=amount,
            currency="USD",
            code="charge_reversed",
        )

    def on_day(self, number: int) -> None:
        """So many days after the start; something is received there, or nothing would be forgotten."""
        self.now_us = START_US + number * 24 * HOUR_US
        self.deposit(ANN, 1)
        self.deposit(MERCHANT, 1)

    def hold(self, amount: int = 60_00, key: str = "", hours: int = 1) -> Entry:
        return self.ask(
            PlaceHold(
                envelope=self.key(key),
                payer=ANN,
                payee=MERCHANT,
                amount_minor=amount,
                currency="USD",
                expires_at_us=self.now_us + hours * HOUR_US,
            )
        )

    def capture(self, hold_id: bytes, amount: int, is_final: bool = False) -> CaptureHold:
        return CaptureHold(envelope=self.key(), payer=ANN, hold_id=hold_id, amount_minor=amount, is_final=is_final)

    def deliver(self, place: int = 0) -> None:
        """Everything that is under way arrives, and what it sends."""
        while self.world.under_way:
            self.world.play(Deliver(place, self.now_us))

    def available(self, account: bytes) -> int:
        found = self.world.shards[home(account)].book.accounts.get(account)
        assert found is not None
        return found.available_minor

    def posted(self, code: SystemAccount, currency: str = "USD") -> int:
        """What stands on an account of the operator."""
        account = system_account(code, currency)
        legs = (leg for shard in self.world.shards for entry in shard.log for leg in postings(entry))
        return sum(leg.amount_minor for leg in legs if leg.account == account)


@pytest.fixture
def scene() -> Scene:
    return Scene()


# What two at once must not do.


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
def test_of_two_refunds_of_60_on_100_one_is_refused(scene: Scene, order: tuple[int, int]) -> None:
    payment_id = scene.paid(100_00)
    scene.deposit(MERCHANT, 100_00)  # the merchant could afford both
    refunds = [scene.refund(payment_id, 60_00), scene.refund(payment_id, 60_00)]
    entries = [scene.ask(refunds[place]) for place in order]  # the first is still in flight
    assert [entry.reason for entry in entries] == [Reason.NONE, Reason.REFUND_EXCEEDS_PAYMENT]
    scene.world.come_to_rest()
    assert scene.available(ANN) == 60_00


def test_a_refund_that_comes_back_can_be_tried_again(scene: Scene) -> None:
    payment_id = scene.paid(100_00)
    scene.ask(SetStanding(envelope=scene.key(), account=ANN, status=AccountStatus.FROZEN))
    scene.ask(scene.refund(payment_id, 60_00))
    assert scene.ask(scene.refund(payment_id, 60_00)).reason is Reason.REFUND_EXCEEDS_PAYMENT
    scene.deliver()
    assert scene.ask(scene.refund(payment_id, 100_00)).kind is EntryKind.RESERVED


def test_a_capture_of_a_rejected_hold_moves_nothing(scene: Scene) -> None:
    hold = scene.hold(100_01)
    assert hold.reason is Reason.INSUFFICIENT_FUNDS
    assert scene.ask(scene.capture(hold.operation_id, 1)).reason is Reason.HOLD_NOT_FOUND
    scene.world.come_to_rest()
    assert (scene.available(ANN), scene.available(MERCHANT)) == (100_00, 0)


@pytest.mark.parametrize("refund_first", [True, False])
def test_a_refund_and_a_chargeback_never_exceed_the_payment_together(scene: Scene, refund_first: bool) -> None:
    payment_id = scene.paid(100_00)
    scene.deposit(MERCHANT, 100_00)
    both = [scene.refund(payment_id, 60_00), scene.dispute(payment_id, 60_00)]
    first, second = [scene.ask(asked) for asked in (both if refund_first else both[::-1])]
    assert (first.reason, second.reason) == (Reason.NONE, Reason.REFUND_EXCEEDS_PAYMENT)
    scene.world.come_to_rest()


def test_a_job_run_twice_with_the_key_of_its_day_posts_once(scene: Scene) -> None:
    reward = Command(CommandKind.DEPOSIT, CARD, ANN, 7, "USD", NO_REPLY, "reward 2026-11-22")
    assert [scene.ask(reward).kind for _ in range(2)] == [EntryKind.POSTED, EntryKind.REPLAYED]
    assert scene.available(ANN) == 100_07


@pytest.mark.parametrize("priced", [True, False])
def test_a_transfer_to_oneself_is_refused(scene: Scene, priced: bool) -> None:
    legs = Posting(ANN, -10, "USD"), Posting(ANN, 10, "USD")
    transfer = Command(CommandKind.TRANSFER, ANN, ANN, 10, "USD", NO_REPLY, "self")
    asked = PricedTransfer(envelope=scene.key("self"), payer=ANN, payee=ANN, legs=legs) if priced else transfer
    assert scene.ask(asked).reason is Reason.SAME_ACCOUNT
    assert scene.available(ANN) == 100_00


def test_a_key_used_with_another_body_moves_nothing(scene: Scene) -> None:
    assert scene.hold(60_00, key="order 7").kind is EntryKind.HELD
    assert scene.hold(10_00, key="order 7").reason is Reason.IDEMPOTENCY_KEY_REUSED
    transfer = Command(CommandKind.TRANSFER, ANN, MERCHANT, 60_00, "USD", NO_REPLY, "order 7")
    assert scene.ask(transfer).reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert scene.available(ANN) == 40_00


@pytest.mark.parametrize("tick_first", [True, False])
def test_of_two_captures_around_an_expiry_the_one_at_its_microsecond_is_too_late(
    scene: Scene, tick_first: bool
) -> None:
    hold_id = scene.hold(60_00).operation_id
    scene.now_us += HOUR_US - 1
    early = scene.ask(scene.capture(hold_id, 40_00))
    scene.now_us += 1
    if tick_first:
        scene.world.play(Tick(home(ANN), scene.now_us))
    late = scene.ask(scene.capture(hold_id, 20_00))
    assert early.kind is EntryKind.CAPTURED
    assert late.reason is (Reason.HOLD_NOT_FOUND if tick_first else Reason.HOLD_EXPIRED)
    scene.world.play(Tick(home(ANN), scene.now_us))
    scene.world.come_to_rest()
    assert (scene.available(ANN), scene.available(MERCHANT)) == (60_00, 40_00)


def test_a_journal_with_a_refusing_leg_moves_nothing_however_the_answers_arrive(scene: Scene) -> None:
    legs = Posting(ANN, -60_00, "USD"), Posting(MERCHANT, -1, "USD"), Posting(CARD, 60_01, "USD")
    scene.ask(PostJournal(envelope=scene.key(), legs=legs))
    scene.deliver(place=-1)
    scene.world.come_to_rest()
    assert (scene.available(ANN), scene.available(MERCHANT)) == (100_00, 0)


# What the model found.


def test_a_provisional_credit_to_a_card_is_taken_back_from_the_card_network(scene: Scene) -> None:
    """It was debited to receivables, from an account that can owe nothing."""
    payment_id = scene.deposit(MERCHANT, 50_00).operation_id
    dispute = scene.ask(
        scene.dispute(payment_id, 50_00, is_provisional=True, customer=CARD, payment_amount_minor=50_00)
    )
    scene.deposit(MERCHANT, 15_00)  # pays for the fee, so that all that is owed would come from the card
    before = scene.posted(SystemAccount.CARD_CLEARING), scene.posted(SystemAccount.RECEIVABLES)
    assert before == (-100_00 - 65_00 + 50_00, -15_00)
    scene.resolve(dispute.operation_id, is_won=True)
    scene.world.come_to_rest()
    assert scene.posted(SystemAccount.CARD_CLEARING) == before[0] - 50_00
    assert scene.posted(SystemAccount.DISPUTES) == 0


def test_a_provisional_credit_in_another_currency_is_taken_back_from_where_it_went(scene: Scene) -> None:
    """Cents of an account in euro were debited as cents of a dollar."""
    scene.deposit(EURO, 100_00, method_account(Method.CARD, "EUR"), "EUR")
    legs = (
        Posting(EURO, -90_00, "EUR"),
        Posting(system_account(SystemAccount.FX_POSITION, "EUR"), 90_00, "EUR"),
        Posting(system_account(SystemAccount.FX_POSITION, "USD"), -100_00, "USD"),
        Posting(MERCHANT, 100_00, "USD"),
    )
    payment = scene.ask(PricedTransfer(envelope=scene.key(), payer=EURO, payee=MERCHANT, legs=legs))
    scene.deliver()
    dispute = scene.ask(scene.dispute(payment.operation_id, 100_00, is_provisional=True, customer=EURO))
    scene.deliver()
    assert scene.posted(SystemAccount.UNCLAIMED) == 100_00
    scene.resolve(dispute.operation_id, is_won=True)
    scene.world.come_to_rest()
    assert scene.available(EURO) == 10_00
    assert scene.posted(SystemAccount.UNCLAIMED) == scene.posted(SystemAccount.DISPUTES) == 0


def test_a_deposit_can_bounce_after_a_dispute_about_it_was_won(scene: Scene) -> None:
    """That nothing of it is given back any more was taken for something."""
    payment_id = scene.deposit(MERCHANT, 50_00).operation_id
    dispute = scene.ask(scene.dispute(payment_id, 50_00, customer=CARD, payment_amount_minor=50_00))
    scene.resolve(dispute.operation_id, is_won=True)
    assert scene.ask(scene.returned(payment_id, MERCHANT, 50_00)).kind is EntryKind.DEBITED
    scene.world.come_to_rest()


def test_a_won_dispute_is_no_payment_that_could_be_refunded(scene: Scene) -> None:
    """It was remembered like a deposit, so the merchant could pay out of the disputes account."""
    payment_id = scene.paid(100_00)
    dispute = scene.ask(scene.dispute(payment_id, 60_00))
    won = scene.resolve(dispute.operation_id, is_won=True)
    disputes = system_account(SystemAccount.DISPUTES, "USD")
    asked = scene.refund(won.operation_id, 60_00, of=60_00, customer=disputes)
    assert scene.ask(asked).reason is Reason.PAYMENT_NOT_REFUNDABLE


def test_a_deposit_comes_from_a_method_and_not_from_another_account_of_the_operator(scene: Scene) -> None:
    """One from the disputes account was disputed, lost and given back to where it lay, which no table takes."""
    disputes = system_account(SystemAccount.DISPUTES, "USD")
    assert scene.deposit(MERCHANT, 50_00, disputes).reason is Reason.PAYER_NOT_SYSTEM


def test_a_key_that_is_used_again_after_its_window_does_not_replace_what_it_began(scene: Scene) -> None:
    """The second hold took the place of the first, whose amount nobody could release any more."""
    scene.hold(60_00, key="order 7", hours=30 * 24)
    check = Command(CommandKind.DEPOSIT, CHECK, ANN, 10_00, "USD", NO_REPLY, "check 8")
    scene.ask(check)
    scene.now_us += 74 * HOUR_US
    scene.deposit(ANN, 1)  # forgets what is older than 72 hours
    again = scene.hold(10_00, key="order 7")
    assert again.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert scene.ask(check).reason is Reason.IDEMPOTENCY_KEY_REUSED
    scene.world.come_to_rest()


def test_a_hold_does_not_expire_when_one_that_had_its_id_would_have(scene: Scene) -> None:
    """The first was voided; its key began another hold four days later, which ended with the first one's time."""
    first = scene.hold(60_00, key="order 7", hours=5 * 24)
    scene.ask(VoidHold(envelope=scene.key(), payer=ANN, hold_id=first.operation_id))
    scene.on_day(4)
    second = scene.hold(10_00, key="order 7", hours=5 * 24)
    assert (second.kind, second.operation_id) == (EntryKind.HELD, first.operation_id)
    scene.on_day(6)
    scene.world.play(Tick(home(ANN), scene.now_us))
    assert scene.ask(scene.capture(first.operation_id, 10_00)).kind is EntryKind.CAPTURED
    scene.world.come_to_rest()


def test_a_payment_that_was_received_twice_is_forgotten_after_the_second(scene: Scene) -> None:
    """One repeated after 72 hours was forgotten 180 days after the first, and stopped the shard after the second."""
    paid_in = Command(CommandKind.DEPOSIT, CARD, ANN, 10_00, "USD", NO_REPLY, "pay day")
    for day in (0, 4):
        scene.on_day(day)
        assert scene.ask(paid_in).kind is EntryKind.POSTED
    operation_id = derive_operation_id(ANN, "pay day", home(ANN))
    scene.on_day(181)
    assert scene.ask(scene.returned(operation_id, ANN, 10_00)).kind is EntryKind.DEBITED
    scene.on_day(185)
    assert scene.ask(scene.returned(operation_id, ANN, 10_00)).reason is Reason.DEPOSIT_NOT_FOUND
    scene.world.come_to_rest()


def test_a_payment_whose_key_was_used_again_can_be_given_back_as_it_is_now(scene: Scene) -> None:
    """Four days after its first use the key stood for a larger payment, of which the first one's amount was all that
    could be refunded."""
    for day, amount in ((0, 10_00), (4, 30_00)):
        scene.on_day(day)
        scene.ask(Command(CommandKind.DEPOSIT, CARD, MERCHANT, amount, "USD", NO_REPLY, "order 7"))
        operation_id = derive_operation_id(MERCHANT, "order 7", home(MERCHANT))
        assert scene.ask(scene.refund(operation_id, 5_00, of=amount, customer=CARD)).kind is EntryKind.RESERVED
    assert scene.ask(scene.refund(operation_id, 20_00, of=30_00, customer=CARD)).kind is EntryKind.RESERVED
    too_much = scene.ask(scene.refund(operation_id, 1, of=30_00, customer=CARD))
    assert too_much.reason is Reason.REFUND_EXCEEDS_PAYMENT
    scene.world.come_to_rest()


def test_what_came_back_to_a_closed_account_leaves_it_by_a_journal_to_the_last_cent(scene: Scene) -> None:
    """It was there for ever: nothing debits a closed account, and nothing opens it again."""
    scene.command(CommandKind.SET_OVERDRAFT_LIMIT, ANN, NIL, 50_00)
    scene.command(CommandKind.TRANSFER, ANN, EURO, 100_00)  # in flight to an account that can't take it
    assert scene.command(CommandKind.CLOSE_ACCOUNT, ANN, NIL, 0).kind is EntryKind.ACCOUNT_CLOSED
    scene.world.come_to_rest()
    assert scene.available(ANN) == 100_00
    assert scene.command(CommandKind.TRANSFER, ANN, MERCHANT, 1).reason is Reason.ACCOUNT_CLOSED
    for amount, left in ((100_01, 100_00), (100_00, 0), (1, 0)):
        legs = Posting(ANN, -amount, "USD"), Posting(MERCHANT, amount, "USD")
        scene.ask(PostJournal(envelope=scene.key(), legs=legs))
        scene.world.come_to_rest()
        assert scene.available(ANN) == left
    assert scene.available(MERCHANT) == 100_00


def test_what_is_taken_involuntarily_leaves_a_debt_at_the_same_place(scene: Scene) -> None:
    payment_id = scene.paid(100_00)
    entry = scene.ask(scene.dispute(payment_id, 100_00))
    assert scene.available(MERCHANT) == 0
    [debt] = [detail for detail in entry.details if isinstance(detail, Receivable)]
    assert debt.amount_minor == 15_00
    scene.resolve(entry.operation_id, is_won=True)
    assert scene.available(MERCHANT) == 100_00 - 15_00
    scene.world.come_to_rest()

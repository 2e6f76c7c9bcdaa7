"""A seller, a checkout of another shard and a provider, in a world whose every entry is held against the model."""

from payments.accounts import AccountStatus, AccountType
from payments.commands import NO_REPLY, Command, CommandKind
from payments.commerce.connector import Outcome
from payments.entries import Entry, EntryKind
from payments.identifiers import derive_order_id, system_account
from payments.items.details import OrderStatus, PaymentOrder, Receivable
from payments.movements.instructions import (
    CancelOrder,
    ClearDeposit,
    Envelope,
    Instruction,
    OpenAccount,
    OpenDispute,
    Order,
    PayOut,
    PlaceCheckout,
    RefundOrder,
    ResolveDispute,
    SetStanding,
    SettleAttempt,
)
from payments.postings import SystemAccount
from payments.terms.methods import Method, method_account
from tests.model.ledger import authority
from tests.model.provider import ATTEMPTS
from tests.model.world import Answer, Ask, Deliver, Tick, World, home

START_US = 1_700_000_000_000_000
IDS = [bytes([number]) * 6 + b"\x70" + bytes([number]) * 9 for number in range(1, 30)]
SELLER, CHECKOUT, OTHER = (next(id_ for id_ in IDS if home(id_) == shard) for shard in range(3))
CLEARING = system_account(SystemAccount.STRIPE_CLEARING, "EUR")
ORDER_ID = derive_order_id(CHECKOUT, "order 1", home(CHECKOUT))


class Shop:
    """The seller and another account are open and empty."""

    def __init__(self) -> None:
        self.world = World()
        self.now_us = START_US
        self._keys = 0
        for account in (SELLER, OTHER):
            self.ask(OpenAccount(envelope=self.key(), account=account, type=AccountType.MERCHANT, currency="EUR"))

    def key(self, name: str = "", reply_to: bytes = NO_REPLY) -> Envelope:
        self._keys += 1
        return Envelope(name or f"key {self._keys}", reply_to)

    def ask(self, asked: Command | Instruction) -> Entry:
        """The first entry that the answer consists of."""
        shard = self.world.shards[home(authority(asked))]
        before = len(shard.log)
        self.world.play(Ask(asked, self.now_us))
        return shard.log[before]

    def deliver(self) -> None:
        """Everything that is under way arrives, and what it sends."""
        while self.world.under_way:
            self.world.play(Deliver(0, self.now_us))

    def provider(self, outcome: Outcome, place: int = 0, is_repeated: bool = False) -> None:
        """Answers the oldest request (place 0), or once more an answer of before; everything arrives."""
        self.world.play(Answer(place, outcome, is_repeated, self.now_us))
        self.deliver()

    def tick(self, account: bytes) -> list[Entry]:
        """What time ends at the shard of an account."""
        log = self.world.shards[home(account)].log
        before = len(log)
        self.world.play(Tick(home(account), self.now_us))
        return log[before:]

    def lose_sight(self) -> None:
        """Nobody knows what became of the oldest request, and nobody asks any more."""
        for _ in range(ATTEMPTS):
            self.provider(Outcome.UNKNOWN)

    def settle(
        self, operator: int, is_succeeded: bool = True, reference: str = "pi_1", of: bytes = b"", lost_attempt: int = 0
    ) -> Entry:
        """A person says what became of the charge, or of another request of the checkout."""
        asked = SettleAttempt(
            envelope=self.key(),
            owner=CHECKOUT,
            request_id=of or ORDER_ID,
            is_succeeded=is_succeeded,
            provider_reference=reference if is_succeeded else "",
            operator=bytes([operator]) * 16,
            lost_attempt=lost_attempt,
        )
        entry = self.ask(asked)
        self.deliver()
        return entry

    def place(self, *orders: Order, key: str = "") -> Entry:
        return self.ask(
            PlaceCheckout(
                envelope=self.key(key),
                checkout=CHECKOUT,
                provider="stripe",
                token="pm_card_visa",
                buyer="buyer 7",
                orders=orders or (order(),),
            )
        )

    def sold(self, is_on_delivery: bool = False) -> None:
        """The buyer has paid 100.00."""
        self.place(order(is_on_delivery=is_on_delivery))
        self.deliver()
        self.provider(Outcome.SUCCEEDED)

    def refund(self, amount_minor: int, reply_to: bytes = NO_REPLY) -> Entry:
        return self.ask(
            RefundOrder(
                envelope=self.key(reply_to=reply_to),
                checkout=CHECKOUT,
                payment_order_id="order 1",
                amount_minor=amount_minor,
                currency="EUR",
            )
        )

    def cancel(self) -> Entry:
        return self.ask(CancelOrder(envelope=self.key(), checkout=CHECKOUT, payment_order_id="order 1"))

    def release(self) -> Entry:
        return self.ask(ClearDeposit(envelope=self.key(), account=SELLER, deposit_id=ORDER_ID))

    def dispute(self, amount_minor: int, fee_minor: int = 0, provider_fee_minor: int = 0) -> Entry:
        """The card's holder contests the charge."""
        return self.ask(
            OpenDispute(
                envelope=self.key(),
                merchant=SELLER,
                customer=CLEARING,
                payment_id=ORDER_ID,
                payment_amount_minor=100_00,
                amount_minor=amount_minor,
                currency="EUR",
                fee_minor=fee_minor,
                is_provisional=False,
                provider_fee_minor=provider_fee_minor,
            )
        )

    def resolve(self, dispute: Entry, is_won: bool) -> Entry:
        return self.ask(
            ResolveDispute(envelope=self.key(), merchant=SELLER, dispute_id=dispute.operation_id, is_won=is_won)
        )

    def pay_out(self, amount_minor: int, reply_to: bytes = NO_REPLY) -> Entry:
        return self.ask(
            PayOut(
                envelope=self.key(reply_to=reply_to),
                account=SELLER,
                provider="stripe",
                token="ba_1",
                amount_minor=amount_minor,
                currency="EUR",
            )
        )

    def standing(self, status: AccountStatus) -> Entry:
        return self.ask(SetStanding(envelope=self.key(), account=SELLER, status=status))

    def close(self) -> Entry:
        return self.ask(
            Command(CommandKind.CLOSE_ACCOUNT, SELLER, bytes(16), 0, "", NO_REPLY, self.key().idempotency_key)
        )

    def fund(self, amount_minor: int) -> None:
        self.ask(
            Command(
                CommandKind.DEPOSIT,
                method_account(Method.CASH, "EUR"),
                SELLER,
                amount_minor,
                "EUR",
                NO_REPLY,
                self.key().idempotency_key,
            )
        )

    def available(self) -> int:
        return self.world.shards[home(SELLER)].book.accounts[SELLER].available_minor

    def debts(self) -> list[Receivable]:
        items = self.world.shards[home(SELLER)].book.items.of(SELLER)
        return [item for item in items if isinstance(item, Receivable)]

    def order(self) -> PaymentOrder:
        found = self.world.shards[home(CHECKOUT)].book.items.find(PaymentOrder, CHECKOUT, ORDER_ID)
        assert found is not None
        return found

    def status(self) -> OrderStatus:
        return self.order().status

    def kinds(self, account: bytes) -> list[EntryKind]:
        """Of all entries of an account's shard so far."""
        return [entry.kind for entry in self.world.shards[home(account)].log]


def order(
    name: str = "order 1", seller: bytes = SELLER, amount_minor: int = 100_00, is_on_delivery: bool = False
) -> Order:
    return Order(name, seller, amount_minor, "EUR", is_on_delivery)

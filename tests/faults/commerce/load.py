"""Checkouts, refunds and payouts beside the transfers, and the provider's own lists as the judge of the ledger.

What the provider says it has charged, refunded and paid out has to be what the ledger says, order by order and to the
cent, however often anything was killed meanwhile.
"""

import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import psycopg

from connectors.psp.stripe import ORDER_ID
from millrace.environment import LocalEnvironment
from payments.commerce.connector import ConnectorOperation, Outcome
from payments.identifiers import uuid7
from payments.items.details import OrderStatus, PaymentOrder, ProviderRequest
from payments.movements.instructions import Envelope, Instruction, Order, PayOut, PlaceCheckout, RefundOrder
from payments.terms.providers import clearing_of
from schemas.codec.instructions import encode_instruction
from schemas.tables.psp_events import REQUEST_ID
from tests.faults.commerce.environment import WithProvider
from tests.faults.load import CURRENCY, Load
from tests.support.ledger_reader import LedgerReader

PROVIDER = "stripe"
EVERY_PAYMENTS = 100
"""At 1,000 payments/s ten checkouts, with refunds and payouts: as many calls as the sandbox answers on a busy core."""

REFUND_AFTER_CHECKOUTS = 20
"""Two seconds later most are charged; where not, the refund is refused, which is right too."""

CARDS = ("pm_card_visa",) * 4 + ("pm_card_visa_chargeDeclined",)
ANSWERED_TIMEOUT_S = 240.0
"""An unknown outcome is looked into after one minute, and again after five more; two of them are rare."""


class CheckoutLoad(Load):
    """Transfers, and an order now and then."""

    def __init__(self, env: LocalEnvironment, seed: int, rate_per_s: int) -> None:
        super().__init__(env, seed, rate_per_s)
        assert isinstance(env, WithProvider)
        self._provider = env.provider
        self._checkouts: list[tuple[bytes, Order]] = []
        self._reading = ExitStack()
        self._ledger = self._reading.enter_context(LedgerReader.of(env))

    def finish(self) -> None:
        """Stop, then wait until the provider has answered for everything."""
        super().finish()
        deadline_s = time.monotonic() + ANSWERED_TIMEOUT_S
        while self._is_waiting() and time.monotonic() < deadline_s:
            time.sleep(1)

    def disagreements(self, database_url: str) -> list[str]:
        found = [*self._against_provider(), *self._against_clearing(database_url)]
        self._reading.close()
        return found

    def _pay(self, number: int) -> None:
        super()._pay(number)
        if number % EVERY_PAYMENTS == 0:
            self._check_out()
            self._pay_out()
            if len(self._checkouts) > REFUND_AFTER_CHECKOUTS:
                self._refund(*self._checkouts[-REFUND_AFTER_CHECKOUTS])

    def _check_out(self) -> None:
        checkout = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
        sellers = self._random.sample(self.accounts, self._random.choice((1, 1, 2, 3)))
        orders = tuple(self._order(seller) for seller in sellers)
        card = self._random.choice(CARDS)
        placed = PlaceCheckout(
            envelope=Envelope("place"),
            checkout=checkout,
            provider=PROVIDER,
            token=card,
            buyer="",
            orders=orders,
        )
        self._ask(placed)
        self._checkouts.append((checkout, orders[0]))

    def _order(self, seller: bytes) -> Order:
        amount_minor = self._random.randrange(100, 5_000)
        is_on_delivery = self._random.random() < 0.5
        return Order(f"order-{secrets.token_hex(8)}", seller, amount_minor, CURRENCY, is_on_delivery)

    def _refund(self, checkout: bytes, order: Order) -> None:
        refund = RefundOrder(
            envelope=Envelope(secrets.token_hex(8)),
            checkout=checkout,
            payment_order_id=order.payment_order_id,
            amount_minor=self._random.randrange(1, order.amount_minor),
            currency=CURRENCY,
        )
        self._ask(refund)

    def _pay_out(self) -> None:
        asked = PayOut(
            envelope=Envelope(secrets.token_hex(8)),
            account=self._random.choice(self.accounts),
            provider=PROVIDER,
            token="acct_of_the_seller",
            amount_minor=self._random.randrange(100, 1_000),
            currency=CURRENCY,
        )
        self._ask(asked)

    def _ask(self, asked: Instruction) -> None:
        """Now and then twice, as callers do."""
        for _ in range(self._random.choice((1, 1, 1, 2))):
            self._send(encode_instruction(asked), asked.authority, [])

    def _is_waiting(self) -> bool:
        return any(request.is_open for request in self._ledger.items(ProviderRequest))

    def _against_provider(self) -> Iterator[str]:
        orders = self._ledger.items(PaymentOrder)
        paid = {o.payment_order_id: o.amount_minor for o in orders if o.status is OrderStatus.SUCCESS}
        charges = [charge for charge in self._provider.all("charges") if charge["captured"]]
        yield from _different("charge", paid, charges, ORDER_ID)
        requests = self._ledger.items(ProviderRequest)
        yield from (f"{one.operation.name} {one.payment_order_id}: never answered" for one in requests if one.is_open)
        for operation, kind in ((ConnectorOperation.REFUND, "refunds"), (ConnectorOperation.PAYOUT, "transfers")):
            told = {r.item_id.hex(): r.amount_minor for r in requests if _is_done(r, operation)}
            yield from _different(operation.name.lower(), told, self._provider.all(kind), REQUEST_ID)

    def _against_clearing(self, database_url: str) -> Iterator[str]:
        """What the provider holds for us by its own lists, less what it has told that it keeps, and by our tables."""
        held = sum(charge["amount_captured"] for charge in self._provider.all("charges"))
        held -= sum(one["amount"] for kind in ("refunds", "transfers") for one in self._provider.all(kind))
        held -= sum(one.fee_minor for one in self._ledger.items(ProviderRequest) if one.fee_currency == CURRENCY)
        account = clearing_of(PROVIDER, CURRENCY)
        assert isinstance(account, bytes)
        with psycopg.connect(database_url) as database:
            query = "SELECT coalesce(sum(posted_minor), 0) FROM balances WHERE account_id = %s"
            [shown] = database.execute(query, [account.hex()]).fetchall()
        if -shown[0] != held:
            yield f"the provider holds {held}, its clearing account says {-shown[0]}"


def _is_done(request: ProviderRequest, operation: ConnectorOperation) -> bool:
    return request.operation is operation and request.outcome is Outcome.SUCCEEDED


def _different(what: str, told: Mapping[str, int], made: Iterable[Mapping[str, Any]], key: str) -> Iterator[str]:
    """What the ledger says and what the provider made, by the name that both know it by."""
    amounts: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for one in made:
        amounts[one["metadata"][key]] += one["amount"]
        times[one["metadata"][key]] += 1
    yield from (f"{what} {name}: made {count} times" for name, count in times.items() if count > 1)
    for name in sorted(told.keys() | amounts.keys()):
        if told.get(name, 0) != amounts[name]:
            yield f"{what} {name}: the ledger says {told.get(name, 0)}, the provider {amounts[name]}"

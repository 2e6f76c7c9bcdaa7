"""Random checkouts, refunds of their orders, and payouts."""

from payments.items.details import OrderStatus
from payments.movements.instructions import CancelOrder, Order, PayOut, PlaceCheckout, RefundOrder, SettleAttempt
from tests.model.operations.parts import Parts


class Checkouts(Parts):
    """Of one to three sellers, rarely of far too many."""

    def _place_checkout(self) -> PlaceCheckout:
        checkout = self._new_account()
        if self._one_in(20):
            known = [order.checkout for order in list(self._state.orders.values())[-20:]]
            checkout = self._rng.choice([*known, self._account(), self._operators("EUR")])
        orders = [self._order() for _ in range(self._rng.choice((1, 1, 2, 3)))]
        if self._one_in(40):
            orders = self._rng.choice(([], orders * 2, [self._order() for _ in range(33)]))
        return PlaceCheckout(
            envelope=self._envelope(),
            checkout=checkout,
            provider="acme" if self._one_in(40) else "stripe",
            token="pm_card_visa",
            buyer="buyer 7",
            orders=tuple(orders),
        )

    def _order(self) -> Order:
        """Names repeat where a checkout does."""
        self._keys += 1
        seller = self._operators("EUR") if self._one_in(60) else self._account()
        currency = "XYZ" if self._one_in(60) else self._currency_of(seller)
        name = "" if self._one_in(100) else f"order {self._rng.choice((1, self._keys))}"
        return Order(name, seller, self._amount(), currency, self._one_in(2))

    def _some_order(self) -> tuple[bytes, str, int, str]:
        """Checkout, name, what is left and currency of an order, mostly of one that has succeeded."""
        if not self._state.orders or self._one_in(40):
            return self._new_account(), "order 1", 1, "EUR"
        orders = list(self._state.orders.values())[-60:]
        paid = [order for order in orders if order.status is OrderStatus.SUCCESS and order.refunded < order.amount]
        waiting = [order for order in orders if order.status in (OrderStatus.NOT_STARTED, OrderStatus.EXECUTING)]
        order = self._rng.choice((self._one_in(8) and waiting) or (not self._one_in(3) and paid) or orders)
        return order.checkout, order.name, order.amount - order.refunded, order.currency

    def _cancel_order(self) -> CancelOrder:
        """Most while the seller has not answered, where there is such an order."""
        checkout, name, _, _ = self._some_order()
        waiting = [order for order in self._state.orders.values() if order.status is OrderStatus.NOT_STARTED]
        if waiting and not self._one_in(4):
            checkout, name = waiting[-1].checkout, waiting[-1].name
        return CancelOrder(envelope=self._envelope(), checkout=checkout, payment_order_id=name)

    def _refund_order(self) -> RefundOrder:
        checkout, name, left, currency = self._some_order()
        return RefundOrder(
            envelope=self._envelope(),
            checkout=checkout,
            payment_order_id=name,
            amount_minor=self._amount_of(max(1, left)),
            currency="USD" if self._one_in(40) else currency,
        )

    def _settle_attempt(self) -> SettleAttempt:
        """Mostly as was proposed before, of what nobody asks about any more."""
        requests = self._state.requests
        left = [
            id_ for id_, request in requests.items() if (request.attempt and not request.follows) or self._one_in(9)
        ]
        id_ = self._rng.choice(left) if left and not self._one_in(20) else self._some(requests)
        known, proposed = requests.get(id_), self._state.settlements.get(id_)
        is_succeeded, reference = self._one_in(2), self._rng.choice(("", "found 1"))
        operators = [bytes([number]) * 16 for number in (1, 2, 3)]
        if proposed is not None and not self._one_in(6):
            is_succeeded, reference = proposed.succeeded, proposed.reference
            operators = [one for one in operators if one not in proposed.by or self._one_in(3)]
        return SettleAttempt(
            envelope=self._envelope(),
            owner=self._account() if known is None or self._one_in(40) else known.owner,
            request_id=id_,
            is_succeeded=is_succeeded,
            provider_reference=reference,
            operator=self._rng.choice(operators or [bytes(16)]),
            lost_attempt=known.attempt + self._rng.choice((0, 1, 1, 1)) if known is not None and known.follows else 0,
        )

    def _pay_out(self) -> PayOut:
        account = self._payer()
        return PayOut(
            envelope=self._envelope(),
            account=account,
            provider="acme" if self._one_in(40) else "stripe",
            token="ba_1",
            amount_minor=self._spendable(account),
            currency="XYZ" if self._one_in(60) else self._currency_of(account),
        )

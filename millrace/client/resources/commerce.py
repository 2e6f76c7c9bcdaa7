"""Commerce: checkouts for several sellers, orders, payouts, and transfers with outside banks."""

from collections.abc import Mapping, Sequence
from typing import Any

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.commerce import (
    BankTransfer,
    CheckoutState,
    ExternalBank,
    OrderState,
    PayoutState,
)
from millrace.client.requests import Amount, Ask, amount_text, given

Card = Mapping[str, str]
"""`{"token": "pm_…"}`: a token of the payment provider, never a card number."""


class Checkouts(Resource[C]):
    """`client.checkouts`."""

    @endpoint("POST /v1/payments", CheckoutState, keyed=True)
    def create(
        self,
        checkout_id: str,
        card: Card,
        payment_orders: Sequence[Mapping[str, Any]],
        *,
        buyer: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Take a buyer's money for several sellers; each order runs alone, and `payment_order_id` is its key."""
        orders = [given(**order) for order in payment_orders]
        body = given(checkout_id=checkout_id, credit_card_info=card, payment_orders=orders, buyer_info=buyer)
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/payments/{payment_id}", dict[str, Any])
    def get(self, payment_id: str) -> Ask:
        """One order by `payment_order_id`, or the checkout by `checkout_id`."""
        return Ask((payment_id,))

    @endpoint("POST /v1/refunds/{payment_id}", dict[str, Any], keyed=True)
    def refund(
        self,
        payment_id: str,
        *,
        amount: Amount | None = None,
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Give a payment order back, all that is left or part of it."""
        given_back = amount_text(amount) if amount is not None else None
        body = given(amount=given_back, description=description)
        return Ask((payment_id,), body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/orders/{order_id}/deliver", CheckoutState, keyed=True)
    def deliver(
        self,
        order_id: str,
        *,
        payment_orders: Sequence[str] | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """It was delivered: what its sellers got becomes available to them."""
        body = given(payment_orders=payment_orders)
        return Ask((order_id,), body=body, key=idempotency_key, wait_s=wait_s)


class Orders(Resource[C]):
    """`client.orders`."""

    @endpoint("POST /v1/order", OrderState, keyed=True)
    def create(
        self,
        lines: Sequence[Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Order; paid later by `pay`."""
        return Ask(body={"lines": [given(**line) for line in lines]}, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/order/{order_id}", OrderState)
    def get(self, order_id: str) -> Ask:
        """The order with its checkout."""
        return Ask((order_id,))

    @endpoint("DELETE /v1/order", dict[str, Any], keyed=True)
    def cancel(self, order_id: str, *, idempotency_key: str | None = None, wait_s: int | None = None) -> Ask:
        """Cancel what is not paid yet."""
        return Ask(query=given(id=order_id), key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/payment", CheckoutState, keyed=True)
    def pay(
        self,
        order_id: str,
        card: Card,
        *,
        release: str | None = None,
        buyer: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Check an order out."""
        body = given(order_id=order_id, credit_card_info=card, release=release, buyer_info=buyer)
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)


class Payouts(Resource[C]):
    """`client.payouts`."""

    @endpoint("POST /v1/payouts", PayoutState, keyed=True)
    def create(
        self,
        account: str,
        amount: Amount,
        currency: str,
        destination: str,
        *,
        provider: str | None = None,
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Pay a seller out through the payment provider."""
        body = given(
            account=account,
            amount=amount_text(amount),
            currency=currency,
            destination=destination,
            provider=provider,
            description=description,
        )
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/payouts/{payout_id}", PayoutState)
    def get(self, payout_id: str) -> Ask:
        """Where it stands."""
        return Ask((payout_id,))


class Banks(Resource[C]):
    """`client.banks`: outside banks that can be called."""

    @endpoint("POST /v1/external-banks", ExternalBank, keyed=True)
    def register(
        self,
        bank_name: str,
        api_url: str,
        client_id: str,
        client_secret: str,
        *,
        idempotency_key: str | None = None,
    ) -> Ask:
        """Make a bank known; the credentials are kept sealed."""
        credentials = {"client_id": client_id, "client_secret": client_secret}
        body = given(bank_name=bank_name, api_url=api_url, auth_credentials=credentials)
        return Ask(body=body, key=idempotency_key)

    @listing("GET /v1/external-banks", ExternalBank)
    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Ask:
        """The banks, in the order in which they were registered."""
        return Ask(query=given(limit=limit, cursor=cursor))

    @endpoint("POST /v1/external-banks/{bank_id}/transfers", BankTransfer, keyed=True)
    def transfer(
        self,
        bank_id: str,
        from_account: str,
        to_account: str,
        amount: Amount,
        currency: str,
        *,
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Money to or from an account at the bank."""
        body = given(
            from_account=from_account,
            to_account=to_account,
            amount=amount_text(amount),
            currency=currency,
            description=description,
        )
        return Ask((bank_id,), body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/external-banks/{bank_id}/transfers/{transfer_id}", BankTransfer)
    def get_transfer(self, bank_id: str, transfer_id: str) -> Ask:
        """Where it stands."""
        return Ask((bank_id, transfer_id))

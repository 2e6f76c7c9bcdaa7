"""Transfers and every other payment: create, look, wait, give back, ask what the rules would say."""

from collections.abc import Mapping
from typing import Final

from millrace.client.endpoints import C, Resource, endpoint, listing, steps
from millrace.client.exchange import Flow, Pause
from millrace.client.faults import NotFinal
from millrace.client.models.money import Payment, PaymentState
from millrace.client.models.operations import RiskVerdict
from millrace.client.requests import Amount, Ask, Moment, amount_text, given

_LOOK_FIRST_S: Final = 0.1
_LOOK_MAX_S: Final = 2.0
"""Most payments are final within 0.1 s; one that waits for people is looked at every two seconds."""


class Transfers(Resource[C]):
    """`client.transfers`. A transfer that a rule refuses raises Refused, with the payment in `payment`."""

    @endpoint("POST /v1/transfers", Payment, keyed=True)
    def create(
        self,
        from_account: str,
        to_account: str,
        amount: Amount,
        currency: str,
        *,
        description: str | None = None,
        quote_id: str | None = None,
        fee: str | None = None,
        risk: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Move money between accounts, users or aliases. Answers the payment, `final` or not: the server waits `wait_s`
        for the outcome, 2 s by default.
        """
        body = given(
            from_account=from_account,
            to_account=to_account,
            amount=amount_text(amount),
            currency=currency,
            description=description,
            quote_id=quote_id,
            fee=fee,
            risk=risk,
        )
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/transfers/{payment_id}", Payment)
    def get(self, payment_id: str) -> Ask:
        """The payment as it stands."""
        return Ask((payment_id,))

    @endpoint("GET /v1/transfers/{payment_id}/status", PaymentState)
    def state(self, payment_id: str) -> Ask:
        """Where it stands, and no more."""
        return Ask((payment_id,))

    @endpoint("GET /v1/transactions/{payment_id}", Payment)
    def timeline(self, payment_id: str) -> Ask:
        """The payment with every step of it: topic, partition, offset and journal."""
        return Ask((payment_id,))

    @steps
    def wait(self, payment_id: str, *, timeout_s: float = 30.0) -> Flow[Payment]:
        """The payment once it is final. Raises NotFinal after about `timeout_s`; the payment goes on."""
        calls, waited_s, pause_s = self.caller.calls, 0.0, _LOOK_FIRST_S
        get = Transfers.get
        while True:
            payment = yield from calls.flow(get.route, Ask((payment_id,)), get.result)
            if payment.final:
                return payment
            if waited_s >= timeout_s:
                raise NotFinal(payment, waited_s)
            yield Pause(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(2 * pause_s, _LOOK_MAX_S)

    @listing("GET /v1/transactions", Payment)
    def list(
        self,
        *,
        account: str | None = None,
        user: str | None = None,
        type: str | None = None,
        status: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        date: str | None = None,
        currency: str | None = None,
        min_amount: Amount | None = None,
        max_amount: Amount | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Payments of an account or a user, of every kind, newest first. `date`: of one day (UTC).
        Amounts are in `currency`.
        """
        query = given(
            account=account,
            user=user,
            type=type,
            status=status,
            from_=since,
            to=until,
            date=date,
            currency=currency,
            min_amount=min_amount,
            max_amount=max_amount,
            limit=limit,
            cursor=cursor,
        )
        return Ask(query=query)

    @endpoint("POST /v1/transfers/{payment_id}/refunds", Payment, keyed=True)
    def refund(
        self,
        payment_id: str,
        *,
        amount: Amount | None = None,
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Give back all that is left of a payment, or part of it."""
        given_back = amount_text(amount) if amount is not None else None
        body = given(amount=given_back, description=description)
        return Ask((payment_id,), body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/risk", RiskVerdict, repeats=True)
    def assess(
        self,
        from_account: str,
        to_account: str,
        amount: Amount,
        currency: str,
        *,
        description: str | None = None,
        risk: Mapping[str, str] | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """What limits and rules would say of a transfer. Nothing moves."""
        body = given(
            from_account=from_account,
            to_account=to_account,
            amount=amount_text(amount),
            currency=currency,
            description=description,
            risk=risk,
        )
        return Ask(body=body, wait_s=wait_s)

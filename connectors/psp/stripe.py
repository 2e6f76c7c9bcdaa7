"""Stripe: PaymentIntents, refunds, payouts and transfers through the official SDK, which repeats nothing by itself.

Reads and writes Stripe's API alone. Guarantees: the request's idempotency key on every POST, the request id and the
payment order id in the metadata of what is made, and no secret in a log or an answer.
"""

import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import stripe
from pydantic import SecretStr

from connectors import attempt
from connectors.contract import Answer, failed, without_trace
from connectors.psp.stripe_amounts import to_stripe, to_stripe_payout
from connectors.psp.stripe_answers import (
    StripeFields,
    answer_of_error,
    answer_of_intent,
    answer_of_movement,
    unreadable,
)
from schemas.codec.connectors import ConnectorOperation, ConnectorRequest, Decline, Outcome
from schemas.tables.psp_events import REQUEST_ID

CONNECT_TIMEOUT_S: Final = 5.0
ORDER_ID = "millrace_payment_order_id"
"""Key of our metadata, beside REQUEST_ID."""

LISTED_MAX: Final = 1_000
"""Payouts and transfers can't be searched for, only listed, newest first: ten pages of those since the request."""

_HOUR_US: Final = 3_600_000_000
_FEE: Final = ["latest_charge.balance_transaction"]
_OWN_FEE: Final = ["balance_transaction"]
"""Of a refund, payout or transfer."""


Method = Callable[["StripeProvider", ConnectorRequest], Coroutine[Any, Any, Answer]]


def _understood(method: Method) -> Method:
    """What goes wrong becomes an answer; ProviderRefusesUs alone is raised."""

    @wraps(method)
    async def asked(self: "StripeProvider", request: ConnectorRequest) -> Answer:
        try:
            return await method(self, request)
        except stripe.StripeError as error:
            return answer_of_error(error)
        except KeyError as missing:
            return unreadable(f"without {missing}")

    return asked


class StripeProvider:
    """One Stripe account."""

    name = "stripe"
    key_lifetime_us = 23 * _HOUR_US
    """Stripe may forget a key after 24 h. An hour for clocks that differ and a call that lasts."""

    lookup_lag_us = _HOUR_US + 60_000_000
    """Search is "up to an hour behind during outages"; lists are not behind. And the last call's own time."""

    def __init__(self, api_key: SecretStr, url: str, return_url: str = "") -> None:
        """`return_url`: where a payer goes after acting at Stripe; empty: nobody is sent there."""
        for library in ("stripe", "httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)  # below, they log what is sent
        self._http = stripe.HTTPXClient(timeout=httpx.Timeout(attempt.CALL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S))
        client = stripe.StripeClient(
            api_key.get_secret_value(), base_addresses={"api": url}, http_client=self._http, max_network_retries=0
        )
        self._v1 = client.v1
        self._return_url = return_url

    @_understood
    async def authorise(self, request: ConnectorRequest) -> Answer:
        return await self._pay(request, "manual")

    @_understood
    async def charge(self, request: ConnectorRequest) -> Answer:
        return await self._pay(request, "automatic")

    @_understood
    async def capture(self, request: ConnectorRequest) -> Answer:
        amount = to_stripe(request.amount_minor, request.currency)
        if amount is None:
            return failed(Decline.AMOUNT_UNSUPPORTED)
        fields: Any = {"amount_to_capture": amount, "expand": _FEE}
        intent = await self._v1.payment_intents.capture_async(request.provider_reference, fields, _options(request))
        return answer_of_intent(intent.to_dict(), request.operation)

    @_understood
    async def void(self, request: ConnectorRequest) -> Answer:
        intent = await self._v1.payment_intents.cancel_async(request.provider_reference, {}, _options(request))
        return answer_of_intent(intent.to_dict(), request.operation)

    @_understood
    async def refund(self, request: ConnectorRequest) -> Answer:
        amount = to_stripe(request.amount_minor, request.currency)
        if amount is None:
            return failed(Decline.AMOUNT_UNSUPPORTED)
        fields: Any = {
            "payment_intent": request.provider_reference,
            "amount": amount,
            "metadata": _metadata(request),
            "expand": _OWN_FEE,
        }
        refund = await self._v1.refunds.create_async(fields, _options(request))
        return answer_of_movement(refund.to_dict())

    @_understood
    async def payout(self, request: ConnectorRequest) -> Answer:
        """To a connected account (`acct_…`) a transfer, to a bank account of our own (`ba_…`) a payout."""
        amount = to_stripe_payout(request.amount_minor, request.currency)
        if amount is None:
            return failed(Decline.AMOUNT_UNSUPPORTED)
        fields: Any = {
            "amount": amount,
            "currency": request.currency.lower(),
            "destination": request.token,
            "metadata": _metadata(request),
            "expand": _OWN_FEE,
        }
        service = self._v1.transfers if _is_transfer(request) else self._v1.payouts
        movement = await service.create_async(fields, _options(request))
        return answer_of_movement(movement.to_dict())

    @_understood
    async def inquire(self, request: ConnectorRequest) -> Answer:
        match request.operation:
            case ConnectorOperation.INQUIRE if request.provider_reference:
                return await self._named(request)
            case ConnectorOperation.INQUIRE:
                return await self._searched(ORDER_ID, request.payment_order_id, request)
            case ConnectorOperation.AUTHORISE | ConnectorOperation.CHARGE:
                return await self._searched(REQUEST_ID, request.request_id.hex(), request)
            case ConnectorOperation.CAPTURE:
                return await self._named(request, to_stripe(request.amount_minor, request.currency))
            case ConnectorOperation.VOID:
                return await self._named(request)
            case ConnectorOperation.REFUND:
                return await self._listed(request, "refunds", {"payment_intent": request.provider_reference})
            case ConnectorOperation.PAYOUT:
                since_s = max(0, request.first_asked_at_us - _HOUR_US) // 1_000_000
                kind = "transfers" if _is_transfer(request) else "payouts"
                return await self._listed(request, kind, {"created": {"gte": since_s}})

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK's own

    async def _pay(self, request: ConnectorRequest, capture_method: str) -> Answer:
        amount = to_stripe(request.amount_minor, request.currency)
        if amount is None:
            return failed(Decline.AMOUNT_UNSUPPORTED)
        fields: Any = {
            "amount": amount,
            "currency": request.currency.lower(),
            "capture_method": capture_method,
            "confirm": True,
            "payment_method_types": ["card"],
            "metadata": _metadata(request),
            "expand": _FEE,
            **_method_of(request.token),
            **self._returning(request),
        }
        intent = await self._v1.payment_intents.create_async(fields, _options(request))
        return answer_of_intent(intent.to_dict(), request.operation)

    def _returning(self, request: ConnectorRequest) -> dict[str, str]:
        """The same in every sending: parameters belong to the key."""
        if not self._return_url:
            return {}
        sign = "&" if "?" in self._return_url else "?"
        return {"return_url": f"{self._return_url}{sign}{urlencode({'payment_order_id': request.payment_order_id})}"}

    async def _named(self, request: ConnectorRequest, amount: int | None = None) -> Answer:
        """What a reference names, told by its prefix."""
        reference = request.provider_reference
        services: dict[str, Any] = {"re": self._v1.refunds, "po": self._v1.payouts, "tr": self._v1.transfers}
        service = services.get(reference.partition("_")[0])
        if service is not None:
            return answer_of_movement((await service.retrieve_async(reference, {"expand": _OWN_FEE})).to_dict())
        intent = await self._v1.payment_intents.retrieve_async(reference, {"expand": _FEE})
        return answer_of_intent(intent.to_dict(), request.operation, amount)

    async def _searched(self, key: str, value: str, request: ConnectorRequest) -> Answer:
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        expand = [f"data.{path}" for path in _FEE]
        query: Any = {"query": f"metadata['{key}']:'{quoted}'", "limit": 1, "expand": expand}
        found = await self._v1.payment_intents.search_async(query)
        return answer_of_intent(found.data[0].to_dict(), request.operation) if found.data else without_trace()

    async def _listed(self, request: ConnectorRequest, kind: str, where: StripeFields) -> Answer:
        """Of all that there is, what carries this request's id."""
        wanted, seen = request.request_id.hex(), 0
        expand = [f"data.{path}" for path in _OWN_FEE]
        page = await getattr(self._v1, kind).list_async({**where, "limit": 100, "expand": expand})
        async for found in page.auto_paging_iter():
            fields = found.to_dict()
            if fields["metadata"].get(REQUEST_ID) == wanted:
                return answer_of_movement(fields)
            seen += 1
            if seen == LISTED_MAX:
                return Answer(Outcome.UNKNOWN, provider_code="too_many_to_list")
        return without_trace()


def _metadata(request: ConnectorRequest) -> dict[str, str]:
    return {REQUEST_ID: request.request_id.hex(), ORDER_ID: request.payment_order_id}


def _options(request: ConnectorRequest) -> Any:
    return {"idempotency_key": request.idempotency_key}


def _is_transfer(request: ConnectorRequest) -> bool:
    return request.token.startswith("acct_")


def _method_of(token: str) -> dict[str, object]:
    """A PaymentMethod (`pm_…`), or a card token of the older kind (`tok_…`)."""
    if token.startswith("tok_"):
        return {"payment_method_data": {"type": "card", "card": {"token": token}}}
    return {"payment_method": token}

"""What a journal has to do with a provider: who is asked for what, how the order stands after it, what its seller is
told.

Reads the items of the shard that coordinates the journal: the checkout's, or the account's of a payout.
"""

from collections.abc import Iterable
from typing import Final

from payments.book import Book
from payments.commands import NO_REPLY
from payments.commerce.connector import ConnectorOperation, ConnectorRequest, Outcome
from payments.entries import Credit, Entry, EntryKind
from payments.identifiers import NIL, derive_consequence_id, system_account
from payments.items.details import (
    Cause,
    CauseKind,
    Detail,
    Journal,
    OrderStatus,
    OrderTerms,
    PaymentOrder,
    Posting,
    ProviderRequest,
)
from payments.items.endings import kept_until_us
from payments.postings import SystemAccount
from payments.rejections import Reason
from payments.terms.providers import clearing_of

CHARGE_DEADLINE_US = 15 * 60 * 1_000_000
"""A buyer who waits for longer has gone: from then on a charge is only inquired about, never sent."""

PROVIDER_FEE: Final = "provider_fee"
"""Code of the cause of what a provider keeps."""

Outside = tuple[PaymentOrder | ProviderRequest, ...]
"""What an entry of such a journal states beside it."""


def clearing_account(order: PaymentOrder) -> bytes:
    """Of the provider that charges the order."""
    clearing = clearing_of(order.provider, order.currency)
    assert isinstance(clearing, bytes), "an order was placed with a provider that there is none of"
    return clearing


def journal_of(request: ProviderRequest, debit: bytes, credit: bytes, reply_to: bytes = NO_REPLY) -> Journal:
    """The journal that waits for a provider, and before that for the one of its two accounts that is constrained."""
    amount_minor, currency = request.amount_minor, request.currency
    legs = Posting(debit, -amount_minor, currency), Posting(credit, amount_minor, currency)
    return Journal(request.item_id, request.owner, legs, 1, Reason.NONE, reply_to, is_open=True)


def request_of(book: Book, journal: Journal) -> ProviderRequest | None:
    """What a provider is asked for before the journal is posted; None where it moves nothing outside."""
    return book.items.find(ProviderRequest, journal.owner, journal.item_id)


def asking(book: Book, request: ProviderRequest) -> Outside:
    """The order and the request when every leg is reserved."""
    order = _order(book, request)
    if order is not None and request.operation is ConnectorOperation.CHARGE:
        order = order._replace(status=OrderStatus.EXECUTING)
    return _stated(order, request)


def succeeded(book: Book, request: ProviderRequest, now_us: int) -> Outside:
    """The order and the request when the provider has done it."""
    order = _order(book, request)
    if order is not None and request.operation is ConnectorOperation.CHARGE:
        order = order._replace(
            status=OrderStatus.SUCCESS,
            provider_reference=request.provider_reference,
            ends_at_us=kept_until_us(now_us),
        )
    return _stated(order, request._replace(is_open=False))


def failed(book: Book, request: ProviderRequest, reason: Reason) -> Outside:
    """The order and the request when a leg has refused, or the provider: a charge has failed, a refund counts back."""
    order = _order(book, request)
    if order is not None and request.operation is ConnectorOperation.CHARGE:
        order = order._replace(status=OrderStatus.FAILED, reason=reason)
    elif order is not None:
        order = order._replace(refunded_minor=order.refunded_minor - request.amount_minor)
    return _stated(order, request._replace(is_open=False))


def noted(book: Book, so_far: Outcome, request: ProviderRequest) -> Outside:
    """The request while it stays open. A charge whose payer has to act, and had not to before, with its order: the
    world is told so, once.
    """
    acts = request.outcome is Outcome.REQUIRES_ACTION and so_far is not Outcome.REQUIRES_ACTION
    is_told = acts and request.operation is ConnectorOperation.CHARGE
    return _stated(_order(book, request) if is_told else None, request)


def provider_fees(entry: Entry) -> list[Credit]:
    """What the provider keeps for a request that has ended with this entry: Dr provider fees, Cr its clearing account;
    the other way round where it gives back.
    """
    return [
        fee_posting(
            request.item_id,
            *fee_parties(request.provider, request.fee_minor, request.fee_currency),
            abs(request.fee_minor),
            request.fee_currency,
        )
        for request in entry.details
        if isinstance(request, ProviderRequest) and request.fee_minor
    ]


def fee_parties(provider: str, fee_minor: int, currency: str) -> tuple[bytes, bytes]:
    """Debit and credit of what the provider keeps (above 0) or gives back."""
    clearing = clearing_of(provider, currency)
    assert isinstance(clearing, bytes), "a provider was asked that there is none of"
    parties = system_account(SystemAccount.PROVIDER_FEES, currency), clearing
    return parties if fee_minor > 0 else parties[::-1]


def fee_posting(request_id: bytes, debit: bytes, credit: bytes, amount_minor: int, currency: str) -> Credit:
    """The message that posts it: an entry of its own, under an id that the request has one of."""
    fee_id, cause = derive_consequence_id(request_id, PROVIDER_FEE), Cause(CauseKind.JOURNAL, request_id, PROVIDER_FEE)
    return Credit(fee_id, debit, credit, amount_minor, currency, NO_REPLY, details=(cause,))


def requests_of(entry: Entry) -> list[tuple[bytes, ConnectorRequest]]:
    """Key and request of what providers are asked for because of an entry."""
    if entry.kind is not EntryKind.PROVIDER_ASKED:
        return []
    return [
        (detail.owner, _connector_request(detail, entry.decided_at_us))
        for detail in entry.details
        if isinstance(detail, ProviderRequest)
    ]


def order_terms(details: Iterable[Detail], journal: Journal) -> tuple[OrderTerms, ...]:
    """What the seller has to know of the order that a journal of this entry is about; () where it is about none."""
    order_ids = {
        detail.order_id
        for detail in details
        if isinstance(detail, ProviderRequest) and detail.item_id == journal.item_id
    }
    return tuple(
        _terms(detail) for detail in details if isinstance(detail, PaymentOrder) and detail.item_id in order_ids
    )


def _order(book: Book, request: ProviderRequest) -> PaymentOrder | None:
    return None if request.order_id == NIL else book.items.find(PaymentOrder, request.owner, request.order_id)


def _stated(order: PaymentOrder | None, request: ProviderRequest) -> Outside:
    return (request,) if order is None else (order, request)


def _connector_request(asked: ProviderRequest, now_us: int) -> ConnectorRequest:
    is_charge = asked.operation is ConnectorOperation.CHARGE
    return ConnectorRequest(
        asked.item_id,
        asked.provider,
        asked.operation,
        asked.payment_order_id,
        asked.amount_minor,
        asked.currency,
        asked.idempotency_key,
        asked.token,
        asked.refers_to,
        deadline_us=now_us + CHARGE_DEADLINE_US if is_charge else 0,
    )


def _terms(order: PaymentOrder) -> OrderTerms:
    return OrderTerms(order.item_id, clearing_account(order), order.amount_minor, order.is_on_delivery)

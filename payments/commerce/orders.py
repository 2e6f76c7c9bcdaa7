"""Payment orders of a checkout, decided at the checkout's shard: place, cancel, refund.

Each order lives alone: a journal (Dr the provider's clearing account, Cr seller) that is posted when the provider has
charged. Guarantees: an order is charged at most once, and refunds, those under way included, never exceed it.
"""

from payments.book import Book
from payments.commerce.connector import ConnectorOperation
from payments.commerce.requests import clearing_account, journal_of
from payments.entries import EntryKind, Source
from payments.identifiers import NIL, PAYMENT, derive_order_id, format_id, is_system, shard_of_operation
from payments.items.details import Detail, Journal, OrderStatus, PaymentOrder, ProviderRequest
from payments.items.endings import GRACE_US, kept_until_us
from payments.money import MAX_MINOR
from payments.movements import journals
from payments.movements.deeds import Deed
from payments.movements.instructions import CancelOrder, Order, PlaceCheckout, RefundOrder
from payments.rejections import Reason
from payments.terms.providers import clearing_of

MAX_ORDERS = 32
"""Each is three items of at most 2,100 bytes together (charges refer to nothing yet): 70 kB of one ledger record."""


def place_checkout(book: Book, operation_id: bytes, asked: PlaceCheckout, source: Source) -> Deed | Reason:
    """Every order with a journal of its own, whose seller is asked at once."""
    shard = shard_of_operation(operation_id)
    refusal = _refusal(book, asked, shard)
    if refusal is not None:
        return refusal
    details: list[Detail] = []
    for stated in asked.orders:
        order_id = derive_order_id(asked.checkout, stated.payment_order_id, shard)
        details += _placed(asked, stated, order_id, kept_until_us(source.time_us))
    currency = asked.orders[0].currency
    amount_minor = sum(order.amount_minor for order in asked.orders if order.currency == currency)
    return Deed(EntryKind.ORDERS_PLACED, asked.checkout, NIL, amount_minor, currency, details=tuple(details))


def cancel_order(book: Book, operation_id: bytes, asked: CancelOrder, source: Source) -> Deed | Reason:
    """Before the provider is asked, for certain. After success all that is left is refunded."""
    order = _find(book, operation_id, asked)
    if order is None:
        return Reason.ORDER_NOT_FOUND
    if order.status is not OrderStatus.NOT_STARTED:
        return _refund(order, operation_id, asked, order.amount_minor - order.refunded_minor, source)
    journal = book.items.find(Journal, order.owner, order.item_id)
    assert journal is not None, "a payment order waits without a journal"
    details = (
        order._replace(status=OrderStatus.FAILED, reason=Reason.ORDER_CANCELLED),
        journal._replace(refusal=Reason.ORDER_CANCELLED),  # the seller's answer cancels it, whatever it says
    )
    return Deed(EntryKind.NOTED, order.owner, NIL, order.amount_minor, order.currency, details=details)


def refund_order(book: Book, operation_id: bytes, asked: RefundOrder, source: Source) -> Deed | Reason:
    """Part or all of what is left, through the provider."""
    order = _find(book, operation_id, asked)
    if order is None:
        return Reason.ORDER_NOT_FOUND
    if order.currency != asked.currency:
        return Reason.CURRENCY_MISMATCH
    if asked.amount_minor <= 0:
        return Reason.AMOUNT_INVALID
    return _refund(order, operation_id, asked, asked.amount_minor, source)


def order_ended(book: Book, order: PaymentOrder, source: Source) -> Deed:
    """Forgotten when its charge has been concluded, and no refund of it waits for a provider; else looked at again.

    From then on its seller's receipt is gone as well: nothing can be refunded, whatever is asked.
    """
    waits = order.status not in (OrderStatus.SUCCESS, OrderStatus.FAILED) or any(
        isinstance(item, ProviderRequest) and item.order_id == order.item_id for item in book.items.of(order.owner)
    )
    after = order._replace(ends_at_us=source.time_us + GRACE_US) if waits else order._replace(is_open=False)
    return Deed(EntryKind.NOTED, order.owner, details=(after,))


def _refusal(book: Book, asked: PlaceCheckout, shard: int) -> Reason | None:
    if is_system(asked.checkout):
        return Reason.ACCOUNT_RESERVED
    if asked.checkout in book.accounts:
        return Reason.ACCOUNT_EXISTS
    ids = {order.payment_order_id for order in asked.orders}
    if not 1 <= len(asked.orders) <= MAX_ORDERS or len(ids) < len(asked.orders):
        return Reason.ORDERS_INVALID
    found = (_order_refusal(book, asked, order, shard) for order in asked.orders)
    return next((reason for reason in found if reason is not None), None)


def _order_refusal(book: Book, asked: PlaceCheckout, order: Order, shard: int) -> Reason | None:
    if not order.payment_order_id or is_system(order.seller):
        return Reason.ORDERS_INVALID
    if not 0 < order.amount_minor <= MAX_MINOR:
        return Reason.AMOUNT_INVALID
    clearing = clearing_of(asked.provider, order.currency)
    if isinstance(clearing, Reason):
        return clearing
    order_id = derive_order_id(asked.checkout, order.payment_order_id, shard)
    return None if book.items.find(PaymentOrder, asked.checkout, order_id) is None else Reason.ORDER_EXISTS


def _placed(asked: PlaceCheckout, stated: Order, order_id: bytes, ends_at_us: int) -> tuple[Detail, ...]:
    order = PaymentOrder(
        order_id,
        asked.checkout,
        stated.payment_order_id,
        asked.provider,
        asked.buyer,
        stated.seller,
        stated.amount_minor,
        stated.currency,
        stated.is_on_delivery,
        OrderStatus.NOT_STARTED,
        ends_at_us=ends_at_us,
    )
    request = ProviderRequest(
        order_id,
        asked.checkout,
        asked.provider,
        ConnectorOperation.CHARGE,
        order_id,
        stated.payment_order_id,
        stated.amount_minor,
        stated.currency,
        stated.payment_order_id,
        asked.token,
    )
    return order, journal_of(request, clearing_account(order), order.seller), request


def _find(book: Book, operation_id: bytes, asked: CancelOrder) -> PaymentOrder | None:
    order_id = derive_order_id(asked.checkout, asked.payment_order_id, shard_of_operation(operation_id))
    return book.items.find(PaymentOrder, asked.checkout, order_id)


def _refund(
    order: PaymentOrder, refund_id: bytes, asked: CancelOrder, amount_minor: int, source: Source
) -> Deed | Reason:
    if order.status is OrderStatus.FAILED:
        return Reason.ORDER_FAILED
    if order.status is not OrderStatus.SUCCESS:
        return Reason.ORDER_EXECUTING
    refunded_minor = order.refunded_minor + amount_minor
    if amount_minor == 0 or refunded_minor > order.amount_minor:
        return Reason.REFUND_EXCEEDS_PAYMENT
    request = ProviderRequest(
        refund_id,
        order.owner,
        order.provider,
        ConnectorOperation.REFUND,
        order.item_id,
        order.payment_order_id,
        amount_minor,
        order.currency,
        format_id(PAYMENT, refund_id),
        refers_to=order.provider_reference,
    )
    journal = journal_of(request, order.seller, clearing_account(order), asked.envelope.reply_to)
    after = order._replace(refunded_minor=refunded_minor, ends_at_us=kept_until_us(source.time_us))
    return journals.deed(EntryKind.JOURNAL_OPENED, journal, (), outside=(after, request))

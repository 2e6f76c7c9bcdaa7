"""Request bodies of commerce: what JSON may come in, and what it asks for.

Refusals are values (FieldError) with a JSON pointer; amounts of payment orders are texts, as the contract of the
e-commerce routes says, all others are read as everywhere.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from ingest_api.commerce.card_free import card_number_fault
from ingest_api.http.bodies import (
    AccountText,
    AmountText,
    CurrencyText,
    Description,
    KeyText,
    decode_fault,
    description_fault,
    key_fault,
    parse_account,
    parse_amount,
    text_fault,
)
from ingest_api.problems import Fault, FieldError, field_problem
from payments.money import MAX_MINOR

BODY_BYTES_MAX: Final = 32_768
"""32 payment orders of 255-character ids are 15 kB, 64 lines of an order 22 kB."""

MAX_ORDERS: Final = 32
MAX_LINES: Final = 64
TOKEN_CHARS_MAX: Final = 255
REFERENCE_CHARS_MAX: Final = 64

TextAmount = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="Positive decimal, always as text, never more decimals than the currency has",
        extra_json_schema={"type": "string", "pattern": r"^(0|[1-9]\d*)(\.\d+)?$", "examples": ["10.50"]},
    ),
]
TokenText = Annotated[
    str,
    msgspec.Meta(
        description="The provider's token of a card (`pm_…`, `tok_…`), never its number",
        extra_json_schema={"minLength": 1, "maxLength": TOKEN_CHARS_MAX, "examples": ["pm_card_visa"]},
    ),
]
ReferenceText = Annotated[
    str,
    msgspec.Meta(
        description="Your own name for the buyer: no name, address or number of a person",
        extra_json_schema={"maxLength": REFERENCE_CHARS_MAX},
    ),
]
ReleaseText = Annotated[
    Literal["on_delivery", "at_once"],
    msgspec.Meta(description="When the seller may have the money: once it is delivered, or as soon as it is paid"),
]
ProviderText = Literal["stripe"]


class BuyerInfo(msgspec.Struct, frozen=True):
    """Who buys. Other members are let in and not kept."""

    reference: ReferenceText = ""


class CardInfo(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What pays: a card by its token."""

    token: TokenText
    provider: ProviderText = "stripe"


class PaymentOrderBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What one seller gets. `payment_order_id` is what the provider recognises a repetition by."""

    seller_account: AccountText
    amount: TextAmount
    currency: CurrencyText
    payment_order_id: KeyText
    release: ReleaseText = "on_delivery"


class CheckoutBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Pay several sellers at once. `checkout_id` is the idempotency key."""

    checkout_id: KeyText
    credit_card_info: CardInfo
    payment_orders: Annotated[list[PaymentOrderBody], msgspec.Meta(min_length=1, max_length=MAX_ORDERS)]
    buyer_info: BuyerInfo = BuyerInfo()


class OrderLineBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Something that a seller sells."""

    seller_account: AccountText
    amount: AmountText
    currency: CurrencyText
    description: Description = ""


class OrderBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Order something from one or several sellers. Nothing is paid yet."""

    lines: Annotated[list[OrderLineBody], msgspec.Meta(min_length=1, max_length=MAX_LINES)]


class PayOrderBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Pay an order. What a seller sells in one currency becomes one payment order."""

    order_id: str
    credit_card_info: CardInfo
    release: ReleaseText = "on_delivery"
    buyer_info: BuyerInfo = BuyerInfo()


class RefundBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Give part or all of a payment order back. Without `amount` the whole of it."""

    amount: AmountText = msgspec.field(default_factory=msgspec.Raw)
    description: Description = ""


class DeliveryBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Say that it was delivered."""

    description: Description = ""


class PayoutBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Pay a seller out. `destination` is the provider's token of the seller's bank account."""

    account: AccountText
    amount: AmountText
    currency: CurrencyText
    destination: TokenText
    provider: ProviderText = "stripe"
    description: Description = ""


BODIES: Final[tuple[type, ...]] = (
    CheckoutBody,
    OrderBody,
    PayOrderBody,
    RefundBody,
    DeliveryBody,
    PayoutBody,
)
_DECODERS: Final[dict[type, msgspec.json.Decoder[Any]]] = {body: msgspec.json.Decoder(body) for body in BODIES}


class AskedOrder(NamedTuple):
    """One payment order as it is asked for."""

    payment_order_id: str
    seller: bytes
    amount_minor: int
    currency: str
    is_on_delivery: bool


class Line(NamedTuple):
    """One line of an order."""

    seller: bytes
    amount_minor: int
    currency: str
    description: str


def decoded(kind: type, body: bytes) -> Any:
    """The body as its Struct, once it surely holds no card number. Raises Problem."""
    try:
        fault = card_number_fault(body)
        if fault is None:
            return _DECODERS[kind].decode(body)
    except (ValueError, RecursionError) as error:
        fault = decode_fault(error)
    raise field_problem(fault)


def checkout_fault(body: CheckoutBody) -> FieldError | None:
    """What is wrong with a checkout beside its payment orders."""
    fault = key_fault(body.checkout_id, "/checkout_id")
    return fault or card_fault(body.credit_card_info) or buyer_fault(body.buyer_info)


def card_fault(card: CardInfo) -> FieldError | None:
    return token_fault(card.token, "/credit_card_info/token")


def buyer_fault(buyer: BuyerInfo) -> FieldError | None:
    return text_fault(buyer.reference, REFERENCE_CHARS_MAX, "/buyer_info/reference")


def token_fault(token: str, pointer: str) -> FieldError | None:
    """Why a text is no token of a provider."""
    if not token:
        return FieldError(pointer, Fault.FIELD_INVALID, "The token is empty.")
    return text_fault(token, TOKEN_CHARS_MAX, pointer)


def asked_orders(bodies: Sequence[PaymentOrderBody]) -> list[AskedOrder] | FieldError:
    """Every payment order, each under an id of its own."""
    asked: list[AskedOrder] = []
    seen: set[str] = set()
    for index, body in enumerate(bodies):
        order = _asked_order(body)
        if not isinstance(order, FieldError) and order.payment_order_id in seen:
            order = FieldError("/payment_order_id", Fault.FIELD_INVALID, "Another payment order has the same id.")
        if isinstance(order, FieldError):
            return _inside(order, f"/payment_orders/{index}")
        seen.add(order.payment_order_id)
        asked.append(order)
    return asked


def _asked_order(body: PaymentOrderBody) -> AskedOrder | FieldError:
    fault = key_fault(body.payment_order_id, "/payment_order_id")
    if fault is not None:
        return fault
    seller = parse_account(body.seller_account, "/seller_account")
    if isinstance(seller, FieldError):
        return seller
    if not bytes(body.amount).startswith(b'"'):
        return FieldError("/amount", Fault.FIELD_INVALID, 'Send the amount as a text: "10.50".')
    amount_minor = parse_amount(body.amount, body.currency)
    if isinstance(amount_minor, FieldError):
        return amount_minor
    return AskedOrder(body.payment_order_id, seller, amount_minor, body.currency, body.release == "on_delivery")


def order_lines(bodies: Sequence[OrderLineBody]) -> list[Line] | FieldError:
    """Every line of an order, if all of it can be paid in one checkout."""
    lines: list[Line] = []
    for index, body in enumerate(bodies):
        line = _line(body)
        if isinstance(line, FieldError):
            return _inside(line, f"/lines/{index}")
        lines.append(line)
    sums = sums_of(lines)
    if len(sums) > MAX_ORDERS:
        return FieldError("/lines", Fault.FIELD_INVALID, f"At most {MAX_ORDERS} sellers, counted once per currency.")
    if max(sums.values()) > MAX_MINOR:
        return FieldError("/lines", Fault.FIELD_INVALID, f"At most {MAX_MINOR} minor units per seller and currency.")
    return lines


def _line(body: OrderLineBody) -> Line | FieldError:
    seller = parse_account(body.seller_account, "/seller_account")
    if isinstance(seller, FieldError):
        return seller
    amount_minor = parse_amount(body.amount, body.currency)
    if isinstance(amount_minor, FieldError):
        return amount_minor
    return description_fault(body.description) or Line(seller, amount_minor, body.currency, body.description)


def sums_of(lines: Iterable[Line]) -> dict[tuple[bytes, str], int]:
    """What each seller gets in each currency, in the order of the lines."""
    sums: dict[tuple[bytes, str], int] = {}
    for line in lines:
        key = line.seller, line.currency
        sums[key] = sums.get(key, 0) + line.amount_minor
    return sums


def orders_of(order_id: str, lines: Iterable[Line], *, is_on_delivery: bool) -> list[AskedOrder]:
    """The payment orders that an order of these lines means, the same at every call."""
    return [
        AskedOrder(f"{order_id}-{number}", seller, amount_minor, currency, is_on_delivery)
        for number, ((seller, currency), amount_minor) in enumerate(sums_of(lines).items(), 1)
    ]


def _inside(fault: FieldError, pointer: str) -> FieldError:
    return fault._replace(pointer=pointer + fault.pointer)

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
from payments.commands import MAX_DESCRIPTION_CHARS
from payments.commerce.orders import MAX_ORDERS
from payments.identifiers import ORDER, parse_id
from payments.money import MAX_MINOR
from payments.movements.instructions import Order
from payments.terms.providers import CARD_PROVIDERS
from schemas.codec.connectors import MAX_REFERENCE_CHARS

BODY_BYTES_MAX: Final = 32_768
"""32 payment orders of 255-character ids are 15 kB, 64 lines of an order 22 kB."""

MAX_LINES: Final = 64

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
        extra_json_schema={"minLength": 1, "maxLength": MAX_REFERENCE_CHARS, "examples": ["pm_card_visa"]},
    ),
]
ReferenceText = Annotated[
    str,
    msgspec.Meta(
        description="Your own name for the buyer: no name, address or number of a person",
        extra_json_schema={"maxLength": MAX_REFERENCE_CHARS},
    ),
]
ReleaseText = Annotated[
    Literal["on_delivery", "at_once"],
    msgspec.Meta(description="When the seller may have the money: once it is delivered, or as soon as it is paid"),
]
ProviderText = Annotated[str, msgspec.Meta(extra_json_schema={"enum": sorted(CARD_PROVIDERS)})]
CheckoutText = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_DESCRIPTION_CHARS})]


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

    checkout_id: CheckoutText
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
    """Say that an order was delivered, or these payment orders of it."""

    payment_orders: list[str] | None = None


class PayoutBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Pay a seller out. `destination` is a verified bank account (`bnk_…`), which its bank is asked to pay; or, for a
    service, the provider's token of the seller's bank account.
    """

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
        fault = decode_fault(error, kind)
    raise field_problem(fault)


def checkout_fault(body: CheckoutBody) -> FieldError | None:
    """What is wrong with a checkout beside its payment orders."""
    if parse_id(ORDER, body.checkout_id) is not None:  # or it would look paid, whatever was paid under its id
        return FieldError("/checkout_id", Fault.FIELD_INVALID, "This is the id of an order: POST /payment pays it.")
    fault = key_fault(body.checkout_id, "/checkout_id")
    fault = fault or text_fault(body.checkout_id, MAX_DESCRIPTION_CHARS, "/checkout_id")
    return fault or buyer_fault(body.credit_card_info, body.buyer_info)


def buyer_fault(card: CardInfo, buyer: BuyerInfo) -> FieldError | None:
    """What is wrong with who pays, and with what."""
    fault = provider_fault(card.provider, card.token, "/credit_card_info/provider", "/credit_card_info/token")
    return fault or _reference_fault(buyer.reference, MAX_REFERENCE_CHARS, "/buyer_info/reference")


def provider_fault(
    provider: str, token: str, provider_pointer: str = "/provider", token_pointer: str = "/destination"
) -> FieldError | None:
    """Why these are no provider and no token of it."""
    if provider not in CARD_PROVIDERS:
        return FieldError(provider_pointer, Fault.FIELD_INVALID, f"Send one of: {', '.join(sorted(CARD_PROVIDERS))}.")
    if not token:
        return FieldError(token_pointer, Fault.FIELD_INVALID, "The token is empty.")
    return _reference_fault(token, MAX_REFERENCE_CHARS, token_pointer)


def _reference_fault(text: str, max_chars: int, pointer: str) -> FieldError | None:
    """Providers take these in the headers of their calls."""
    if text.isascii() and text.isprintable():
        return text_fault(text, max_chars, pointer)
    return FieldError(pointer, Fault.FIELD_INVALID, "Visible ASCII characters alone.")


def asked_orders(bodies: Sequence[PaymentOrderBody]) -> list[Order] | FieldError:
    """Every payment order, each under an id of its own."""
    asked: list[Order] = []
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


def _asked_order(body: PaymentOrderBody) -> Order | FieldError:
    at = "/payment_order_id"
    fault = key_fault(body.payment_order_id, at) or _reference_fault(body.payment_order_id, MAX_REFERENCE_CHARS, at)
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
    return Order(body.payment_order_id, seller, amount_minor, body.currency, body.release == "on_delivery")


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


def orders_of(order_id: str, lines: Iterable[Line], *, is_on_delivery: bool) -> list[Order]:
    """The payment orders that an order of these lines means, the same at every call."""
    return [
        Order(f"{order_id}-{number}", seller, amount_minor, currency, is_on_delivery)
        for number, ((seller, currency), amount_minor) in enumerate(sums_of(lines).items(), 1)
    ]


def _inside(fault: FieldError, pointer: str) -> FieldError:
    return fault._replace(pointer=pointer + fault.pointer)

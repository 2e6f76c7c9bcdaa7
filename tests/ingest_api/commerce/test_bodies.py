"""Goal: what checkouts, orders, refunds and payouts ask for is taken exactly, and refused at its place otherwise."""

from typing import Any

import msgspec
import pytest

from ingest_api.commerce.bodies import (
    MAX_LINES,
    CheckoutBody,
    OrderBody,
    PayoutBody,
    RefundBody,
    asked_orders,
    checkout_fault,
    decoded,
    order_lines,
    orders_of,
)
from ingest_api.problems import Fault, FieldError, Problem
from payments.commerce.orders import MAX_ORDERS
from payments.identifiers import ACCOUNT, derive_account_id, format_id
from payments.money import MAX_MINOR, AmountProblem
from payments.movements.instructions import Order

SELLER, OTHER = derive_account_id("commerce", "seller"), derive_account_id("commerce", "other")
ORDER = {"seller_account": format_id(ACCOUNT, SELLER), "amount": "10.50", "currency": "EUR", "payment_order_id": "o-1"}
CHECKOUT = {
    "buyer_info": {"reference": "customer-7", "name": "Anna"},
    "checkout_id": "cart-4711",
    "credit_card_info": {"token": "pm_card_visa"},
    "payment_orders": [ORDER],
}
CARD = "4111 1111 1111 1111"


def checkout(**fields: Any) -> bytes:
    return msgspec.json.encode(CHECKOUT | fields)


def with_order(**fields: Any) -> bytes:
    """A checkout whose second order has other fields."""
    return checkout(payment_orders=[ORDER, ORDER | {"payment_order_id": "o-2"} | fields])


def asked(body: bytes) -> list[Order]:
    """What a good checkout asks for. Raises AssertionError for any other one."""
    read: CheckoutBody = decoded(CheckoutBody, body)
    assert checkout_fault(read) is None
    orders = asked_orders(read.payment_orders)
    assert not isinstance(orders, FieldError), orders
    return orders


def fault_of(body: bytes) -> tuple[str, str]:
    """Pointer and code of what is wrong with a checkout."""
    try:
        read: CheckoutBody = decoded(CheckoutBody, body)
    except Problem as problem:
        return problem.errors[0].pointer, problem.errors[0].code
    fault = checkout_fault(read) or asked_orders(read.payment_orders)
    assert isinstance(fault, FieldError), fault
    return fault.pointer, fault.code


def test_a_checkout_asks_for_its_orders() -> None:
    orders = [ORDER, ORDER | {"payment_order_id": "o-2", "amount": "7", "currency": "JPY", "release": "at_once"}]
    assert asked(checkout(payment_orders=orders)) == [
        Order("o-1", SELLER, 1_050, "EUR", True),
        Order("o-2", SELLER, 7, "JPY", False),
    ]


def test_as_many_orders_as_may_be() -> None:
    orders = [ORDER | {"payment_order_id": f"{number}".zfill(255)} for number in range(MAX_ORDERS + 1)]
    assert len(asked(checkout(payment_orders=orders[:-1]))) == MAX_ORDERS
    assert fault_of(checkout(payment_orders=orders)) == ("/payment_orders", Fault.FIELD_INVALID)


WRONG: list[tuple[str, bytes, str, str]] = [
    ("no JSON", b"checkout", "", Fault.JSON_MALFORMED),
    ("no orders", checkout(payment_orders=[]), "/payment_orders", Fault.FIELD_INVALID),
    ("orders that are none", checkout(payment_orders=[1]), "/payment_orders/0", Fault.FIELD_INVALID),
    ("an order without amount", checkout(payment_orders=[{}]), "/payment_orders/0/seller_account", Fault.FIELD_MISSING),
    ("an empty id", checkout(checkout_id=""), "/checkout_id", Fault.FIELD_INVALID),
    ("a long id", checkout(checkout_id="x" * 141), "/checkout_id", Fault.FIELD_INVALID),
    ("an unknown field", checkout(currency="EUR"), "/currency", Fault.FIELD_UNKNOWN),
    ("no token", checkout(credit_card_info={}), "/credit_card_info/token", Fault.FIELD_MISSING),
    ("an empty token", checkout(credit_card_info={"token": ""}), "/credit_card_info/token", Fault.FIELD_INVALID),
    (
        "a security code",
        checkout(credit_card_info={"token": "t", "cvc": "123"}),
        "/credit_card_info/cvc",
        Fault.FIELD_UNKNOWN,
    ),
    (
        "another provider",
        checkout(credit_card_info={"token": "t", "provider": "x"}),
        "/credit_card_info/provider",
        Fault.FIELD_INVALID,
    ),
    (
        "an id for no header",
        with_order(payment_order_id="größe"),
        "/payment_orders/1/payment_order_id",
        "field_invalid",
    ),
    ("a long reference", checkout(buyer_info={"reference": "x" * 256}), "/buyer_info/reference", Fault.FIELD_INVALID),
    ("an amount as number", with_order(amount=10.5), "/payment_orders/1/amount", Fault.FIELD_INVALID),
    ("an amount as integer", with_order(amount=10), "/payment_orders/1/amount", Fault.FIELD_INVALID),
    ("no amount at all", with_order(amount=None), "/payment_orders/1/amount", Fault.FIELD_INVALID),
    ("a part of a cent", with_order(amount="1.001"), "/payment_orders/1/amount", AmountProblem.TOO_MANY_DECIMALS),
    ("nothing", with_order(amount="0.00"), "/payment_orders/1/amount", AmountProblem.NOT_POSITIVE),
    ("no currency", with_order(currency="ZZZ"), "/payment_orders/1/currency", AmountProblem.CURRENCY_UNKNOWN),
    ("no account", with_order(seller_account="shop"), "/payment_orders/1/seller_account", Fault.FIELD_INVALID),
    ("no order id", with_order(payment_order_id=""), "/payment_orders/1/payment_order_id", Fault.FIELD_INVALID),
    ("the same order id", with_order(payment_order_id="o-1"), "/payment_orders/1/payment_order_id", "field_invalid"),
    (
        "a line's end in an id",
        with_order(payment_order_id="o\n1"),
        "/payment_orders/1/payment_order_id",
        "field_invalid",
    ),
    ("another release", with_order(release="never"), "/payment_orders/1/release", Fault.FIELD_INVALID),
]


@pytest.mark.parametrize(("body", "pointer", "code"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_checkout_is_refused_at_its_place(body: bytes, pointer: str, code: str) -> None:
    assert fault_of(body) == (pointer, code)


HIDDEN = [
    (checkout(checkout_id=CARD), "/checkout_id"),
    (checkout(credit_card_info={"token": CARD}), "/credit_card_info/token"),
    (checkout(credit_card_info={"token": "t", "number": CARD}), "/credit_card_info/number"),
    (checkout(credit_card_info={"token": "t", "number": 4111111111111111}), "/credit_card_info/number"),
    (checkout(credit_card_info=CARD), "/credit_card_info"),
    (checkout(buyer_info={"cards": [{"of": "me"}, {"pan": CARD}]}), "/buyer_info/cards/1/pan"),
    (checkout(buyer_info={CARD: "mine"}), "/buyer_info"),
    (checkout(buyer_info={CARD: {"pan": CARD}}), "/buyer_info"),
    (with_order(payment_order_id=CARD), "/payment_orders/1/payment_order_id"),
    (checkout().replace(b'"customer-7"', b"4111111111111111.0"), "/buyer_info/reference"),
    (checkout().replace(b"Anna", b"4\\u0031111111 11111111"), "/buyer_info/name"),
]


@pytest.mark.parametrize(("body", "pointer"), HIDDEN, ids=[f"{at}-{pointer}" for at, (_, pointer) in enumerate(HIDDEN)])
def test_a_card_number_is_refused_wherever_it_is_and_never_repeated(body: bytes, pointer: str) -> None:
    with pytest.raises(Problem) as refused:
        decoded(CheckoutBody, body)
    (error,) = refused.value.errors
    assert (error.pointer.removesuffix("/pan" if pointer == "/buyer_info" else ""), error.code) == (
        pointer,
        "card_number_refused",
    )
    assert b"4111" not in refused.value.answer("/v1/payments", "r-1").body


def test_ids_as_callers_make_them_are_no_card_numbers() -> None:
    ids = [
        "97c1e1f0-44444444-5",
        "44444444-4444-4444-8444-444444444448",
        "20261122-0001",
        "ord_01jd5v2q7xf8k8v6n3m4p5r6st-1",
    ]
    assert [
        order.payment_order_id
        for body in ids
        for order in asked(checkout(payment_orders=[ORDER | {"payment_order_id": body}]))
    ] == ids


def test_a_document_of_any_depth_is_answered() -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    assert asked(checkout(buyer_info={"deep": deep}))
    assert fault_of(b"[" * 20_000 + b"]" * 20_000)[1] == Fault.JSON_MALFORMED


LINE = {"seller_account": format_id(ACCOUNT, SELLER), "amount": "1.50", "currency": "EUR", "description": "a cup"}


def lines_of(*lines: dict[str, Any]) -> Any:
    body: OrderBody = decoded(OrderBody, msgspec.json.encode({"lines": lines}))
    return order_lines(body.lines)


def test_what_a_seller_sells_in_one_currency_is_one_payment_order() -> None:
    other = LINE | {"seller_account": format_id(ACCOUNT, OTHER)}
    lines = lines_of(LINE, other, LINE | {"amount": 2}, LINE | {"currency": "JPY", "amount": "3"}, other)
    assert orders_of("ord_x", lines, is_on_delivery=True) == [
        Order("ord_x-1", SELLER, 350, "EUR", True),
        Order("ord_x-2", OTHER, 300, "EUR", True),
        Order("ord_x-3", SELLER, 3, "JPY", True),
    ]


def test_an_order_that_could_not_be_paid_is_refused() -> None:
    sellers = [LINE | {"seller_account": format_id(ACCOUNT, derive_account_id("s", str(n)))} for n in range(33)]
    largest = LINE | {"currency": "JPY", "amount": str(MAX_MINOR)}
    assert not isinstance(lines_of(*sellers[:32]), FieldError)
    assert lines_of(*sellers).pointer == lines_of(largest, largest).pointer == "/lines"
    assert lines_of(LINE, LINE | {"amount": "-1"})[:2] == ("/lines/1/amount", AmountProblem.NOT_POSITIVE)
    assert lines_of(LINE | {"description": CARD[:7] + "\0"}).pointer == "/lines/0/description"
    with pytest.raises(Problem, match="length <= 64"):
        lines_of(*[LINE] * (MAX_LINES + 1))


def test_a_refund_without_amount_is_of_the_whole() -> None:
    assert bytes(decoded(RefundBody, b"{}").amount) == b""
    assert bytes(decoded(RefundBody, b'{"amount": 1.50}').amount) == b"1.50"


def test_a_payout_names_the_bank_account_by_a_token() -> None:
    body = {"account": LINE["seller_account"], "amount": "1", "currency": "EUR", "destination": "ba_1"}
    assert decoded(PayoutBody, msgspec.json.encode(body)).destination == "ba_1"
    with pytest.raises(Problem, match="card number"):
        decoded(PayoutBody, msgspec.json.encode(body | {"destination": CARD}))

"""A seller's share of a payment order, at the seller's shard: what a charge brings, and what refunds take.

An order "on delivery" is posted and uncollected until it is released; its refunds give back what is uncollected first.
Guarantees: what is refunded and what is disputed never exceed the order together, and a refund that fails puts back
what it took to where it was taken from, or where it would be by now.
"""

from collections.abc import Iterable
from typing import NamedTuple

from payments.accounts import debit_refusal
from payments.book import Book
from payments.entries import Credit
from payments.items.details import Detail, GivenBack, JournalLeg, OpenItem, OrderTerms, Uncollected
from payments.movements.deposits import uncollected_moved
from payments.movements.refunds import Paid, given_back
from payments.rejections import Reason


class Change(NamedTuple):
    """What a leg does at its account."""

    available_minor: int
    """To the available balance: below 0 it is taken."""
    items: tuple[OpenItem, ...] = ()
    uncollected_minor: int = 0
    """Taken out of what is not available yet."""


def terms_of(details: Iterable[Detail]) -> OrderTerms | None:
    """The order that a leg belongs to, if any."""
    return next((detail for detail in details if isinstance(detail, OrderTerms)), None)


def reserve(book: Book, message: Credit, terms: OrderTerms, now_us: int) -> Change | Reason:
    """Set aside what a refund takes."""
    amount_minor = -message.amount_minor
    paid = Paid(terms.clearing_account, message.payee, terms.amount_minor, message.currency)
    given = given_back(book, terms.order_id, paid, amount_minor, now_us)
    if isinstance(given, Reason):
        return given
    waiting = book.items.find(Uncollected, message.payee, terms.order_id)
    uncollected_minor = min(amount_minor, waiting.amount_minor) if waiting is not None else 0
    rest_minor = amount_minor - uncollected_minor
    refusal = debit_refusal(book.accounts.get(message.payee), rest_minor, message.currency)
    if refusal is not None:
        return refusal
    counted = given._replace(refunded_minor=given.refunded_minor + amount_minor, under_way=given.under_way + 1)
    return Change(
        -rest_minor, (counted, *uncollected_moved(waiting, -uncollected_minor, uncollected_minor)), uncollected_minor
    )


def settled(book: Book, leg: JournalLeg, terms: OrderTerms) -> Change:
    """The provider has charged: the share is there, or waits for the delivery. Or it has refunded: nothing more."""
    if leg.amount_minor < 0:
        waiting = book.items.find(Uncollected, leg.owner, terms.order_id)
        given = _given_back(book, leg, terms)
        return Change(
            0, (given._replace(under_way=given.under_way - 1), *uncollected_moved(waiting, 0, -leg.uncollected_minor))
        )
    if not terms.is_on_delivery:
        return Change(leg.amount_minor)
    return Change(0, (Uncollected(terms.order_id, leg.owner, leg.amount_minor, leg.currency, is_open=True),))


def released(book: Book, leg: JournalLeg, terms: OrderTerms) -> Change:
    """The provider has not: a refund's part is the seller's again, available where the order was released since."""
    if leg.amount_minor > 0:
        return Change(0)
    given = _given_back(book, leg, terms)
    counted_back = given._replace(refunded_minor=given.refunded_minor + leg.amount_minor, under_way=given.under_way - 1)
    waiting = book.items.find(Uncollected, leg.owner, terms.order_id)
    uncollected_minor = leg.uncollected_minor if waiting is not None else 0
    back_minor = -leg.amount_minor - uncollected_minor
    return Change(back_minor, (counted_back, *uncollected_moved(waiting, uncollected_minor, -uncollected_minor)))


def _given_back(book: Book, leg: JournalLeg, terms: OrderTerms) -> GivenBack:
    given = book.items.find(GivenBack, leg.owner, terms.order_id)
    assert given is not None, "a refund has ended of an order that was never refunded"
    return given

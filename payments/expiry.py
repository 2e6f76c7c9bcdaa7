"""What time ends, tick by tick: holds, and what is remembered of payments for longer than they can be given back.

Guarantees: by the broker's time of the tick alone, so that a replay ends the same items at the same entries.
"""

from collections.abc import Iterator
from typing import Final

from payments.book import Book
from payments.commerce.orders import order_ended
from payments.commerce.settling import settlement_ended
from payments.entries import Entry, Source
from payments.items.details import GivenBack, Hold, PaymentOrder
from payments.items.endings import Ending
from payments.movements.deeds import Deed
from payments.movements.holds import expired
from payments.movements.refunds import given_back_ended

ENDINGS_A_TICK: Final = 200
"""× at most 1,300 bytes (a payment order with four texts of 255 characters): 260 kB of one ledger record. Ticks come
every second, and what is left waits for the next: 17 million a day and shard."""


def expire(book: Book, source: Source) -> Iterator[Entry]:
    """The entries of items whose time has come. Evolve each before asking for the next: an account may have several."""
    for item in book.items.due(source.time_us, ENDINGS_A_TICK):
        yield _ended(book, item, source).entry(item.item_id, source)


def _ended(book: Book, item: Ending, source: Source) -> Deed:
    match item:
        case Hold():
            return expired(book, item)
        case GivenBack():
            return given_back_ended(book, item, source)
        case PaymentOrder():
            return order_ended(book, item, source)
        case settlement:
            return settlement_ended(settlement)

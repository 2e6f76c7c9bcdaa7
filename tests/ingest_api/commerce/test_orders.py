"""Goal: an order is paid or cancelled, never both, and is paid for what was ordered."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ingest_api.commerce.bodies import Line
from ingest_api.commerce.orders import Orders
from ingest_api.reads.database import WRITING, Database
from payments.identifiers import derive_account_id

ORDER = bytes([0x70]) * 16
LINES = (
    Line(derive_account_id("s", "1"), 1_050, "EUR", "größer als \N{SNOWMAN}"),
    Line(derive_account_id("s", "2"), 7, "JPY", ""),
)


@pytest.fixture
async def orders(migrated: str) -> AsyncIterator[Orders]:
    made = Orders(Database(migrated, 4, 100, WRITING))
    await made.open()
    yield made
    await made.close()


async def test_an_order_is_kept_as_it_was_made(orders: Orders) -> None:
    order, is_new = await orders.make(ORDER, LINES, "till")
    assert (order.lines, order.checked_out_at, order.cancelled_at, is_new) == (LINES, None, None, True)
    assert await orders.make(ORDER, LINES[:1], "till") == (order, False)
    assert await orders.find(ORDER) == order


async def test_what_is_cancelled_is_not_paid(orders: Orders) -> None:
    await orders.make(ORDER, LINES, "till")
    cancelled = await orders.cancel(ORDER)
    assert cancelled is not None
    assert cancelled.cancelled_at is not None
    assert await orders.check_out(ORDER) == await orders.cancel(ORDER) == cancelled


async def test_what_is_being_paid_is_not_cancelled_here(orders: Orders) -> None:
    await orders.make(ORDER, LINES, "till")
    paid = await orders.check_out(ORDER)
    assert paid is not None
    assert paid.checked_out_at is not None
    assert await orders.cancel(ORDER) == await orders.check_out(ORDER) == paid


async def test_one_of_many_calls_at_once_counts(orders: Orders) -> None:
    for number in range(10):
        order_id = bytes([number]) * 16
        await orders.make(order_id, LINES, "till")
        ways = [orders.cancel, orders.check_out] * 4
        found = await asyncio.gather(*(way(order_id) for way in ways))
        assert len(set(found)) == 1
        assert found[0] is not None
        assert (found[0].checked_out_at is None) != (found[0].cancelled_at is None)


async def test_an_order_that_was_never_made(orders: Orders) -> None:
    assert [await way(ORDER) for way in (orders.find, orders.cancel, orders.check_out)] == [None] * 3

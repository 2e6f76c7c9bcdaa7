"""A charge that the provider has made and of which nobody tells, and what reconciliation says of it."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

from psycopg import Connection
from pydantic import SecretStr

from connectors.contract import Answer
from connectors.psp.stripe import StripeProvider
from ingest_api.reconciliation.desk import MIGRATIONS
from millrace.reconciliation.asking import ask
from payments.commerce.connector import ConnectorRequest
from payments.commerce.requests import requests_of
from payments.items.details import OrderStatus
from payments.movements.instructions import Order
from reconciliation.internal import questions
from reconciliation.internal.questions import Wait
from reconciliation.internal.run import Asked, Result, compute
from reconciliation.internal.writing import write
from runtime import migrate
from tests.connectors.sandbox_process import API_KEY
from tests.pipeline.commerce.shop import KeptShop
from tests.support.waiting import eventually


def lose_the_answer(shop: KeptShop, one: Order) -> None:
    """The connectors end, and the order is charged without them; those of days later know nothing of its request."""
    shop.connectors.end()
    shop.check_out(one)
    eventually(lambda: one.payment_order_id in shop._orders_with(OrderStatus.EXECUTING), "a request")
    [request] = [
        request
        for entry in shop.ledger.entries()
        for _, request in requests_of(entry)
        if request.payment_order_id == one.payment_order_id
    ]
    asyncio.run(_charged(shop, request))
    assert shop.charged(one) == 1


async def _charged(shop: KeptShop, request: ConnectorRequest) -> Answer:
    provider = StripeProvider(SecretStr(API_KEY), shop.sandbox.url)
    try:
        return await provider.charge(request)
    finally:
        await provider.close()


def look_at(shop: KeptShop, books: Connection, days: int) -> Result:
    """An internal run so many days from now, which asks the provider, once the tables have what the ledger says."""
    for package in MIGRATIONS:
        migrate.up(shop.stage.database_url, package)
    eventually(partial(_is_applied, shop, books), "rows of everything")
    now = datetime.now(UTC) + timedelta(days=days)
    result = compute(books, Asked(now, now - timedelta(days=30), "fatima"), partial(ask, shop.stage.settings))
    write(books, result)
    return result


def look_through_the_connectors(shop: KeptShop, books: Connection) -> Result:
    """An internal run without any provider's key, about ten movements of today."""
    eventually(partial(_is_applied, shop, books), "rows of everything")
    now = datetime.now(UTC)
    asked = Asked(now + timedelta(days=3), now - timedelta(days=30), "fatima", now.date(), 10)
    return compute(books, asked, partial(questions.ask, books, Wait("fatima", 60.0, threading.Event())))


def forge_a_question(books: Connection) -> None:
    """As `forge_an_inquiry`."""
    books.execute(
        """INSERT INTO recon_questions (request_id, ledger_shard, ledger_offset, entry_index, provider_reference,
            asked_by)
        SELECT gen_random_uuid(), ledger_shard, ledger_offset, entry_index, '', 'mallory'
        FROM recon_inquiries LIMIT 1"""
    )


def refused_questions(books: Connection) -> list[str]:
    """Why nothing was learnt."""
    return [row[0] for row in books.execute("SELECT refusal FROM recon_questions WHERE refusal <> ''")]


def _is_applied(shop: KeptShop, books: Connection) -> bool:
    count = books.execute("SELECT sum(entries) FROM outcome_counts").fetchone()
    return count is not None and count[0] == sum(1 for _ in shop.ledger.entries())


def forge_an_inquiry(books: Connection) -> None:
    """About something that the ledger has never asked for, at a place where it has asked for something else."""
    books.execute(
        """INSERT INTO recon_inquiries (request_id, attempt, break_id, ledger_shard, ledger_offset, entry_index,
            asked_by)
        SELECT gen_random_uuid(), attempt, break_id, ledger_shard, ledger_offset, entry_index, 'mallory'
        FROM recon_inquiries LIMIT 1"""
    )


def refusals(books: Connection) -> list[str]:
    """Why inquiries were not sent."""
    return [row[0] for row in books.execute("SELECT refusal FROM recon_inquiries WHERE refusal <> ''")]

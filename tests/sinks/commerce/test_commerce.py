"""Goal: checkouts, refunds and payouts show what the ledger says of them, and nothing is given back twice."""

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from payments.entries import Entry, EntryKind
from payments.identifiers import derive_order_id
from payments.items.details import OrderStatus, OrderTerms, PaymentOrder, ProviderRequest
from payments.rejections import Reason
from runtime.postgres import connect
from schemas.codec.fields import REASONS
from schemas.partitioning import shard_of
from sinks.balances import prepare_session
from tests.sinks.every_kind import BERT, CANCELLED_CHECKOUT, CHECKOUT, CHECKOUTS, CONTESTED_CHECKOUT, SHARDS, EveryKind
from tests.sinks.shards_in_memory import ShardsInMemory
from tests.sinks.test_every_kind import apply, rows


@pytest.fixture(scope="module")
def shards() -> ShardsInMemory:
    """By which the whole script was decided."""
    shards = ShardsInMemory(SHARDS)
    EveryKind(shards).run()
    return shards


@pytest.fixture
def connection(migrated: str, shards: ShardsInMemory) -> Iterator[Connection]:
    """To tables in which all of it is applied."""
    with connect(migrated, "test") as connection:
        prepare_session(connection)
        apply(connection, {shard: shards.ledger(shard) for shard in range(SHARDS)})
        yield connection


def orders_of(shards: ShardsInMemory) -> dict[bytes, PaymentOrder]:
    """As they stand."""
    found = (one for s in shards.shards for checkout in CHECKOUTS for one in s.book.items.of(checkout))
    return {order.item_id: order for order in found if isinstance(order, PaymentOrder)}


def of_order(entries: list[Entry], kind: EntryKind) -> set[bytes]:
    """Orders whose seller's leg had such an entry as a credit."""
    return {
        detail.order_id
        for entry in entries
        if entry.kind is kind and any(entry.credit_account)
        for detail in entry.details
        if isinstance(detail, OrderTerms)
    }


def test_orders_are_told_as_their_shard_and_their_sellers_have_them(
    shards: ShardsInMemory, connection: Connection
) -> None:
    orders, entries = orders_of(shards), shards.entries()
    posted = {entry.operation_id for entry in entries if entry.kind is EntryKind.JOURNAL_POSTED}
    settled = of_order(entries, EntryKind.LEG_SETTLED)
    query = """
    SELECT order_id, payment_order_id, status, reason, refunded_minor, ledger_updated, wallet_updated, is_done
    FROM payment_order_states"""
    assert {id_.bytes: row for id_, *row in rows(connection, query)} == {
        id_: [
            order.payment_order_id,
            int(order.status),
            REASONS.index(order.reason),
            order.refunded_minor,
            id_ in posted,
            id_ in settled,
            order.status is OrderStatus.FAILED or id_ in settled,
        ]
        for id_, order in orders.items()
    }
    assert {order.status for order in orders.values()} == set(OrderStatus) - {OrderStatus.NOT_STARTED}


def test_what_is_delivered_or_due_at_once_is_released(connection: Connection) -> None:
    """900 was cancelled, 988 is unknown, 266 was declined, 100 had no seller, 1100 and 1400 wait for their delivery."""
    found = rows(connection, "SELECT payment_order_id FROM payment_order_states WHERE is_released")
    assert {name for (name,) in found} == {"1000", "477", "500", "40", "1200", "1300"}


def test_a_checkout_is_done_when_all_of_its_orders_are(connection: Connection) -> None:
    query = "SELECT checkout_id, name, buyer, provider, is_payment_done FROM checkouts"
    told = ["every kind", "customer-7", "stripe"]
    assert {id_.bytes: row for id_, *row in rows(connection, query)} == {
        CHECKOUT: [*told, False],
        CANCELLED_CHECKOUT: [*told, True],
        CONTESTED_CHECKOUT: [*told, True],
    }


def test_refunds_and_what_became_of_them(connection: Connection) -> None:
    shard = shard_of(CHECKOUT, SHARDS)
    declined = REASONS.index(Reason.PROVIDER_DECLINED)
    expected = {
        "1000": [(166, False, "failed", declined), (177, False, "succeeded", 0), (188, True, "unknown", 0)],
        "477": [(66, False, "failed", declined), (100, False, "succeeded", 0)],
        "500": [(500, False, "succeeded", 0)],
    }
    expected["1000"].append((300, False, "succeeded", 0))
    query = "SELECT amount_minor, is_open, outcome, refusal FROM order_refunds WHERE order_id = %s ORDER BY 1"
    for name, refunds in expected.items():
        order_id = UUID(bytes=derive_order_id(CHECKOUT, name, shard))
        assert rows(connection, query, order_id) == refunds


def test_payouts_and_what_became_of_them(connection: Connection) -> None:
    query = "SELECT amount_minor, is_open, outcome, decline FROM payouts WHERE account_id = %s ORDER BY 1"
    assert rows(connection, query, UUID(bytes=BERT)) == [
        (10, False, "succeeded", "none"),
        (66, False, "failed", "card_declined"),
        (77, False, "succeeded", "none"),
        (88, True, "unknown", "none"),
        (188, False, "succeeded", "none"),
        (288, False, "failed", "not_executed"),
        (388, True, "unknown", "none"),
    ]


def test_what_people_have_settled_is_shown_and_what_only_one_has_proposed(connection: Connection) -> None:
    query = """SELECT amount_minor, is_succeeded, settlement.provider_reference, jsonb_array_length(settled_by),
        fee_minor FROM attempt_settlements AS settlement JOIN provider_requests USING (request_id) ORDER BY 1"""
    assert rows(connection, query) == [
        (188, True, "po_1", 2, 0),
        (288, False, "", 2, 0),
        (388, False, "", 1, 0),
    ]


def test_the_token_of_a_card_is_shown_nowhere(shards: ShardsInMemory, connection: Connection) -> None:
    tokens = {d.token for entry in shards.entries() for d in entry.details if isinstance(d, ProviderRequest)} - {""}
    assert tokens == {"pm_1", "ba_1"}
    text = str(rows(connection, "SELECT provider_requests::text FROM provider_requests"))
    assert not [token for token in tokens if token in text]


def test_more_given_back_than_the_order_stops_the_sink(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="never_more_than_the_order"):
        connection.execute("UPDATE payment_orders SET refunded_minor = amount_minor + 1")
    connection.rollback()

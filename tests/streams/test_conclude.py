"""Money that moves outside: what a shard asks a provider for, and what the answers do, whatever is restored then."""

import pytest

from payments.commerce.connector import ConnectorOperation, ConnectorRequest, ConnectorResult, Decline, Outcome
from payments.entries import EntryKind
from payments.errors import InvariantViolation, UndecodableRecord
from payments.items.details import PaymentOrder
from payments.movements.instructions import Envelope, Order, PayOut, PlaceCheckout
from schemas import topics
from schemas.codec.connectors import decode_request, encode_result
from schemas.codec.replies import decode_replies, reply_address
from tests.streams.accounts import CURRENCY, account_on, available, deposit, open_account
from tests.streams.world import World

SHARDS = 4
CHECKOUT, SELLER, NEIGHBOUR = account_on(0, SHARDS, 7), account_on(1, SHARDS), account_on(0, SHARDS)
ORDER = Order("order-1", SELLER, 4_200, CURRENCY, False)


def placed(*orders: Order) -> World:
    """The orders of a checkout, whose sellers have agreed."""
    world = World(SHARDS)
    world.send(open_account(SELLER), open_account(NEIGHBOUR))
    envelope = Envelope("place")
    world.send(
        PlaceCheckout(
            envelope=envelope, checkout=CHECKOUT, provider="stripe", token="pm_card_visa", buyer="", orders=orders
        )
    )
    world.settle()
    return world


def asked(world: World) -> list[ConnectorRequest]:
    return [decode_request(record.value()) for record in world.records(topics.CONNECTOR_REQUESTS)]


def answer(world: World, request: ConnectorRequest, outcome: Outcome, attempt: int = 1) -> None:
    """What the connectors write of one attempt, decided."""
    result = ConnectorResult(
        request.request_id,
        attempt,
        request.provider,
        request.operation,
        request.payment_order_id,
        outcome,
        "pi_1",
        Decline.CARD_DECLINED if outcome is Outcome.FAILED else Decline.NONE,
        "",
        None,
        "",
        0,
        attempt_follows=outcome not in (Outcome.SUCCEEDED, Outcome.FAILED),
    )
    world.produce(topics.CONNECTOR_RESULTS.name, encode_result(result), key=CHECKOUT, partition=0)
    world.decide(topics.CONNECTOR_RESULTS.name, 0)
    world.settle()


def count(world: World, kind: EntryKind) -> int:
    return sum(entry.kind is kind for entry in world.entries())


@pytest.mark.parametrize("seller", [SELLER, NEIGHBOUR], ids=["other shard", "same shard"])
def test_the_provider_is_asked_once_where_the_answer_is_waited_for(seller: bytes) -> None:
    world = placed(ORDER._replace(seller=seller))
    [record] = world.logs[topics.CONNECTOR_REQUESTS.name, 0]
    request = decode_request(record.value())
    assert record.key() == CHECKOUT
    assert (request.operation, request.attempt) == (ConnectorOperation.CHARGE, 1)
    assert (request.amount_minor, request.currency, request.idempotency_key) == (4_200, CURRENCY, "order-1")
    assert available(world, seller) == 0
    answer(world, request, Outcome.SUCCEEDED)
    assert available(world, seller) == 4_200
    assert (count(world, EntryKind.JOURNAL_POSTED), len(asked(world))) == (1, 1)


def test_every_order_of_a_checkout_is_asked_for_by_itself() -> None:
    world = placed(ORDER, Order("order-2", NEIGHBOUR, 700, CURRENCY, False))
    first, second = sorted(asked(world), key=lambda request: request.payment_order_id)
    answer(world, second, Outcome.SUCCEEDED)
    answer(world, first, Outcome.FAILED)
    assert (available(world, SELLER), available(world, NEIGHBOUR)) == (0, 700)
    assert (count(world, EntryKind.JOURNAL_POSTED), count(world, EntryKind.JOURNAL_CANCELLED)) == (1, 1)


@pytest.mark.parametrize("with_disk", [False, True], ids=["from the log", "from its disk"])
def test_an_order_under_way_survives_a_restore(with_disk: bool) -> None:
    world = placed(ORDER)
    [request] = asked(world)
    answer(world, request, Outcome.UNKNOWN)
    world.restart(with_disk=with_disk)
    answer(world, request, Outcome.SUCCEEDED, attempt=2)
    answer(world, request, Outcome.SUCCEEDED, attempt=2)
    world.restart(with_disk=with_disk)
    assert available(world, SELLER) == 4_200
    assert (count(world, EntryKind.JOURNAL_POSTED), count(world, EntryKind.REPLAYED)) == (1, 1)
    assert len(asked(world)) == 1, "later attempts are the connectors' own"


def test_who_waits_for_a_payout_is_answered_when_the_provider_has() -> None:
    world = World(SHARDS)
    world.send(open_account(CHECKOUT), deposit(CHECKOUT, 5_000))
    reply_to = reply_address(3, 77)
    envelope = Envelope("out", reply_to=reply_to)
    world.send(
        PayOut(
            envelope=envelope, account=CHECKOUT, provider="stripe", token="ba", amount_minor=1_000, currency=CURRENCY
        )
    )
    world.settle()
    assert (world.records(topics.REPLIES), available(world, CHECKOUT)) == ([], 4_000)
    [request] = asked(world)
    answer(world, request, Outcome.SUCCEEDED)
    [batch] = [decode_replies(record.value()) for record in world.records(topics.REPLIES)]
    assert [(reply.reply_to, reply.kind) for reply in batch] == [(reply_to, EntryKind.JOURNAL_POSTED)]


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0\x05garbage", b"\xff" * 40], ids=["empty", "other", "unframed"])
def test_an_undecodable_result_stops_the_shard(value: bytes) -> None:
    world = World(SHARDS)
    world.produce(topics.CONNECTOR_RESULTS.name, value, key=CHECKOUT, partition=0)
    with pytest.raises(UndecodableRecord):
        world.decide(topics.CONNECTOR_RESULTS.name, 0)


def test_an_answer_to_what_was_not_asked_yet_stops_the_shard() -> None:
    """The seller has not agreed: whoever wrote this is none of our connectors."""
    world = World(SHARDS)
    world.send(open_account(SELLER))
    fields = {"provider": "stripe", "token": "pm_card_visa", "buyer": ""}
    world.send(PlaceCheckout(envelope=Envelope("place"), checkout=CHECKOUT, orders=(ORDER,), **fields))
    world.decide(topics.COMMANDS.name, 0)
    [order_id] = {d.item_id for entry in world.entries() for d in entry.details if isinstance(d, PaymentOrder)}
    forged = ConnectorRequest(order_id, "stripe", ConnectorOperation.CHARGE, "order-1", 4_200, CURRENCY, "order-1")
    with pytest.raises(InvariantViolation, match="not asked"):
        answer(world, forged, Outcome.SUCCEEDED)

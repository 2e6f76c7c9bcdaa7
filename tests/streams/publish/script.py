"""The ledger of a script in which everything happens: records of three shards, and what the world is told of them."""

from collections.abc import Iterable, Iterator
from functools import cache

from payments.events.event import Event, EventType
from schemas.codec.ledger import decode_ledger_record
from schemas.events.codec import EventId
from streams.publish.told import told_of
from tests.sinks.every_kind import SHARDS, EveryKind
from tests.sinks.shards_in_memory import ShardsInMemory


@cache
def ledger() -> dict[int, tuple[bytes, ...]]:
    """Record values by shard."""
    shards = ShardsInMemory(SHARDS)
    EveryKind(shards).run()
    return {shard: tuple(shards.ledger(shard)) for shard in range(SHARDS)}


def expected() -> dict[str, Event]:
    """By id."""
    return {str(event_id): event for event_id, event in _told(value for shard in ledger().values() for value in shard)}


def _told(values: Iterable[bytes]) -> Iterator[tuple[EventId, Event]]:
    for value in values:
        yield from told_of(decode_ledger_record(value))


_FIRST = {
    EventType.PAYMENT_POSTED: EventType.PAYMENT_AUTHORISED,
    EventType.PAYMENT_RETURNED: EventType.PAYMENT_AUTHORISED,
    EventType.PAYMENT_AUTHORISED: EventType.PAYMENT_IN_REVIEW,
    EventType.PAYMENT_REFUNDED: EventType.PAYMENT_POSTED,
    EventType.PAYMENT_DISPUTED: EventType.PAYMENT_POSTED,
    EventType.PAYMENT_COLLECTED: EventType.PAYMENT_POSTED,
    EventType.HOLD_CAPTURED: EventType.HOLD_PLACED,
    EventType.HOLD_RELEASED: EventType.HOLD_PLACED,
    EventType.DISPUTE_CREDITED: EventType.DISPUTE_OPENED,
    EventType.DISPUTE_COLLECTED: EventType.DISPUTE_WON,
    EventType.ORDER_REQUIRES_ACTION: EventType.ORDER_EXECUTING,
    EventType.ORDER_SUCCEEDED: EventType.ORDER_EXECUTING,
    EventType.ORDER_REFUNDED: EventType.ORDER_SUCCEEDED,
    EventType.REFUND_POSTED: EventType.REFUND_OPENED,
    EventType.PAYOUT_POSTED: EventType.PAYOUT_OPENED,
    EventType.ACCOUNT_CLOSED: EventType.ACCOUNT_OPENED,
}
"""What a subject that is told of the one was told of before, if at all."""


def out_of_order(events: Iterable[Event]) -> list[tuple[str, EventType]]:
    """Subjects that were told of something before what comes first."""
    seen: dict[str, list[EventType]] = {}
    for event in events:
        seen.setdefault(event.subject, []).append(event.type)
    return [
        (subject, type_)
        for subject, types in seen.items()
        for at, type_ in enumerate(types)
        if _FIRST.get(type_) in types[at:]
    ]

"""payments.events → Postgres, exactly once: each batch of records becomes events and their deliveries.

Reads committed records from where event_feed_offsets stands; keeps those positions; writes both in one transaction with
the rows. Exactly once rests on the compare-and-set of event_feed_offsets, as the ledger's tables on sink_progress.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg
from confluent_kafka import Message
from psycopg import Connection

from payments.errors import InvariantViolation, UndecodableRecord
from payments.events.event import Event
from payments.identifiers import ACCOUNT, NIL, derive_consequence_id, is_system, parse_id
from payments.money import format_minor
from runtime.exactly_once.failpoints import Failpoints
from schemas.events.codec import decode_event
from schemas.tables.webhooks import payload_of
from sinks.events.storing import PublicEvent, store
from sinks.topic_sink import Positions, RecordBatch, claim_positions, refusal_of_row

BATCH_RECORDS: Final = 2_000
IDLE_POLL_MS: Final = 100
POSITIONS: Final = "event_feed_offsets"

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SEQUENCES: Final = "SELECT shard, ledger_sequence FROM sink_progress"


class Told(NamedTuple):
    """An event, and the ledger record that it comes from."""

    event: PublicEvent
    shard: int
    ledger_sequence: int


def told_of(record: Message) -> Told:
    """Only our own stage writes this topic: a record that is none of its is a bug, and stops the sink."""
    try:
        name, event = decode_event(record.value() or b"")
    except (UndecodableRecord, ValueError) as error:
        place = f"{record.topic()}[{record.partition()}] offset {record.offset()}"
        raise InvariantViolation(f"{place}: {error}") from error
    shard, sequence, *_ = map(int, name.split("-"))
    return Told(public_event(name, event), shard, sequence)


def public_event(name: str, event: Event) -> PublicEvent:
    """The event as it is kept. Its id follows from the name that it has on the topic."""
    id_ = derive_consequence_id(NIL, f"event {name}")
    at = _UNIX_EPOCH + timedelta(microseconds=event.occurred_at_us)
    named = (parse_id(ACCOUNT, text) for text in (event.payer, event.payee, event.subject) if text)
    accounts = tuple(dict.fromkeys(account for account in named if account is not None and not is_system(account)))
    payload = payload_of(id_, event.type, at, event.subject, _facts(event))
    return PublicEvent(id_, event.type, event.subject, accounts, at, payload)


def _facts(event: Event) -> dict[str, Any]:
    """What is known of it beside type, subject and time; amounts as text, too."""
    facts = event._asdict()
    if event.amount_minor is not None and event.currency is not None:
        facts["amount"] = format_minor(event.amount_minor, event.currency)
    if event.payee_amount_minor is not None and event.payee_currency is not None:
        facts["payee_amount"] = format_minor(event.payee_amount_minor, event.payee_currency)
    for name in ("type", "subject", "occurred_at_us"):
        del facts[name]
    return {name: fact for name, fact in facts.items() if fact is not None}


def is_shown(connection: Connection, batch: RecordBatch[Told]) -> bool:
    """True once the ledger's tables show what the events tell: who is told of a payment can look at it."""
    shown: dict[int, int] = dict(connection.execute(_SEQUENCES).fetchall())
    connection.commit()
    return all(shown.get(told.shard, 0) > told.ledger_sequence for told in batch.rows)


def flush_batch(
    connection: Connection,
    batch: RecordBatch[Told],
    commit_offsets: Callable[[Positions], None],
    failpoints: Failpoints,
) -> int:
    """Store one batch, once; how many deliveries were queued. Raises Fenced, InvariantViolation, psycopg.Error (nothing
    is then stored).
    """
    # 1. Claim: a second writer waits here on the row locks, then finds the positions moved and itself fenced.
    claim_positions(connection, POSITIONS, batch)
    # 2. Events and deliveries. No ON CONFLICT: an event that is there already was told twice.
    try:
        queued = store(connection, [told.event for told in batch.rows])
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        raise InvariantViolation(refusal_of_row(error)) from error
    # Crash up to here: rolled back, positions as before, the same records are read again.
    failpoints.reach("sink_before_commit")
    # 3. COMMIT. Cut off in it: the next start asks event_feed_offsets whether it happened.
    connection.commit()
    # Crash here: stored and queued; the dispatcher takes it from the tables, whether this process lives or not.
    failpoints.reach("sink_after_commit")
    # 4. Group offsets for lag tooling; nothing decides by them.
    commit_offsets(batch.after)
    return queued

"""The one way of what can't be decided: its bytes go to payments.quarantine inside the transaction, its trace to the
ledger.

Writes payments.quarantine. The others of the same partition, and of the same packed record, go on.
"""

from confluent_kafka import Message

from payments.entries import Source, quarantined
from payments.rejections import Reason
from schemas import topics
from schemas.codec.quarantine import encode_quarantined, kept_key
from streams.outbox import Outbox


def quarantine(outbox: Outbox, message: Message, source: Source, value: bytes, reason: Reason, detail: str) -> None:
    """Set one record, or one item of a packed record, aside with its reason and origin."""
    fields = {
        "reason": reason.value,
        "detail": detail,
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": source.offset,
        "item": source.item,
        "received_at_us": source.time_us,
    }
    record = encode_quarantined(fields, value, message.key())
    outbox.produce(topics.QUARANTINE.name, record, key=kept_key(message.key()), partition=outbox.shard.number)
    outbox.add(quarantined(reason, source))

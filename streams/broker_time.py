"""The time of a decision is the broker's: `LogAppendTime` of the input record, which nobody outside can set.

Reads a record's timestamp. A time that its producer has chosen could make a shard forget every idempotency key at once.
"""

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from payments.errors import InvariantViolation


def broker_time_us(message: Message) -> int:
    """Microseconds since 1970. Raises InvariantViolation for a record whose producer set its time."""
    stamp: tuple[int, int] = message.timestamp()
    kind, time_ms = stamp
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        raise InvariantViolation(
            f"{message.topic()}[{message.partition()}] offset {message.offset()}: its time was set by its producer;"
            " the topic needs message.timestamp.type=LogAppendTime, as schemas/topics.py says"
        )
    return time_ms * 1_000

"""Partition of a key: the Java client's published vectors, and librdkafka's own partitioner on the same keys."""

import hashlib
import time

import pytest
from confluent_kafka import Message, Producer

from payments.postings import clearing_account
from schemas.partitioning import murmur2, shard_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2
JAVA_VECTORS = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("key", "signed"), JAVA_VECTORS)
def test_murmur2_of_the_java_client(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


def test_librdkafka_sends_every_key_where_we_expect_it() -> None:
    # The partitioner is a pure function inside the client; the mock broker only has to name four partitions.
    producer = Producer({"test.mock.num.brokers": 1, "partitioner": "murmur2"})
    keys = [hashlib.sha256(bytes([number])).digest()[: 1 + number % 20] for number in range(256)]
    keys += [key.ljust(16, b"\0")[:16] for key in keys] + [clearing_account("EUR")]
    shards: dict[bytes, int | None] = {}

    def delivered(error: object, message: Message) -> None:
        assert error is None
        shards[message.key() or b""] = message.partition()

    for key in keys:
        producer.produce("any", key=key, value=b"", on_delivery=delivered)
    deadline = time.monotonic() + 30
    while producer.flush(1) and time.monotonic() < deadline:
        pass
    assert shards == {key: shard_of(key, 4) for key in keys}
    assert set(shards.values()) == {0, 1, 2, 3}


@pytest.mark.parametrize("shards", [1, 3, 4, 64])
def test_accounts_spread_evenly(shards: int) -> None:
    counts = [0] * shards
    for number in range(200 * shards):
        counts[shard_of(hashlib.sha256(str(number).encode()).digest()[:16], shards)] += 1
    assert min(counts) > 100
    assert max(counts) < 300

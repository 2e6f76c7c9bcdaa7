"""Which partition a key belongs to: the murmur2 of the Java client, so any standard producer finds the same one."""

from functools import lru_cache

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def murmur2(key: bytes) -> int:
    """`org.apache.kafka.common.utils.Utils.murmur2`, as an unsigned 32-bit integer."""
    length = len(key)
    h = 0x9747B28C ^ length
    aligned = length & ~3
    for at in range(0, aligned, 4):
        k = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if length & 3:
        h = (h ^ int.from_bytes(key[aligned:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=262_144)  # about 45 MB when full; a miss costs 2 µs, a hit 0.1
def shard_of(account: bytes, shards: int) -> int:
    """Shard of an account = partition of its key, as the Java client's default partitioner computes it."""
    return (murmur2(account) & 0x7FFFFFFF) % shards

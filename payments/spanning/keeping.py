"""What a book keeps of keys that span accounts: counts at the shard of the key, and elsewhere what was told of them.

Keys fall into sets by their first bytes; a set is kept like the items of one account and holds at most KEYS_A_SET of
either kind, those seen last by record time. So 65,536 payees, cards, devices and addresses each are counted, and as
many are known at a shard: the one that is forgotten begins anew.
"""

from typing import Final, TypeVar

from payments.entries import Entry
from payments.identifiers import shard_of_operation
from payments.items.details import KeyCounts, KeyLearned, Observation, Published
from payments.items.open_items import Items
from payments.risk.activity import Attempted, Key
from payments.spanning.counts import (
    Asker,
    Counts,
    Learned,
    Values,
    counted,
    decode_counts,
    decode_learned,
    encode,
    learn,
    told,
)

SETS: Final = 8_192
KEYS_A_SET: Final = 8
_NO_UUID: Final = bytes(6) + b"\xf0"
"""Version nibble 15: no account, and none of the operator's."""

Item = TypeVar("Item", KeyCounts, KeyLearned)


def set_of(of: Key, key: bytes) -> bytes:
    """Owner of what is kept of a key; its shard counts the key."""
    return _NO_UUID + bytes([of]) + bytes(6) + (int.from_bytes(key[:2], "big") % SETS).to_bytes(2, "big")


def place_of(detail: Observation | Published) -> bytes:
    """Owner of what an entry with this detail changes."""
    return set_of(detail.of, detail.keys[detail.of] if isinstance(detail, Observation) else detail.key)


def counts_of(items: Items, of: Key, key: bytes) -> Counts:
    """What is counted of a key at its shard."""
    found = items.find(KeyCounts, set_of(of, key), _id_of(of, key))
    return Counts() if found is None else decode_counts(found.state)


def learned_of(items: Items, of: Key, key: bytes) -> Learned:
    """What is known of a key at the shard of a payer."""
    found = items.find(KeyLearned, set_of(of, key), _id_of(of, key))
    return Learned() if found is None else decode_learned(found.state)


def counts_after(counts: Counts, observation: Observation, entry: Entry) -> Counts:
    """With the attempt that an entry tells of."""
    of, keys, at_us, approved = observation
    asker = Asker(shard_of_operation(entry.operation_id), entry.debit_account, entry.decided_at_us)
    attempted = Attempted(at_us, entry.amount_minor, keys, approved)
    return counted(counts, of, attempted, entry.currency, asker)


def count(items: Items, observation: Observation, entry: Entry) -> None:
    """Evolve what is counted."""
    of, key = observation.of, observation.keys[observation.of]
    after = counts_after(counts_of(items, of, key), observation, entry)
    _put(items, KeyCounts(_id_of(of, key), set_of(of, key), entry.decided_at_us, encode(after)))


def note_published(items: Items, published: Published) -> None:
    """Evolve what all askers were told last. What one of several was told alone is no news to the others."""
    counts = counts_of(items, published.of, published.key)
    if len(published.askers) < len(counts.askers):
        return
    after = told(counts, _values(published), published.currency, published.at_us)
    place = _id_of(published.of, published.key), set_of(published.of, published.key)
    _put(items, KeyCounts(*place, published.at_us, encode(after)))


def learn_published(items: Items, published: Published) -> None:
    """Evolve what is known."""
    of, key = published.of, published.key
    learned = learned_of(items, of, key)
    after = learn(learned, _values(published), published.currency, published.at_us)
    _put(items, KeyLearned(_id_of(of, key), set_of(of, key), published.at_us, encode(after)))


def _values(published: Published) -> Values:
    return dict(published.values)


def _id_of(of: Key, key: bytes) -> bytes:
    return bytes(7) + bytes([of]) + key


def _put(items: Items, item: Item) -> None:
    """Keep it; where its set is full, in place of the one seen longest ago."""
    if items.find(type(item), item.owner, item.item_id) is None:
        others = [other for other in items.of(item.owner) if isinstance(other, type(item))]
        if len(others) >= KEYS_A_SET:
            oldest = min(others, key=lambda other: (other.seen_at_us, other.item_id))
            items.put(oldest._replace(is_open=False))
    items.put(item)

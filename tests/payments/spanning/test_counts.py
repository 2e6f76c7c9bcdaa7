"""What is counted of a key over all accounts, when it is published, and what is known of it elsewhere."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.identifiers import derive_operation_id, is_system
from payments.items.details import KeyCounts, Observation, Published, PublishedValue
from payments.items.open_items import ItemsInMemory
from payments.rejections import Reason
from payments.risk.activity import Attempted, Key
from payments.risk.features import FEATURES
from payments.spanning import keeping
from payments.spanning.counts import (
    ASKED_US,
    MAX_ASKERS,
    MAX_CURRENCIES,
    PUBLISH_EVERY_US,
    Asker,
    Counts,
    Learned,
    Values,
    counted,
    decode_counts,
    decode_learned,
    encode,
    known_of,
    learn,
    to_tell,
    told,
    values_of,
)

READS = tuple(FEATURES[name] for name in ("card_attempts_1h", "card_distinct_accounts_24h", "card_attempted_minor_1h"))
ATTEMPTS, ACCOUNTS, AMOUNT = (feature.position for feature in READS)
START_US = 1_795_000_000_000_000
HOUR_US = 3_600_000_000
KEYS = (b"account1", b"payee  1", b"card   1", b"", b"")


class Told(NamedTuple):
    """One publication."""

    at_us: int
    values: Values
    askers: tuple[Asker, ...]


class Desk:
    """The shard of one card, and what it told."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.told: list[Told] = []

    def attempt(self, at_us: int, shard: int = 0, account: bytes = b"account1", currency: str = "EUR") -> Told | None:
        asker = Asker(shard, account * 2, at_us)
        attempted = Attempted(at_us, 100, (account, *KEYS[1:]), approved=True)
        before, self.counts = self.counts, counted(self.counts, Key.CARD, attempted, currency, asker)
        values = values_of(self.counts, Key.CARD, READS, currency, at_us)
        askers = to_tell(before, self.counts, values, currency)
        if not askers:
            return None
        if len(askers) == len(self.counts.askers):
            self.counts = told(self.counts, values, currency, at_us)
        self.told.append(Told(at_us, values, askers))
        return self.told[-1]


@settings(max_examples=50, deadline=None)
@given(gaps_us=st.lists(st.integers(0, 400_000), min_size=1, max_size=200))
def test_publications_are_one_a_second_and_one_for_each_doubling(gaps_us: list[int]) -> None:
    """And what was told last is never less than half of what had been counted, plus one second's worth."""
    desk, now_us, known = Desk(), START_US, 0
    for number, gap_us in enumerate(gaps_us, 1):
        now_us += gap_us
        found = desk.attempt(now_us)
        known = found.values[ATTEMPTS] if found is not None else known
        assert known * 2 > number
    doublings = 2 * len(gaps_us).bit_length()  # of the number, and of the sum
    assert len(desk.told) <= 2 + doublings + (now_us - START_US) // PUBLISH_EVERY_US


def test_a_shard_that_is_new_is_told_alone_and_one_that_was_silent_is_told_no_more() -> None:
    desk = Desk()
    for number in range(5):  # 1, 2, 4 are told
        desk.attempt(START_US + number)
    found = desk.attempt(START_US + 5, shard=1)
    assert found is not None
    assert [asker.shard for asker in found.askers] == [1]
    both = desk.attempt(START_US + 2 * PUBLISH_EVERY_US, shard=1)
    assert both is not None
    assert [asker.shard for asker in both.askers] == [0, 1]
    later = desk.attempt(START_US + 2 * PUBLISH_EVERY_US + ASKED_US, shard=2)
    assert later is not None
    assert [asker.shard for asker in later.askers] == [2]


def test_sums_are_of_one_currency_and_counts_of_all() -> None:
    desk = Desk()
    desk.attempt(START_US, currency="USD")
    found = desk.attempt(START_US + 1, account=b"account2", currency="EUR")
    assert found is not None
    assert found.values == {ATTEMPTS: 2, ACCOUNTS: 2, AMOUNT: 100}
    learned = learn(learn(Learned(), {ATTEMPTS: 1, AMOUNT: 100}, "USD", START_US), found.values, "EUR", START_US + 1)
    assert known_of(learned, "EUR", START_US)["card_attempted_minor_1h"] == 100
    assert known_of(learned, "USD", START_US)["card_attempts_1h"] == 2
    assert "card_attempted_minor_1h" not in known_of(learned, "JPY", START_US)


def test_what_is_as_old_as_its_window_is_nothing() -> None:
    learned = learn(Learned(), {ATTEMPTS: 7, ACCOUNTS: 3}, "EUR", START_US)
    assert set(known_of(learned, "EUR", START_US + HOUR_US - 1)) == {"card_attempts_1h", "card_distinct_accounts_24h"}
    assert set(known_of(learned, "EUR", START_US + HOUR_US)) == {"card_distinct_accounts_24h"}
    assert known_of(learned, "EUR", START_US + 24 * HOUR_US) == {}


def test_what_is_kept_is_bounded_and_comes_back_from_the_disk_as_it_was() -> None:
    desk, learned = Desk(), Learned()
    for number in range(3 * MAX_ASKERS):
        currency = f"C{number % (2 * MAX_CURRENCIES)}"
        desk.attempt(START_US + number, shard=number, currency=currency)
        learned = learn(learned, {ATTEMPTS: number + 1, AMOUNT: 1}, currency, START_US + number)
    assert len(desk.counts.askers) == MAX_ASKERS
    assert [len(desk.counts.sums), len(learned.values)] == [MAX_CURRENCIES, MAX_CURRENCIES + 1]
    assert decode_counts(encode(desk.counts)) == desk.counts
    assert decode_learned(encode(learned)) == learned
    assert encode(decode_counts(encode(desk.counts))) == encode(desk.counts)


def entry(number: int, key: bytes) -> tuple[Observation, Entry]:
    observation = Observation(Key.CARD, (b"account1", b"", key, b"", b""), START_US + number, approved=True)
    operation_id = derive_operation_id(b"account1" * 2, f"{number}", 3)
    parties = b"account1" * 2, keeping.place_of(observation), 100, "EUR"
    kind, reason = EntryKind.OBSERVED, Reason.NONE
    made = Entry(kind, reason, operation_id, *parties, 0, START_US + number, NO_FINGERPRINT, number, 0, (observation,))
    return observation, made


def test_of_a_full_set_the_key_seen_longest_ago_begins_anew() -> None:
    items = ItemsInMemory()
    keys = [b"\0\1" + number.to_bytes(6, "big") for number in range(keeping.KEYS_A_SET + 1)]
    order = [*keys[:-1], keys[0], keys[-1]]  # the first one is seen again before the set is full
    for number, key in enumerate(order):
        keeping.count(items, *entry(number, key))
    place = keeping.set_of(Key.CARD, keys[0])
    assert not is_system(place)
    assert sum(isinstance(item, KeyCounts) for item in items.of(place)) == keeping.KEYS_A_SET
    assert keeping.counts_of(items, Key.CARD, keys[1]) == Counts()
    assert keeping.counts_of(items, Key.CARD, keys[0]).askers[0].shard == 3


def test_what_one_of_several_was_told_alone_is_no_news_to_the_others() -> None:
    items, key = ItemsInMemory(), b"\0\1card 1"
    keeping.count(items, *entry(1, key))
    published = Published(Key.CARD, key, "EUR", START_US, (PublishedValue(ATTEMPTS, 1),), ())
    keeping.note_published(items, published)
    assert keeping.counts_of(items, Key.CARD, key).published == {}
    keeping.note_published(items, published._replace(askers=(b"account1" * 2,)))
    assert keeping.counts_of(items, Key.CARD, key).published == {"": {ATTEMPTS: 1}, "EUR": {}}

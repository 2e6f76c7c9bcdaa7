"""Goal: a shard's snapshot says exactly what was in its memory, in fastavro's bytes, or is refused as a whole."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.accounts import Account, AccountStatus, AccountType
from payments.errors import UndecodableRecord
from payments.money import MAX_MINOR
from schemas import wire
from schemas.codec import reference
from schemas.codec.fields import account_status_of
from schemas.codec.ledger import Counter, Lane
from schemas.codec.snapshots import (
    AccountsPage,
    OperationsSegment,
    ShardHead,
    Snapshot,
    decode_snapshot,
    encode_head,
    encode_page,
    encode_segment,
)
from schemas.registry import latest
from schemas.topics import SNAPSHOTS
from tests.schemas import records

ACCOUNT_BYTES = 16 + 3 + 8 + 8 + 1 + 1 + 1

currencies = st.sampled_from(["EUR", "JPY", "XYZ", ""])
accounts = st.builds(
    Account,
    currencies,
    st.integers(-MAX_MINOR, MAX_MINOR),
    st.integers(0, MAX_MINOR),
    st.sampled_from(AccountStatus),
    st.sampled_from(AccountType),
    st.booleans(),
)
pages = st.builds(
    AccountsPage,
    records.ints,
    records.ints,
    records.longs,
    records.longs,
    st.lists(st.tuples(records.ids, accounts), max_size=5),
    st.lists(records.open_items, max_size=3),
)
segments = st.builds(
    OperationsSegment,
    records.ints,
    records.longs,
    records.longs,
    records.longs,
    records.longs,
    st.lists(st.tuples(records.ids, records.eight_bytes), max_size=5),
)
heads = st.builds(
    ShardHead,
    records.ints,
    records.longs,
    st.binary(min_size=32, max_size=32),
    records.longs,
    st.lists(st.builds(Counter, st.sampled_from(Lane), records.ints, records.longs), max_size=5),
    st.dictionaries(st.sampled_from(["commands", "credits", "returns"]), records.longs),
)


def page(*accounts: tuple[bytes, Account], sequence: int = 9) -> AccountsPage:
    return AccountsPage(1, 2, sequence, 1_700_000_000_000_000, list(accounts), [])


STATUS_AT = -5
ONE = page((b"A" * 16, Account("EUR", -5, 500, AccountStatus.FROZEN)))


@settings(max_examples=60)
@given(pages)
def test_a_page_comes_back_as_it_was(taken: AccountsPage) -> None:
    assert decode_snapshot(encode_page(taken)) == taken


@settings(max_examples=60)
@given(segments)
def test_a_segment_comes_back_as_it_was_and_in_order(taken: OperationsSegment) -> None:
    assert decode_snapshot(encode_segment(taken)) == taken


@settings(max_examples=60)
@given(heads)
def test_a_head_comes_back_as_it_was(taken: ShardHead) -> None:
    assert decode_snapshot(encode_head(taken)) == taken


@settings(max_examples=60)
@given(pages)
def test_a_page_is_what_fastavro_writes(taken: AccountsPage) -> None:
    """An operator reads snapshots with any Avro tool; the schema is the contract, not our structs."""
    record, fields = reference.decode(encode_page(taken))
    assert record == "AccountsPage"
    assert [fields[name] for name in ("shard", "page", "sequence")] == list(taken[:3])
    for item, (account_id, account) in zip(fields["accounts"], taken.accounts, strict=True):
        values = list(item.values())
        assert account_id in values
        assert account.status.name.lower() in values
        assert Decimal(account.available_minor) in values
    if not taken.items:  # a dict does not say which branch of the union it is
        assert reference.encode(record, fields) == encode_page(taken)


@settings(max_examples=60)
@given(segments)
def test_a_segment_is_what_fastavro_writes(taken: OperationsSegment) -> None:
    record, fields = reference.decode(encode_segment(taken))
    assert record == "OperationsSegment"
    assert reference.encode(record, fields) == encode_segment(taken)


@pytest.mark.parametrize("byte", [1, 3, 5, 2 * len(AccountStatus), 64, 128, 255])
def test_a_status_that_nobody_knows_is_refused(byte: int) -> None:
    """Regression: an IndexError, which is no error of a record; an odd byte was read as the status before it."""
    value = bytearray(encode_page(ONE))
    assert value[STATUS_AT] == AccountStatus.FROZEN << 1, "behind it: type, is_limited, the ends of two arrays"
    value[STATUS_AT] = byte
    with pytest.raises(UndecodableRecord, match="status"):
        decode_snapshot(bytes(value))


@pytest.mark.parametrize("status", list(AccountStatus))
def test_every_status_that_is_written_is_read(status: AccountStatus) -> None:
    assert account_status_of(status << 1) is status


@pytest.mark.parametrize("taken", [page(), ONE, page(*[(bytes([n]) * 16, Account("EUR", n)) for n in range(3)])])
def test_no_cut_of_a_page_is_taken_for_a_smaller_one(taken: AccountsPage) -> None:
    """A page that lost an account would be restored without it: its money would be gone."""
    value = encode_page(taken)
    for length in range(len(value)):
        with pytest.raises(UndecodableRecord):
            decode_snapshot(value[:length])
    with pytest.raises(UndecodableRecord):
        decode_snapshot(value + b"\0")


def test_a_count_that_is_not_the_number_of_accounts_is_refused() -> None:
    value = encode_page(page(*[(bytes([n]) * 16, Account("EUR", n)) for n in range(3)]))
    at = len(value) - 2 - 3 * ACCOUNT_BYTES - 1
    assert value[at] == 3 << 1
    for count in (0, 1, 2, 4, 63):
        with pytest.raises(UndecodableRecord):
            decode_snapshot(value[:at] + bytes((count << 1,)) + value[at + 1 :])


@pytest.mark.parametrize("schema_id", [0, 999, latest("LedgerRecord").schema_id, latest("Command").schema_id])
def test_a_record_of_another_kind_is_no_snapshot(schema_id: int) -> None:
    with pytest.raises(UndecodableRecord, match=f"schema id {schema_id} is no snapshot"):
        decode_snapshot(wire.frame(schema_id) + bytes(50))


@settings(max_examples=60)
@given(st.sampled_from(["AccountsPage", "OperationsSegment", "ShardHead"]), st.binary(max_size=200))
def test_noise_is_refused_or_read_as_what_it_says(record: str, body: bytes) -> None:
    try:
        taken = decode_snapshot(wire.frame(latest(record).schema_id) + body)
    except UndecodableRecord:
        return
    assert type(taken).__name__ == record


@settings(max_examples=60)
@given(heads, st.data())
def test_a_damaged_head_is_refused_or_another_head(taken: ShardHead, choice: st.DataObject) -> None:
    value = bytearray(encode_head(taken))
    at = choice.draw(st.integers(wire.FRAME_BYTES, len(value) - 1))
    value[at] ^= choice.draw(st.integers(1, 255))
    try:
        found: Snapshot = decode_snapshot(bytes(value))
    except UndecodableRecord:
        return
    assert found != taken, "no byte of a head is without meaning"


def test_a_number_of_more_than_64_bits_in_a_head_is_refused() -> None:
    """Regression: fastavro drops the bits above, so another head was read as this one."""
    value = bytearray(encode_head(ShardHead(64, 2**62, bytes(32), 0, [], {})))
    value[wire.FRAME_BYTES + 2 + 9] ^= 2
    with pytest.raises(UndecodableRecord):
        decode_snapshot(bytes(value))


def test_every_kind_of_snapshot_is_on_the_topic_of_snapshots() -> None:
    assert {"AccountsPage", "OperationsSegment", "ShardHead"} == set(SNAPSHOTS.records)


def test_a_page_of_an_account_takes_a_fixed_number_of_bytes() -> None:
    """A page is cut by accounts: its size in the broker follows from their number alone."""
    small = len(encode_page(page(*[(bytes([n]) * 16, Account("EUR", 0)) for n in range(10)])))
    large = len(encode_page(page(*[(bytes([n]) * 16, Account("EUR", MAX_MINOR, MAX_MINOR)) for n in range(11)])))
    assert large - small == ACCOUNT_BYTES

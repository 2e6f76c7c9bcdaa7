"""Bytes that are no record: every decoder refuses them as UndecodableRecord, or reads exactly what they say."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.entries import EntryKind
from payments.errors import UndecodableRecord
from payments.identifiers import NIL
from payments.rejections import Reason
from schemas import wire
from schemas.codec import commands, credits, ledger, reference, replies
from schemas.registry import latest, registered
from tests.schemas import records


def reencoded_commands(value: bytes) -> bytes:
    bodies = [commands.encode_body(commands.decode_body(body)) for body in commands.items(value)]
    single = wire.schema_id_of(value) == latest("Command").schema_id
    return wire.frame(wire.schema_id_of(value)) + bodies[0] if single else commands.encode_batch(bodies)


def reencoded_ledger(value: bytes) -> bytes:
    record = ledger.decode_ledger_record(value)
    return ledger.encode_ledger_record(record.header, list(record.entries()), record.descriptions)


Reencode = Callable[[bytes], bytes]
DECODERS: dict[str, Reencode] = {
    "Command": reencoded_commands,
    "CommandBatch": reencoded_commands,
    "CreditBatch": lambda value: credits.encode_credits(credits.decode_credits(value)),
    "LedgerRecord": reencoded_ledger,
    "ReplyBatch": lambda value: replies.encode_replies(replies.decode_replies(value)),
}

NEWEST = frozenset(latest(record).schema_id for record in DECODERS)

genuine = st.one_of(
    records.commands.map(commands.encode_command),
    st.lists(records.commands.map(commands.encode_body), max_size=3).map(commands.encode_batch),
    records.credit_batches.map(credits.encode_credits),
    st.builds(
        ledger.encode_ledger_record, records.headers, st.lists(records.entries, max_size=3), records.descriptions
    ),
    records.replies.map(replies.encode_replies),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A genuine record with a few bytes changed, cut out or put in."""
    value = bytearray(draw(genuine))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        end = at + draw(st.sampled_from([0, 0, 1, 1, 1, 2, 20]))
        value[at:end] = draw(st.one_of(st.binary(max_size=3), st.just(b"\xff" * 9 + b"\1"), st.just(b"\1")))
    return bytes(value)


def framed_as(record: str, body: bytes) -> bytes:
    return wire.frame(latest(record).schema_id) + body


@pytest.mark.parametrize("record", sorted(DECODERS))
@given(body=st.binary(max_size=400))
def test_noise_is_refused_or_read_exactly(record: str, body: bytes) -> None:
    refused_or_exact(DECODERS[record], framed_as(record, body))


@settings(max_examples=600)
@given(value=damaged())
def test_damaged_records_are_refused_or_read_exactly(value: bytes) -> None:
    for decoder in DECODERS.values():
        refused_or_exact(decoder, value)


def refused_or_exact(reencode: Reencode, value: bytes) -> None:
    """A decoder may not read one thing where the bytes say another: what it read encodes to as many bytes.

    (Avro allows a number in more bytes than needed, so equal bytes are asked for only where the lengths agree.)
    """
    try:
        again = reencode(value)
    except UndecodableRecord:
        return
    if wire.schema_id_of(value) not in NEWEST:
        return  # damaged into an older version, which is written again as the newest
    assert len(again) <= len(value)
    if len(again) == len(value):
        assert again == value


@pytest.mark.parametrize("record", sorted({schema.record for schema in registered()}))
@given(body=st.binary(max_size=300))
def test_the_reference_decoder_refuses_noise_the_same_way(record: str, body: bytes) -> None:
    try:
        reference.decode(framed_as(record, body))
    except UndecodableRecord:
        return


@settings(max_examples=600)
@given(value=damaged())
def test_the_reference_decoder_refuses_damage_the_same_way(value: bytes) -> None:
    try:
        reference.decode(value)
    except UndecodableRecord:
        return


@given(st.binary(max_size=20))
def test_a_value_without_a_frame_is_refused(value: bytes) -> None:
    decoders: list[Callable[[bytes], Any]] = [
        lambda value: list(commands.items(value)),
        credits.decode_credits,
        ledger.decode_ledger_record,
        replies.decode_replies,
        reference.decode,
    ]
    for decoder in decoders:
        with pytest.raises(UndecodableRecord):
            decoder(b"\1" + value)
        with pytest.raises(UndecodableRecord):
            decoder(wire.frame(9_999) + value)


def test_bytes_behind_a_record_are_refused_by_the_reference_decoder() -> None:
    value = reference.encode("CommandBatch", {"items": [b"x"]})
    with pytest.raises(UndecodableRecord):
        reference.decode(value + b"\0")


@pytest.mark.parametrize("kind", [1, 3, 2 * len(EntryKind), 255])
def test_a_reply_of_unknown_kind_is_refused(kind: int) -> None:
    value = bytearray(replies.encode_replies([replies.Reply(bytes(8), NIL, EntryKind.POSTED, Reason.NONE, 0)]))
    value[wire.FRAME_BYTES + 1 + 8 + 16] = kind
    with pytest.raises(UndecodableRecord):
        replies.decode_replies(bytes(value))


def test_a_batch_that_says_more_than_it_holds_is_refused_without_reading_on() -> None:
    head = framed_as("CommandBatch", wire.write_long(commands.MAX_ITEMS + 1))
    with pytest.raises(commands.BatchTooLarge, match="at most"):
        list(commands.items(head + b"\0" * 2_000))
    with pytest.raises(UndecodableRecord):
        credits.decode_credits(framed_as("CreditBatch", b"\0\0" + wire.write_long(2**62)))


@pytest.mark.parametrize("count", [-1, -2, 2**40])
def test_counters_in_more_than_one_block_are_refused(count: int) -> None:
    with pytest.raises(UndecodableRecord):
        ledger.read_counters(memoryview(wire.write_long(count) + b"\2\2\2" + b"\0\0"), 0)

"""Each agent: what it decides, what it writes, and that nothing is dropped."""

import hashlib

import pytest

from payments.entries import EntryKind
from payments.errors import InvariantViolation, UndecodableRecord
from payments.identifiers import NIL
from payments.rejections import QUARANTINED, Reason
from schemas import topics
from schemas.codec import reference
from schemas.codec.commands import MAX_ITEMS, encode_batch, encode_body, encode_command
from schemas.codec.credits import decode_credits
from schemas.codec.ledger import decode_ledger_record
from schemas.codec.replies import decode_replies, reply_address, reply_partition
from tests.streams.accounts import account_on, available, deposit, freeze, funded, open_account, transfer
from tests.streams.world import START_MS, Record, World

SHARDS = 4
PAYER, NEIGHBOUR = account_on(0, SHARDS, 0), account_on(0, SHARDS, 1)
STRANGER = account_on(1, SHARDS)


def kinds(world: World) -> list[EntryKind]:
    return [entry.kind for entry in world.entries()]


def test_a_payment_to_another_shard_takes_two_hops() -> None:
    world = World(SHARDS)
    funded(world, PAYER, STRANGER)
    world.send(transfer(PAYER, STRANGER, 300, "k", description="rent"))
    world.decide(topics.COMMANDS.name, 0)
    assert (available(world, PAYER), available(world, STRANGER)) == (700, 1_000)
    [batch] = [decode_credits(record.value()) for record in world.records(topics.CREDITS)]
    assert (batch.origin, batch.sequence, batch.credits[0].amount_minor) == (0, 0, 300)
    world.settle()
    assert (available(world, PAYER), available(world, STRANGER)) == (700, 1_300)
    last = decode_ledger_record(world.logs[topics.LEDGER.name, 0][-1].value())
    assert last.descriptions == {0: "rent"}


def test_a_payment_inside_one_shard_is_posted_in_the_record_that_reserves_it() -> None:
    world = World(SHARDS)
    funded(world, PAYER, NEIGHBOUR)
    before = len(world.logs[topics.LEDGER.name, 0])
    world.send(transfer(PAYER, NEIGHBOUR, 300, "k"))
    world.settle()
    [record] = world.logs[topics.LEDGER.name, 0][before:]
    entries = list(decode_ledger_record(record.value()).entries())
    assert [entry.kind for entry in entries] == [EntryKind.RESERVED, EntryKind.POSTED]
    assert {(entry.source_offset, entry.source_item) for entry in entries} == {(4, 0)}
    assert (available(world, PAYER), available(world, NEIGHBOUR)) == (700, 1_300)


@pytest.mark.parametrize("payee", [NEIGHBOUR, STRANGER], ids=["same shard", "other shard"])
def test_what_the_receiver_cannot_take_comes_back(payee: bytes) -> None:
    world = World(SHARDS)
    funded(world, PAYER, payee)
    world.send(freeze(payee))
    world.settle()
    world.send(transfer(PAYER, payee, 300, "k"))
    world.settle()
    assert (available(world, PAYER), available(world, payee)) == (1_000, 1_000)
    last = [entry for entry in world.entries() if entry.kind in (EntryKind.REFUSED, EntryKind.RETURNED)]
    assert {entry.kind: entry.reason for entry in last} == {
        EntryKind.REFUSED: Reason.PAYEE_FROZEN,
        EntryKind.RETURNED: Reason.PAYEE_FROZEN,
    }


def test_a_return_reaches_a_payer_that_was_frozen_meanwhile() -> None:
    world = World(SHARDS)
    funded(world, PAYER)
    world.send(transfer(PAYER, STRANGER, 300, "k"), freeze(PAYER))
    world.settle()
    assert available(world, PAYER) == 1_000


def test_a_repeated_key_moves_nothing_and_a_changed_body_is_refused() -> None:
    world = World(SHARDS)
    funded(world, PAYER, NEIGHBOUR)
    before = len(kinds(world))
    world.send(*[transfer(PAYER, NEIGHBOUR, 300, "k")] * 3, transfer(PAYER, NEIGHBOUR, 301, "k"))
    world.settle()
    assert [entry.kind for entry in world.entries(0)][-5:] == [
        EntryKind.RESERVED,
        EntryKind.POSTED,
        EntryKind.REPLAYED,
        EntryKind.REPLAYED,
        EntryKind.KEY_REUSED,
    ]
    assert len(kinds(world)) == before + 5
    assert available(world, PAYER) == 700


BROKEN = {
    "empty": (b"", Reason.MALFORMED),
    "no frame": (b"hello", Reason.MALFORMED),
    "other schema": (b"\0\0\0\0\x63" + bytes(60), Reason.MALFORMED),
    "cut": (encode_command(open_account(PAYER))[:-3], Reason.MALFORMED),
    "trailing": (encode_command(open_account(PAYER)) + b"x", Reason.MALFORMED),
    "no key": (encode_command(open_account(PAYER)._replace(idempotency_key="")), Reason.IDEMPOTENCY_KEY_MISSING),
    "long key": (encode_command(open_account(PAYER)._replace(idempotency_key="k" * 256)), Reason.TEXT_TOO_LONG),
    "long text": (encode_command(open_account(PAYER)._replace(description="d" * 141)), Reason.TEXT_TOO_LONG),
    "zero character": (encode_command(open_account(PAYER)._replace(description="a\0b")), Reason.MALFORMED),
    "nobody is paid": (encode_command(transfer(PAYER, NIL, 5, "k")), Reason.MALFORMED),
    "an operation with a payee": (encode_command(freeze(PAYER)._replace(payee=STRANGER)), Reason.MALFORMED),
    "wrong partition": (encode_command(open_account(STRANGER)), Reason.WRONG_PARTITION),
    "batch too large": (encode_batch([encode_body(open_account(PAYER))] * (MAX_ITEMS + 1)), Reason.BATCH_TOO_LARGE),
}


def test_every_reason_of_quarantine_is_met_by_a_record() -> None:
    """All other reasons are met by the model (tests/payments/movements/test_model.py): so each has a test."""
    assert {reason for _, reason in BROKEN.values()} == QUARANTINED


@pytest.mark.parametrize(("value", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_bad_record_goes_to_quarantine_and_the_others_go_on(value: bytes, reason: Reason) -> None:
    world = World(SHARDS)
    world.send(open_account(PAYER))
    world.produce(topics.COMMANDS.name, value, key=b"k", partition=0)
    world.send(deposit(PAYER, 5))
    world.settle()
    [record] = world.records(topics.QUARANTINE)
    _, fields = reference.decode(record.value())
    assert (fields["reason"], fields["topic"], fields["offset"]) == (reason.value, topics.COMMANDS.name, 1)
    assert fields["value"] in value
    assert record.key() == b"k"
    assert [entry.kind for entry in world.entries(0)] == [
        EntryKind.ACCOUNT_OPENED,
        EntryKind.QUARANTINED,
        EntryKind.POSTED,
    ]


@pytest.mark.parametrize("key_bytes", [16, 200_000])
def test_a_record_too_large_for_an_envelope_is_set_aside_all_the_same(key_bytes: int) -> None:
    """A broker takes 1 MB; with the envelope around it, it would take it no more, and the shard would stand still."""
    world = World(SHARDS)
    value = b"x" * 1_048_000
    world.produce(topics.COMMANDS.name, value, key=b"k" * key_bytes, partition=0)
    world.settle()
    [record] = world.records(topics.QUARANTINE)
    assert len(record.value()) + len(record.key() or b"") < 900_000
    _, fields = reference.decode(record.value())
    assert fields["value"] == value[: len(fields["value"])]
    assert len(fields["value"]) > 500_000
    assert f"of 1048000 bytes, SHA-256 of all {hashlib.sha256(value).hexdigest()}" in fields["detail"]
    assert fields["key"] == b"k" * min(key_bytes, 1_024)


def test_a_bad_item_of_a_packed_record_goes_alone() -> None:
    world = World(SHARDS)
    bodies = [encode_body(open_account(PAYER)), b"nonsense", encode_body(deposit(PAYER, 5))]
    world.produce(topics.COMMANDS.name, encode_batch(bodies), partition=0)
    world.settle()
    [record] = world.records(topics.QUARANTINE)
    _, fields = reference.decode(record.value())
    assert (fields["item"], fields["value"]) == (1, b"nonsense")
    assert [(entry.kind, entry.source_item) for entry in world.entries(0)] == [
        (EntryKind.ACCOUNT_OPENED, 0),
        (EntryKind.QUARANTINED, 1),
        (EntryKind.POSTED, 2),
    ]


def test_replies_go_to_the_process_that_waits_once_the_outcome_is_final() -> None:
    world = World(SHARDS)
    funded(world, PAYER)
    address = reply_address(6, 77)
    world.send(transfer(PAYER, STRANGER, 300, "returned", address), transfer(PAYER, STRANGER, 9_999, "no", address))
    world.settle()
    replies = [
        reply
        for record in world.logs[topics.REPLIES.name, reply_partition(address)]
        for reply in decode_replies(record.value())
    ]
    assert [(reply.kind, reply.reason, reply.reply_to) for reply in replies] == [
        (EntryKind.REJECTED, Reason.INSUFFICIENT_FUNDS, address),
        (EntryKind.RETURNED, Reason.PAYEE_NOT_FOUND, address),
    ]


def test_a_full_outbox_is_cut_between_input_records() -> None:
    world = World(SHARDS)
    funded(world, PAYER, NEIGHBOUR, amount_minor=1_000_000)
    before = len(world.logs[topics.LEDGER.name, 0])
    for batch in range(6):
        world.send_packed(0, [transfer(PAYER, NEIGHBOUR, 1, f"{batch}-{item}") for item in range(700)])
    world.settle()
    records = [decode_ledger_record(record.value()) for record in world.logs[topics.LEDGER.name, 0][before:]]
    assert [record.entry_count for record in records] == [2_800, 2_800, 2_800]
    spans = [(record.header.first_offset, record.header.next_offset) for record in records]
    assert spans == [(4, 6), (6, 8), (8, 10)], "each record names the run of inputs that it decided, and none is empty"


def test_a_credit_out_of_turn_stops_the_shard() -> None:
    world = World(SHARDS)
    funded(world, PAYER, STRANGER)
    world.send(transfer(PAYER, STRANGER, 300, "k"))
    world.decide(topics.COMMANDS.name, 0)
    [record] = world.logs[topics.CREDITS.name, 1]
    world.produce(topics.CREDITS.name, record.value(), partition=1)
    with pytest.raises(InvariantViolation, match="CREDITS_RECEIVED from shard 0 is at 1, got record 0"):
        world.decide(topics.CREDITS.name, 1)


def test_an_undecodable_packed_record_stops_the_shard() -> None:
    world = World(SHARDS)
    world.produce(topics.CREDITS.name, b"\0\0\0\0\x05garbage", partition=1)
    with pytest.raises(UndecodableRecord):
        world.decide(topics.CREDITS.name, 1)


@pytest.mark.parametrize("topic", [topics.COMMANDS, topics.CREDITS, topics.RETURNS, topics.CONNECTOR_RESULTS])
def test_a_record_whose_time_its_producer_set_stops_the_shard(topic: topics.Topic) -> None:
    """A year ahead, it would make the shard forget every key."""
    world = World(SHARDS)
    world.send(open_account(PAYER))
    value = world.logs[topics.COMMANDS.name, 0][0].value()
    world.logs[topic.name, 0] = [Record(topic.name, 0, 0, None, value, START_MS, time_type=1)]
    with pytest.raises(InvariantViolation, match="LogAppendTime"):
        world.decide(topic.name, 0)

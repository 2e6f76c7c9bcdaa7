"""The hand-made codecs against fastavro: the same bytes out, the same values in, for every hot record."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.commands import MAX_DESCRIPTION_CHARS, MAX_KEY_CHARS, NO_REPLY, Command, CommandKind
from payments.entries import Entry
from payments.errors import UndecodableRecord
from payments.identifiers import NIL
from payments.rejections import Reason
from schemas import wire
from schemas.codec import commands, credits, ledger, reference, replies
from schemas.codec.fields import currency_bytes
from schemas.registry import latest
from tests.schemas import records

OPENING = Command(CommandKind.OPEN_ACCOUNT, b"A" * 16, NIL, 0, "EUR", NO_REPLY, "key")


@given(records.commands)
def test_command_equals_fastavro_both_ways(command: Command) -> None:
    value = commands.encode_command(command)
    assert value == reference.encode("Command", records.command_fields(command))
    assert reference.decode(value) == ("Command", records.command_fields(command))
    assert [commands.decode_body(body) for body in commands.items(value)] == [command]


@given(st.lists(records.commands, max_size=5))
def test_command_batch_equals_fastavro_both_ways(batch: list[Command]) -> None:
    bodies = [commands.encode_body(command) for command in batch]
    value = commands.encode_batch(bodies)
    assert value == reference.encode("CommandBatch", {"items": bodies})
    assert reference.decode(value) == ("CommandBatch", {"items": bodies})
    assert [commands.decode_body(body) for body in commands.items(value)] == batch


@given(records.credit_batches)
def test_credit_batch_equals_fastavro_both_ways(batch: credits.CreditBatch) -> None:
    value = credits.encode_credits(batch)
    fields = records.credit_batch_fields(batch)
    assert reference.decode(value) == ("CreditBatch", fields)
    if not any(credit.details for credit in batch.credits):  # a dict does not say which branch of the union it is
        assert value == reference.encode("CreditBatch", fields)
    assert credits.decode_credits(value) == batch


@given(records.headers, st.lists(records.entries, max_size=5), records.descriptions)
def test_ledger_record_equals_fastavro_both_ways(
    header: ledger.LedgerHeader, entries: list[Entry], descriptions: dict[int, str]
) -> None:
    value = ledger.encode_ledger_record(header, entries, descriptions)
    fields = records.ledger_fields(header, entries, descriptions)
    assert reference.decode(value) == ("LedgerRecord", fields)
    if not any(entry.details for entry in entries):
        assert value == reference.encode("LedgerRecord", fields)
    record = ledger.decode_ledger_record(value)
    assert (record.header, list(record.entries()), record.descriptions) == (header, entries, descriptions)
    assert record.entry_count == len(entries)


@given(records.replies)
def test_reply_batch_equals_fastavro_both_ways(batch: list[replies.Reply]) -> None:
    value = replies.encode_replies(batch)
    assert value == reference.encode("ReplyBatch", records.reply_fields(batch))
    assert reference.decode(value) == ("ReplyBatch", records.reply_fields(batch))
    assert replies.decode_replies(value) == batch


@given(records.headers, st.lists(records.entries, min_size=1, max_size=5))
def test_numpy_reads_what_struct_writes(header: ledger.LedgerHeader, entries: list[Entry]) -> None:
    packed = ledger.decode_ledger_record(ledger.encode_ledger_record(header, entries, {})).packed
    rows = np.frombuffer(packed, np.dtype(list(ledger.ENTRY_FIELDS)))
    assert rows.dtype.itemsize == ledger.ENTRY.size
    for row, entry in zip(rows, entries, strict=True):
        assert (row["kind"], row["reason"]) == (entry.kind * 2, list(Reason).index(entry.reason) * 2)
        assert [bytes(row[name]) for name in ("operation_id", "debit_account", "credit_account", "fingerprint")] == [
            entry.operation_id,
            entry.debit_account,
            entry.credit_account,
            entry.fingerprint,
        ]
        assert [int(row[name]) for name in ("amount_minor", "available_after_minor", "decided_at_us")] == [
            entry.amount_minor,
            entry.available_after_minor,
            entry.decided_at_us,
        ]
        assert (row["source_offset"], row["source_item"]) == (entry.source_offset, entry.source_item)
        assert bytes(row["currency"]) == currency_bytes(entry.currency)


def test_the_packed_layouts_name_the_fields_of_the_schema() -> None:
    (entry_schema,) = (f["type"]["items"] for f in latest("LedgerRecord").parsed["fields"] if f["name"] == "entries")
    names = [field["name"] for field in entry_schema["fields"]]
    assert names == list(Entry._fields[:-1]) == [name for name, _ in ledger.ENTRY_FIELDS]
    assert Entry._fields[-1] == "details", "what is not packed comes last"


@given(records.longs)
def test_longs(number: int) -> None:
    assert wire.read_long(wire.write_long(number), 0) == (number, len(wire.write_long(number)))


@pytest.mark.parametrize("value", [b"\xff" * 9 + b"\x7f", b"\xff" * 9 + b"\x02", b"\x80" * 9 + b"\x04"])
def test_a_number_of_more_than_64_bits_is_refused(value: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        wire.read_long(value, 0)


@pytest.mark.parametrize("code", ["EURO", "€", "é", "EU€"])
def test_a_currency_that_does_not_fit_is_not_cut_to_another_one(code: str) -> None:
    with pytest.raises(ValueError, match="currency"):
        commands.encode_command(OPENING._replace(currency=code))


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        (None, OPENING),
        (Reason.IDEMPOTENCY_KEY_MISSING, OPENING._replace(idempotency_key="")),
        (None, OPENING._replace(idempotency_key="é" * MAX_KEY_CHARS)),
        (Reason.TEXT_TOO_LONG, OPENING._replace(idempotency_key="k" * (MAX_KEY_CHARS + 1))),
        (None, OPENING._replace(description="d" * MAX_DESCRIPTION_CHARS)),
        (Reason.TEXT_TOO_LONG, OPENING._replace(description="d" * (MAX_DESCRIPTION_CHARS + 1))),
    ],
)
def test_texts_are_bounded(reason: Reason | None, command: Command) -> None:
    assert commands.form_refusal(command) is reason


@given(st.integers(0, 65_535), st.integers(1, 2**48 - 1))
def test_a_reply_address_is_never_nobody(process_id: int, request: int) -> None:
    address = replies.reply_address(process_id, request)
    assert len(address) == len(NO_REPLY)
    assert address != NO_REPLY
    assert replies.reply_partition(address) == process_id % 4


def test_the_hash_link_covers_the_frame() -> None:
    assert ledger.record_hash(b"\0\0\0\0\5x") != ledger.record_hash(b"\0\0\0\0\6x")

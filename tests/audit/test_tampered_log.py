"""Forged copies of each topic: a byte changed, a record left out, repeated or exchanged, a whole chain written anew."""

import re
from typing import Any

import pytest

from millrace.audit.ledger.partition_log import AuditedTopics
from millrace.audit.report import AuditReport, Difference, Invariant
from millrace.audit.verify import verify
from payments.commerce.connector import Decline, Outcome
from payments.entries import Entry, EntryKind
from payments.items.details import Cause, Detail, GivenBack, Hold, JournalLeg, Legs, Receivable
from payments.rejections import Reason
from runtime.settings import Settings
from schemas.codec.commands import decode_body, encode_command, items
from schemas.codec.connectors import decode_request, decode_result, encode_request, encode_result
from schemas.codec.ledger import decode_ledger_record, encode_ledger_record
from tests.audit.forgery import Forge, ForgedRecord, Partitions, forged, relinked
from tests.audit.pipeline import Pipeline
from tests.support.side_by_side import by_night


@pytest.fixture
def audited(settings: Settings, applied_tables: str) -> Settings:
    """Settings with the tables as they should be."""
    return settings.model_copy(update={"database_url": applied_tables})


def audit_of(pipeline: Pipeline, audited: Settings, topic: str, forge: Forge) -> tuple[AuditReport, AuditedTopics]:
    topics = forged(pipeline, topic, forge)
    return verify(audited, topics), topics


def first_difference(pipeline: Pipeline, audited: Settings, topic: str, forge: Forge) -> Difference:
    report, _ = audit_of(pipeline, audited, topic, forge)
    assert not report.ok
    assert report.proofs[report.differences[0].invariant].verdict == "failed"
    return report.differences[0]


def with_entries(record: ForgedRecord, entries: list[Entry]) -> None:
    packed = decode_ledger_record(record.value)
    record.value = encode_ledger_record(packed.header, entries, packed.descriptions)


def entries_of(record: ForgedRecord) -> list[Entry]:
    return list(decode_ledger_record(record.value).entries())


def test_an_exact_copy_of_the_ledger_is_right(pipeline: Pipeline, audited: Settings) -> None:
    report, _ = audit_of(pipeline, audited, "ledger", lambda partitions: None)
    assert report.differences == []


@pytest.mark.parametrize("share", [0.02, 0.99, *by_night(0.0, 0.1, 0.25, 0.5, 0.75, 0.9)])
@pytest.mark.parametrize("which", [1, -1])
def test_one_byte_of_a_ledger_record(pipeline: Pipeline, audited: Settings, share: float, which: int) -> None:
    offsets: list[int] = []

    def change(partitions: Partitions) -> None:
        record = partitions[1][which]
        at = int(share * len(record.value))
        record.value = record.value[:at] + bytes([record.value[at] ^ 1]) + record.value[at + 1 :]
        offsets.append(record.offset)

    report, topics = audit_of(pipeline, audited, "ledger", change)
    difference = report.differences[0]
    assert difference.place.startswith(f"{topics.ledger}[1] offset {offsets[0]}"), difference
    assert difference.invariant in (Invariant.TRACE, Invariant.REPLAY, Invariant.ONE_OUTCOME)


def test_an_entry_changed_with_the_chain_written_anew(pipeline: Pipeline, audited: Settings) -> None:
    def enrich(partitions: Partitions) -> None:
        record = next(r for r in partitions[0] if any(e.kind is EntryKind.RESERVED for e in entries_of(r)))
        entries = entries_of(record)
        at = next(index for index, entry in enumerate(entries) if entry.kind is EntryKind.RESERVED)
        entries[at] = entries[at]._replace(available_after_minor=entries[at].available_after_minor + 5)
        with_entries(record, entries)
        relinked(partitions[0])

    difference = first_difference(pipeline, audited, "ledger", enrich)
    assert difference.invariant is Invariant.REPLAY
    assert " entry " in difference.place
    assert difference.expected.startswith("available_after_minor ")


def test_a_rejection_made_a_payment(pipeline: Pipeline, audited: Settings) -> None:
    def approve(partitions: Partitions) -> None:
        record = next(r for r in partitions[2] if any(e.reason is Reason.INSUFFICIENT_FUNDS for e in entries_of(r)))
        approved = [
            entry._replace(kind=EntryKind.RESERVED, reason=Reason.NONE)
            if entry.reason is Reason.INSUFFICIENT_FUNDS
            else entry
            for entry in entries_of(record)
        ]
        with_entries(record, approved)
        relinked(partitions[2])

    difference = first_difference(pipeline, audited, "ledger", approve)
    assert difference.invariant is Invariant.REPLAY
    assert difference.expected == "kind 1, reason insufficient_funds"
    assert difference.found == "kind 0, reason none"


def test_an_entry_left_out_with_the_chain_written_anew(pipeline: Pipeline, audited: Settings) -> None:
    def forget(partitions: Partitions) -> None:
        record = next(r for r in partitions[1] if len(entries_of(r)) > 1)
        with_entries(record, entries_of(record)[:-1])
        relinked(partitions[1])

    difference = first_difference(pipeline, audited, "ledger", forget)
    assert (difference.invariant, difference.found) == (Invariant.REPLAY, "no entry")


def test_a_description_changed_with_the_chain_written_anew(pipeline: Pipeline, audited: Settings) -> None:
    def reword(partitions: Partitions) -> None:
        record = next(r for r in partitions[0] if decode_ledger_record(r.value).descriptions)
        packed = decode_ledger_record(record.value)
        words = dict.fromkeys(packed.descriptions, "gift")
        record.value = encode_ledger_record(packed.header, list(packed.entries()), words)
        relinked(partitions[0])

    difference = first_difference(pipeline, audited, "ledger", reword)
    assert (difference.invariant, difference.found) == (Invariant.REPLAY, "others")


def first_detailed(partitions: Partitions, kind: type[Detail]) -> tuple[int, ForgedRecord, int]:
    """Partition, record and entry of the first such detail."""
    return next(
        (partition, record, at)
        for partition, records in enumerate(partitions)
        for record in records
        for at, entry in enumerate(entries_of(record))
        if any(isinstance(detail, kind) for detail in entry.details)
    )


@pytest.mark.parametrize(
    ("kind", "field", "shown"),
    [
        (Legs, "legs", "legs"),
        (Hold, "amount_minor", "amount_minor"),
        (GivenBack, "refunded_minor", "refunded_minor"),
        (Receivable, "amount_minor", "amount_minor"),
        (JournalLeg, "journal_id", "journal_id"),
        (Cause, "code", "code"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_a_detail_changed_with_the_chain_written_anew(
    pipeline: Pipeline, audited: Settings, kind: type[Detail], field: str, shown: str
) -> None:
    places: list[str] = []

    def change(partitions: Partitions) -> None:
        partition, record, at = first_detailed(partitions, kind)
        entries = entries_of(record)
        details = [with_other(detail, field) if isinstance(detail, kind) else detail for detail in entries[at].details]
        entries[at] = entries[at]._replace(details=tuple(details))
        with_entries(record, entries)
        relinked(partitions[partition])
        places.append(f"[{partition}] offset {record.offset} entry {at}")

    difference = first_difference(pipeline, audited, "ledger", change)
    assert difference.invariant is Invariant.REPLAY
    assert difference.place.endswith(places[0])
    for side in (difference.expected, difference.found):
        assert re.fullmatch(rf"detail \d {kind.__name__}: {shown} .*", side)


def with_other(detail: Detail, field: str) -> Detail:
    """With another value of one field: one leg, one id, one amount, one code."""
    value: Any = getattr(detail, field)
    match value:
        case tuple():
            other: Any = (value[0]._replace(amount_minor=value[0].amount_minor - 1), *value[1:])
        case bytes():
            other = bytes([value[0] ^ 1]) + value[1:]
        case int():
            other = value + 1
        case _:
            other = f"{value}X"
    changed: Detail = detail._replace(**{field: other})
    return changed


def leave_out(partitions: Partitions) -> None:
    del partitions[0][2]


def repeat(partitions: Partitions) -> None:
    partitions[0].insert(2, partitions[0][2])


def exchange(partitions: Partitions) -> None:
    records = partitions[0]
    records[1].value, records[2].value = records[2].value, records[1].value


def move_to_another_shard(partitions: Partitions) -> None:
    partitions[0], partitions[1] = partitions[1], partitions[0]


@pytest.mark.parametrize(
    ("forge", "found"),
    [
        (leave_out, "sequence 3"),
        (repeat, "sequence 2"),
        (exchange, "sequence 2"),
        (move_to_another_shard, "one of shard 1"),
    ],
)
def test_the_order_of_ledger_records(pipeline: Pipeline, audited: Settings, forge: Forge, found: str) -> None:
    difference = first_difference(pipeline, audited, "ledger", forge)
    assert (difference.invariant, difference.found) == (Invariant.TRACE, found)


def test_a_ledger_that_ends_too_early_contradicts_the_tables(pipeline: Pipeline, audited: Settings) -> None:
    report, topics = audit_of(pipeline, audited, "ledger", lambda partitions: partitions[2].pop())
    assert report.undecided > 0 or report.differences[0].place.startswith(topics.ledger)
    assert any(difference.invariant is Invariant.TABLES for difference in report.differences)


def test_a_command_changed_after_it_was_decided(pipeline: Pipeline, audited: Settings) -> None:
    def change(partitions: Partitions) -> None:
        record = partitions[1][0]
        (body,) = items(record.value)
        record.value = encode_command(decode_body(body)._replace(amount_minor=77))

    difference = first_difference(pipeline, audited, "commands", change)
    assert difference.invariant is Invariant.REPLAY
    assert "amount_minor 77" in difference.expected


def test_a_command_that_is_no_longer_there(pipeline: Pipeline, audited: Settings) -> None:
    difference = first_difference(pipeline, audited, "commands", lambda partitions: partitions[1].pop())
    assert difference.invariant in (Invariant.REPLAY, Invariant.ONE_OUTCOME, Invariant.TRACE)


@pytest.mark.parametrize("topic", ["credits", *by_night("returns")])
def test_an_amount_changed_between_the_shards(pipeline: Pipeline, audited: Settings, topic: str) -> None:
    def change(partitions: Partitions) -> None:
        record = next(records for records in partitions if records)[0]
        record.value = record.value[:-5] + bytes([record.value[-5] ^ 1]) + record.value[-4:]

    difference = first_difference(pipeline, audited, topic, change)
    assert difference.invariant in (Invariant.REPLAY, Invariant.TRACE)


@pytest.mark.parametrize("topic", ["credits", *by_night("returns")])
def test_a_record_between_the_shards_left_out(pipeline: Pipeline, audited: Settings, topic: str) -> None:
    def forget(partitions: Partitions) -> None:
        next(records for records in partitions if records).pop()

    difference = first_difference(pipeline, audited, topic, forget)
    assert difference.invariant in (Invariant.REPLAY, Invariant.TRACE)


@pytest.mark.parametrize("topic", ["credits", *by_night("returns")])
def test_a_record_between_the_shards_repeated(pipeline: Pipeline, audited: Settings, topic: str) -> None:
    def again(partitions: Partitions) -> None:
        records = next(records for records in partitions if records)
        records.append(records[-1])

    difference = first_difference(pipeline, audited, topic, again)
    assert difference.invariant is Invariant.TRACE
    assert difference.found.startswith("a repeat of ")


def forget_quarantined(partitions: Partitions) -> None:
    next(records for records in partitions if records).pop()


def repeat_quarantined(partitions: Partitions) -> None:
    records = next(records for records in partitions if records)
    records.append(records[0])


@pytest.mark.parametrize(
    ("forge", "found"),
    [(forget_quarantined, "no such record"), (repeat_quarantined, r"[a-z_]+ of payments\.commands.*")],
)
def test_quarantine(pipeline: Pipeline, audited: Settings, forge: Forge, found: str) -> None:
    difference = first_difference(pipeline, audited, "quarantine", forge)
    assert difference.invariant is Invariant.QUARANTINE
    assert re.fullmatch(found, difference.found)


def with_requests(partitions: Partitions) -> list[ForgedRecord]:
    """The requests to providers of a shard that has some."""
    return next(records for records in partitions if records)


def more(records: list[ForgedRecord], amount_minor: int) -> ForgedRecord:
    """The last request once more, of another amount."""
    last = records[-1]
    value = encode_request(decode_request(last.value)._replace(amount_minor=amount_minor))
    return ForgedRecord(last.offset + 1, last.key, value, last.time_ms)


def test_a_request_to_a_provider_that_nobody_decided(pipeline: Pipeline, audited: Settings) -> None:
    def ask_for_money(partitions: Partitions) -> None:
        records = with_requests(partitions)
        records.append(more(records, 1_000_000))

    difference = first_difference(pipeline, audited, "requests", ask_for_money)
    assert (difference.invariant, difference.found) == (Invariant.TRACE, "another request")


def test_a_request_to_a_provider_for_another_amount(pipeline: Pipeline, audited: Settings) -> None:
    def ask_for_more(partitions: Partitions) -> None:
        records = with_requests(partitions)
        records[-1].value = more(records, 1_000_000).value

    difference = first_difference(pipeline, audited, "requests", ask_for_more)
    assert (difference.invariant, difference.expected) == (Invariant.TRACE, "what the ledger asks a provider for")


def test_a_request_to_a_provider_left_out(pipeline: Pipeline, audited: Settings) -> None:
    difference = first_difference(pipeline, audited, "requests", lambda partitions: with_requests(partitions).pop())
    assert (difference.invariant, difference.found) == (Invariant.ONE_OUTCOME, "no such record")


def test_a_result_of_a_provider_changed(pipeline: Pipeline, audited: Settings) -> None:
    """It declined, and the ledger says so: with another result the same decision can't be made again."""

    def succeed(partitions: Partitions) -> None:
        for record in (record for records in partitions for record in records):
            result = decode_result(record.value)
            if result.outcome is Outcome.FAILED:
                record.value = encode_result(result._replace(outcome=Outcome.SUCCEEDED, decline=Decline.NONE))

    difference = first_difference(pipeline, audited, "results", succeed)
    assert difference.invariant is Invariant.REPLAY

"""A ledger that contradicts itself stops the sink: nothing of the batch shows, the reason names the place."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import psycopg
import pytest

from payments.entries import EntryKind
from payments.errors import InvariantViolation
from runtime.settings import Settings
from schemas.codec.ledger import Counter, SourceTopic, decode_ledger_record, encode_ledger_record
from sinks.balances import exact_sums
from tests.sinks.conftest import SHARDS
from tests.sinks.ledger_script import LedgerScript
from tests.sinks.ledger_topic import LedgerTopic
from tests.sinks.shown import await_applied, dump, running_sink

Edit = Callable[[LedgerScript], bytes]


class Contradiction(NamedTuple):
    """A next record of shard 0 that must not be applied, and what the sink says of it."""

    edit: Edit
    reason: str


def reencoded(script: LedgerScript, **header: Any) -> bytes:
    """The last record of shard 0 with another header."""
    record = decode_ledger_record(script.records[0][-1])
    return encode_ledger_record(record.header._replace(**header), list(record.entries()), record.descriptions)


def restated(script: LedgerScript, **fields: Any) -> bytes:
    """The last record of shard 0 with another first reservation."""
    record = decode_ledger_record(script.records[0][-1])
    entries = list(record.entries())
    index = next(index for index, entry in enumerate(entries) if entry.kind is EntryKind.RESERVED)
    entries[index] = entries[index]._replace(**fields)
    return encode_ledger_record(record.header, entries, record.descriptions)


def first_lane(script: LedgerScript, following: int) -> tuple[Counter, ...]:
    """A lane that has a counter already, with another one."""
    header = decode_ledger_record(script.records[0][0]).header
    return tuple(counter._replace(next=following) for counter in header.counters)


def unknown_kind(script: LedgerScript) -> bytes:
    value = bytearray(script.records[0][-1])
    record = decode_ledger_record(bytes(value))
    value[bytes(value).index(record.packed)] = 2 * len(EntryKind)
    return bytes(value)


CONTRADICTIONS = {
    "gap": Contradiction(lambda script: reencoded(script, sequence=99), "sequence 99 where"),
    "other chain": Contradiction(lambda script: reencoded(script, previous_hash=bytes(32)), "hash chain is broken"),
    "other shard": Contradiction(lambda script: reencoded(script, shard=1), "a record of shard 1"),
    "inputs decided before": Contradiction(lambda script: reencoded(script, first_offset=0), "are decided already"),
    "lane runs backwards": Contradiction(lambda script: reencoded(script, counters=first_lane(script, 0)), "backwards"),
    "lane runs backwards inside a batch": Contradiction(
        lambda script: reencoded(script, counters=first_lane(script, 9) + first_lane(script, 8)), "backwards"
    ),
    "torn": Contradiction(lambda script: script.records[0][-1][:-1], "ledger.entries[0] offset"),
    "foreign bytes": Contradiction(lambda _: b"not a record", "no Confluent frame"),
    "unknown kind": Contradiction(unknown_kind, "unknown kind"),
    "balance that is not the sum": Contradiction(
        lambda script: restated(script, available_after_minor=123), "available balance of account"
    ),
    "payment of nothing": Contradiction(lambda script: restated(script, amount_minor=0), "decision_moves_money"),
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS.values(), ids=list(CONTRADICTIONS))
def test_a_contradiction_stops_the_sink(
    sink_settings: Settings, ledger_topic: LedgerTopic, contradiction: Contradiction
) -> None:
    script = LedgerScript(SHARDS, seed=21)
    script.open_accounts()
    script.seal(0, SourceTopic.COMMANDS, [script.entry(EntryKind.REPLAYED, bytes(16), bytes(16), bytes(16), 0)] * 3)
    ledger_topic.publish(script)
    with running_sink(sink_settings, ledger_topic) as thread:
        await_applied(sink_settings.database_url, script, thread)
        shown = dump(sink_settings.database_url)
        reserve_once(script)
        ledger_topic.publish_value(0, contradiction.edit(script))
        error = thread.ended()
    assert isinstance(error, InvariantViolation)
    assert contradiction.reason in str(error)
    assert dump(sink_settings.database_url) == shown


def reserve_once(script: LedgerScript) -> None:
    """One more record of shard 0 with a reservation in it."""
    payer, payee = script.accounts[0][0], script.accounts[1][0]
    script.available[payer] -= 10
    entry = script.entry(EntryKind.RESERVED, bytes(range(16)), payer, payee, 10)
    script.seal(0, SourceTopic.COMMANDS, [entry])


def test_the_same_record_unedited_is_applied(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script = LedgerScript(SHARDS, seed=21)
    script.open_accounts()
    reserve_once(script)
    ledger_topic.publish(script)
    with running_sink(sink_settings, ledger_topic) as thread:
        await_applied(sink_settings.database_url, script, thread)


@pytest.mark.parametrize("kind", [EntryKind.RESERVED, EntryKind.REJECTED])
def test_a_payment_decided_twice_stops_the_sink_with_its_id(
    sink_settings: Settings, ledger_topic: LedgerTopic, kind: EntryKind
) -> None:
    script = LedgerScript(SHARDS, seed=22)
    script.open_accounts()
    reserve_once(script)
    ledger_topic.publish(script)
    payer, payee = script.accounts[0][0], script.accounts[1][0]
    with running_sink(sink_settings, ledger_topic) as thread:
        await_applied(sink_settings.database_url, script, thread)
        shown = dump(sink_settings.database_url)
        script.seal(0, SourceTopic.COMMANDS, [script.entry(kind, bytes(range(16)), payer, payee, 10)])
        ledger_topic.publish(script)
        error = thread.ended()
    assert isinstance(error, InvariantViolation)
    assert "(payment_id)=(00010203-0405-0607-0809-0a0b0c0d0e0f) already exists" in str(error)
    assert dump(sink_settings.database_url) == shown


def test_an_account_that_was_never_opened_can_not_be_frozen(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script = LedgerScript(SHARDS, seed=23)
    script.seal(0, SourceTopic.COMMANDS, [script.event(EntryKind.ACCOUNT_FROZEN, script.accounts[0][0], "EUR")])
    ledger_topic.publish(script)
    with running_sink(sink_settings, ledger_topic) as thread:
        error = thread.ended()
    assert isinstance(error, InvariantViolation)
    assert "never opened" in str(error)


def test_a_refused_row_never_quotes_its_text(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script = LedgerScript(SHARDS, seed=24)
    script.open_accounts()
    payer, payee = script.accounts[0][0], script.accounts[1][0]
    script.texts[bytes(range(16))] = "a private remark"
    script.seal(0, SourceTopic.COMMANDS, [script.entry(EntryKind.RESERVED, bytes(range(16)), payer, payee, -1)])
    ledger_topic.publish(script)
    with running_sink(sink_settings, ledger_topic) as thread:
        error = thread.ended()
    assert isinstance(error, InvariantViolation)
    assert isinstance(error.__cause__, psycopg.errors.CheckViolation)
    assert "private" not in str(error)


def test_sums_are_exact_or_refused() -> None:
    largest = 2**63 - 1
    values = np.array([largest, -largest, 5, -(2**62), -(2**62), largest - 1, 1], np.int64)
    assert exact_sums(values, np.array([0, 3, 5])).tolist() == [5, -(2**63), largest]
    with pytest.raises(InvariantViolation, match="64 bits"):
        exact_sums(np.array([largest, 1], np.int64), np.array([0]))
    with pytest.raises(InvariantViolation, match="64 bits"):
        exact_sums(np.full(10, 10**18 - 1, np.int64), np.array([0]))

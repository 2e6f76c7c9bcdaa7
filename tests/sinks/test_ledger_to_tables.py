"""Every entry of the ledger shows exactly once, whatever the batches."""

import time
from uuid import UUID

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from payments.accounts import AccountStatus
from payments.entries import EntryKind
from payments.rejections import Reason
from runtime.settings import Settings
from schemas.access import SINK_GROUP
from schemas.codec.fields import REASONS
from schemas.codec.ledger import SourceTopic
from sinks import loop
from sinks.progress import CHANNEL
from tests.sinks.conftest import SHARDS
from tests.sinks.ledger_script import LedgerScript
from tests.sinks.ledger_topic import LedgerTopic
from tests.sinks.shown import apply_all, assert_shows, await_applied, dump, running_sink


def test_tables_show_the_fold_of_the_ledger(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script = LedgerScript(SHARDS, seed=1)
    script.open_accounts()
    ledger_topic.publish(script)
    script.play(rounds=10)
    ledger_topic.publish(script)
    apply_all(sink_settings, ledger_topic, script)
    assert_shows(sink_settings.database_url, script)


def test_a_sink_goes_on_where_the_last_one_stopped(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script = LedgerScript(SHARDS, seed=2)
    script.open_accounts()
    for _ in range(3):
        script.play(rounds=2)
        ledger_topic.publish(script)
        apply_all(sink_settings, ledger_topic, script)
        assert_shows(sink_settings.database_url, script)


def test_aborted_records_never_show(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script, aborted = LedgerScript(SHARDS, seed=3), LedgerScript(SHARDS, seed=4)
    script.open_accounts()
    aborted.open_accounts()
    for shard in range(SHARDS):
        ledger_topic.publish_aborted(shard, aborted.records[shard][0])
    ledger_topic.publish(script)
    apply_all(sink_settings, ledger_topic, script)
    assert_shows(sink_settings.database_url, script)


def test_a_rebuild_in_other_batches_gives_equal_tables(
    sink_settings: Settings, ledger_topic: LedgerTopic, other_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = LedgerScript(SHARDS, seed=5)
    script.open_accounts()
    script.play(rounds=8)
    ledger_topic.publish(script)
    apply_all(sink_settings, ledger_topic, script)
    monkeypatch.setattr(loop, "BATCH_ENTRIES", 1)
    apply_all(sink_settings.model_copy(update={"database_url": other_database}), ledger_topic, script)
    assert dump(other_database) == dump(sink_settings.database_url)


def test_one_record_is_shown_at_once_and_readers_are_told(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script = LedgerScript(SHARDS, seed=6)
    script.open_accounts()
    ledger_topic.publish(script)
    with running_sink(sink_settings, ledger_topic) as thread:
        await_applied(sink_settings.database_url, script, thread)
        with psycopg.connect(sink_settings.database_url, autocommit=True) as reader:
            reader.execute(f"LISTEN {CHANNEL}")
            script.play(rounds=1, transfers=1)
            ledger_topic.publish(script)
            notified = list(reader.notifies(timeout=10, stop_after=1))
        assert [each.channel for each in notified] == [CHANNEL]
        await_applied(sink_settings.database_url, script, thread)


def test_an_account_may_change_several_times_in_one_batch(sink_settings: Settings, ledger_topic: LedgerTopic) -> None:
    script = LedgerScript(SHARDS, seed=7, accounts_per_shard=1)
    account = script.accounts[0][0]
    kinds = (
        EntryKind.ACCOUNT_OPENED,
        EntryKind.ACCOUNT_FROZEN,
        EntryKind.OVERDRAFT_LIMIT_SET,
        EntryKind.ACCOUNT_UNFROZEN,
        EntryKind.ACCOUNT_CLOSED,
    )
    entries = [script.event(kind, account, "EUR")._replace(amount_minor=100 * int(kind)) for kind in kinds]
    script.seal(0, SourceTopic.COMMANDS, entries)
    ledger_topic.publish(script)
    apply_all(sink_settings, ledger_topic, script)
    with psycopg.connect(sink_settings.database_url) as connection:
        row = connection.execute(
            "SELECT account_id, status, overdraft_limit_minor, extract(epoch FROM opened_at) * 1000000,"
            " extract(epoch FROM changed_at) * 1000000 FROM accounts"
        ).fetchone()
    assert row == (
        UUID(bytes=account),
        AccountStatus.CLOSED,
        100 * int(EntryKind.OVERDRAFT_LIMIT_SET),
        entries[0].decided_at_us,
        entries[-1].decided_at_us,
    )


@pytest.mark.parametrize("currency", ["", "E", "EU"])
def test_a_rejected_currency_of_any_length_is_no_poison(
    sink_settings: Settings, ledger_topic: LedgerTopic, currency: str
) -> None:
    script = LedgerScript(SHARDS, seed=8, accounts_per_shard=2)
    payer, payee = script.accounts[0]
    entry = script.entry(
        EntryKind.REJECTED, bytes(range(16)), payer, payee, -(10**18), Reason.CURRENCY_UNKNOWN, currency=currency
    )
    script.seal(0, SourceTopic.COMMANDS, [entry])
    ledger_topic.publish(script)
    apply_all(sink_settings, ledger_topic, script)
    with psycopg.connect(sink_settings.database_url) as connection:
        row = connection.execute("SELECT rtrim(currency), reason, amount_minor FROM decisions").fetchone()
    assert row == (currency, REASONS.index(Reason.CURRENCY_UNKNOWN), -(10**18))


def test_group_offsets_follow_for_lag_tooling(sink_settings: Settings, ledger_topic: LedgerTopic, broker: str) -> None:
    script = LedgerScript(SHARDS, seed=9)
    script.open_accounts()
    ledger_topic.publish(script)
    apply_all(sink_settings, ledger_topic, script)
    consumer = Consumer({"bootstrap.servers": broker, "group.id": SINK_GROUP})
    give_up_at = time.monotonic() + 10
    offsets: list[int] = []
    while offsets != [len(values) for values in script.records.values()] and time.monotonic() < give_up_at:
        found = consumer.committed([TopicPartition(ledger_topic.name, shard) for shard in range(SHARDS)], 10)
        offsets = [each.offset for each in found]
    consumer.close()
    assert offsets == [len(values) for values in script.records.values()]

"""Topics, registry and lock agree with each other and with the enums of the core."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import schemas.__main__ as lock
from payments.accounts import AccountStatus, AccountType
from payments.commands import CommandKind
from payments.entries import EntryKind, Step
from payments.items.details import CauseKind, OrderStatus
from payments.rejections import Reason
from payments.risk.activity import Key
from payments.risk.limits import Tier
from schemas.codec.connectors import ConnectorOperation, Decline, Outcome
from schemas.codec.ledger import Lane, SourceTopic
from schemas.registry import by_id, latest, registered
from schemas.topics import (
    CATALOGUE,
    COMMANDS,
    CREDITS,
    LEDGER,
    REPLIES,
    RETURNS,
    SNAPSHOTS,
    Spread,
    configuration,
    partitions,
)

ENUMS: dict[str, list[str]] = {
    "CommandKind": [kind.name.lower() for kind in CommandKind],
    "EntryKind": [kind.name.lower() for kind in EntryKind],
    "AccountStatus": [status.name.lower() for status in AccountStatus],
    "AccountType": [type_.name.lower() for type_ in AccountType],
    "CauseKind": [kind.name.lower() for kind in CauseKind],
    "Step": [step.name.lower() for step in Step],
    "OrderStatus": [status.name.lower() for status in OrderStatus],
    "Tier": [tier.name.lower() for tier in Tier],
    "Key": [key.name.lower() for key in Key],
    "SourceTopic": [topic.name.lower() for topic in SourceTopic],
    "Lane": [lane.name.lower() for lane in Lane],
    "Reason": [reason.value for reason in Reason],
    "ConnectorOperation": [operation.name.lower() for operation in ConnectorOperation],
    "Outcome": [outcome.value for outcome in Outcome],
    "Decline": [decline.value for decline in Decline],
}


def named_types(schema: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Every definition of this kind (enum, record, fixed) inside a schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from named_types(branch, kind)
    elif isinstance(schema, dict):
        if schema.get("type") == kind:
            yield schema
        for key in ("type", "items", "values", "fields"):
            if isinstance(schema.get(key), dict | list):
                yield from named_types(schema[key], kind)


def test_no_topic_twice() -> None:
    assert len({topic.name for topic in CATALOGUE}) == len(CATALOGUE)


def test_every_record_is_on_a_topic_and_every_topic_carries_known_records() -> None:
    carried = {record for topic in CATALOGUE for record in topic.records}
    assert carried == {schema.record for schema in registered()}


def test_what_is_keyed_by_account_has_one_partition_per_shard() -> None:
    for topic in (COMMANDS, CREDITS, RETURNS, LEDGER):
        assert (topic.spread, partitions(topic, 7)) == (Spread.SHARDS, 7)
    assert partitions(REPLIES, 7) == partitions(REPLIES, 64)


@pytest.mark.parametrize(("replication_factor", "min_insync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_topic_settings(replication_factor: int, min_insync: str) -> None:
    for topic in CATALOGUE:
        settings = configuration(topic, replication_factor)
        assert settings["min.insync.replicas"] == min_insync
        assert settings["message.timestamp.type"] == "LogAppendTime"
        assert (settings["cleanup.policy"] == "compact") == topic.compacted
        assert settings["retention.ms"] == str(topic.retention_ms)


@pytest.mark.parametrize("schema", registered(), ids=lambda schema: f"{schema.record}-{schema.version}")
def test_the_enums_of_a_schema_are_those_of_the_core(schema: Any) -> None:
    for enum in named_types(schema.parsed, "enum"):
        symbols, known = enum["symbols"], ENUMS[enum["name"]]
        is_newest = latest(schema.record) == schema
        assert symbols == (known if is_newest else known[: len(symbols)])
        assert len(symbols) <= 64, "an index of 64 would need two bytes on the wire"


def test_wire_values_have_no_gap() -> None:
    numbered: list[type[Enum]] = [
        CommandKind,
        EntryKind,
        AccountStatus,
        AccountType,
        CauseKind,
        Step,
        Tier,
        SourceTopic,
        Lane,
        ConnectorOperation,
    ]
    for enum in numbered:
        assert [member.value for member in enum] == list(range(len(enum)))


def test_the_lock_is_up_to_date_and_gives_each_version_one_id() -> None:
    assert lock.lock_rows() == json.loads(lock.LOCK.read_text())
    assert [schema.schema_id for schema in registered()] == list(range(1, len(registered()) + 1))
    for schema in registered():
        assert by_id(schema.schema_id) == schema
        assert schema.parsed["name"] == schema.record
    assert by_id(0) is None
    with pytest.raises(KeyError):
        latest("Nothing")


def test_what_a_caller_does_to_a_parsed_schema_stays_with_the_caller() -> None:
    latest("Command").parsed["fields"].clear()
    assert latest("Command").parsed["fields"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the schema files that a test may change."""
    copy = tmp_path / "avro"
    shutil.copytree(lock.FOLDER, copy)
    monkeypatch.setattr(lock, "FOLDER", copy)
    monkeypatch.setattr(lock, "LOCK", copy / "lock.json")
    return copy


def test_a_released_file_may_not_change(folder: Path) -> None:
    path = folder / "Command" / "1.avsc"
    path.write_text(path.read_text().replace('"description"', '"remark"'))
    with pytest.raises(SystemExit, match=r"Command/1\.avsc was released"):
        lock.lock_rows()


def test_formatting_is_free(folder: Path) -> None:
    path = folder / "Command" / "1.avsc"
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert lock.lock_rows() == json.loads(lock.LOCK.read_text())


def test_a_new_version_gets_the_next_id_and_the_check_asks_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (folder / "Command" / "1.avsc").read_text().replace("One command to", "A command to")
    (folder / "Command" / "2.avsc").write_text(text)
    monkeypatch.setattr("sys.argv", ["schemas", "check"])
    with pytest.raises(SystemExit, match="behind"):
        lock.main()
    monkeypatch.setattr("sys.argv", ["schemas", "lock"])
    lock.main()
    (row,) = json.loads(lock.LOCK.read_text())[len(registered()) :]
    digest = hashlib.sha256(json.dumps(json.loads(text), separators=(",", ":")).encode()).hexdigest()
    assert row == {"id": len(registered()) + 1, "record": "Command", "version": 2, "sha256": digest}


def test_the_book_and_its_snapshots_are_kept_for_ever() -> None:
    """A shard of few entries, or none for a month, is restored from its whole ledger: nothing else has its balances."""
    kept = {topic.name for topic in CATALOGUE if configuration(topic, 1)["retention.ms"] == "-1"}
    assert {LEDGER.name, SNAPSHOTS.name} <= kept

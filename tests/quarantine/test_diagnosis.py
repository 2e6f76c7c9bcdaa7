"""What this release makes of kept bytes: also of those that an older one could not read."""

from datetime import UTC, datetime

import pytest

from ingest_api.quarantine.cases import Case, CaseStatus
from ingest_api.quarantine.diagnosis import diagnose
from payments.identifiers import derive_operation_id
from payments.rejections import Reason
from schemas.codec.commands import encode_batch, encode_body, encode_command
from schemas.codec.quarantine import KEPT_VALUE_BYTES
from schemas.origin import Origin
from schemas.partitioning import shard_of
from schemas.topics import COMMANDS, CREDITS
from tests.quarantine.conftest import stranger, transfer

SHARDS = 4
COMMAND = transfer(stranger(), stranger())
OTHER = transfer(stranger(), stranger())
HOME = shard_of(COMMAND.authority, SHARDS)


def case_of(value: bytes, reason: Reason = Reason.MALFORMED, item: int = 0, topic: str = COMMANDS.name) -> Case:
    origin, at = Origin(topic, (HOME + 1) % SHARDS, 9, item), datetime(2026, 11, 21, tzinfo=UTC)
    return Case(origin, reason, "a test", b"key", value, len(value), at, CaseStatus.OPEN, None)


@pytest.mark.parametrize(
    "case",
    [
        case_of(encode_command(COMMAND)),
        case_of(encode_body(COMMAND)),
        case_of(encode_body(COMMAND), item=3),
        case_of(encode_body(COMMAND), Reason.WRONG_PARTITION),
        case_of(encode_body(COMMAND), Reason.TEXT_TOO_LONG, item=1),
    ],
    ids=["whole record", "single body", "item", "astray", "bounds were widened"],
)
def test_one_command_goes_alone_to_its_own_partition(case: Case) -> None:
    diagnosis = diagnose(case, SHARDS)
    assert (diagnosis.ready, diagnosis.commands) == (True, [COMMAND])
    assert diagnosis.target == (HOME, COMMAND.authority, encode_command(COMMAND))
    assert diagnosis.operation_ids(SHARDS) == [derive_operation_id(COMMAND.authority, COMMAND.idempotency_key, HOME)]


def test_a_packed_record_goes_back_as_it_came() -> None:
    case = case_of(encode_batch([encode_body(COMMAND), encode_body(OTHER)]))
    diagnosis = diagnose(case, SHARDS)
    assert (diagnosis.ready, diagnosis.commands) == (True, [COMMAND, OTHER])
    assert diagnosis.target == (case.origin.partition, b"key", case.value)


def test_astray_and_without_a_key_is_not_ready_either() -> None:
    body = encode_body(COMMAND._replace(idempotency_key=""))
    assert not diagnose(case_of(body, Reason.WRONG_PARTITION), SHARDS).ready


@pytest.mark.parametrize(
    "case",
    [case_of(b"\0" * KEPT_VALUE_BYTES), case_of(encode_command(COMMAND), topic=CREDITS.name)],
    ids=["cut when it was kept", "no command"],
)
def test_there_is_nothing_to_send(case: Case) -> None:
    assert diagnose(case, SHARDS).target is None


@pytest.mark.parametrize(
    "value",
    [b"", b"noise", encode_batch([]), encode_command(COMMAND)[:-1]],
    ids=["nothing", "noise", "empty batch", "cut command"],
)
def test_what_is_no_command_is_sent_only_by_force_and_as_it_came(value: bytes) -> None:
    diagnosis = diagnose(case_of(value), SHARDS)
    assert not diagnosis.ready
    assert diagnosis.target is not None
    assert diagnosis.target.value == value

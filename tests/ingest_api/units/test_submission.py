"""Goal: what a call is answered follows from the log and the replies, and a key of long ago is never sent again."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from ingest_api.publisher import DeliveryUnknown, Publisher, QueueFull, Record
from ingest_api.reads.earlier_decisions import Asked, EarlierDecision, EarlierDecisions, Found
from ingest_api.replies import WaitingCalls
from ingest_api.submission import Submission, record_headers
from payments.accounts import AccountStatus
from payments.commands import NO_REPLY, Command, CommandKind, account_command
from payments.entries import EntryKind
from payments.identifiers import derive_account_id, derive_operation_id
from payments.movements.instructions import Envelope, SetStanding
from payments.rejections import Reason
from schemas.codec.commands import decode_body, items
from schemas.codec.instructions import decode_instruction, is_instruction
from schemas.codec.replies import Reply
from schemas.partitioning import shard_of

SHARDS = 4
PAYER, PAYEE = derive_account_id("s", "payer"), derive_account_id("s", "payee")
SHARD = shard_of(PAYER, SHARDS)


def transfer(key: str, amount_minor: int = 100) -> Command:
    return Command(CommandKind.TRANSFER, PAYER, PAYEE, amount_minor, "EUR", NO_REPLY, key)


def operation(key: str) -> bytes:
    return derive_operation_id(PAYER, key, SHARD)


class Log:
    """What Kafka took of a request; the positions are known at once, or never."""

    def __init__(self, failure: Exception | None) -> None:
        self._failure = failure

    async def wait(self) -> dict[int, int]:
        await asyncio.sleep(0)
        if self._failure is not None:
            raise self._failure
        return {SHARD: 41}


class ScriptedPublisher(Publisher):
    """Keeps the commands, answers them as the agents would, with the kinds given."""

    def __init__(self, waiting: WaitingCalls, *kinds: EntryKind, failure: Exception | None = None) -> None:
        self.commands: list[Command] = []
        self.records: list[Record] = []
        self._waiting = waiting
        self._kinds = kinds
        self._log_failure = failure

    def send(self, records: Sequence[Record], headers: list[tuple[str, bytes]]) -> Log:  # type: ignore[override]
        if isinstance(self._log_failure, QueueFull):
            raise self._log_failure
        self.records += records
        instructions = [decode_instruction(record.value) for record in records if is_instruction(record.value)]
        for asked in instructions:
            self._answer(asked.authority, asked.envelope.idempotency_key, asked.envelope.reply_to)
        sent = [decode_body(body) for record in records if not instructions for body in items(record.value)]
        self.commands += sent
        for command in sent:
            self._answer(command.authority, command.idempotency_key, command.reply_to)
        return Log(self._log_failure)

    def _answer(self, authority: bytes, key: str, reply_to: bytes) -> None:
        id_ = derive_operation_id(authority, key, SHARD)
        self._waiting.resolve([Reply(reply_to, id_, kind, Reason.NONE, 7) for kind in self._kinds])


class KnownDecisions(EarlierDecisions):
    """Postgres as a table in memory."""

    def __init__(self, found: Found) -> None:
        self._found = found

    async def find_together(self, asked: Sequence[Asked]) -> Found:
        return self._found


class Parts:
    """A submission and what stands behind it."""

    def __init__(self, *kinds: EntryKind, failure: Exception | None = None, found: Found | None = None) -> None:
        self.waiting = WaitingCalls(3, 10)
        self.publisher = ScriptedPublisher(self.waiting, *kinds, failure=failure)
        self.submission = Submission(self.publisher, self.waiting, KnownDecisions(found or {}), SHARDS)


def decided(command: Command, kind: EntryKind = EntryKind.RESERVED, offset: int = 5) -> EarlierDecision:
    body = command.payer, command.payee, command.amount_minor, command.currency, command.description
    return EarlierDecision(kind, body, 99, (SHARD, offset))


@pytest.mark.parametrize("kind", [EntryKind.POSTED, EntryKind.REJECTED, EntryKind.RETURNED, EntryKind.REPLAYED])
async def test_a_final_reply_ends_the_wait_with_the_position_of_the_command(kind: EntryKind) -> None:
    parts = Parts(EntryKind.RESERVED, kind)
    outcome = await parts.submission.submit(transfer("a"), 30, [])
    assert outcome.reply is not None
    assert (outcome.reply.kind, outcome.operation_id) == (kind, operation("a"))
    assert outcome.positions == {SHARD: 41}
    assert len(parts.waiting) == 0


async def test_a_command_goes_to_the_partition_of_its_authority_under_its_key() -> None:
    parts = Parts(EntryKind.POSTED)
    await parts.submission.submit(transfer("a"), 30, [])
    (record,) = parts.publisher.records
    assert (record.partition, record.key) == (SHARD, PAYER)


async def test_who_does_not_want_to_wait_asks_for_no_reply() -> None:
    parts = Parts(EntryKind.POSTED)
    outcome = await parts.submission.submit(transfer("a"), 0, [])
    assert outcome.reply is None
    assert [command.reply_to for command in parts.publisher.commands] == [NO_REPLY]


async def test_without_a_final_reply_the_latest_is_told_after_the_wait() -> None:
    outcome = await Parts(EntryKind.RESERVED).submission.submit(transfer("a"), 0.02, [])
    assert outcome.reply is not None
    assert outcome.reply.kind is EntryKind.RESERVED


@pytest.mark.parametrize("failure", [QueueFull("full"), DeliveryUnknown("late")], ids=["refused", "unknown"])
async def test_a_call_that_fails_leaves_nobody_waiting(failure: Exception) -> None:
    parts = Parts(failure=failure)
    with pytest.raises(type(failure)):
        await parts.submission.submit(transfer("a"), 30, [])
    assert len(parts.waiting) == 0


async def test_commands_of_one_account_keep_their_order_and_are_answered_one_by_one() -> None:
    parts = Parts(EntryKind.POSTED)
    keys = ["a", "b", "c"]
    outcomes = await parts.submission.submit_all([transfer(key) for key in keys], 30, [])
    assert [command.idempotency_key for command in parts.publisher.commands] == keys
    assert [outcome.operation_id for outcome in outcomes] == [operation(key) for key in keys]
    assert len({command.reply_to for command in parts.publisher.commands}) == 3


async def test_a_command_decided_long_ago_is_answered_as_a_replay_and_not_sent() -> None:
    parts = Parts(found={operation("a"): decided(transfer("a"))})
    outcome = await parts.submission.submit(transfer("a"), 30, [])
    assert parts.publisher.commands == []
    assert outcome.reply is not None
    assert (outcome.reply.kind, outcome.reply.decided_at_us) == (EntryKind.REPLAYED, 99)
    assert outcome.positions == {SHARD: 5}, "the Consistency-Token of the first answer"


async def test_another_body_under_a_key_of_long_ago_is_refused_and_not_sent() -> None:
    parts = Parts(found={operation("a"): decided(transfer("a", 100))})
    outcome = await parts.submission.submit(transfer("a", 101), 30, [])
    assert parts.publisher.commands == []
    assert outcome.reply is not None
    assert outcome.reply.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_of_several_only_the_new_ones_are_sent_and_each_gets_its_own_answer() -> None:
    parts = Parts(EntryKind.POSTED, found={operation("old"): decided(transfer("old"))})
    outcomes = await parts.submission.submit_all([transfer("new"), transfer("old")], 30, [])
    assert [command.idempotency_key for command in parts.publisher.commands] == ["new"]
    assert [outcome.reply.kind for outcome in outcomes if outcome.reply] == [EntryKind.POSTED, EntryKind.REPLAYED]


async def test_of_several_old_positions_the_last_one_counts() -> None:
    found = {operation(key): decided(transfer(key), offset=offset) for key, offset in (("a", 9), ("b", 4))}
    outcomes = await Parts(found=found).submission.submit_all([transfer("a"), transfer("b")], 30, [])
    assert [outcome.positions for outcome in outcomes] == [{SHARD: 9}] * 2


def standing(key: str) -> SetStanding:
    return SetStanding(envelope=Envelope(key), account=PAYER, status=AccountStatus.DORMANT)


async def test_instructions_go_one_by_one_to_their_authority_and_each_gets_its_answer() -> None:
    parts = Parts(EntryKind.STANDING_SET)
    outcomes = await parts.submission.instruct([standing("a"), standing("b")], 30, [])
    assert [(record.partition, record.key) for record in parts.publisher.records] == [(SHARD, PAYER)] * 2
    assert [outcome.operation_id for outcome in outcomes] == [operation("a"), operation("b")]
    assert [outcome.reply.kind for outcome in outcomes if outcome.reply] == [EntryKind.STANDING_SET] * 2
    assert outcomes[0].positions == {SHARD: 41}


async def test_an_instruction_of_long_ago_is_a_replay_and_not_sent() -> None:
    parts = Parts(EntryKind.STANDING_SET, found={operation("old"): decided(transfer("old"))})
    new, old = await parts.submission.instruct([standing("new"), standing("old")], 30, [])
    assert [decode_instruction(record.value).envelope.idempotency_key for record in parts.publisher.records] == ["new"]
    assert new.reply is not None
    assert old.reply is not None
    assert (new.reply.kind, old.reply.kind) == (EntryKind.STANDING_SET, EntryKind.REPLAYED)


async def test_an_instruction_that_nobody_waits_for_asks_for_no_reply() -> None:
    parts = Parts(EntryKind.STANDING_SET)
    (outcome,) = await parts.submission.instruct([standing("a")], 0, [])
    assert outcome.reply is None
    (record,) = parts.publisher.records
    assert decode_instruction(record.value) == standing("a")


CHANGES: list[tuple[str, Any]] = [
    ("payee", PAYER),
    ("payer", PAYEE),
    ("amount_minor", 101),
    ("currency", "USD"),
    ("description", "x"),
]


@pytest.mark.parametrize(("field", "value"), CHANGES)
def test_every_field_of_the_body_belongs_to_what_a_key_means(field: str, value: Any) -> None:
    command = transfer("a")
    assert decided(command).is_of(command)
    assert not decided(command).is_of(command._replace(**{field: value}))


def test_whoever_waits_for_a_reply_is_no_part_of_what_a_key_means() -> None:
    command = transfer("a")
    assert decided(command).is_of(command._replace(reply_to=b"12345678"))


@pytest.mark.parametrize("kind", [kind for kind in CommandKind if kind >= CommandKind.OPEN_ACCOUNT])
def test_an_account_operation_is_only_repeated_by_its_own_kind(kind: CommandKind) -> None:
    command = account_command(kind, PAYER, "a")
    own = {EntryKind.ACCOUNT_OPENED, EntryKind.ACCOUNT_FROZEN, EntryKind.ACCOUNT_UNFROZEN}
    own |= {EntryKind.ACCOUNT_CLOSED, EntryKind.OVERDRAFT_LIMIT_SET}
    assert sum(decided(command, done).is_of(command) for done in own) == 1
    assert decided(command, EntryKind.REJECTED).is_of(command)


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("trace", [None, "", TRACE[:-1], TRACE + "0", "é" + TRACE[1:], TRACE.replace("b", " ")])
def test_only_a_traceparent_goes_into_the_log_as_one(trace: str | None) -> None:
    assert record_headers("r-1", trace) == [("request_id", b"r-1")]
    assert record_headers("r-1", TRACE)[1] == ("traceparent", TRACE.encode())

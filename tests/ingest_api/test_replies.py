"""Replies find the call that waits for them, whatever comes first, late, twice, or from somewhere else."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from confluent_kafka import Producer

from ingest_api.replies import ReplyListener, Waiting, WaitingCalls
from payments.commands import NO_REPLY
from payments.entries import EntryKind
from payments.rejections import Reason
from runtime.settings import Settings
from schemas.codec.replies import Reply, encode_replies, reply_address, reply_partition
from schemas.topics import REPLIES
from tests.support.waiting import eventually

PROCESS = 9
OPERATION, OTHER = b"o" * 16, b"x" * 16


def reply(waiting: Waiting, kind: EntryKind, operation: bytes = OPERATION, reason: Reason = Reason.NONE) -> Reply:
    return Reply(waiting.reply_to, operation, kind, reason, 1_700_000_000_000_000)


async def test_a_reply_before_the_wait_is_not_lost() -> None:
    """Kafka's acknowledgement may come after the outcome: the call was registered before it was sent."""
    calls = WaitingCalls(PROCESS, 10)
    waiting = calls.expect(OPERATION)
    calls.resolve([reply(waiting, EntryKind.POSTED)])
    started_s = time.monotonic()
    outcome = await waiting.outcome(10)
    assert outcome is not None
    assert outcome.kind is EntryKind.POSTED
    assert time.monotonic() - started_s < 1


async def test_a_reply_wakes_the_call() -> None:
    calls = WaitingCalls(PROCESS, 10)
    waiting = calls.expect(OPERATION)
    asyncio.get_running_loop().call_later(
        0.05, calls.resolve, [reply(waiting, EntryKind.REJECTED, reason=Reason.INSUFFICIENT_FUNDS)]
    )
    outcome = await waiting.outcome(10)
    assert outcome is not None
    assert outcome.reason is Reason.INSUFFICIENT_FUNDS


async def test_an_unfinished_payment_waits_on_and_is_answered_as_it_stands() -> None:
    calls = WaitingCalls(PROCESS, 10)
    waiting = calls.expect(OPERATION)
    calls.resolve([reply(waiting, EntryKind.RESERVED)])
    outcome = await waiting.outcome(0.05)
    assert outcome is not None
    assert outcome.kind is EntryKind.RESERVED


async def test_nothing_in_time_is_none_and_a_late_reply_meets_nobody() -> None:
    calls = WaitingCalls(PROCESS, 10)
    waiting = calls.expect(OPERATION)
    assert await waiting.outcome(0.02) is None
    calls.forget(waiting)
    assert len(calls) == 0
    calls.resolve([reply(waiting, EntryKind.POSTED)])
    assert waiting.latest is None


async def test_a_reply_about_another_operation_is_not_ours() -> None:
    """An earlier process of the same id may have used the number."""
    calls = WaitingCalls(PROCESS, 10)
    waiting = calls.expect(OPERATION)
    calls.resolve([reply(waiting, EntryKind.REJECTED, OTHER)])
    assert await waiting.outcome(0.02) is None


async def test_the_first_final_reply_stands() -> None:
    calls = WaitingCalls(PROCESS, 10)
    waiting = calls.expect(OPERATION)
    calls.resolve([reply(waiting, EntryKind.POSTED), reply(waiting, EntryKind.REPLAYED)])
    outcome = await waiting.outcome(1)
    assert outcome is not None
    assert outcome.kind is EntryKind.POSTED


async def test_calls_beyond_the_bound_do_not_wait() -> None:
    calls = WaitingCalls(PROCESS, 2)
    waiting = [calls.expect(OPERATION) for _ in range(3)]
    assert [call.reply_to == NO_REPLY for call in waiting] == [False, False, True]
    assert await waiting[2].outcome(10) is None
    calls.forget(waiting[2])
    assert len(calls) == 2


async def test_closing_answers_every_call_at_once() -> None:
    calls = WaitingCalls(PROCESS, 10)
    outcomes = [asyncio.create_task(calls.expect(OPERATION).outcome(30)) for _ in range(3)]
    await asyncio.sleep(0)
    calls.close()
    assert await asyncio.wait_for(asyncio.gather(*outcomes), 1) == [None, None, None]
    assert calls.expect(OPERATION).reply_to == NO_REPLY


async def test_addresses_are_never_all_zeros_and_never_repeat() -> None:
    calls = WaitingCalls(0, 1000)
    addresses = {calls.expect(OPERATION).reply_to for _ in range(1000)}
    assert len(addresses) == 1000
    assert NO_REPLY not in addresses


class Listening:
    """A listener on the real topic, and a transactional producer that answers as the agents do."""

    def __init__(self, settings: Settings, calls: WaitingCalls) -> None:
        self.calls = calls
        self.listener = ReplyListener(settings, calls.resolve)
        self.producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "transactional.id": "test-replies"})
        self.producer.init_transactions(10)

    def write(self, replies: list[Reply], *, commit: bool = True) -> None:
        self.producer.begin_transaction()
        self.write_raw(encode_replies(replies))
        self.producer.flush(10)
        if commit:
            self.producer.commit_transaction(10)
        else:
            self.producer.abort_transaction(10)

    def write_raw(self, value: bytes) -> None:
        self.producer.produce(REPLIES.name, value=value, partition=reply_partition(reply_address(PROCESS, 1)))


@pytest.fixture
async def listening(settings: Settings) -> AsyncIterator[Listening]:
    own = settings.model_copy(update={"api_process_id": PROCESS})
    made = Listening(own, WaitingCalls(PROCESS, 100))
    await made.listener.start()
    yield made
    await made.listener.stop()
    assert not made.listener.alive


async def test_committed_replies_arrive_and_aborted_ones_never(listening: Listening) -> None:
    first, second = listening.calls.expect(OPERATION), listening.calls.expect(OPERATION)
    await asyncio.to_thread(listening.write, [reply(first, EntryKind.POSTED)], commit=False)
    await asyncio.to_thread(listening.write, [reply(second, EntryKind.POSTED)])
    assert await second.outcome(10) is not None
    assert await first.outcome(0.1) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_listener_that_fails_says_so(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process was not ready from then on, and nobody replaced it."""

    def broken(_: bytes) -> list[Reply]:
        raise KeyError("nobody has thought of it")

    monkeypatch.setattr("ingest_api.replies.decode_replies", broken)
    assert listening.listener.failure is None
    await asyncio.to_thread(listening.write, [reply(listening.calls.expect(OPERATION), EntryKind.POSTED)])
    await asyncio.to_thread(eventually, lambda: not listening.listener.alive, "the thread's end")
    assert listening.listener.failure == "replies are not read any more"


async def test_replies_are_seen_from_the_moment_of_readiness(settings: Settings, listening: Listening) -> None:
    """Written right after start, before the first fetch: the end was fixed before the process became ready."""
    for _ in range(5):
        listener = ReplyListener(settings.model_copy(update={"api_process_id": PROCESS}), listening.calls.resolve)
        await listener.start()
        waiting = listening.calls.expect(OPERATION)
        listening.write([reply(waiting, EntryKind.POSTED)])
        assert await waiting.outcome(10) is not None
        await listener.stop()


async def test_replies_of_other_processes_and_broken_records_are_passed_over(listening: Listening) -> None:
    waiting = listening.calls.expect(OPERATION)
    foreign = Reply(reply_address(PROCESS + 4, 1), OPERATION, EntryKind.POSTED, Reason.NONE, 0)
    assert reply_partition(foreign.reply_to) == reply_partition(waiting.reply_to)

    def write() -> None:
        listening.producer.begin_transaction()
        listening.write_raw(b"broken")
        listening.write_raw(encode_replies([foreign]))
        listening.write_raw(encode_replies([reply(waiting, EntryKind.POSTED)]))
        listening.producer.commit_transaction(10)

    await asyncio.to_thread(write)
    outcome = await waiting.outcome(10)
    assert outcome is not None
    assert outcome.reply_to == waiting.reply_to

"""Goal: each attempt of a request has exactly one result, whatever dies, and no order is charged twice.

Method: a real broker; the connectors and the sandbox are processes that are killed at every step of a turn. What the
results say is compared with the provider's own list of charges.
"""

import time
from pathlib import Path

import pytest

from connectors.sandbox.faults import FaultKind
from runtime.exactly_once.failpoints import CYCLE_NAMES
from schemas.codec.connectors import ConnectorOperation, Decline, Outcome, decode_request, encode_request
from schemas.partitioning import shard_of
from schemas.tables.psp_events import REQUEST_ID
from tests.connectors.loop.world import EXIT_CRASHED, SHARDS, World, per_request
from tests.connectors.requests import HOUR_US, charge, now_us, request_of
from tests.support.side_by_side import sampled
from tests.support.waiting import eventually

KILLED = -9
STEPS = [name for name in CYCLE_NAMES if name != "while_deciding"]


def test_every_request_has_one_result_where_its_key_waits(world: World) -> None:
    requests = [charge() for _ in range(40)]
    declined = charge(token="pm_card_visa_chargeDeclinedInsufficientFunds")
    nobody = charge(provider="nobody")
    world.ask([*requests, declined, nobody])
    with world.running():
        told = world.await_results(42)
    assert set(per_request(told).values()) == {1}
    assert all((one.key, one.shard) == (one.result.request_id, shard_of(one.key, SHARDS)) for one in told)
    results = {one.result.request_id: one.result for one in told}
    for request in requests:
        result = results[request.request_id]
        assert (result.outcome, result.fee_minor, result.attempt_follows) == (Outcome.SUCCEEDED, 62, False)
        assert result.payment_order_id == request.payment_order_id
        assert result.provider_reference.startswith("pi_")
    assert results[declined.request_id].decline is Decline.INSUFFICIENT_FUNDS
    assert results[nobody.request_id].decline is Decline.PROVIDER_UNKNOWN
    charged = world.sandbox.taken_of(REQUEST_ID)
    assert all(charged[request.request_id.hex()] == 1 for request in requests)


@pytest.mark.parametrize("step", sampled(STEPS, 3))
def test_a_kill_at_any_step_leaves_one_result_and_one_charge(world: World, step: str) -> None:
    requests = [charge() for _ in range(20)]
    world.ask(requests)
    process = world.start(f"{step}:2")
    assert process.wait(60) == KILLED
    with world.running():
        told = world.await_results(20)
    assert per_request(told) == {(request.request_id, 1): 1 for request in requests}
    assert {one.result.outcome for one in told} == {Outcome.SUCCEEDED}
    charged = world.sandbox.taken_of(REQUEST_ID)
    assert [charged[request.request_id.hex()] for request in requests] == [1] * 20


def test_a_slow_call_holds_back_no_result_and_a_crash_repeats_no_other(world: World) -> None:
    """All on one partition: the slow one is the lowest offset, and still there when the process is killed."""
    slow, others = charge(), [charge() for _ in range(30)]
    key = slow.request_id
    world.sandbox.fault(FaultKind.HANG_BEFORE)
    world.ask([slow], lambda _: key)
    with world.running(call_timeout_s=300) as process:
        eventually(lambda: world.sandbox.is_met(FaultKind.HANG_BEFORE), "the slow call is under way")
        world.ask(others, lambda _: key)
        world.await_results(30)
        position, metadata = world.committed()[shard_of(key, SHARDS)]
        assert position == 0
        assert metadata
        process.kill()
        process.wait()
    with world.running():
        told = world.await_results(31)
    assert per_request(told) == {(request.request_id, 1): 1 for request in (slow, *others)}
    assert world.committed()[shard_of(key, SHARDS)][1] == ""


def test_the_requests_of_one_order_are_done_one_after_another(world: World) -> None:
    key = charge().request_id
    requests = [charge(payment_order_id="one order") for _ in range(6)]
    world.sandbox.fault(FaultKind.LATENCY, seconds=0.5)
    world.ask(requests, lambda _: key)
    with world.running():
        told = world.await_results(6)
    wanted = [request.request_id for request in requests]
    assert [one.result.request_id for one in told] == wanted
    made = [one["metadata"][REQUEST_ID] for one in world.sandbox.all("charges")][::-1]
    assert [name for name in made if bytes.fromhex(name) in wanted] == [name.hex() for name in wanted]


def test_what_is_unknown_is_found_out_by_a_later_attempt(world: World) -> None:
    world.sandbox.outside("search", {"seconds": 1_800})
    world.sandbox.fault(FaultKind.HANG_AFTER, times=3)
    request = charge()
    world.ask([request])
    with world.running():
        first, second = world.await_results(2)
    assert (first.result.outcome, first.result.attempt, first.result.attempt_follows) == (Outcome.UNKNOWN, 1, True)
    assert (second.result.outcome, second.result.attempt, second.result.attempt_follows) == (
        Outcome.SUCCEEDED,
        2,
        False,
    )
    assert {first.key, second.key} == {request.request_id}
    assert world.sandbox.taken_of(REQUEST_ID)[request.request_id.hex()] == 1
    world.sandbox.outside("search", {"seconds": 0})


def test_a_payer_who_has_to_act_is_asked_about_until_they_have(world: World) -> None:
    request = charge(token="pm_card_authenticationRequired")
    world.ask([request])
    with world.running():
        (first, *_) = world.await_results(1)
        assert (first.result.outcome, first.result.attempt_follows) == (Outcome.REQUIRES_ACTION, True)
        world.sandbox.outside(f"payment_intents/{first.result.provider_reference}/authenticate", {})
        eventually(lambda: world.told()[-1].result.outcome is Outcome.SUCCEEDED)
    told = world.told()
    assert set(per_request(told).values()) == {1}
    assert told[-1].result.operation is ConnectorOperation.INQUIRE


def test_what_waits_for_its_time_lets_others_through(world: World) -> None:
    """A window of 16 offsets, at whose bottom lies a request for the day after tomorrow."""
    late, others = charge(not_before_us=now_us() + 48 * HOUR_US), [charge() for _ in range(60)]
    world.ask([late], lambda _: late.request_id)
    world.ask(others, lambda _: late.request_id)
    with world.running(window_offsets=16):
        told = world.await_results(60)
    assert per_request(told) == {(request.request_id, 1): 1 for request in others}
    copies = [decode_request(record.value() or b"") for record in world.requests_kept()]
    assert sum(copy == late for copy in copies) > 1
    assert late.request_id.hex() not in world.sandbox.taken_of(REQUEST_ID)


def test_a_provider_that_dies_is_called_again_when_it_is_back(world: World) -> None:
    requests = [charge() for _ in range(10)]
    world.sandbox.fault(FaultKind.KILL_AFTER)
    world.ask(requests)
    with world.running():
        world.sandbox.wait_killed()
        world.sandbox.start()
        eventually(lambda: sum(one.result.outcome is Outcome.SUCCEEDED for one in world.told()) == 10)
    assert set(per_request(world.told()).values()) == {1}
    charged = world.sandbox.taken_of(REQUEST_ID)
    assert [charged[request.request_id.hex()] for request in requests] == [1] * 10


def test_two_processes_share_the_work_and_one_takes_over(world: World) -> None:
    requests = [charge() for _ in range(60)]
    first, second = world.start(slot=0), world.start(slot=1)
    world.ask(requests[:30])
    world.await_results(30)
    second.kill()
    second.wait()
    world.ask(requests[30:])
    told = world.await_results(60)
    world.stop(first)
    assert per_request(told) == {(request.request_id, 1): 1 for request in requests}
    charged = world.sandbox.taken_of(REQUEST_ID)
    assert [charged[request.request_id.hex()] for request in requests] == [1] * 60


def test_requests_of_transactions_are_seen_when_those_are_committed_and_markers_are_passed(world: World) -> None:
    requests = [charge() for _ in range(6)]
    with world.running() as process:
        for count, request in enumerate(requests, 1):
            with world.transaction() as producer:
                producer.produce(world.route.requests, encode_request(request), request.request_id, 0)
                producer.flush(30)
                time.sleep(0.5)  # the reader meets the end of what is stable, again and again
                assert len(world.told()) == count - 1
            world.await_results(count)
        world.stop(process)
    assert per_request(world.told()) == {(request.request_id, 1): 1 for request in requests}


def test_it_stops_in_order_with_what_is_under_way(world: World) -> None:
    world.sandbox.fault(FaultKind.LATENCY, seconds=1.0)
    world.ask([charge()])
    process = world.start()
    eventually(lambda: world.sandbox.is_met(FaultKind.LATENCY), "the call is under way")
    process.terminate()
    assert process.wait(30) == 0
    assert [one.result.outcome for one in world.told()] == [Outcome.SUCCEEDED]


@pytest.mark.parametrize(
    "value", [b"", b"\0\0\0\0\1garbage", encode_request(charge())[:40]], ids=["empty", "other", "cut"]
)
def test_a_record_that_is_no_request_stops_it_with_its_place(world: World, value: bytes) -> None:
    world.write(1, value)
    world.flush()
    process = world.start()
    assert process.wait(60) == EXIT_CRASHED
    assert process.stderr is not None
    assert f"{world.route.requests}[1] offset 0" in process.stderr.read()


def test_a_refused_key_stops_it_before_anything_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "stripe.key").write_text("not_a_test_key")
    world.ask([request_of(ConnectorOperation.CHARGE)])
    process = world.start()
    assert process.wait(60) == 1
    assert process.stderr is not None
    said = process.stderr.read()
    assert "MILLRACE_STRIPE_API_KEY_FILE" in said
    assert "not_a_test_key" not in said
    assert world.told() == []

"""Goal: whatever is killed, every delivery arrives, each with its webhook-id, and no object's events change places.

Method: `millrace webhooks` as a child process that kills itself at a step, and others that go on.
"""

import os
import signal
import subprocess
import sys

import pytest

from connectors.webhooks.deliveries import LOST_AFTER
from tests.connectors.webhooks.desk import Desk, event, ids_of
from tests.connectors.webhooks.receiver import Answer, Received, Receiver
from tests.sinks.sink_process import ROOT
from tests.support.waiting import eventually

OBJECTS, EACH = 4, 5
EVENTS = [event(number, number % OBJECTS + 100) for number in range(1, OBJECTS * EACH + 1)]


def child(desk: Desk, failpoint: str = "") -> subprocess.Popen[bytes]:
    variables = {
        "MILLRACE_HOME": str(desk.settings.home),
        "DATABASE_URL": desk.settings.database_url,
        "MILLRACE_WEBHOOK_LOCAL_RECEIVERS": "true",
        "EOS_FAILPOINT": failpoint,
    }
    return subprocess.Popen([sys.executable, "-m", "millrace", "webhooks"], cwd=ROOT, env=os.environ | variables)


def first_arrivals(receiver: Receiver) -> list[Received]:
    """What a receiver acts on, that passes over the ids it has seen."""
    seen: dict[str, Received] = {}
    for one in receiver.received:
        seen.setdefault(one.webhook_id, one)
    return list(seen.values())


def assert_all_arrived_in_order(receiver: Receiver) -> None:
    arrived = first_arrivals(receiver)
    assert sorted(one.webhook_id for one in arrived) == sorted(ids_of(EVENTS))
    for object_ in {one.payload["object"] for one in arrived}:
        numbers = [one.payload["data"]["number"] for one in arrived if one.payload["object"] == object_]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("failpoint", ["webhook_after_claim:1", "webhook_before_record:1", "webhook_before_record:3"])
def test_killed_at_a_step_nothing_is_lost_and_nothing_changes_places(
    desk: Desk, receiver: Receiver, failpoint: str
) -> None:
    desk.endpoint(receiver.url)
    desk.happen(*EVENTS)
    killed = child(desk, failpoint)
    assert killed.wait(60) == -signal.SIGKILL
    under_way = desk.rows(
        "SELECT position FROM webhook_deliveries WHERE status = 'pending' AND next_attempt_at > now() + %s",
        LOST_AFTER / 2,
    )
    assert under_way, "what was taken stays taken for a while"
    desk.hurry()
    with desk.dispatching():
        eventually(lambda: desk.statuses() == ["delivered"] * len(EVENTS))
    assert_all_arrived_in_order(receiver)


def test_several_dispatchers_share_the_deliveries(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    refused: set[str] = set()

    def every_id_fails_at_first(one: Received) -> Answer:
        known = one.webhook_id in refused
        refused.add(one.webhook_id)
        return Answer(200 if known else 500)

    receiver.answers = every_id_fails_at_first
    desk.happen(*EVENTS)
    children = [child(desk) for _ in range(2)]
    try:
        eventually(lambda: at_once(desk) == ["delivered"] * len(EVENTS))
    finally:
        for each in children:
            each.terminate()
    assert [each.wait(30) for each in children] == [0, 0]
    assert len(receiver.received) == 2 * len(EVENTS), "one of them was sent twice"
    assert_all_arrived_in_order(receiver)


def at_once(desk: Desk) -> list[str]:
    """The deliveries' states, after what failed was made due and its endpoint well. What is under way stays so."""
    desk.rows(
        "UPDATE webhook_deliveries AS delivery SET next_attempt_at = now() WHERE status = 'pending' AND attempts = 1"
        " AND EXISTS (SELECT FROM webhook_attempts AS made WHERE made.delivery_id = delivery.delivery_id)"
    )
    desk.rows("UPDATE webhook_endpoints SET failures = 0, paused_until = NULL")
    return desk.statuses()

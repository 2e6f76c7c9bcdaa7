"""Goal: `--crash` kills every part once, in order, spread over the load."""

from typing import cast

import pytest

from millrace.demo.crashes import CrashSchedule, victims
from millrace.environment import LocalEnvironment
from millrace.services import pipeline_services
from millrace.supervisor.control import SupervisorStatus
from runtime.settings import Settings
from tests.support.supervision import service_status


class Killed:
    """Stands where an environment would, and writes down what it was asked to kill."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.killed: list[str] = []

    def status(self) -> SupervisorStatus:
        services = [service_status(name) for name in self._names]
        return SupervisorStatus(pid=1, phase="ready", services=services)

    def kill(self, service: str) -> int:
        self.killed.append(service)
        return 1


@pytest.fixture
def killed() -> Killed:
    names = ["broker", "postgres", *(service.name for service in pipeline_services(Settings(workers=2)))]
    return Killed(names)


def schedule_of(killed: Killed) -> CrashSchedule:
    return CrashSchedule(cast("LocalEnvironment", killed), clock=lambda: 7.0)


def test_each_worker_the_sink_the_api_and_the_broker_are_killed_but_not_postgres(killed: Killed) -> None:
    assert victims(cast("LocalEnvironment", killed)) == ["worker-0", "worker-1", "sink", "api-0", "broker"]


def test_each_part_dies_once_at_its_share_of_the_load(killed: Killed) -> None:
    schedule = schedule_of(killed)
    at = {}
    for accepted in range(0, 1_001, 10):
        crash = schedule.progress(accepted, 1_000)
        if crash is not None:
            at[crash.service] = accepted
    assert killed.killed == list(at) == ["worker-0", "worker-1", "sink", "api-0", "broker"]
    assert list(at.values()) == [160, 330, 500, 660, 830]
    assert [crash.service for crash in schedule.done] == killed.killed
    assert {crash.killed_at_s for crash in schedule.done} == {7.0}


def test_one_kill_at_a_time_even_when_the_load_jumps(killed: Killed) -> None:
    schedule = schedule_of(killed)
    for number in range(1, 6):
        schedule.progress(1_000, 1_000)
        assert len(killed.killed) == number
    assert schedule.progress(1_000, 1_000) is None

"""Goal: at most one process of a service runs, whatever it does; it is started again unless it was told to stop.

Method: the real life cycle over processes that are scripted, so that every order of events can be tried.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millrace.supervisor import child
from millrace.supervisor import supervised as under_test
from millrace.supervisor.restarts import ALARM_EXITS
from millrace.supervisor.service import HttpProbe, Service
from millrace.supervisor.supervised import Supervised


class Process:
    """A child: runs until the test ends it."""

    def __init__(self, pid: int, ends_on: int | None) -> None:
        self.pid = pid
        self.signals: list[int] = []
        self._code: int | None = None
        self._ends_on = ends_on

    def end(self, code: int) -> None:
        self._code = code

    def poll(self) -> int | None:
        return self._code

    def send_signal(self, number: int) -> None:
        self.signals.append(number)
        if number in (self._ends_on, signal.SIGKILL):
            self.end(-number)


class System:
    """Spawns what it is asked to, and remembers it."""

    def __init__(self) -> None:
        self.spawned: list[Process] = []
        self.groups_ended: list[int] = []
        self.refusal: OSError | None = None
        self.ends_on: int | None = signal.SIGTERM

    def spawn(self, _service: Service, _log: Path) -> Process:
        if self.refusal is not None:
            raise self.refusal
        assert all(one.poll() is not None for one in self.spawned), "two processes of one service"
        self.spawned.append(Process(100 + len(self.spawned), self.ends_on))
        return self.spawned[-1]

    def end_group(self, pid: int) -> None:
        self.groups_ended.append(pid)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    made = System()
    monkeypatch.setattr(child, "spawn", made.spawn)
    monkeypatch.setattr(child, "kill_group", made.end_group)
    monkeypatch.setattr("millrace.supervisor.restarts._FIRST_PAUSE_S", 0.001)
    return made


def made(on_change: Callable[[], None] = lambda: None, **fields: Any) -> Supervised:
    fields = {"name": "one", "argv": ["program"], "group": "g"} | fields
    return Supervised(Service(**fields), Path("one.log"), on_change)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


async def test_without_a_probe_a_service_is_ready_as_soon_as_it_runs(system: System) -> None:
    one = made()
    assert one.status().state == "waiting"
    one.start()
    await until(one.ready.is_set)
    assert (one.status().state, one.pid) == ("ready", 100)


async def test_an_exit_is_followed_by_a_new_start_under_a_new_pid(system: System) -> None:
    one = made()
    one.start()
    await until(one.ready.is_set)
    system.spawned[0].end(-signal.SIGKILL)
    one.on_child_exit()
    assert (one.status().state, one.pid, one.status().restarts) == ("pausing", None, 1)
    assert not one.ready.is_set(), "nobody may wait behind a service that is gone"
    await until(lambda: one.status().state == "ready")
    assert (one.pid, one.status().last_exit_code) == (101, -signal.SIGKILL)
    assert system.groups_ended == [100], "what the dead one started does not survive it"


async def test_the_exit_of_another_child_is_not_ours(system: System) -> None:
    one = made()
    one.on_child_exit()
    one.start()
    one.on_child_exit()
    assert (one.pid, one.status().restarts) == (100, 0)


async def test_an_exit_is_counted_once_however_often_it_is_signalled(system: System) -> None:
    one = made()
    one.start()
    system.spawned[0].end(1)
    for _ in range(3):
        one.on_child_exit()
    assert one.status().restarts == 1
    await one.stop()


async def test_a_service_that_never_stays_up_is_an_alarm_with_its_reason(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    one = made()
    one.start()
    for number in range(ALARM_EXITS):
        await until(lambda: one.pid is not None)
        assert one.pid == 100 + number
        assert not one.status().alarm
        system.spawned[-1].end(3)
        one.on_child_exit()
    assert one.status().alarm
    assert any("ALARM one exited 5 times" in line and "exit code 3" in line for line in caplog.messages)
    await one.stop()


async def test_a_program_that_cannot_be_started_is_tried_again(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    system.refusal = FileNotFoundError("no such file")
    one = made(argv=["/nowhere/program"])
    one.start()
    assert (one.status().state, one.status().last_exit_code) == ("pausing", 127)
    assert any("can't start /nowhere/program" in line for line in caplog.messages)
    system.refusal = None
    await until(lambda: one.status().state == "ready")


@pytest.mark.parametrize(("code", "state"), [(0, "finished"), (1, "pausing"), (-9, "pausing")])
async def test_a_one_shot_is_finished_only_by_its_success(system: System, code: int, state: str) -> None:
    one = made(one_shot=True)
    one.start()
    await asyncio.sleep(0)
    assert not one.ready.is_set(), "running is not done"
    system.spawned[0].end(code)
    one.on_child_exit()
    assert one.status().state == state
    assert one.ready.is_set() == (state == "finished")
    await one.stop()


async def test_a_service_with_a_probe_is_ready_only_when_it_answers(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False]
    monkeypatch.setattr(under_test, "wait_until_ready", lambda _probe, _given_up: answers.pop())
    one = made(ready=HttpProbe("http://127.0.0.1:1"))
    one.start()
    await until(lambda: not answers)
    await asyncio.sleep(0.01)
    assert one.status().state == "starting"
    answers.append(True)
    system.spawned[0].end(1)
    one.on_child_exit()
    await until(one.ready.is_set)
    assert one.pid == 101


async def test_the_answer_to_the_probe_of_a_dead_process_does_not_make_its_successor_ready(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe may be waiting for a time-out while its process is gone already."""
    asked: list[Any] = []

    def slow(_probe: object, given_up: Any) -> bool:
        asked.append(given_up)
        given_up.wait(5)
        return True

    monkeypatch.setattr(under_test, "wait_until_ready", slow)
    one = made(ready=HttpProbe("http://127.0.0.1:1"))
    one.start()
    await until(lambda: asked)
    system.spawned[0].end(1)
    one.on_child_exit()
    await until(lambda: len(asked) == 2)
    await asyncio.sleep(0.01)
    assert asked[0].is_set()
    assert one.status().state == "starting"
    asked[1].set()


async def test_a_stop_asks_with_the_signal_of_the_service_and_starts_nothing_again(system: System) -> None:
    system.ends_on = signal.SIGINT
    one = made(stop_signal=signal.SIGINT)
    one.start()
    stopping = asyncio.create_task(one.stop())
    await until(lambda: system.spawned[0].signals)
    one.on_child_exit()
    await stopping
    await asyncio.sleep(0.02)
    assert system.spawned[0].signals == [signal.SIGINT]
    assert (one.status().state, one.pid, len(system.spawned)) == ("stopped", None, 1)


async def test_a_stop_that_takes_too_long_is_a_kill(system: System, caplog: pytest.LogCaptureFixture) -> None:
    system.ends_on = None
    one = made(stop_timeout_ms=10)
    one.start()
    stopping = asyncio.create_task(one.stop())
    await until(lambda: signal.SIGKILL in system.spawned[0].signals)
    one.on_child_exit()
    await stopping
    assert system.spawned[0].signals == [signal.SIGTERM, signal.SIGKILL]
    assert "one: still there after 10 ms, killed" in caplog.messages


async def test_a_stop_during_the_pause_cancels_the_next_start(system: System) -> None:
    one = made()
    one.start()
    system.spawned[0].end(1)
    one.on_child_exit()
    await one.stop()
    await asyncio.sleep(0.02)
    assert (one.status().state, len(system.spawned)) == ("stopped", 1)


async def test_a_signal_goes_to_the_process_or_to_nobody(system: System) -> None:
    one = made()
    assert one.signal(signal.SIGTERM) is None
    one.start()
    assert one.signal(signal.SIGHUP) == 100
    assert system.spawned[0].signals == [signal.SIGHUP]


async def test_every_start_and_exit_is_told_so_that_the_pids_on_disk_are_right(system: System) -> None:
    told: list[int | None] = []
    holder: list[Supervised] = []
    one = made(lambda: told.append(holder[0].pid))
    holder.append(one)
    one.start()
    system.spawned[0].end(1)
    one.on_child_exit()
    await until(lambda: len(told) == 3)
    assert told == [100, None, 101]


async def test_only_a_process_that_runs_has_an_uptime(system: System, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = made()
    assert one.status().uptime_ms == 0
    one.start()
    await asyncio.sleep(0.01)
    assert one.status().uptime_ms >= 10
    await until(one.ready.is_set)
    assert "one: started, pid 100" in caplog.messages

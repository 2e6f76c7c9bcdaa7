"""Goal: CPU is charged to the service that spent it, children and reaped children included, in microseconds.

Method: a /proc of the test's own, in the kernel's format (proc(5), "stat").
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import processes
from millrace.environment import LocalEnvironment
from millrace.supervisor.control import ServiceStatus, SupervisorStatus

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


class Running:
    """Stands where an environment would: names and pids."""

    def __init__(self, pids: Mapping[str, int | None]) -> None:
        self._pids = pids

    def status(self) -> SupervisorStatus:
        services = [ServiceStatus(name, "ready", pid, 0, 0, False, None, 1, "") for name, pid in self._pids.items()]
        return SupervisorStatus(1, "ready", services)


class Proc:
    """A folder like /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, pid: int, parent: int, ticks: tuple[int, int, int, int], command: str = "python") -> None:
        before = [str(number) for number in (*range(9), 999)]
        after = [*map(str, ticks), "20", "0", "8", "0"]
        folder = self.root / str(pid)
        folder.mkdir()
        fields = ["S", str(parent), *before[1:], *after]
        (folder / "stat").write_text(f"{pid} ({command}) {' '.join(fields)}\n")


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    root = tmp_path / "proc"
    root.mkdir()
    monkeypatch.setattr(processes, "Path", lambda path: tmp_path / Path(path).relative_to("/"))
    return Proc(root)


def spent(pids: Mapping[str, int | None]) -> dict[str, int]:
    found = processes.cpu_us(cast("LocalEnvironment", Running(pids)))
    assert found.pop("load generator") > 0, "this process has run for a while"
    return found


def test_user_system_and_reaped_children_add_up(proc: Proc) -> None:
    proc.add(10, 1, (1, 20, 300, 4_000))
    assert spent({"worker-0": 10}) == {"worker-0": 4_321 * TICK_US}


def test_children_of_children_are_charged_to_their_service_and_to_no_other(proc: Proc) -> None:
    proc.add(10, 1, (1, 0, 0, 0))
    proc.add(11, 10, (2, 0, 0, 0))
    proc.add(12, 11, (4, 0, 0, 0))
    proc.add(20, 1, (8, 0, 0, 0))
    proc.add(30, 1, (16, 0, 0, 0))
    assert spent({"postgres": 10, "broker": 20}) == {"postgres": 7 * TICK_US, "broker": 8 * TICK_US}


@pytest.mark.parametrize("command", ["a b", "x) R 1 2 3", "((", ") ) )", "postgres: checkpointer "])
def test_a_command_name_may_hold_spaces_and_brackets(proc: Proc, command: str) -> None:
    proc.add(10, 1, (1, 1, 0, 0), command)
    proc.add(11, 10, (5, 0, 0, 0), command)
    assert spent({"one": 10}) == {"one": 7 * TICK_US}


def test_a_service_without_a_process_is_left_out_and_one_that_just_went_has_spent_nothing(proc: Proc) -> None:
    proc.add(10, 1, (1, 0, 0, 0))
    assert spent({"pausing": None, "gone": 77, "there": 10}) == {"gone": 0, "there": TICK_US}


def test_what_is_no_process_and_what_ends_while_it_is_read_is_passed_over(proc: Proc) -> None:
    (proc.root / "self").mkdir()
    (proc.root / "meminfo").write_text("MemTotal: 1 kB\n")
    (proc.root / "55").mkdir()
    proc.add(10, 1, (3, 0, 0, 0))
    assert spent({"one": 10}) == {"one": 3 * TICK_US}


def test_the_kernel_agrees_about_this_process() -> None:
    """The real /proc: what it says of us lies between two readings of the process's own clock."""
    before = os.times()
    found = processes.cpu_us(cast("LocalEnvironment", Running({"us": os.getpid()})))
    after = os.times()
    own = [round((t.user + t.system + t.children_user + t.children_system) * 1e6) for t in (before, after)]
    assert own[0] - 2 * TICK_US <= found["us"], "never less than what we have used"
    assert abs(found["load generator"] - (before.user + before.system) * 1e6) <= (own[1] - own[0]) + 2 * TICK_US


def test_use_is_what_lies_between_divided_by_payments_largest_first() -> None:
    before = {"api": 100, "broker": 1_000, "sink": 0}
    after = {"api": 1_100, "broker": 6_000, "sink": 250}
    used = processes.used_between(before, after, 100)
    assert list(used.items()) == [("broker", 50.0), ("api", 10.0), ("sink", 2.5)]


@pytest.mark.parametrize(
    ("before", "after"),
    [({"x": 5}, {"x": 5}), ({"x": 5}, {}), ({"x": 5_000}, {"x": 10}), ({}, {"x": 5})],
    ids=["idle", "gone", "started again", "came later"],
)
def test_what_has_no_two_readings_of_one_process_is_left_out(before: dict[str, int], after: dict[str, int]) -> None:
    assert processes.used_between(before, after, 1) == {}


@given(
    st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=8),
    st.integers(1, 10**6),
)
@settings(max_examples=60)
def test_no_figure_is_negative_and_the_order_is_falling(spans: dict[str, tuple[int, int]], payments: int) -> None:
    before = {name: start for name, (start, _) in spans.items()}
    after = {name: start + more for name, (start, more) in spans.items()}
    used = processes.used_between(before, after, payments)
    assert set(used) == {name for name, (_, more) in spans.items() if more}
    assert list(used.values()) == sorted(used.values(), reverse=True)
    assert min(used.values(), default=0.0) >= 0.0

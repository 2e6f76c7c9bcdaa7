"""Goal: what should run, runs; what crashes is back; what is told to stop stops in order; nothing outlives its parent.

Method: a real supervisor process over small scripts, killed and asked from outside.
"""

import os
import signal
import stat
import sys
from pathlib import Path

import psutil
import pytest

from millrace.supervisor.child import Footprint, end_orphans, write_footprints
from tests.support.supervision import script, sleeper, supervising
from tests.support.waiting import eventually

_NOTES_ITS_END = """
import signal, sys, time
def end(*_):
    with open({path!r}, "a") as notes: notes.write({name!r} + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open({ready!r}, "w").close()
time.sleep(600)
"""


def test_all_services_run_and_are_reported(tmp_path: Path) -> None:
    with supervising(tmp_path, [sleeper("one"), sleeper("two")]) as supervisor:
        status = supervisor.wait_ready()
        assert [(service.name, service.state) for service in status.services] == [("one", "ready"), ("two", "ready")]
        assert all(service.pid and psutil.pid_exists(service.pid) for service in status.services)
        assert status.alarms == []


def test_a_killed_service_is_back_at_once_under_a_new_pid(tmp_path: Path) -> None:
    with supervising(tmp_path, [sleeper("one"), sleeper("two")]) as supervisor:
        supervisor.wait_ready()
        other, killed = supervisor.service("two").pid, supervisor.ask("kill", "one").pid
        eventually(lambda: supervisor.service("one").pid not in {None, killed}, "restarted")
        one = supervisor.service("one")
        assert (one.restarts, one.last_exit_code) == (1, -signal.SIGKILL)
        assert supervisor.service("two").pid == other
        assert "one: exited (signal SIGKILL), starts again in 0.0 s" in supervisor.log()


def test_a_service_is_back_although_its_pid_cannot_be_noted(tmp_path: Path) -> None:
    """As on a full disk: the exit was not followed up, and the service stayed away for ever, with no alarm."""
    with supervising(tmp_path, [sleeper("one"), sleeper("two")]) as supervisor:
        supervisor.wait_ready()
        killed = supervisor.service("one").pid
        supervisor.home.pids.unlink()
        supervisor.home.pids.mkdir()
        supervisor.ask("kill", "one")
        eventually(lambda: supervisor.service("one").pid not in {None, killed}, "restarted")
        assert "ALARM what runs can't be noted" in supervisor.log()
        supervisor.home.pids.rmdir()
        supervisor.ask("kill", "two")
        eventually(supervisor.home.pids.is_file, "noted again")


def test_a_worker_that_ends_by_design_is_started_again(tmp_path: Path) -> None:
    """Workers are crash-only: exit code 75 says "start me again"."""
    marker = tmp_path / "second"
    code = f"import os, sys, time; p={str(marker)!r}\nif os.path.exists(p): time.sleep(600)\nopen(p,'w'); sys.exit(75)"
    with supervising(tmp_path / "home", [script("worker-0", code)]) as supervisor:
        eventually(lambda: marker.exists() and supervisor.service("worker-0").restarts == 1, "restarted")
        assert supervisor.service("worker-0").last_exit_code == 75


def test_restart_asks_politely(tmp_path: Path) -> None:
    notes, ready = tmp_path / "notes", tmp_path / "ready"
    code = _NOTES_ITS_END.format(path=str(notes), name="one", ready=str(ready))
    with supervising(tmp_path / "home", [script("one", code)]) as supervisor:
        eventually(ready.exists, "script runs")
        supervisor.ask("restart", "one")
        eventually(lambda: notes.exists() and supervisor.service("one").restarts == 1, "ended by its own handler")


def test_a_service_that_cannot_stay_up_is_an_alarm(tmp_path: Path) -> None:
    with supervising(tmp_path, [script("broken", "raise SystemExit(3)"), sleeper("fine")]) as supervisor:
        eventually(lambda: supervisor.answers() and supervisor.service("broken").alarm, "five exits seen")
        assert supervisor.service("broken").last_exit_code == 3
        assert [service.name for service in supervisor.status().alarms] == ["broken"]
        assert "ALARM broken exited 5 times or more in 30 s, last: exit code 3" in supervisor.log()


def test_a_program_that_does_not_exist_counts_as_an_exit(tmp_path: Path) -> None:
    missing = sleeper("missing")
    missing = type(missing)(name="missing", argv=["/nowhere/program"], group="missing")
    with supervising(tmp_path, [missing]) as supervisor:
        eventually(lambda: supervisor.answers() and supervisor.service("missing").restarts >= 2, "retried")
        assert "can't start /nowhere/program" in supervisor.log()


def test_a_group_starts_when_the_one_before_is_done(tmp_path: Path) -> None:
    made = tmp_path / "made"
    prepare = script("prepare", f"import time; time.sleep(0.3); open({str(made)!r}, 'w')", one_shot=True)
    check = script("check", f"import os, time; assert os.path.exists({str(made)!r}); time.sleep(600)")
    with supervising(tmp_path / "home", [prepare, check]) as supervisor:
        supervisor.wait_ready()
        assert supervisor.service("prepare").state == "finished"
        assert supervisor.service("check").restarts == 0


def test_a_failed_preparation_is_tried_again_and_holds_back_what_follows(tmp_path: Path) -> None:
    with supervising(
        tmp_path, [script("prepare", "raise SystemExit(1)", one_shot=True), sleeper("after")]
    ) as supervisor:
        eventually(lambda: supervisor.answers() and supervisor.service("prepare").restarts >= 2, "retried")
        assert supervisor.service("after").state == "waiting"
        assert supervisor.status().phase == "starting"


@pytest.mark.parametrize("how", ["request", "SIGTERM", "lifeline"])
def test_groups_stop_in_reverse_order(tmp_path: Path, how: str) -> None:
    notes, names = tmp_path / "notes", ["broker", "sink", "worker", "api"]
    services = [
        script(name, _NOTES_ITS_END.format(path=str(notes), name=name, ready=str(tmp_path / f"{name}.ready")))
        for name in names
    ]
    with supervising(tmp_path / "home", services) as supervisor:
        eventually(lambda: all((tmp_path / f"{name}.ready").exists() for name in names), "all scripts run")
        if how == "request":
            supervisor.ask("stop")
        elif how == "SIGTERM":
            supervisor.process.send_signal(signal.SIGTERM)
        elif supervisor.process.stdin:
            supervisor.process.stdin.close()
        supervisor.process.wait(15)
    assert notes.read_text().split() == ["api", "worker", "sink", "broker"]
    assert not supervisor.home.control_socket.exists()
    assert not supervisor.home.pids.exists()


def test_a_stubborn_service_is_killed_after_its_time(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(ready)!r}, 'w'); time.sleep(600)"
    with supervising(tmp_path / "home", [script("stubborn", code, stop_timeout_ms=200)]) as supervisor:
        eventually(ready.exists, "script runs")
        pid = supervisor.service("stubborn").pid or 0
        supervisor.ask("stop")
        supervisor.process.wait(15)
    assert not psutil.pid_exists(pid)
    assert "stubborn: still there after 200 ms, killed" in supervisor.log()


def test_children_are_gone_after_the_supervisor_was_killed(tmp_path: Path) -> None:
    with supervising(tmp_path, [sleeper("one"), sleeper("two")]) as supervisor:
        pids = [service.pid or 0 for service in supervisor.wait_ready().services]
        supervisor.process.kill()
        eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), "children ended with their parent")


def test_the_children_of_a_killed_service_do_not_stay(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    grandchild = "import time; time.sleep(600)"
    code = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-S', '-c', {grandchild!r}])\n"
        f"open({str(note)!r} + '.new', 'w').write(str(p.pid))\n"
        f"import os; os.rename({str(note)!r} + '.new', {str(note)!r}); time.sleep(600)"
    )
    with supervising(tmp_path / "home", [script("parent", code)]) as supervisor:
        eventually(note.exists, "grandchild runs")
        pid = int(note.read_text())
        supervisor.ask("kill", "parent")
        eventually(lambda: not psutil.pid_exists(pid), "grandchild gone")


def test_orphans_of_a_killed_supervisor_are_ended(tmp_path: Path) -> None:
    with psutil.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]) as orphan:
        write_footprints(tmp_path / "pids.json", [Footprint(orphan.pid, orphan.create_time(), signal.SIGTERM)])
        assert end_orphans(tmp_path / "pids.json") == 1
        assert not orphan.is_running()
    assert not (tmp_path / "pids.json").exists()


def test_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    with psutil.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]) as stranger:
        write_footprints(tmp_path / "pids.json", [Footprint(stranger.pid, stranger.create_time() - 60, signal.SIGKILL)])
        assert end_orphans(tmp_path / "pids.json") == 0
        assert stranger.is_running()
        stranger.kill()


def test_an_unknown_service_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with supervising(tmp_path, [sleeper("one"), sleeper("two")]) as supervisor:
        supervisor.wait_ready()
        assert supervisor.ask("kill", "three").error == "no service 'three'; there are: one, two"


def test_only_the_owner_may_use_the_socket(tmp_path: Path) -> None:
    with supervising(tmp_path, [sleeper("one")]) as supervisor:
        supervisor.wait_ready()
        assert stat.S_IMODE(supervisor.home.control_socket.stat().st_mode) == 0o600


def test_a_long_log_is_put_aside_when_its_service_starts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with supervising(home, [sleeper("one")]) as supervisor:
        supervisor.wait_ready()
        log = supervisor.home.log("one")
        os.truncate(log, 17 << 20)
        supervisor.ask("kill", "one")
        eventually(lambda: supervisor.service("one").restarts == 1 and log.stat().st_size == 0, "new log")
        assert log.with_name("one.log.1").stat().st_size == 17 << 20

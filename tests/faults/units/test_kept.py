"""Services that the harness keeps: what it arms is what runs next, at whatever moment it does so."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.environment import LocalEnvironment
from runtime.settings import Settings
from tests.faults.processes import Kept
from tests.faults.units import ends_when_told
from tests.faults.units.ends_when_told import ENDS_WITH

WAIT_S = 20.0
CODE = 7


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    env = LocalEnvironment(Settings(home=tmp_path))
    service = Kept(env, "service", "command", tmp_path, {}, program=(ends_when_told.__name__,))
    yield service
    service.end()


def test_an_armed_start_follows_a_kill(kept: Kept) -> None:
    exits = kept.kill_and_start_with({ENDS_WITH: str(CODE)})
    assert kept.exit_after(exits, WAIT_S) == CODE
    assert kept.exits == [-signal.SIGKILL, CODE]


def test_a_service_that_has_just_ended_is_armed_when_it_runs_again(kept: Kept) -> None:
    """Found by a night: armed in the pause before a restart, that restart was the armed one, nothing was killed, and
    the schedule waited for an exit too many.
    """
    kept.kill()
    assert kept.exit_after(0, WAIT_S) == -signal.SIGKILL
    exits = kept.kill_and_start_with({ENDS_WITH: str(CODE)})
    assert kept.exit_after(exits, WAIT_S) == CODE
    assert kept.exits == [-signal.SIGKILL, -signal.SIGKILL, CODE]

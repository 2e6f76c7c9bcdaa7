"""Goal: `python -m benchmarks state` writes to no broker but its own, and measures what it says (real broker)."""

from pathlib import Path

import pytest

from benchmarks.state import command
from benchmarks.state.fill import Cost
from benchmarks.state.restores import Restores
from millrace.topics import ensure_topics
from tests.support.environment import running_environment


@pytest.mark.parametrize("name", ["KAFKA_BOOTSTRAP", "MILLRACE_KAFKA_BOOTSTRAP"])
def test_somebody_elses_broker_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(name, "127.0.0.1:9092")
    with pytest.raises(SystemExit) as ended:
        command._parsed([])
    assert ended.value.code == 2
    assert "unset KAFKA_BOOTSTRAP" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--keys", "--accounts"])
def test_nothing_to_measure_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    with pytest.raises(SystemExit):
        command._parsed([option, "0"])
    assert "must be at least 1" in capsys.readouterr().err


def test_keys_are_extrapolated_at_the_rate_of_the_keys_alone() -> None:
    accounts, cold, warm = (Restores(seconds, seconds, 100, 90) for seconds in (4.0, 24.0, 1.5))
    curve = [Cost(10_000_000, 2.0, 1.5, 3.0, 2.5, 0.5, 36.5, 400)]
    shown = command.table(command.Results(1_000_000, 10_000_000, 4, accounts, cold, warm, curve, {}))
    assert "2.00 s per million; 130,000,000 keys at that rate: 260 s" in shown
    assert "| 10,000,000 | 2.0 (1.5) | 3.0 (2.5) | 0.5 | 36.5 | 400 |" in shown
    assert "| warm, the same | 1.5 | 1.5 | 100 |" in shown


def test_a_small_run_measures_every_size_and_both_restores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    with running_environment(tmp_path / "home") as environment:
        ensure_topics(environment.settings)
        asked = command._parsed(["--keys", "20000", "--accounts", "2000"])
        found = command._measure(environment.settings, asked, {})
    assert [cost.keys for cost in found.curve] == [20_000]
    assert found.curve[0].lookup_us > 0
    assert 28 < found.curve[0].disk_bytes_per_key < 2_000, "a key and its value are 28 bytes"
    assert min(restore.seconds for restore in (found.cold_accounts, found.cold, found.warm)) > 0

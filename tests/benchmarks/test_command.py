"""Goal: `python -m benchmarks` refuses at once what would lose the results, and says what it measured with."""

import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import modes
from runtime.settings import Settings


def given(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])


def test_a_folder_that_is_not_there_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, "--json", str(tmp_path / "absent" / "out.json"))
    with pytest.raises(SystemExit) as ended:
        command._arguments()
    assert ended.value.code == 2
    assert f"--json: there is no folder {tmp_path / 'absent'}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.json", "./out.json"])
def test_a_file_beside_us_needs_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    given(monkeypatch, "--json", name)
    assert command._arguments().json == name
    assert not (tmp_path / "out.json").exists(), "nothing is written yet"


@pytest.mark.parametrize("option", ["--payments", "--runs", "--accounts", "--workers", "--seconds", "--rate"])
def test_a_count_that_is_no_whole_number_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    given(monkeypatch, option, "many")
    with pytest.raises(SystemExit):
        command._arguments()
    assert f"argument {option}: invalid int value: 'many'" in capsys.readouterr().err


def test_the_settings_shown_are_those_that_were_used(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, "--accounts", "7000")
    settings = Settings(shards=16, workers=3, cycle_max_ms=25)
    shown = command._settings(settings, command._arguments())
    assert (shown["shards"], shown["workers"], shown["cycle_max_ms"]) == ("16", "3", "25")
    assert (shown["accounts"], shown["batch_lines"]) == ("7,000", str(modes.BATCH_LINES))


def test_steps_are_said_on_stderr_so_that_stdout_is_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    command._say("warming up")
    assert capsys.readouterr() == ("", "warming up …\n")

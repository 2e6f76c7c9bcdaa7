"""Goal: a file under its final name has the pinned content, whatever the network, the mirror or the disk does.

Method: a mirror on loopback that cuts, corrupts, refuses; /dev/full for a full disk.
"""

import hashlib
import random
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from millrace.environment.brokers.broker import kafka_artifacts
from millrace.environment.downloads import Artifact, fetch_all, missing, parse_pinned_list
from millrace.environment.faults import DownloadFault, EnvironmentFault
from tests.support.file_server import Mirror, serving

_JAR = "org/example/example/1/example-1.jar"
_CONTENT = random.Random(1).randbytes(300_000)


def _artifact(path: str = _JAR, content: bytes = _CONTENT) -> Artifact:
    return Artifact(path, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serving({_JAR: _CONTENT}) as mirror:
        yield mirror


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millrace.environment.downloads.time.sleep", lambda _: None)


def test_a_file_arrives_whole_and_progress_counts_its_bytes(mirror: Mirror, tmp_path: Path) -> None:
    counted: list[int] = []
    fetch_all([_artifact()], mirror.url, tmp_path, counted.append)
    assert (tmp_path / _JAR).read_bytes() == _CONTENT
    assert sum(counted) == len(_CONTENT)


def test_a_cut_download_continues_where_it_was_cut(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut_after, mirror.cuts_left = 100_000, 2
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert (tmp_path / _JAR).read_bytes() == _CONTENT
    firsts = [first for _, first in mirror.requests]
    assert firsts == [0, 100_000, 200_000]


def test_a_download_cut_in_an_earlier_run_continues(mirror: Mirror, tmp_path: Path) -> None:
    part = tmp_path / f"{_JAR}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(_CONTENT[:250_000])
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert mirror.requests == [(_JAR, 250_000)]
    assert (tmp_path / _JAR).read_bytes() == _CONTENT


def test_a_part_that_is_complete_already_is_accepted(mirror: Mirror, tmp_path: Path) -> None:
    part = tmp_path / f"{_JAR}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(_CONTENT)
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert (tmp_path / _JAR).read_bytes() == _CONTENT


def test_a_mirror_without_ranges_sends_all_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.ignores_ranges = True
    mirror.cut_after, mirror.cuts_left = 100_000, 1
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert (tmp_path / _JAR).read_bytes() == _CONTENT


def test_a_spoilt_part_is_fetched_again_from_the_start(mirror: Mirror, tmp_path: Path) -> None:
    part = tmp_path / f"{_JAR}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert [first for _, first in mirror.requests] == [1000, 0]
    assert (tmp_path / _JAR).read_bytes() == _CONTENT


def test_a_part_longer_than_the_file_is_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    part = tmp_path / f"{_JAR}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(_CONTENT + b"more")
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert (tmp_path / _JAR).read_bytes() == _CONTENT


def test_wrong_content_is_refused_and_leaves_nothing_behind(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files[_JAR] = bytes(len(_CONTENT))
    with pytest.raises(DownloadFault, match=r"pinned sha256.*MILLRACE_MAVEN_URL"):
        fetch_all([_artifact()], mirror.url, tmp_path)
    assert not (tmp_path / _JAR).exists()
    assert not (tmp_path / f"{_JAR}.part").exists()


def test_an_unreachable_registry_names_the_ways_out(tmp_path: Path) -> None:
    with serving({}) as mirror:
        gone = mirror.url
    with pytest.raises(DownloadFault) as fault:
        fetch_all([_artifact()], gone, tmp_path)
    message = str(fault.value)
    assert gone in message
    assert "MILLRACE_MAVEN_URL" in message
    assert str(tmp_path) in message
    assert "\n" not in message


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_refusal_is_named(mirror: Mirror, tmp_path: Path, status: int) -> None:
    mirror.status = status
    with pytest.raises(DownloadFault, match=f"HTTP {status}"):
        fetch_all([_artifact()], mirror.url, tmp_path)


def test_a_registry_that_recovers_is_waited_for(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.status = 503

    def recover(_: float) -> None:
        mirror.status = None

    monkeypatch.setattr("millrace.environment.downloads.time.sleep", recover)
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert (tmp_path / _JAR).read_bytes() == _CONTENT


def test_a_full_disk_says_so(mirror: Mirror, tmp_path: Path) -> None:
    part = tmp_path / f"{_JAR}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(EnvironmentFault, match=r"disk is full.*MILLRACE_CACHE_DIR"):
        fetch_all([_artifact()], mirror.url, tmp_path)


def test_a_cache_that_is_no_folder_says_so(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"can't write to .*MILLRACE_CACHE_DIR"):
        fetch_all([_artifact()], mirror.url, tmp_path / "file" / "cache")


def test_what_is_there_is_not_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    fetch_all([_artifact()], mirror.url, tmp_path)
    mirror.requests.clear()
    assert missing([_artifact()], tmp_path) == []
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert mirror.requests == []


def test_a_file_that_was_tampered_with_is_missing(mirror: Mirror, tmp_path: Path) -> None:
    fetch_all([_artifact()], mirror.url, tmp_path)
    (tmp_path / _JAR).write_bytes(b"y" + _CONTENT[1:])
    assert missing([_artifact()], tmp_path) == [_artifact()]
    fetch_all([_artifact()], mirror.url, tmp_path)
    assert (tmp_path / _JAR).read_bytes() == _CONTENT


def test_many_files_at_once(tmp_path: Path) -> None:
    contents = {f"group/file-{number}.jar": bytes([number]) * (1000 + number) for number in range(40)}
    artifacts = [_artifact(path, content) for path, content in contents.items()]
    with serving(contents) as mirror:
        mirror.cut_after, mirror.cuts_left = 500, 15
        fetch_all(artifacts, mirror.url, tmp_path)
    assert missing(artifacts, tmp_path) == []


def test_one_bad_file_among_many_ends_the_download(tmp_path: Path) -> None:
    contents = {f"group/file-{number}.jar": bytes([number]) * 1000 for number in range(10)}
    artifacts = [_artifact(path, content) for path, content in contents.items()]
    contents["group/file-7.jar"] = b"not what was pinned"
    with serving(contents) as mirror, pytest.raises(DownloadFault, match="file-7"):
        fetch_all(artifacts, mirror.url, tmp_path)


def test_the_pinned_list_is_kafka_4_2_1_and_has_no_path_twice() -> None:
    artifacts = kafka_artifacts()
    paths = [artifact.path for artifact in artifacts]
    assert len(set(paths)) == len(paths)
    assert "org/apache/kafka/kafka_2.13/4.2.1/kafka_2.13-4.2.1.jar" in paths
    for artifact in artifacts:
        assert len(artifact.sha256) == 64
        assert artifact.path.endswith(".jar")
        assert ".." not in artifact.path


def test_kafka_jars_are_all_of_one_release() -> None:
    text = (files("millrace.environment.brokers") / "jars.txt").read_text()
    versions = {
        artifact.path.split("/")[4] for artifact in parse_pinned_list(text) if "org/apache/kafka/" in artifact.path
    }
    assert versions == {"4.2.1"}

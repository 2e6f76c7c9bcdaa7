"""`millrace archive verify` names the first place where an archive was changed, whoever did it and however.

Method: one thing is changed in a copy of a right archive; where the change was made consistent, the topic still tells.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest

from millrace.archive.verify import ArchiveDiffers, verify_archive
from runtime.archive.manifest import Link, read_link
from runtime.archive.objects import ObjectFolder
from tests.archive.conftest import beside
from tests.audit.pipeline import Pipeline

Tamper = Callable[[Path, list[Link]], tuple[str, str]]
"""Changes one thing; the place that has to be named, and words of what was expected."""


def changed_byte(folder: Path, links: list[Link]) -> tuple[str, str]:
    path = folder / links[1].segment_key
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return links[1].segment_key, links[1].sha256


def cut_short(folder: Path, links: list[Link]) -> tuple[str, str]:
    path = folder / links[1].segment_key
    path.write_bytes(path.read_bytes()[:-1])
    return links[1].segment_key, f"{links[1].size_bytes} bytes"


def lost_segment(folder: Path, links: list[Link]) -> tuple[str, str]:
    (folder / links[1].segment_key).unlink()
    return links[1].segment_key, f"a segment of {links[1].size_bytes} bytes"


def lost_link(folder: Path, links: list[Link]) -> tuple[str, str]:
    (folder / links[1].key).unlink()
    return links[2].key, "link 1 of its partition"


def lost_segment_and_link(folder: Path, links: list[Link]) -> tuple[str, str]:
    (folder / links[1].segment_key).unlink()
    return lost_link(folder, links)


def swapped_segments(folder: Path, links: list[Link]) -> tuple[str, str]:
    one, other = folder / links[0].segment_key, folder / links[1].segment_key
    one.rename(folder / "aside")
    other.rename(one)
    (folder / "aside").rename(other)
    return links[0].segment_key, links[0].sha256


def of_another_partition(folder: Path, links: list[Link]) -> tuple[str, str]:
    stranger = next((folder / links[0].topic / "1").glob("*.avro"))
    shutil.copyfile(stranger, folder / links[1].segment_key)
    return links[1].segment_key, links[1].sha256


def doubled_segment(folder: Path, links: list[Link]) -> tuple[str, str]:
    copy = links[1].segment_key.replace(f"-{links[1].next_offset:020d}", f"-{links[1].next_offset + 1:020d}")
    shutil.copyfile(folder / links[1].segment_key, folder / copy)
    return copy, "an object that a link of the manifest names"


def stranger(folder: Path, links: list[Link]) -> tuple[str, str]:
    key = links[1].segment_key + ".bak"
    (folder / key).write_bytes(b"")
    return key, "an object that a link of the manifest names"


def edited_link(folder: Path, links: list[Link]) -> tuple[str, str]:
    rewrite(folder, msgspec.structs.replace(links[1], records=links[1].records + 1))
    return links[2].key, "the hash of the link before"


def edited_last_link(folder: Path, links: list[Link]) -> tuple[str, str]:
    """Nothing comes behind it that holds its hash; its own numbers give it away."""
    rewrite(folder, msgspec.structs.replace(links[-1], records=links[-1].records + 1))
    return links[-1].segment_key, f"{links[-1].records + 1} records"


def edited_times(folder: Path, links: list[Link]) -> tuple[str, str]:
    rewrite(folder, msgspec.structs.replace(links[-1], last_timestamp_ms=7))
    return links[-1].key, "first and last time"


def no_json(folder: Path, links: list[Link]) -> tuple[str, str]:
    (folder / links[1].key).write_bytes(b"{}")
    return links[1].key, "a link of the manifest"


def swapped_links(folder: Path, links: list[Link]) -> tuple[str, str]:
    (folder / links[1].key).write_bytes((folder / links[2].key).read_bytes())
    return links[1].key, "the link that its key names"


def rewrite(folder: Path, link: Link) -> None:
    (folder / link.key).write_bytes(link.encoded())


TAMPERS = [
    changed_byte,
    cut_short,
    lost_segment,
    lost_link,
    lost_segment_and_link,
    swapped_segments,
    of_another_partition,
    doubled_segment,
    stranger,
    edited_link,
    edited_last_link,
    edited_times,
    no_json,
    swapped_links,
]


def links_of(folder: Path, topic: str) -> list[Link]:
    objects = ObjectFolder(folder)
    return [read_link(objects, key)[0] for key in objects.keys(f"{topic}/0/") if key.endswith(".json")]


@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: tamper.__name__)
def test_the_files_alone_give_it_away(pipeline: Pipeline, folder: Path, tamper: Tamper) -> None:
    assert verify_archive(folder, None).ok
    place, expected = tamper(folder, links_of(folder, pipeline.topics.ledger))
    report = verify_archive(folder, None)
    difference = report.differences[0]
    assert (difference.place, expected in difference.expected) == (place, True), difference
    assert report.to_json()["first_difference"]["place"] == place


def test_a_lost_end_is_seen_beside_the_topic_alone(pipeline: Pipeline, folder: Path) -> None:
    """The chain points backwards. What was cut off is archived again while the brokers have it; else it is a gap."""
    links = links_of(folder, pipeline.topics.ledger)
    (folder / links[-1].key).unlink()
    report = verify_archive(folder, beside(pipeline))
    assert (report.ok, report.without_link) == (True, [links[-1].segment_key])


Record = dict[str, Any]


def forged(folder: Path, topic: str, change: Callable[[list[Record]], object]) -> Link:
    """Rewrite the last segment and its link so that they agree, as somebody with access to everything would."""
    link = links_of(folder, topic)[-1]
    path = folder / link.segment_key
    with path.open("rb") as file:
        container: Any = fastavro.reader(file)
        records: list[Record] = list(container)
    change(records)
    own = {name: value for name, value in container.metadata.items() if not name.startswith("avro.")}
    with path.open("wb") as file:
        fastavro.writer(file, container.writer_schema, records, "zstandard", metadata=own)
    rewrite(folder, _described(link, records, path.read_bytes()))
    return link


def _described(link: Link, records: list[Record], content: bytes) -> Link:
    return msgspec.structs.replace(
        link,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        value_bytes=sum(len(record["value"]) for record in records),
        records=len(records),
        first_timestamp_ms=records[0]["timestamp_ms"] if records else None,
        last_timestamp_ms=records[-1]["timestamp_ms"] if records else None,
    )


@pytest.mark.parametrize(
    ("name", "other"),
    [("value", b""), ("key", b"other"), ("timestamp_ms", 1), ("headers", [{"name": "x", "value": b""}])],
)
def test_a_consistent_forgery_differs_from_the_topic(
    pipeline: Pipeline, folder: Path, name: str, other: object
) -> None:
    topic, offsets = pipeline.topics.ledger, list[int]()

    def change(records: list[Record]) -> None:
        records[-1][name] = other
        offsets.append(records[-1]["offset"])

    forged(folder, topic, change)
    assert verify_archive(folder, None).ok
    [difference] = verify_archive(folder, beside(pipeline)).differences
    named = name.removesuffix("_ms")
    expected = f"the {named} that the topic holds", f"another {named} in the archive"
    assert difference == ArchiveDiffers(f"{topic}[0] offset {offsets[0]}", *expected)


def left_out(records: list[Record], link: Link) -> int:
    """A segment that covers an offset without having its record."""
    return int(records.pop(0)["offset"])


def invented(records: list[Record], link: Link) -> int:
    """A record where the topic has a marker."""
    offset = link.next_offset - 1
    assert records[-1]["offset"] < offset
    records.append({**records[-1], "offset": offset})
    return offset


@pytest.mark.parametrize(
    ("change", "expected"),
    [(left_out, "this record in the archive"), (invented, "the archived record in the topic")],
)
def test_a_record_too_few_or_too_many_differs_from_the_topic(
    pipeline: Pipeline, folder: Path, change: Callable[[list[Record], Link], int], expected: str
) -> None:
    topic, offsets = pipeline.topics.ledger, list[int]()
    link = links_of(folder, topic)[-1]
    forged(folder, topic, lambda records: offsets.append(change(records, link)))
    assert verify_archive(folder, None).ok
    [difference] = verify_archive(folder, beside(pipeline)).differences
    assert (difference.place, expected in difference.expected) == (f"{topic}[0] offset {offsets[0]}", True)


def test_bytes_that_no_avro_library_reads_are_named(folder: Path, pipeline: Pipeline) -> None:
    """The link vouches for them, so only reading them tells."""
    link = links_of(folder, pipeline.topics.ledger)[-1]
    path = folder / link.segment_key
    whole = path.read_bytes()
    for content in (b"", b"Obj\1", whole[:-40], whole[:-60] + b"\0" * 60):
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        rewrite(folder, msgspec.structs.replace(link, sha256=digest, size_bytes=len(content)))
        [difference] = verify_archive(folder, None).differences
        assert difference.place == link.segment_key, difference

"""The manifest of a partition: one link per segment, each holding the hash of the one before it.

`<topic>/<partition>/<first offset>.json` describes `<topic>/<partition>/<first offset>-<next offset>.avro`. A segment
belongs to the archive from the moment its link can be seen. The key of a link names no end, so that two writers who cut
the log differently want the same key, and only one gets it.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from runtime.archive.objects import ObjectFolder

GENESIS: Final = "0" * 64
"""What the first link of a partition names as the hash of the link before it."""

_LINK_KEY: Final = re.compile(r"(?P<first>\d{20})\.json")
_SEGMENT_KEY: Final = re.compile(r"(?P<first>\d{20})-(?P<next>\d{20})\.avro")


class ArchiveDamaged(Exception):
    """The first place where the archive is not what its manifest says."""

    def __init__(self, place: str, expected: object, found: object) -> None:
        self.place, self.expected, self.found = place, str(expected), str(found)
        super().__init__(f"archive {place}: expected {expected}, found {found}")


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One segment. Offsets are those covered: markers and aborted records have offsets too, and no record."""

    topic: str
    partition: int
    sequence: int
    """Links before this one."""

    first_offset: int
    next_offset: int
    """One past the last offset covered."""

    records: int
    first_timestamp_ms: int | None
    """Unix time of the first record; none where the segment has none."""

    last_timestamp_ms: int | None
    value_bytes: int
    """Sum of the values, uncompressed."""

    size_bytes: int
    sha256: str
    """Of the segment's bytes."""

    previous_sha256: str
    """Of the bytes of the link before this one."""

    @property
    def segment_key(self) -> str:
        return segment_key(self.topic, self.partition, self.first_offset, self.next_offset)

    @property
    def key(self) -> str:
        return f"{prefix_of(self.topic, self.partition)}{self.first_offset:020d}.json"

    def encoded(self) -> bytes:
        """The bytes of the object, and of its hash."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class Head(NamedTuple):
    """Where the next link joins."""

    sequence: int
    next_offset: int | None
    """None where nothing is archived: the first link may begin anywhere."""

    sha256: str

    def after(self, link: Link, encoded: bytes) -> "Head":
        """The head behind this link. Raises ArchiveDamaged where it does not join."""
        if link.sequence != self.sequence:
            raise ArchiveDamaged(link.key, f"link {self.sequence} of its partition", f"link {link.sequence}")
        if link.previous_sha256 != self.sha256:
            found = f"{link.previous_sha256}: the link before this one, or this one, was changed"
            raise ArchiveDamaged(link.key, f"{self.sha256}, the hash of the link before", found)
        return Head(self.sequence + 1, link.next_offset, hashlib.sha256(encoded).hexdigest())


BEGINNING: Final = Head(0, None, GENESIS)


class Objects(NamedTuple):
    """The keys of one partition."""

    links: list[str]
    segments: dict[str, tuple[int, int]]
    """Key → first and next offset, as the key says."""

    strangers: list[str]
    """Neither."""


def prefix_of(topic: str, partition: int) -> str:
    return f"{topic}/{partition}/"


def segment_key(topic: str, partition: int, first_offset: int, next_offset: int) -> str:
    """Twenty digits hold every 64-bit offset, so that the order of the keys is that of the offsets."""
    return f"{prefix_of(topic, partition)}{first_offset:020d}-{next_offset:020d}.avro"


def objects_of(folder: ObjectFolder, topic: str, partition: int) -> Objects:
    """What lies there, whether or not a link names it."""
    found = Objects([], {}, [])
    for key in folder.keys(prefix_of(topic, partition)):
        name = key.rpartition("/")[2]
        if _LINK_KEY.fullmatch(name):
            found.links.append(key)
        elif matched := _SEGMENT_KEY.fullmatch(name):
            found.segments[key] = int(matched["first"]), int(matched["next"])
        else:
            found.strangers.append(key)
    return found


def read_link(folder: ObjectFolder, key: str) -> tuple[Link, bytes]:
    """A link and its bytes. Raises ArchiveDamaged, OSError."""
    encoded = folder.path(key).read_bytes()
    try:
        link = msgspec.json.decode(encoded, type=Link)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArchiveDamaged(key, "a link of the manifest", error) from error
    if link.key != key or not link.first_offset <= link.next_offset:
        raise ArchiveDamaged(key, "the link that its key names", f"the link {link.key} up to {link.next_offset}")
    return link, encoded


def chain(folder: ObjectFolder, topic: str, partition: int) -> Iterator[tuple[Link, Head]]:
    """Every link with the head behind it, in order. Raises ArchiveDamaged at the first that does not join."""
    head = BEGINNING
    for key in objects_of(folder, topic, partition).links:
        link, encoded = read_link(folder, key)
        head = head.after(link, encoded)
        yield link, head


def head_of(folder: ObjectFolder, topic: str, partition: int) -> Head:
    """Where the next link joins, by the last link alone. Raises ArchiveDamaged, OSError."""
    links = objects_of(folder, topic, partition).links
    if not links:
        return BEGINNING
    link, encoded = read_link(folder, links[-1])
    return Head(link.sequence + 1, link.next_offset, hashlib.sha256(encoded).hexdigest())

"""A segment: consecutive records of one partition in one Avro Object Container File.

Holds the record as the broker has it (offset, time, key, headers, value byte for byte), so that a hash chain over the
values can be checked from the archive alone. The same records make the same bytes: nothing in a file depends on when or
by whom it was written.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import fastavro
from confluent_kafka import Message
from fastavro.write import Writer

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError
else:
    from backports.zstd import ZstdError

BLOCK_BYTES: Final = 65_536
"""Uncompressed; what a reader holds, and what each open segment holds while it is written. A block ends with the record
that fills it (at most 1 MB): 24 open segments hold 2 MB, 384 (64 shards) 25 MB."""

CODEC: Final = "zstandard"
LEVEL: Final = 1
"""Of ledger values in blocks: 51 % of the bytes at 3 ns of CPU a byte; deflate at its quickest 56 % at 18 ns."""

_SCHEMA: Final = fastavro.parse_schema(
    {
        "type": "record",
        "name": "ArchivedRecord",
        "namespace": "millrace.archive",
        "doc": "One record of a Kafka partition, as the broker has it.",
        "fields": [
            {"name": "offset", "type": "long"},
            {"name": "timestamp_ms", "type": "long", "doc": "Unix time; the broker's where the topic says so."},
            {"name": "key", "type": ["null", "bytes"]},
            {
                "name": "headers",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Header",
                        "fields": [{"name": "name", "type": "string"}, {"name": "value", "type": ["null", "bytes"]}],
                    },
                },
            },
            {"name": "value", "type": ["null", "bytes"]},
        ],
    }
)

Headers = list[tuple[str, bytes | None]]


class SegmentUnreadable(Exception):
    """The bytes are no segment of this partition."""


class ArchivedRecord:
    """A record again, asked like the Kafka client's `Message`."""

    __slots__ = ("_fields", "_partition", "_topic")

    def __init__(self, topic: str, partition: int, fields: dict[str, Any]) -> None:
        self._topic = topic
        self._partition = partition
        self._fields = fields

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._fields["offset"]  # type: ignore[no-any-return]

    def timestamp(self) -> tuple[int, int]:
        """Type of the time (always the broker's append time), Unix milliseconds."""
        return 2, self._fields["timestamp_ms"]

    def key(self) -> bytes | None:
        return self._fields["key"]  # type: ignore[no-any-return]

    def value(self) -> bytes | None:
        return self._fields["value"]  # type: ignore[no-any-return]

    def headers(self) -> Headers | None:
        return [(header["name"], header["value"]) for header in self._fields["headers"]] or None


class Sealed(NamedTuple):
    """What a finished file holds."""

    records: int
    first_timestamp_ms: int | None
    last_timestamp_ms: int | None
    value_bytes: int
    size_bytes: int
    sha256: str


class _HashedFile:
    """What the Avro writer needs of a file; counts and hashes what is written, so that nothing has to be read again."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        self.size_bytes += len(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    def seekable(self) -> bool:
        """The writer would look for a container to append to."""
        return False

    def sha256(self) -> str:
        return self._hash.hexdigest()


class SegmentWriter:
    """Writes one draft: `add` in order of the offsets, then `seal` or `discard`."""

    def __init__(self, draft: Path, topic: str, partition: int, first_offset: int) -> None:
        self.draft = draft
        self.records = 0
        self.value_bytes = 0
        self.first_timestamp_ms: int | None = None
        self.last_timestamp_ms: int | None = None
        self._file = draft.open("wb", buffering=0)  # a block is written at once: nothing is gained by another buffer
        self._hashed = _HashedFile(self._file)
        self._writer: Any = Writer(
            self._hashed,
            _SCHEMA,
            CODEC,
            sync_interval=BLOCK_BYTES,
            compression_level=LEVEL,
            metadata=_metadata(topic, partition, first_offset),
            sync_marker=_sync_marker(topic, partition, first_offset),
        )

    def add(self, message: Message) -> None:
        """Raises OSError where the disk is full."""
        timestamp_ms, value = message.timestamp()[1], message.value()
        self._writer.write(
            {
                "offset": message.offset(),
                "timestamp_ms": timestamp_ms,
                "key": message.key(),
                "headers": [{"name": name, "value": content} for name, content in message.headers() or ()],
                "value": value,
            }
        )
        self.records += 1
        self.value_bytes += len(value or b"")
        if self.first_timestamp_ms is None:
            self.first_timestamp_ms = timestamp_ms
        self.last_timestamp_ms = timestamp_ms

    def seal(self) -> Sealed:
        """Finish the file and put it on disk. Raises OSError."""
        self._writer.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return Sealed(
            self.records,
            self.first_timestamp_ms,
            self.last_timestamp_ms,
            self.value_bytes,
            self._hashed.size_bytes,
            self._hashed.sha256(),
        )

    def discard(self) -> None:
        self._file.close()
        self.draft.unlink(missing_ok=True)


def _metadata(topic: str, partition: int, first_offset: int) -> dict[str, str]:
    """Says where a file belongs, should it be found elsewhere."""
    return {
        "millrace.topic": topic,
        "millrace.partition": str(partition),
        "millrace.first_offset": str(first_offset),
    }


def _sync_marker(topic: str, partition: int, first_offset: int) -> bytes:
    """Avro asks for sixteen bytes that do not occur by chance; derived, so that a file can be made again."""
    return hashlib.sha256(f"{topic}/{partition}/{first_offset}".encode()).digest()[:16]


def read_segment(path: Path, topic: str, partition: int, first_offset: int) -> Iterator[ArchivedRecord]:
    """Its records, block by block. Raises SegmentUnreadable, OSError."""
    expected = _metadata(topic, partition, first_offset)
    with path.open("rb") as file:
        try:
            container: Any = fastavro.reader(file)
            found = {name: container.metadata.get(name) for name in expected}
            if found != expected:
                raise SegmentUnreadable(f"it says of itself {found}, expected {expected}")
            for fields in container:
                yield ArchivedRecord(topic, partition, fields)
        except (ValueError, EOFError, KeyError, IndexError, ZstdError) as error:
            raise SegmentUnreadable(f"no Avro container file: {error or type(error).__name__}") from error


def digest_of(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()

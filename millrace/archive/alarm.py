"""The alarm of the archive: retention has deleted, or soon deletes, what is not archived yet.

Reads the last link of every partition, and asks the brokers where its log begins and where its records of half its
retention ago lie. Independent of the archiver, which may be what stands still. A look at 24 partitions costs three
requests and 24 small files.
"""

import time
from collections.abc import Sequence

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from millrace.asked_alarm import AskedAlarm
from runtime.archive.manifest import ArchiveDamaged, head_of
from runtime.archive.objects import ObjectFolder
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.topics import ARCHIVED, Topic, partitions

ASK_EVERY_S = 60.0
"""The shortest half of a retention is three and a half days."""

_TIMEOUT_S = 10
_HOUR_MS = 3_600_000

Place = tuple[str, int]


class ArchiveAlarm(AskedAlarm):
    """A line per topic in trouble. Without an archive there is nothing to look after."""

    silences = (KafkaException, TimeoutError)
    unanswered = "the archive can't be compared with the brokers"

    def __init__(self, settings: Settings, topics: Sequence[Topic] = ARCHIVED, every_s: float = ASK_EVERY_S) -> None:
        super().__init__(every_s)
        self._folder = None if settings.archive_dir is None else ObjectFolder(settings.archive_dir)
        self._topics = {
            (topic.name, shard): topic for topic in topics for shard in range(partitions(topic, settings.shards))
        }
        self._admin = AdminClient(Brokers.of(settings).configuration()) if self._folder is not None else None

    def _look(self) -> list[str]:
        if self._folder is None:
            return []
        try:
            return self._compared(self._folder)
        except TimeoutError:
            raise  # of the brokers: an OSError too, and no trouble of the archive
        except (ArchiveDamaged, OSError) as error:
            return [f"the archive can't be read: {' '.join(str(error).split())}"]

    def _compared(self, folder: ObjectFolder) -> list[str]:
        begins = self._offsets(dict.fromkeys(self._topics, OffsetSpec.earliest()))
        due = self._offsets({place: self._half_life(topic) for place, topic in self._topics.items()})
        ends = self._offsets(dict.fromkeys(self._topics, OffsetSpec.latest()))
        found: dict[str, str] = {}
        for place in self._topics:
            archived_to = head_of(folder, *place).next_offset
            next_offset = begins[place] if archived_to is None else archived_to  # an archive may begin late
            said = self._trouble(place, next_offset, begins[place], due[place] if due[place] >= 0 else ends[place])
            if said:
                found.setdefault(place[0], f"{place[0]}[{place[1]}]: {said}")
        return list(found.values())

    def _trouble(self, place: Place, next_offset: int, begins: int, due: int) -> str:
        """`due` is the first offset that is younger than half of the retention."""
        retention_ms = self._topics[place].retention_ms
        if begins > next_offset:
            return f"offsets {next_offset} to {begins - 1} were deleted before they were archived"
        if retention_ms > 0 and due > next_offset:
            hours = retention_ms // 2 // _HOUR_MS
            return f"offset {next_offset} is not archived after {hours} h, half of its retention: does `archive` run?"
        return ""

    @staticmethod
    def _half_life(topic: Topic) -> OffsetSpec:
        """Kept for ever is never due: then the beginning is asked for."""
        if topic.retention_ms <= 0:
            return OffsetSpec.earliest()
        return OffsetSpec.for_timestamp(time.time_ns() // 1_000_000 - topic.retention_ms // 2)

    def _offsets(self, asked: dict[Place, OffsetSpec]) -> dict[Place, int]:
        """-1 where no record is that new. Raises KafkaException."""
        assert self._admin is not None
        wanted = {TopicPartition(*place): spec for place, spec in asked.items()}
        answers = self._admin.list_offsets(wanted, request_timeout=_TIMEOUT_S)
        return {(at.topic, at.partition): answer.result(_TIMEOUT_S).offset for at, answer in answers.items()}

"""Origin: the place that a record was set aside from. Its text names the record to operators and in headers."""

import re
from typing import NamedTuple, Self

REDRIVEN_FROM = "redriven_from"
"""Header of a command that came out of quarantine: the text of its origin."""

_TEXT = re.compile(r"([a-zA-Z0-9._-]{1,249})-([0-9]{1,9})-([0-9]{1,18})-([0-9]{1,9})")


class Origin(NamedTuple):
    """Topic, partition and offset of a record, and the place inside it where it was packed (from 0)."""

    topic: str
    partition: int
    offset: int
    item: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}-{self.item}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The origin that a text names, or None where it names none."""
        matched = _TEXT.fullmatch(text)
        if matched is None:
            return None
        topic, partition, offset, item = matched.groups()
        return cls(topic, int(partition), int(offset), int(item))

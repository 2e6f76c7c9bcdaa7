"""What every parser gives back, and how it refuses a file."""

from collections import Counter
from enum import StrEnum
from typing import BinaryIO, NamedTuple

from payments.screening.entries import Alias, ListEntry, Quality, Source
from payments.screening.names import NAME_CHARACTERS_MAX


class Skipped(StrEnum):
    """Why something of a file is not among the entries."""

    ENTRY_WITHOUT_NAME = "entry_without_name"
    ENTRY_NAME_TOO_LONG = "entry_name_too_long"
    ALIAS_WITHOUT_NAME = "alias_without_name"
    ALIAS_TOO_LONG = "alias_too_long"
    ALIAS_OF_NO_ENTRY = "alias_of_no_entry"
    ADDRESS_OF_NO_ENTRY = "address_of_no_entry"
    BIRTH_DATE_NOT_UNDERSTOOD = "birth_date_not_understood"


class ListRefused(Exception):
    """A file is not what it should be: which file and line, what is wrong, and what to do. Nothing of it counts."""

    def __init__(self, file: str, line: int, wrong: str, advice: str) -> None:
        super().__init__(f"{file}, line {line}: {wrong}; {advice}")


DOWNLOAD_AGAIN = "download the file again from its publisher"


class NamedFile(NamedTuple):
    """A stream and what messages call it."""

    name: str
    stream: BinaryIO


class PublishedList(NamedTuple):
    """The entries of one publisher, and how much was left out for which reason."""

    source: Source
    entries: tuple[ListEntry, ...]
    skipped: Counter[Skipped]


def usable_name(text: str, skipped: Counter[Skipped]) -> bool:
    """Whether an entry can stand under this name; counts it where not."""
    if not text:
        skipped[Skipped.ENTRY_WITHOUT_NAME] += 1
    elif len(text) > NAME_CHARACTERS_MAX:
        skipped[Skipped.ENTRY_NAME_TOO_LONG] += 1
    return 0 < len(text) <= NAME_CHARACTERS_MAX


def usable_alias(text: str, quality: Quality, skipped: Counter[Skipped]) -> tuple[Alias, ...]:
    """The alias, or nothing where it can't be one; counts it then."""
    if not text:
        skipped[Skipped.ALIAS_WITHOUT_NAME] += 1
    elif len(text) > NAME_CHARACTERS_MAX:
        skipped[Skipped.ALIAS_TOO_LONG] += 1
    else:
        return (Alias(text, quality),)
    return ()

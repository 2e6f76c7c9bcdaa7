"""An entry of a sanctions list, whoever published it, and what changed between two versions of a list."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from payments.screening.names import Schema


class Source(StrEnum):
    """Who published a list."""

    OFAC = "ofac"
    UN = "un"
    EU = "eu"


class Quality(StrEnum):
    """How much its publisher thinks of a name: a weak alias is a nickname or a generic word."""

    PRIMARY = "primary"
    STRONG = "strong"
    WEAK = "weak"


class Alias(NamedTuple):
    """Another name of the same person, organisation or vessel."""

    text: str
    quality: Quality


class EntryKey(NamedTuple):
    """What an entry keeps through all versions of its list."""

    source: Source
    uid: str


class ListEntry(NamedTuple):
    """One listed person, organisation, vessel or aircraft."""

    source: Source
    uid: str
    schema: Schema
    name: str
    aliases: tuple[Alias, ...] = ()
    birth_dates: tuple[str, ...] = ()
    """ISO 8601, as exact as it is known: a year, a month or a day."""
    countries: tuple[str, ...] = ()
    """As the list writes them."""
    programmes: tuple[str, ...] = ()

    @property
    def key(self) -> EntryKey:
        """Source and uid."""
        return EntryKey(self.source, self.uid)

    def names(self) -> Iterator[Alias]:
        """The primary name, then the aliases."""
        yield Alias(self.name, Quality.PRIMARY)
        yield from self.aliases

    def fingerprint(self) -> bytes:
        """SHA-256 over all fields: equal where nothing changed. The order of a list's parts is no change."""
        groups = (
            (self.source, self.uid, self.schema, self.name),
            sorted(f"{alias.quality} {alias.text}" for alias in self.aliases),
            sorted(self.birth_dates),
            sorted(self.countries),
            sorted(self.programmes),
        )
        digest = hashlib.sha256()
        for group in groups:
            digest.update(len(group).to_bytes(4, "big"))
            for text in group:
                encoded = text.encode()
                digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return digest.digest()


class Delta(NamedTuple):
    """What a new version of a list brings. Subjects are screened again against `added` and `changed` alone."""

    added: tuple[ListEntry, ...]
    changed: tuple[ListEntry, ...]
    removed: tuple[EntryKey, ...]

    def to_screen(self) -> tuple[ListEntry, ...]:
        """The entries that no subject has been compared with as they are now."""
        return self.added + self.changed


def delta(old: Mapping[EntryKey, bytes], new: Iterable[ListEntry]) -> Delta:
    """The way from the old version, given as fingerprints, to the new one. Raises ValueError for a uid that repeats."""
    added, changed, seen = [], [], set()
    for entry in new:
        if entry.key in seen:
            raise ValueError(f"{entry.source} entry {entry.uid} stands in the list twice")
        seen.add(entry.key)
        if entry.key not in old:
            added.append(entry)
        elif old[entry.key] != entry.fingerprint():
            changed.append(entry)
    return Delta(tuple(added), tuple(changed), tuple(key for key in old if key not in seen))

"""The consolidated financial sanctions list of the European Union (FSF), XML version 1.1.

Format: European Commission, "xmlFullSanctionsList_1_1": everything stands in attributes. The first strong name is the
primary one; `strong="false"` is a weak alias.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from payments.screening.entries import Alias, ListEntry, Quality, Source
from payments.screening.names import Schema
from screening.lists.dates import birth_date
from screening.lists.published import (
    DOWNLOAD_AGAIN,
    ListRefused,
    NamedFile,
    PublishedList,
    Skipped,
    usable_alias,
    usable_name,
)
from screening.lists.xml_records import xml_records

XML_ROOT: Final = "export"

_SCHEMAS: Final = {"P": Schema.PERSON, "E": Schema.ORGANIZATION}
_QUALITIES: Final = {"true": Quality.STRONG, "false": Quality.WEAK}
_UNKNOWN_COUNTRY: Final = "00"


def read_xml(file: NamedFile) -> PublishedList:
    """The whole list. Raises ListRefused."""
    skipped: Counter[Skipped] = Counter()
    entries = []
    for element, line in xml_records(file.stream, file.name, XML_ROOT, ["sanctionEntity"]):
        uid, kind = element.get("logicalId", ""), _attribute(element, "subjectType", "classificationCode")
        if not uid or kind not in _SCHEMAS:
            wrong = f"an entity with logicalId {uid!r} and classificationCode {kind!r}"
            raise ListRefused(file.name, line, wrong, DOWNLOAD_AGAIN)
        names = sorted(_names(element, file.name, line, skipped), key=lambda name: name.quality is Quality.WEAK)
        if usable_name(names[0].text if names else "", skipped):
            entries.append(
                ListEntry(
                    Source.EU,
                    uid,
                    _SCHEMAS[kind],
                    names[0].text,
                    tuple(names[1:]),
                    tuple(_birth_dates(element, skipped)),
                    tuple(_countries(element)),
                    tuple(
                        dict.fromkeys(filter(None, (one.get("programme") for one in element.iterfind("regulation"))))
                    ),
                )
            )
    return PublishedList(Source.EU, tuple(entries), skipped)


def _attribute(element: Element, path: str, name: str) -> str:
    found = element.find(path)
    return "" if found is None else found.get(name, "")


def _names(element: Element, file: str, line: int, skipped: Counter[Skipped]) -> Iterator[Alias]:
    for alias in element.iterfind("nameAlias"):
        parts = (alias.get(part, "") for part in ("firstName", "middleName", "lastName"))
        name = " ".join((alias.get("wholeName") or " ".join(parts)).split())
        quality = _QUALITIES.get(alias.get("strong", "true"))
        if quality is None:
            raise ListRefused(file, line, f"a name with strong={alias.get('strong')!r}", DOWNLOAD_AGAIN)
        yield from usable_alias(name, quality, skipped)


def _birth_dates(element: Element, skipped: Counter[Skipped]) -> Iterator[str]:
    for birth in element.iterfind("birthdate"):
        first, last = birth.get("yearRangeFrom"), birth.get("yearRangeTo")
        said = birth.get("birthdate") or birth.get("year") or (f"{first} to {last}" if first else "")
        known = birth_date(said)
        if known is not None:
            yield known
        elif said:
            skipped[Skipped.BIRTH_DATE_NOT_UNDERSTOOD] += 1


def _countries(element: Element) -> Iterator[str]:
    codes = (one.get("countryIso2Code", "") for path in ("citizenship", "address") for one in element.iterfind(path))
    yield from dict.fromkeys(code for code in codes if code and code != _UNKNOWN_COUNTRY)

"""The consolidated list of the United Nations Security Council, in XML.

Format: the Council's "Consolidated list XML schema". A name stands in up to four parts; `Low` is a weak alias.
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
from screening.lists.xml_records import text_of, texts_of, xml_records

XML_ROOT: Final = "CONSOLIDATED_LIST"

_SCHEMAS: Final = {"INDIVIDUAL": Schema.PERSON, "ENTITY": Schema.ORGANIZATION}
_NAME_PARTS: Final = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")
_QUALITIES: Final = {
    "good": Quality.STRONG,
    "a.k.a.": Quality.STRONG,
    "f.k.a.": Quality.STRONG,
    "low": Quality.WEAK,
}


def read_xml(file: NamedFile) -> PublishedList:
    """The whole list. Raises ListRefused."""
    skipped: Counter[Skipped] = Counter()
    entries = []
    for element, line in xml_records(file.stream, file.name, XML_ROOT, _SCHEMAS):
        uid = text_of(element, "DATAID")
        if not uid:
            raise ListRefused(file.name, line, "an entry without DATAID", DOWNLOAD_AGAIN)
        name = " ".join(filter(None, (text_of(element, part) for part in _NAME_PARTS)))
        if usable_name(name, skipped):
            entries.append(
                ListEntry(
                    Source.UN,
                    uid,
                    _SCHEMAS[element.tag],
                    name,
                    tuple(_aliases(element, file.name, line, skipped)),
                    tuple(_birth_dates(element, skipped)),
                    _countries(element),
                    texts_of(element, "UN_LIST_TYPE"),
                )
            )
    return PublishedList(Source.UN, tuple(entries), skipped)


def _aliases(element: Element, file: str, line: int, skipped: Counter[Skipped]) -> Iterator[Alias]:
    for text in texts_of(element, "NAME_ORIGINAL_SCRIPT"):
        yield from usable_alias(text, Quality.STRONG, skipped)
    for alias in element.iterfind(f"{element.tag}_ALIAS"):
        said, name = text_of(alias, "QUALITY"), text_of(alias, "ALIAS_NAME")
        if not said and not name:
            continue  # how the file writes that there is none
        quality = _QUALITIES.get(said.lower())
        if quality is None:
            raise ListRefused(file, line, f"an alias of quality {said!r}", f"known are {', '.join(_QUALITIES)}")
        yield from usable_alias(name, quality, skipped)


def _birth_dates(element: Element, skipped: Counter[Skipped]) -> Iterator[str]:
    for birth in element.iterfind("INDIVIDUAL_DATE_OF_BIRTH"):
        first, last = text_of(birth, "FROM_YEAR"), text_of(birth, "TO_YEAR")
        said = text_of(birth, "DATE")[:10] or text_of(birth, "YEAR") or (f"{first} to {last}" if first else "")
        known = birth_date(said)
        if known is not None:
            yield known
        elif said:
            skipped[Skipped.BIRTH_DATE_NOT_UNDERSTOOD] += 1


def _countries(element: Element) -> tuple[str, ...]:
    paths = ("NATIONALITY/VALUE", f"{element.tag}_ADDRESS/COUNTRY")
    return tuple(dict.fromkeys(country for path in paths for country in texts_of(element, path)))

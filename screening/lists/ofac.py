"""OFAC's lists of Specially Designated Nationals and consolidated non-SDN lists: SDN.XML, or SDN.CSV, ALT.CSV, ADD.CSV.

Formats: OFAC, "Specification for the SDN list (delimited)" and the schema of sdn.xml. The CSV files have no header and
write `-0-` for nothing; weak aliases and dates of birth stand in their remarks as prose, so prefer the XML.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from io import TextIOWrapper
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

XML_ROOT: Final = "sdnList"
NOTHING: Final = "-0-"
SDN_COLUMNS: Final = 12
"""ent_num, SDN_Name, SDN_Type, Program, Title, Call_Sign, Vess_type, Tonnage, GRT, Vess_flag, Vess_owner, Remarks."""
ALT_COLUMNS: Final = 5
"""ent_num, alt_num, alt_type, alt_name, alt_remarks."""
ADD_COLUMNS: Final = 6
"""ent_num, add_num, address, city/state/postal code, country, add_remarks."""

_SCHEMAS: Final = {
    "individual": Schema.PERSON,
    "entity": Schema.ORGANIZATION,
    "vessel": Schema.VESSEL,
    "aircraft": Schema.AIRCRAFT,
    "": Schema.ORGANIZATION,
}
_QUALITIES: Final = {"strong": Quality.STRONG, "weak": Quality.WEAK}
_PROGRAMME: Final = re.compile(r"[^\[\]]+")
_REMARKED: Final = re.compile(r"(?:^|; )(?:alt\. )?(DOB|a\.k\.a\.|nationality|citizen) ([^;]+?)\.?(?=;|$)")
_END_OF_FILE: Final = "\x1a"
"""Each CSV file ends with the Ctrl-Z of CP/M."""


def read_xml(file: NamedFile) -> PublishedList:
    """SDN.XML or CONSOLIDATED.XML. Raises ListRefused."""
    skipped: Counter[Skipped] = Counter()
    entries = []
    for element, line in xml_records(file.stream, file.name, XML_ROOT, ["sdnEntry"]):
        uid, kind = text_of(element, "uid"), text_of(element, "sdnType").lower()
        if not uid or kind not in _SCHEMAS:
            raise ListRefused(file.name, line, f"an entry with uid {uid!r} and sdnType {kind!r}", DOWNLOAD_AGAIN)
        name = _full_name(element)
        if usable_name(name, skipped):
            entries.append(
                ListEntry(
                    Source.OFAC,
                    uid,
                    _SCHEMAS[kind],
                    name,
                    tuple(_aliases(element, file.name, line, skipped)),
                    tuple(_birth_dates(texts_of(element, "dateOfBirthList/dateOfBirthItem/dateOfBirth"), skipped)),
                    _countries(element),
                    texts_of(element, "programList/program"),
                )
            )
    return PublishedList(Source.OFAC, tuple(entries), skipped)


def _full_name(element: Element) -> str:
    return f"{text_of(element, 'firstName')} {text_of(element, 'lastName')}".strip()


def _aliases(element: Element, file: str, line: int, skipped: Counter[Skipped]) -> Iterator[Alias]:
    for alias in element.iterfind("akaList/aka"):
        category = text_of(alias, "category").lower()
        if category not in _QUALITIES:
            raise ListRefused(file, line, f"an alias of category {category!r}, expected strong or weak", DOWNLOAD_AGAIN)
        yield from usable_alias(_full_name(alias), _QUALITIES[category], skipped)


def _countries(element: Element) -> tuple[str, ...]:
    paths = (
        "nationalityList/nationality/country",
        "citizenshipList/citizenship/country",
        "addressList/address/country",
    )
    return tuple(dict.fromkeys(country for path in paths for country in texts_of(element, path)))


def _birth_dates(texts: tuple[str, ...], skipped: Counter[Skipped]) -> Iterator[str]:
    for text in texts:
        known = birth_date(text)
        if known is None:
            skipped[Skipped.BIRTH_DATE_NOT_UNDERSTOOD] += 1
        else:
            yield known


def read_csv(sdn: NamedFile, alt: NamedFile | None = None, add: NamedFile | None = None) -> PublishedList:
    """SDN.CSV with what the other two files add to it. Raises ListRefused."""
    skipped: Counter[Skipped] = Counter()
    aliases: defaultdict[str, list[Alias]] = defaultdict(list)
    countries: defaultdict[str, list[str]] = defaultdict(list)
    for row, _ in _rows(alt, ALT_COLUMNS):
        aliases[row[0]] += usable_alias(row[3], Quality.STRONG, skipped)
    for row, _ in _rows(add, ADD_COLUMNS):
        countries[row[0]] += [row[4]] if row[4] else []
    entries = []
    for row, line in _rows(sdn, SDN_COLUMNS):
        uid, name, kind = row[0], row[1], row[2].lower()
        if not uid or kind not in _SCHEMAS:
            raise ListRefused(sdn.name, line, f"an entry with number {uid!r} and type {kind!r}", DOWNLOAD_AGAIN)
        known_as, lives_in = aliases.pop(uid, []), countries.pop(uid, [])
        if usable_name(name, skipped):
            entries.append(_csv_entry(row, _SCHEMAS[kind], known_as, lives_in, skipped))
    skipped[Skipped.ALIAS_OF_NO_ENTRY] += sum(map(len, aliases.values()))
    skipped[Skipped.ADDRESS_OF_NO_ENTRY] += sum(map(len, countries.values()))
    return PublishedList(Source.OFAC, tuple(entries), +skipped)


def _csv_entry(
    row: list[str], schema: Schema, aliases: list[Alias], countries: list[str], skipped: Counter[Skipped]
) -> ListEntry:
    remarks: defaultdict[str, list[str]] = defaultdict(list)
    for word, text in _REMARKED.findall(row[11]):
        remarks[word].append(text.strip("'\""))
    weak = [alias for text in remarks["a.k.a."] for alias in usable_alias(text, Quality.WEAK, skipped)]
    return ListEntry(
        Source.OFAC,
        row[0],
        schema,
        row[1],
        (*aliases, *weak),
        tuple(_birth_dates(tuple(remarks["DOB"]), skipped)),
        tuple(dict.fromkeys([*remarks["nationality"], *remarks["citizen"], *countries])),
        tuple(programme.strip() for programme in _PROGRAMME.findall(row[3]) if programme.strip()),
    )


def _rows(file: NamedFile | None, columns: int) -> Iterator[tuple[list[str], int]]:
    """Each row with its line; `-0-` is empty."""
    if file is None:
        return
    reader = csv.reader(TextIOWrapper(file.stream, "utf-8", newline=""), strict=True)
    try:
        for row in reader:
            if row == [_END_OF_FILE]:
                return
            if len(row) != columns:
                wrong = f"{len(row)} columns, expected {columns}"
                raise ListRefused(file.name, reader.line_num, wrong, "give SDN.CSV, ALT.CSV and ADD.CSV as published")
            plain = (" ".join(cell.split()) for cell in row)
            yield ["" if cell == NOTHING else cell for cell in plain], reader.line_num
    except csv.Error as error:
        raise ListRefused(file.name, reader.line_num, f"no CSV ({error})", DOWNLOAD_AGAIN) from error
    except UnicodeDecodeError as error:
        raise ListRefused(file.name, reader.line_num + 1, "not in UTF-8", DOWNLOAD_AGAIN) from error

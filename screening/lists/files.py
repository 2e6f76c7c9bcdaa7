"""Files on disk → published lists: which format a file has is read from its beginning, never from its name."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from screening.lists import eu, ofac, un
from screening.lists.published import ListRefused, NamedFile, PublishedList

_HEAD_BYTES: Final = 4_096
_XML: Final[dict[str, Callable[[NamedFile], PublishedList]]] = {
    ofac.XML_ROOT: ofac.read_xml,
    un.XML_ROOT: un.read_xml,
    eu.XML_ROOT: eu.read_xml,
}
_CSV: Final = {ofac.SDN_COLUMNS: "SDN.CSV", ofac.ALT_COLUMNS: "ALT.CSV", ofac.ADD_COLUMNS: "ADD.CSV"}
_OUTERMOST: Final = re.compile(rb"<(?:\w+:)?([A-Za-z_]\w*)[\s>]")
_KNOWN: Final = (
    "give OFAC's SDN.XML or SDN.CSV (with ALT.CSV and ADD.CSV), the UN's consolidated XML or the EU's FSF XML"
)


def read_files(paths: Iterable[Path]) -> Iterator[PublishedList]:
    """Each list, OFAC's CSV files as one. Raises ListRefused, OSError."""
    with ExitStack() as opened:
        parts: dict[str, NamedFile] = {}
        for path in paths:
            file = NamedFile(path.name, opened.enter_context(path.open("rb")))
            part = _format_of(file)
            if part in _XML:
                yield _XML[part](file)
            elif part in parts:
                raise ListRefused(file.name, 1, f"a second {part} after {parts[part].name}", "give each file once")
            else:
                parts[part] = file
        if parts:
            yield _read_csv_parts(parts)


def _read_csv_parts(parts: dict[str, NamedFile]) -> PublishedList:
    sdn, alt, add = (parts.get(name) for name in _CSV.values())
    if sdn is None:
        given = next(iter(parts.values()))
        raise ListRefused(given.name, 1, "aliases or addresses without their entries", "give SDN.CSV too")
    return ofac.read_csv(sdn, alt, add)


def _format_of(file: NamedFile) -> str:
    """An outermost element of `_XML`, or a file of `_CSV`."""
    head = file.stream.read(_HEAD_BYTES)
    file.stream.seek(0)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        outermost = _OUTERMOST.search(head)
        root = outermost[1].decode() if outermost else "?"
        if root not in _XML:
            raise ListRefused(file.name, 1, f"XML with the outermost element <{root}>", _KNOWN)
        return root
    first = next(csv.reader([head.split(b"\n")[0].decode(errors="replace")]), [])
    if len(first) not in _CSV:
        raise ListRefused(file.name, 1, f"neither XML nor OFAC's CSV ({len(first)} columns)", _KNOWN)
    return _CSV[len(first)]

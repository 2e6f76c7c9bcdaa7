"""A statement as one JSON object (ingest_api.statements.shown.Statement), written as its entries come."""

import sys
from collections.abc import Sequence
from typing import Final

from ingest_api.http.resources import encode
from ingest_api.statements.formats.rendering import Head
from ingest_api.statements.line import Line
from ingest_api.statements.shown import shown_entry, shown_head, shown_total
from ingest_api.statements.totals import Totals

_NOTHING_YET: Final = b'[],"totals":[]}'


class JsonStatement:
    """Entries are appended to the empty list that the head ends with."""

    entries_max = sys.maxsize

    def __init__(self) -> None:
        self._currency = ""
        self._separator = b""

    def head(self, head: Head) -> bytes:
        self._currency = head.currency
        return encode(shown_head(head)).removesuffix(_NOTHING_YET) + b"["

    def lines(self, lines: Sequence[Line]) -> bytes:
        written = b",".join(encode(shown_entry(line, self._currency)) for line in lines)
        separator, self._separator = self._separator, b","
        return separator + written

    def foot(self, totals: Totals) -> bytes:
        return b'],"totals":' + encode([shown_total(*of_kind, self._currency) for of_kind in totals]) + b"}"

"""The formats by name, with media type, file suffix, and what writes them."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from ingest_api.statements.formats.camt053 import Camt053Statement
from ingest_api.statements.formats.csv_table import CsvStatement
from ingest_api.statements.formats.json_document import JsonStatement
from ingest_api.statements.formats.rendering import Rendering


class StatementFormat(StrEnum):
    """The value is the public word."""

    JSON = "json"
    CSV = "csv"
    CAMT053 = "camt053"
    PDF = "pdf"


class Written(NamedTuple):
    """How a format is named to browsers, and a new rendering in it."""

    media: str
    suffix: str
    begin: Callable[[], Rendering]


def _begin_pdf() -> Rendering:
    # Imported when it is first asked for: libraries and fonts take two seconds and 12 MB.
    from ingest_api.statements.formats.pdf import PdfStatement

    return PdfStatement()


FORMATS: Final[dict[StatementFormat, Written]] = {
    StatementFormat.JSON: Written("application/json", "json", JsonStatement),
    StatementFormat.CSV: Written("text/csv; charset=utf-8; header=present", "csv", CsvStatement),
    StatementFormat.CAMT053: Written("application/xml", "xml", Camt053Statement),
    StatementFormat.PDF: Written("application/pdf", "pdf", _begin_pdf),
}

"""From a file to lines of batches: CSV with a header, or NDJSON. Amounts stay the decimal text that they are.

A line without an `idempotency_key` gets one that follows from the content of the whole file and the line's number, so
the same file always asks for the same payments.
"""

import csv
import hashlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from millrace.client.batches import Line

COLUMNS: Final = (
    "kind",
    "from_account",
    "to_account",
    "account",
    "amount",
    "currency",
    "method",
    "description",
    "overdraft_limit",
    "idempotency_key",
)
_HASH_CHUNK_BYTES: Final = 1 << 20
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class FileRefused(Exception):
    """What is wrong with the file, and where."""


def digest_of(file: Path) -> str:
    """SHA-256 of the content."""
    hashed = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_HASH_CHUNK_BYTES):
            hashed.update(chunk)
    return hashed.hexdigest()


def lines_of(file: Path, keys: str) -> Iterator[Line]:
    """The lines in order; `keys` begins those keys that the file does not have. Raises FileRefused."""
    read = _csv_lines if file.suffix.lower() == ".csv" else _json_lines
    for number, line in enumerate(read(file), 1):
        yield {"idempotency_key": f"{keys}-{number}"} | line


def _csv_lines(file: Path) -> Iterator[Line]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.DictReader(opened, strict=True)
        try:
            unknown = set(reader.fieldnames or ()) - set(COLUMNS)
            if unknown or not reader.fieldnames:
                raise FileRefused(f"{file}: the first line names columns, of: {', '.join(COLUMNS)}")
            for row in reader:
                if None in row or None in row.values():
                    raise FileRefused(f"{file}:{reader.line_num}: not as many values as columns")
                yield {name: value.strip() for name, value in row.items() if value.strip()}
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileRefused(f"{file}:{reader.line_num + 1}: {error}") from None


def _json_lines(file: Path) -> Iterator[Line]:
    with file.open("rb") as opened:
        for number, raw in enumerate(opened, 1):
            if raw.isspace():
                continue
            try:
                yield _OBJECT.decode(raw)
            except (msgspec.DecodeError, ValueError) as error:
                raise FileRefused(f"{file}:{number}: {error}. One JSON object per line is needed.") from None

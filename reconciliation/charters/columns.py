"""Texts of a file → types of its columns and values, by OpenRec's order of types.

A column has the most specific type that all its values have; an empty value has none and counts for nothing.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from reconciliation.charters.charter import DataType
from reconciliation.charters.scripts import Value, converted

_BOOLEANS: Final = {
    "yes": True,
    "true": True,
    "1": True,
    "y": True,
    "no": False,
    "false": False,
    "0": False,
    "n": False,
}
_PATTERNS: Final = {
    DataType.DATETIME: re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"),
    DataType.INTEGER: re.compile(r"[-+]?[0-9]{1,19}"),
    DataType.DECIMAL: re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?"),
    DataType.UUID: re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
}
_ORDER: Final = tuple(DataType)
_DATE: Final = re.compile(r"(\d{1,4})([-/\\]|\W)(\d{1,4})\2(\d{1,4})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def column_type(texts: Iterable[str]) -> DataType:
    """Of all the values of a column; String where it has none."""
    found: DataType | None = None
    for text in texts:
        if text and found is not DataType.STRING:
            start = 0 if found is None else _ORDER.index(found)
            found = next(kind for kind in _ORDER[start:] if _is(text, kind))
    return found or DataType.STRING


def _is(text: str, kind: DataType) -> bool:
    if kind is DataType.STRING:
        return True
    if kind is DataType.BOOLEAN:
        return text in _BOOLEANS
    return _PATTERNS[kind].fullmatch(text) is not None and (kind is not DataType.DATETIME or _moment(text) is not None)


def value_of(text: str, kind: DataType) -> Value | None:
    """None for an empty text, and for one that is not of this type."""
    if kind is DataType.BOOLEAN:
        return _BOOLEANS.get(text)
    if kind is DataType.DATETIME:
        return _moment(text)
    return converted(text, kind)


def day_text(text: str, order: str) -> str:
    """A date of three numbers in the order `dmy`, `mdy` or `ymd` → RFC 3339 at midnight; other texts as they are."""
    parts = _DATE.fullmatch(text)
    if parts is None:
        return text
    numbers = dict(zip(order, (int(parts[1]), int(parts[3]), int(parts[4])), strict=True))
    try:
        day = date(numbers["y"], numbers["m"], numbers["d"])
    except ValueError:
        return text
    return f"{day.isoformat()}T00:00:00.000Z"


def _moment(text: str) -> int | None:
    """Milliseconds since 1970."""
    try:
        parsed = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return (parsed - _EPOCH) // timedelta(milliseconds=1) if parsed.tzinfo else None

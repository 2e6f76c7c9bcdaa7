"""CSV files and one side of a rule set → lines, by the names of the columns. A line that can't be read stops it all."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from payments.money import EXPONENTS
from reconciliation.matching.lines import Line
from reconciliation.matching.rules import Columns, RulesFault, Source

ABSENT: Final = -1
_INTEGER: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_WRITTEN: Final = {
    mark: re.compile(rf"[+-]?(\d{{1,3}}({other}\d{{2,3}})*{other}\d{{3}}|\d*)({own}\d*)?", re.ASCII)
    for mark, own, other in ((".", r"\.", ","), (",", ",", r"\."))
}
"""A thousands' separator stands where thousands end: "12,50" is no 1,250, whatever the rules call the decimal mark."""

_HUNDREDTHS: Final = 2


def read_lines(path: Path, source: Source, group_by: Sequence[str]) -> Iterator[Line]:
    """Lines that the filters keep, in order. Raises RulesFault with file, line and reason."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=source.delimiter)
            header = next((row for row in reader if any(row)), None)
            if header is None:
                raise RulesFault(f"{path.name} is empty: its first line names the columns")
            names = [name.strip() for name in header]
            yield from _Reader(path.name, source, group_by, names).read(reader, lambda: reader.line_num)
    except UnicodeDecodeError as error:
        raise RulesFault(f"{path.name} is no text in UTF-8; save it as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise RulesFault(f"{path.name}: {getattr(error, 'strerror', None) or error}") from error


class _Reader:
    """Columns resolved once: a value is then one index away. A column that is not there is the last, always empty."""

    def __init__(self, file: str, source: Source, group_by: Sequence[str], columns: Sequence[str]) -> None:
        self._file, self._source, self._columns = file, source, columns
        named = source.columns
        self._at = {name: self._index(getattr(named, name)) for name in Columns.__struct_fields__ if name != "keys"}
        self._keys = [self._index(named.keys.get(name, "")) for name in group_by]
        self._filters = [(self._index(one.column), set(one.one_of), set(one.none_of)) for one in source.filters]
        self._sign = self._index(source.direction.column) if source.direction else ABSENT
        plain = {"date", "amount", "credit", "debit", "currency", "id"}
        self._more = bool(self._keys) or any(at != ABSENT for name, at in self._at.items() if name not in plain)
        self._plain = all(self._at[name] == ABSENT for name in ("gross", "fee", "original_amount"))
        self._day: Callable[[str], date] = lru_cache(maxsize=4_096)(self._parsed_day)
        self._minor: Callable[[str, str], int] = lru_cache(maxsize=65_536)(self._parsed_minor)

    def _index(self, column: str) -> int:
        if not column:
            return ABSENT
        count = self._columns.count(column)
        if count > 1:
            raise RulesFault(f"{self._file}: {count} columns are called {column!r}")
        if not count:
            alone = self._columns[0] if len(self._columns) == 1 else ""
            other = next((mark for mark in ";\t|," if mark in alone), "")
            hint = f"; is its delimiter {other!r}? the rules say {self._source.delimiter!r}" if other else ""
            raise RulesFault(f"{self._file}: there is no column {column!r}; it has {', '.join(self._columns)}{hint}")
        return self._columns.index(column)

    def read(self, reader: Iterator[list[str]], position: Callable[[], int]) -> Iterator[Line]:
        """Lines that the filters keep; `position` is the number of the line read last. Raises RulesFault."""
        width = len(self._columns)
        for row in reader:
            if not any(row):
                continue
            if len(row) == width:
                row.append("")
            elif any(row[width:]):
                told = (
                    f"{len(row)} cells, the header {width}; put quotes around a text with a {self._source.delimiter!r}"
                )
                raise RulesFault(f"{self._file}, line {position()}: {told}")
            else:
                row += [""] * max(width + 1 - len(row), 1)
            if self._filters and not self._kept(row):
                continue
            try:
                yield self._line(row, position())
            except (ValueError, InvalidOperation) as error:
                raise RulesFault(f"{self._file}, line {position()}: {error}") from error

    def _kept(self, row: list[str]) -> bool:
        return all(
            (not one_of or row[at].strip() in one_of) and row[at].strip() not in none_of
            for at, one_of, none_of in self._filters
        )

    def _line(self, row: list[str], number: int) -> Line:
        at = self._at
        currency = self._source.currency or row[at["currency"]].strip()
        return Line(
            self._file,
            number,
            self._signed(row, currency),
            currency,
            self._day(row[at["date"]].strip()),
            row[at["id"]].strip(),
            *(self._others(row, currency) if self._more else ()),
        )

    def _others(self, row: list[str], currency: str) -> tuple[Any, ...]:
        at = self._at
        return (
            row[at["reference"]].strip(),
            tuple([row[key].strip() for key in self._keys]) if self._keys else (),
            row[at["entry"]].strip(),
            row[at["account"]].strip(),
            row[at["type"]].strip(),
            row[at["status"]].strip(),
            *(() if self._plain else self._optional(row, currency)),
        )

    def _signed(self, row: list[str], currency: str) -> int:
        at, source = self._at, self._source
        if at["amount"] != ABSENT:
            amount = self._minor(row[at["amount"]].strip(), currency)
        else:
            credit, debit = (row[at[name]].strip() or "0" for name in ("credit", "debit"))
            amount = self._minor(credit, currency) - self._minor(debit, currency)
        if source.direction is not None and row[self._sign].strip() in source.direction.negative:
            amount = -amount
        return -amount if source.negate else amount

    def _optional(self, row: list[str], currency: str) -> tuple[int | None, int | None, int | None, str]:
        """Gross, fee, original amount and its currency."""
        gross, fee, original = (row[self._at[name]].strip() for name in ("gross", "fee", "original_amount"))
        other = row[self._at["original_currency"]].strip() if original else ""
        return (
            self._minor(gross, currency) if gross else None,
            self._minor(fee, currency) if fee else None,
            self._minor(original, other) if original else None,
            other,
        )

    def _parsed_minor(self, text: str, currency: str) -> int:
        exponent = EXPONENTS.get(currency)
        if exponent is None:
            raise ValueError(f"{currency!r} is no currency of ISO 4217")
        if self._source.amounts == "minor":
            if not _INTEGER.fullmatch(text):
                raise ValueError(f"{text!r} is no amount in minor units")
            return int(text)
        if self._source.amounts == "major" and text[-exponent - 1 : -exponent] == self._source.decimal_mark:
            plain = text[: -exponent - 1] + text[-exponent:]
            if plain.isdecimal():  # as nearly all amounts are written: four times as quick as a Decimal
                return int(plain)
        if not _WRITTEN[self._source.decimal_mark].fullmatch(text):
            mark = f"; the rules say decimal_mark {self._source.decimal_mark!r}" if _INTEGER.search(text) else ""
            raise ValueError(f"{text!r} is no amount{mark}")
        number = Decimal(text.replace("," if self._source.decimal_mark == "." else ".", "").replace(",", "."))
        if self._source.amounts == "hundredths":
            number = number.scaleb(-_HUNDREDTHS)
        scaled = number.scaleb(exponent)
        if not scaled.is_finite() or scaled.adjusted() > 18 or scaled != scaled.to_integral_value():
            raise ValueError(f"{text!r} is no amount of {currency}")
        return int(scaled)

    def _parsed_day(self, text: str) -> date:
        wanted = self._source.date_format
        try:
            return (datetime.fromisoformat(text) if wanted == "iso" else datetime.strptime(text, wanted)).date()
        except ValueError:
            form = "as 2026-11-22; name its form in the rules (date_format)" if wanted == "iso" else f"as {wanted}"
            raise ValueError(f"{text!r} is no date {form}") from None

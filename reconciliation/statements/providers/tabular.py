"""Rows of a report + its profile → lines and statements: a statement for each account and currency in it.

The header may stand behind a title and blank rows; a row that is shorter than it was trimmed of blank cells. A row
whose amount or date can't be read is bad, and with it the file.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain

from msgspec.structs import replace

from reconciliation.statements.lines import (
    BadLine,
    Balance,
    ControlTotal,
    Event,
    Line,
    Position,
    Statement,
    balance_proof,
    stated_references,
)
from reconciliation.statements.providers.profile import AmountCell, Cell, DateCell, Profile, Selection
from reconciliation.statements.providers.tables import Row
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.values import (
    FRACTION_PLACES,
    day,
    fitting,
    nearest_minor,
    one_day_of,
    written_fractions,
    written_minor,
)

HEADER_ROWS_MAX = 50
STATEMENTS_MAX = 10_000
_UNIT_EXPONENTS = {"major": None, "minor": -1, "hundredths": 2}


@lru_cache(maxsize=4_096)  # names and words of types: of a row some forty are looked up, which was half of its time
def normal(name: str) -> str:
    """A column's name without regard to case, blanks and byte-order marks."""
    return " ".join(name.replace("\ufeff", "").split()).casefold()


def header_places(cells: list[str]) -> dict[str, int]:
    """Where each column stands; of two with the same name the first."""
    return {normal(cell): place for place, cell in reversed(list(enumerate(cells))) if cell}


def recognised(rows: Iterator[Row], profiles: tuple[Profile, ...]) -> tuple[Profile, list[str], Iterator[Row]]:
    """The profile whose columns stand in one of the first rows, that row, and the rows behind it.

    Raises Refused with the columns that the nearest profile misses.
    """
    best: tuple[int, Profile, set[str]] | None = None
    for seen, (_, cells) in enumerate(rows):
        places = header_places(cells)
        for profile in profiles:
            missing = {name for name in profile.columns if normal(name) not in places}
            if not missing and not any(normal(name) in places for name in profile.absent):
                return profile, cells, rows
            found = len(profile.columns) - len(missing)
            if best is None or found > best[0]:
                best = (found, profile, missing)
        if seen + 1 == HEADER_ROWS_MAX:
            break
    if best is None or not best[0]:
        raise Refused(
            Reason.UNKNOWN_FORMAT, "no row has the columns of a known report; describe it in a profile (--profile)"
        )
    raise Refused(Reason.COLUMNS, f"nearest to {best[1].name}, but without the columns {', '.join(sorted(best[2]))}")


class _Group:
    """The rows of one account and currency: what they add up to, and what the report says they do."""

    def __init__(self, number: int, account: str, currency: str) -> None:
        self.number = number
        self.account = account
        self.currency = currency
        self.moved = 0
        self.total: int | None = None
        self.paid_out: dict[str, int] = {}
        self.earned: dict[str, int] = {}
        """By payout: what it pays, and what its rows add up to."""
        self.fractions = 0
        self.fractional_rows = 0
        self.unequal = 0
        self.balances: list[Balance] = []
        self.days: list[str] = []

    def statement(self) -> Statement:
        opening = next((one.amount_minor for one in self.balances if one.code == "opening"), None)
        closing = next((one.amount_minor for one in self.balances if one.code == "closing"), None)
        totals = balance_proof(opening, closing, self.moved)
        if self.total is not None:
            totals.append(ControlTotal("total", self.total, self.moved))
        totals += self._payouts()
        return Statement(
            number=self.number,
            account=self.account,
            currency=self.currency,
            opening_minor=opening,
            closing_minor=closing,
            control_totals=totals,
            from_date=self.days[0] if self.days else None,
            to_date=self.days[-1] if self.days else None,
            balances=self.balances,
            warnings=self._warnings(),
        )

    def _payouts(self) -> list[ControlTotal]:
        """Each payout beside its rows. One without a number, among numbered ones, pays what none of the rows names."""
        numbered = any(self.paid_out) or any(self.earned)
        return [
            ControlTotal(f"payout {payout}".strip(), -paid, self.earned.get(payout, 0))
            for payout, paid in self.paid_out.items()
            if payout or not numbered
        ]

    def _warnings(self) -> list[str]:
        found = []
        if self.unequal:
            found.append(f"{self.unequal} rows whose gross less fees is not their amount")
        if self.fractional_rows:
            found.append(
                f"{self.fractional_rows} rows have parts of a minor unit: what is left of one goes to the next"
            )
        return found

    def carried(self, fractions: int) -> int:
        """Minor units of a row, so that all rows so far add up to the nearest of what they exactly are."""
        before = nearest_minor(self.fractions)
        self.fractions += fractions
        self.fractional_rows += bool(fractions % 10**FRACTION_PLACES)
        return nearest_minor(self.fractions) - before

    def note(self, line: Line, payout: str, *, pays: bool) -> None:
        """One more line: of the rows of a payout, or the payout itself."""
        self.moved += line.amount_minor
        sums = self.paid_out if pays else self.earned
        if payout in sums or len(sums) < STATEMENTS_MAX:
            sums[payout] = sums.get(payout, 0) + line.amount_minor
        if line.gross_minor is not None and line.fee_minor is not None:
            self.unequal += abs(line.gross_minor - line.fee_minor - line.amount_minor) > 1
        if line.booking_date and line.booking_date not in self.days:
            known = [*self.days, line.booking_date]
            self.days = [min(known), max(known)]


class _Columns(dict[str, int]):
    """Where a column stands, by its name as the profile writes it; behind the last one where there is none."""

    def __init__(self, places: dict[str, int]) -> None:
        super().__init__()
        self._places, self.width = places, max(places.values()) + 1

    def __missing__(self, name: str) -> int:
        self[name] = place = self._places.get(normal(name), self.width)
        return place


class TableReader:
    """Rows behind a header, by a profile."""

    def __init__(self, profile: Profile, header: list[str]) -> None:
        self._profile = profile
        self._under(header)
        self._groups: dict[tuple[str, str], _Group] = {}
        self._row: list[str] = []
        self._cells: list[str] = []
        """Those of the row under the header, and an empty one for columns that it lacks."""
        self._unit = _UNIT_EXPONENTS[profile.unit]

    def _under(self, header: list[str]) -> None:
        """The rows that follow stand under this header."""
        gross = self._profile.gross
        self._columns = _Columns(header_places(header))
        self._headline = header[self._columns[self._profile.columns[0]]]
        self._fees = [fee for fee in self._profile.fees if self._has(fee)]
        self._gross = gross if gross is not None and self._has(gross) else None

    def events(self, rows: Iterator[Row]) -> Iterator[Event]:
        for number, cells in rows:
            self._row, width = cells, self._columns.width
            self._cells = cells[:width] + [""] * (width + 1 - min(len(cells), width))
            try:
                line = self._line(Position(number))
            except Refused as refusal:
                yield BadLine(Position(number), str(refusal))
                continue
            if line is not None:
                yield line
        for group in self._groups.values():
            yield group.statement()

    def _line(self, position: Position) -> Line | None:
        """The line of a row; none when the row is skipped, or is a total or a balance of its group."""
        profile = self._profile
        if any(self._is(one) for one in profile.skip) or self._repeats_header():
            return None
        if any(self._row[(width := self._columns.width) :]):
            raise Refused(Reason.STRUCTURE, f"the row has {len(self._row)} cells, the header {width}")
        currency = self._first(profile.currency).upper()
        if not currency and not any(self._cell(column) for column in profile.amount.names()):
            return None  # a remark: it moves nothing
        group = self._group(self._first(profile.account), currency)
        amount = self._own_amount(group)
        if profile.negative is not None and self._is(profile.negative):
            amount = -abs(amount)
        if profile.total is not None and self._is(profile.total):
            group.total = amount
            return None
        if (balance := self._balance(amount, currency)) is not None:
            group.balances.append(balance)
            return None
        line = self._movement(group, amount, position)
        pays = profile.payout is not None and self._is(profile.payout)
        group.note(line, self._cell(profile.payout_id) if profile.payout_id else "", pays=pays)
        return line

    def _own_amount(self, group: _Group) -> int:
        """What a row moves; parts of a minor unit where the report has such."""
        cell = self._profile.amount
        if self._profile.fractions == "refuse":
            return self._amount(cell, group.currency)
        text = self._cell(cell.column)
        exact = written_fractions(text, group.currency, self._profile.decimal) if text else 0
        return group.carried(-exact if cell.negate else exact)

    def _movement(self, group: _Group, amount: int, position: Position) -> Line:
        profile = self._profile
        booked = self._day(profile.booking_date)
        fees = [self._amount(fee, group.currency) for fee in self._fees]
        gross = self._amount(self._gross, group.currency) if self._gross is not None else None
        if gross and profile.negative is not None and self._is(profile.negative):
            gross = -abs(gross)
        return Line(
            statement=group.number,
            amount_minor=amount,
            currency=group.currency,
            booking_date=booked,
            value_date=self._day(profile.value_date) or booked,
            references=stated_references({name: self._cell(column) for name, column in profile.references.items()}),
            description=" ".join(text for column in profile.description if (text := self._cell(column))),
            position=position,
            type=self._first(profile.type),
            status=self._first(profile.status),
            gross_minor=gross,
            fee_minor=sum(fees) if fees else None,
            counterparty=self._first(profile.counterparty),
            original_amount=self._original_amount(),
        )

    def _original_amount(self) -> str:
        """The amount in another currency; a currency alone is none."""
        words = [self._cell(column) for column in self._profile.original_amount]
        return " ".join(filter(None, words)) if any(words[:-1]) else ""

    def _repeats_header(self) -> bool:
        """Files that were joined, and the sheets of a workbook, have a header of their own, maybe in another order."""
        if self._headline not in self._row:  # as it is written in this file: rows are many
            return False
        places = header_places(self._row)
        if any(normal(name) not in places for name in self._profile.columns):
            return False
        self._under(self._row)
        return True

    def _balance(self, amount: int, currency: str) -> Balance | None:
        balances = self._profile.balances
        if balances is not None:
            word = normal(self._cell(balances.column))
            for code, words in (("opening", balances.opening), ("closing", balances.closing)):
                if word in map(normal, words):
                    return Balance(code, amount, currency, self._day(self._profile.booking_date))
        return None

    def _group(self, account: str, currency: str) -> _Group:
        group = self._groups.get((account, currency))
        if group is None:
            if len(self._groups) == STATEMENTS_MAX:
                raise Refused(Reason.TOO_LARGE, f"more than {STATEMENTS_MAX:,} accounts and currencies")
            group = self._groups[account, currency] = _Group(len(self._groups), account, currency)
        return group

    def _cell(self, column: str) -> str:
        return self._cells[self._columns[column]]

    def _first(self, cell: Cell) -> str:
        for column in cell.names():
            if text := self._cells[self._columns[column]]:
                return text
        return cell.value

    def _is(self, selection: Selection) -> bool:
        return normal(self._cell(selection.column)) in map(normal, selection.values)

    def _has(self, cell: AmountCell) -> bool:
        """Whether the report has a column of it: the columns are chosen when a report is asked for."""
        return any(self._columns[name] < self._columns.width for name in cell.names())

    def _amount(self, cell: AmountCell, currency: str) -> int:
        """Minor units of an amount; a blank cell is zero."""
        if cell.column:
            amount = self._minor(self._cell(cell.column), currency)
        else:
            amount = self._minor(self._cell(cell.credit), currency) - self._minor(self._cell(cell.debit), currency)
        return -amount if cell.negate else amount

    def _minor(self, text: str, currency: str) -> int:
        if not text:
            return 0
        if self._profile.fractions == "carry":
            return nearest_minor(written_fractions(text, currency, self._profile.decimal))
        return written_minor(text, currency, self._profile.decimal, self._unit)

    def _day(self, cell: DateCell | None) -> str | None:
        text = next((text for column in cell.columns if (text := self._cell(column))), "") if cell else ""
        if not text or cell is None:
            return None
        return one_day_of(text, cell.formats) if cell.formats else day(text)


def _dated(cell: DateCell | None, header: list[str], again: Callable[[], Iterator[Row]]) -> DateCell | None:
    """The forms of a date that the whole file has: 13/10 in one row says what 11/10 in another means."""
    if cell is None or len(cell.formats) < 2:
        return cell
    places, formats = _Columns(header_places(header)), cell.formats
    for _, cells in again():
        text = next((cells[places[name]] for name in cell.columns if places[name] < len(cells)), "")
        formats = tuple(form for form, _ in fitting(text, formats)) or formats
        if len(formats) == 1:
            break
    return replace(cell, formats=formats)


def parse_table(
    rows: Iterator[Row], profiles: tuple[Profile, ...], again: Callable[[], Iterator[Row]]
) -> tuple[str, Iterator[Event]]:
    """Name of the report and its events; `again` reads the rows once more, where dates may have several forms.

    Raises Refused when no profile fits.
    """
    profile, header, behind = recognised(rows, profiles)
    booked, valued = (_dated(cell, header, again) for cell in (profile.booking_date, profile.value_date))
    profile = replace(profile, booking_date=booked, value_date=valued)
    return profile.name, chain(TableReader(profile, header).events(behind))

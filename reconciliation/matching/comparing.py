"""Two sets of lines that are known to belong together (same id, key or reference): are they the same, and if not, how?

The one place that decides what a difference is called. The first of these that applies: another currency, a duplicate,
a part, fees, exchange, the amount, the status, the date.
"""

from collections import Counter
from typing import NamedTuple

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.calendars import business_days, shifted
from reconciliation.matching.lines import Line, shown, total_minor
from reconciliation.matching.results import Break, Match
from reconciliation.matching.rules import Rules

Lines = tuple[Line, ...]
Found = tuple[list[Match[Line]], list[Break[Line]]]


class Compared(NamedTuple):
    """What differs: a type and a reason, or neither; `note` is a difference that the rules allow."""

    type: BreakType | None
    reason: str = ""
    difference: int = 0
    note: str = ""


def settle(pass_: str, keys: dict[str, str], inner: Lines, outer: Lines, rules: Rules) -> Found:
    """A match, or a break, and breaks for lines that one side has twice."""
    compared = compare(inner, outer, rules)
    repeats: list[Break[Line]] = []
    if compared.type is not None and len(inner) + len(outer) > 2:
        once_inner, again_inner = _once(inner)
        once_outer, again_outer = _once(outer)
        without = compare(once_inner, once_outer, rules)
        if again_inner + again_outer and (without.type is None or len(once_inner) == len(once_outer) == 1):
            compared, inner, outer = without, once_inner, once_outer
            repeats = [duplicate(keys, line, internal=True) for line in again_inner]
            repeats += [duplicate(keys, line, internal=False) for line in again_outer]
    if compared.type is None:
        score = 90 if compared.note else 100
        return [Match(pass_, keys, score, inner, outer, compared.note)], repeats
    currency = inner[0].currency
    return [], [Break(compared.type, compared.reason, keys, compared.difference, currency, inner, outer), *repeats]


def duplicate(keys: dict[str, str], line: Line, *, internal: bool) -> Break[Line]:
    """A line that its side has told before."""
    kind = BreakType.DUPLICATE_INTERNAL if internal else BreakType.DUPLICATE_EXTERNAL
    amount_minor = line.amount_minor if internal else -line.amount_minor
    sides: tuple[Lines, Lines] = ((line,), ()) if internal else ((), (line,))
    return Break(kind, "the same line a second time", keys, amount_minor, line.currency, *sides)


def same(one: Line, other: Line, rules: Rules) -> bool:
    """The quick answer for a pair that differs in nothing that is compared; False only says: look closely."""
    return (
        one.amount_minor == other.amount_minor
        and one.currency == other.currency
        and (one.fee_minor == other.fee_minor or one.fee_minor is None or other.fee_minor is None)
        and (one.status == other.status or not rules.statuses)
        and (rules.date_window is None or one.date == other.date)
    )


def compare(inner: Lines, outer: Lines, rules: Rules) -> Compared:
    """Both sides' currencies, amounts, fees, status and dates."""
    currencies = {line.currency for line in inner}, {line.currency for line in outer}
    if currencies[0] != currencies[1] or len(currencies[0]) > 1:
        return _other_currency(inner, outer)
    difference = total_minor(inner) - total_minor(outer)
    fees = _fees(inner, outer, rules)
    if difference:
        return _other_amount(inner, outer, difference, fees, rules)
    if fees.type is not None:
        return fees
    return _status(inner, outer, rules) or _late(inner, outer, rules) or fees


def _other_currency(inner: Lines, outer: Lines) -> Compared:
    told = Counter[str]()
    for line in outer:
        if line.original_minor is None:
            break
        told[line.original_currency] += line.original_minor
    else:
        own = Counter[str]()
        for line in inner:
            own[line.currency] += line.amount_minor
        if told == own:
            return Compared(None, note=f"settled in {', '.join(sorted({line.currency for line in outer}))}")
    names = [", ".join(sorted({line.currency for line in lines})) for lines in (inner, outer)]
    return Compared(BreakType.CURRENCY_MISMATCH, f"{names[0]} against {names[1]}", total_minor(inner))


def _other_amount(inner: Lines, outer: Lines, difference: int, fees: Compared, rules: Rules) -> Compared:
    if rules.tolerance is not None and abs(difference) <= rules.tolerance.allowed_minor(total_minor(inner)):
        return Compared(None, note=f"differs by {difference} minor units, within tolerance")
    gross = _sums("gross_minor", inner, outer)
    if gross is not None and gross[0] == gross[1]:
        return Compared(BreakType.FEE_DIFFERENCE, fees.reason or "gross agrees, net does not", difference)
    original = _sums("original_minor", inner, outer)
    if original is not None and original[0] == original[1]:
        return Compared(BreakType.FX_DIFFERENCE, "the original amount agrees, what it was settled as not", difference)
    own, other = total_minor(inner), total_minor(outer)
    reason = f"{shown(own, inner[0].currency)} against {shown(other, outer[0].currency)}"
    part = _movements(inner) != _movements(outer) and own * other > 0
    return Compared(BreakType.PARTIAL if part else BreakType.AMOUNT_MISMATCH, reason, difference)


def _movements(lines: Lines) -> int:
    """A payment and its fee, told in two lines, are one."""
    return sum(not line.is_fee for line in lines)


def _fees(inner: Lines, outer: Lines, rules: Rules) -> Compared:
    fees = _sums("fee_minor", inner, outer)
    if fees is None or fees[0] == fees[1]:
        return Compared(None)
    difference = fees[0] - fees[1]
    if rules.tolerance is not None and abs(difference) <= rules.tolerance.fee_minor * max(len(inner), len(outer)):
        return Compared(None, note=f"fees {fees[0]} against {fees[1]} minor units, within tolerance")
    reason = f"fees {shown(fees[0], inner[0].currency)} against {shown(fees[1], outer[0].currency)}"
    return Compared(BreakType.FEE_DIFFERENCE, reason, difference)


def _sums(field: str, inner: Lines, outer: Lines) -> tuple[int, int] | None:
    """Of both sides, where every line has the field."""
    values = [[getattr(line, field) for line in lines] for lines in (inner, outer)]
    return None if None in values[0] + values[1] else (sum(values[0]), sum(values[1]))


def _status(inner: Lines, outer: Lines, rules: Rules) -> Compared | None:
    if not rules.statuses:
        return None
    wanted = {status for line in inner for status in rules.statuses.get(line.status, [line.status])}
    found = {line.status for line in outer}
    if found <= wanted:
        return None
    own = ", ".join(sorted({line.status for line in inner}))
    return Compared(BreakType.STATUS_MISMATCH, f"{own} against {', '.join(sorted(found))}")


def _late(inner: Lines, outer: Lines, rules: Rules) -> Compared | None:
    """Outside the date window, in days of the rules' calendar."""
    window = rules.date_window
    if window is None:
        return None
    booked, settled = min(line.date for line in inner), max(line.date for line in outer)
    first, last = (
        shifted(booked, -window.before_days, rules.calendar),
        shifted(booked, window.after_days, rules.calendar),
    )
    if first <= settled <= last:
        return None
    days = f"{business_days(booked, settled, rules.calendar)} business days apart"
    told = f"{days} ({booked} and {settled}); allowed are {window.before_days} before and {window.after_days} after"
    return Compared(BreakType.TIMING, told)


def _once(lines: Lines) -> tuple[Lines, Lines]:
    """Lines, and those that tell the same again: same amount, kind and status, whatever the file or day."""
    seen: set[tuple[object, ...]] = set()
    once: list[Line] = []
    again: list[Line] = []
    for line in sorted(lines, key=lambda one: (one.date, one.place)):
        told = (line.amount_minor, line.currency, line.type, line.status, line.account)
        (again if told in seen else once).append(line)
        seen.add(told)
    return tuple(once), tuple(again)

"""The cascade: lines of two sides and rules → every line in one match or one break, and why. Pure.

Each pass sees only what those before it left. No pass guesses: what could be meant in two ways stays open. The answer
is the same whatever the order of the lines.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import NamedTuple

from msgspec import structs

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.calendars import business_days
from reconciliation.matching.comparing import Found, duplicate, same, settle
from reconciliation.matching.controls import Control, cut_sources
from reconciliation.matching.lines import Line, total_minor
from reconciliation.matching.passes.grouping import by_groups, unbalanced
from reconciliation.matching.passes.pairing import Pair, by_amount_and_date, by_reference, by_similarity, by_tolerance
from reconciliation.matching.passes.references import normalised
from reconciliation.matching.passes.suggesting import suggested
from reconciliation.matching.results import Break, Match, Outcome
from reconciliation.matching.rules import Pass, Rules

Matches = list[Match[Line]]
Breaks = list[Break[Line]]
Pairing = Callable[[list[Line], list[Line], Rules], list[Pair]]


def match(
    internal: Iterable[Line],
    external: Iterable[Line],
    rules: Rules,
    *,
    as_of: date | None = None,
    controls: Sequence[Control] = (),
) -> Outcome[Line]:
    """`as_of` ends the days that an internal line may wait (default: the newest line); `controls`: what files lack."""
    first = identified(internal, external, rules)
    newest = first.newest if as_of is None else as_of
    rest = remaining(first.internal, first.external, rules, as_of=newest, controls=controls)
    matches = sorted(first.matches + rest.matches, key=_match_place)
    return Outcome(matches, sorted(first.breaks + rest.breaks, key=_break_place), rest.suggestions)


class Identified(NamedTuple):
    """What P0 and P1 found, and the lines that they left open."""

    matches: Matches
    breaks: Breaks
    internal: list[Line]
    external: list[Line]
    newest: date


def identified(internal: Iterable[Line], external: Iterable[Line], rules: Rules) -> Identified:
    """P0 and P1. A line's entry number and id decide alone: lines that share neither don't know of each other here."""
    run = _Run(list(internal), list(external), rules)
    newest = max((line.date for lines in (run.internal, run.external) for line in lines), default=date.min)
    run.entries()
    run.identities()
    return Identified(run.matches, run.breaks, run.internal, run.external, newest)


def remaining(
    internal: list[Line], external: list[Line], rules: Rules, *, as_of: date, controls: Sequence[Control] = ()
) -> Outcome[Line]:
    """P2 to P8, and what is missing, of lines that P1 left."""
    run = _Run(internal, external, rules)
    run.pairs(Pass.REFERENCE, by_reference)
    if rules.date_window is not None:
        run.pairs(Pass.AMOUNT_DATE, by_amount_and_date)
    for index in range(len(rules.group_by)):
        run.keep(by_groups(index, run.internal, run.external, rules))
    if (tolerance := rules.tolerance) is not None:
        run.pairs(Pass.TOLERANCE, lambda inner, outer, _: by_tolerance(inner, outer, rules, tolerance))
    if (threshold := rules.similarity) is not None:
        run.pairs(Pass.SIMILARITY, lambda inner, outer, _: by_similarity(inner, outer, rules, threshold))
    for index in range(len(rules.group_by)):
        run.keep(unbalanced(index, run.internal, run.external, rules))
    run.keep(_same_reference(run.internal, run.external, rules))
    run.keep(([], cut_sources(controls, run.internal)))
    suggestions = suggested(run.internal, run.external, rules) if rules.subset_sum else []
    run.breaks += _missing(run.internal, run.external, rules, as_of)
    return Outcome(run.matches, run.breaks, suggestions)


class _Run:
    """What is open, and what has been found."""

    def __init__(self, internal: list[Line], external: list[Line], rules: Rules) -> None:
        self.internal, self.external, self.rules = internal, external, rules
        self.matches: Matches = []
        self.breaks: Breaks = []

    def entries(self) -> None:
        """P0: the source's own number of a line, told twice in one file or in two."""
        self.internal = self._first_told(self.internal, internal=True)
        self.external = self._first_told(self.external, internal=False)

    def _first_told(self, lines: list[Line], *, internal: bool) -> list[Line]:
        if not any(line.entry for line in lines):
            return lines
        seen: set[tuple[str, str]] = set()
        first: list[Line] = []
        for line in sorted(lines, key=lambda one: (one.date, one.place)):
            if line.entry and (line.account, line.entry) in seen:
                self.breaks.append(duplicate({"entry": line.entry}, line, internal=internal))
                continue
            seen.add((line.account, line.entry))
            first.append(line)
        return first

    def identities(self) -> None:
        """P1: the same id on both sides; several lines of one id are compared as a whole."""
        own, own_more = _by_id(self.internal)
        others, other_more = _by_id(self.external)
        for key, line in own.items():
            other = others.get(key)
            if other is None:
                continue
            if key not in own_more and key not in other_more and same(line, other, self.rules):
                self.matches.append(Match(Pass.EXACT_ID, {"id": key}, 100, (line,), (other,)))
                continue
            inner = tuple(sorted(own_more.get(key, [line]), key=_line_place))
            outer = tuple(sorted(other_more.get(key, [other]), key=_line_place))
            self._add(settle(Pass.EXACT_ID, {"id": key}, inner, outer, self.rules))
        self.internal = sorted((line for line in self.internal if line.id not in others), key=_line_place)
        self.external = sorted((line for line in self.external if line.id not in own), key=_line_place)

    def pairs(self, pass_: Pass, pairing: Pairing) -> None:
        """Pairs that a pass found, compared as any others."""
        found: Found = ([], [])
        for pair in pairing(self.internal, self.external, self.rules):
            matches, breaks = settle(pass_, _shared(pass_, pair), (pair.internal,), (pair.external,), self.rules)
            found[0].extend(structs.replace(one, score=min(one.score, pair.score)) for one in matches)
            found[1].extend(breaks)
        self.keep(found)

    def keep(self, found: Found) -> None:
        """Add what was found; its lines are no longer open."""
        self._add(found)
        sides = [(one.internal, one.external) for one in found[0]] + [(one.internal, one.external) for one in found[1]]
        used = {id(line) for side in sides for lines in side for line in lines}
        self.internal = [line for line in self.internal if id(line) not in used]
        self.external = [line for line in self.external if id(line) not in used]

    def _add(self, found: Found) -> None:
        self.matches += found[0]
        self.breaks += found[1]


def _by_id(lines: list[Line]) -> tuple[dict[str, Line], dict[str, list[Line]]]:
    """The first line of each id, and all lines of ids that have several."""
    first: dict[str, Line] = {}
    more: dict[str, list[Line]] = {}
    for line in lines:
        if line.id and (known := first.setdefault(line.id, line)) is not line:
            more.setdefault(line.id, [known]).append(line)
    return first, more


def _shared(pass_: Pass, pair: Pair) -> dict[str, str]:
    if pass_ is Pass.REFERENCE:
        return {"reference": pair.internal.reference or pair.internal.id}
    return {"amount_minor": str(pair.internal.amount_minor), "date": pair.internal.date.isoformat()}


def _line_place(line: Line) -> tuple[str, int]:
    return line.file, line.line


def _match_place(one: Match[Line]) -> tuple[str, int]:
    first = one.internal[0]
    return first.file, first.line


def _break_place(one: Break[Line]) -> tuple[bool, str, int, str]:
    """Internal lines first; what names no line comes last."""
    lines = one.internal or one.external
    return not one.internal, lines[0].file if lines else "~", lines[0].line if lines else 0, one.type


def _same_reference(internal: list[Line], external: list[Line], rules: Rules) -> Found:
    """What is left and shares a reference that no other line has differs in something: say in what."""
    sides: list[dict[str, list[Line]]] = []
    for lines in (internal, external):
        side: defaultdict[str, list[Line]] = defaultdict(list)
        for line in lines:
            if reference := normalised(line.reference or line.id):
                side[reference].append(line)
        sides.append(side)
    found: Found = ([], [])
    for reference in sorted(sides[0].keys() & sides[1].keys()):
        own, others = sides[0][reference], sides[1][reference]
        if len(own) == len(others) == 1:
            matches, breaks = settle(Pass.REFERENCE, {"reference": reference}, (own[0],), (others[0],), rules)
            found[0].extend(matches)
            found[1].extend(breaks)
    return found


def _missing(internal: list[Line], external: list[Line], rules: Rules, as_of: date) -> Breaks:
    """What no pass found on the other side. A line of the books may wait for the days of settlement, fee and all."""
    found: Breaks = []
    for lines in _with_fees(internal):
        line = lines[0]
        days = business_days(line.date, as_of, rules.calendar)
        waits = days < rules.settlement_days
        reason = f"not settled after {days} business days"
        kind = BreakType.TIMING if waits else BreakType.MISSING_EXTERNAL
        found.append(Break(kind, reason, {"id": line.id}, total_minor(lines), line.currency, lines, ()))
    told: set[tuple[str, int, str]] = set()
    for line in external:
        again = bool(line.id) and (line.id, line.amount_minor, line.currency) in told
        told.add((line.id, line.amount_minor, line.currency))
        if again:
            found.append(duplicate({"id": line.id}, line, internal=False))
            continue
        kind = BreakType.ORPHAN_FEE if line.type in rules.fee_types else BreakType.MISSING_INTERNAL
        reason = "the books do not know it"
        found.append(Break(kind, reason, {"id": line.id}, -line.amount_minor, line.currency, (), (line,)))
    return found


def _with_fees(lines: list[Line]) -> list[tuple[Line, ...]]:
    """Each line, with its fees behind the first of its id."""
    fees: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.id and line.is_fee:
            fees[line.id, line.currency].append(line)
    found = [(line, *fees.pop((line.id, line.currency), [])) for line in lines if not (line.id and line.is_fee)]
    return found + [(line,) for alone in fees.values() for line in alone]

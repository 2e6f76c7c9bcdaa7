"""Lines as they come → the matches and breaks that a full run over all of them would find, and what each step changed.

Pure. Two levels, as in the cascade: lines of one id are settled among themselves (P1), and only what that leaves open
is compared with others. Whatever a line touches is compared anew, by the very passes of the full run; the rest is not
looked at. Guarantees: the answer depends on the lines, the day and the controls alone, never on their order.
"""

from collections.abc import Hashable, Iterable, Iterator
from datetime import date
from typing import NamedTuple

from msgspec import structs

from reconciliation.following.links import Links, Told, day_of, of_comparison, of_identity
from reconciliation.matching.cascade import identified, remaining
from reconciliation.matching.controls import Control, cut_sources
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break, Match
from reconciliation.matching.rules import Rules

Name = tuple[bool, str, int]
About = tuple[Hashable, ...]


class Changes(NamedTuple):
    """Breaks that opened and closed; one that has another type or amount now is in both."""

    opened: list[Break[Line]]
    closed: list[Break[Line]]


class _Part(NamedTuple):
    """Lines that know of each other, and what was found among them. `left`: those that the first level left open."""

    members: dict[Name, Told]
    matches: list[Match[Line]]
    breaks: list[Break[Line]]
    left: list[Told]


class Following:
    """What has come so far. Keeps every line: the caller forgets what is signed off by beginning anew."""

    def __init__(self, rules: Rules, as_of: date) -> None:
        self._rules = structs.replace(rules, subset_sum=False)  # suggestions are for people who look at a whole run
        self._as_of = as_of
        self._identities, self._open = Links(), Links()
        self._groups: dict[Name, _Part] = {}
        self._compared: dict[Name, _Part] = {}
        self._controls: dict[Hashable, dict[str, Control]] = {}
        self._alone: dict[str, Break[Line]] = {}
        self._came: dict[Name, Told] = {}
        self._stale: dict[Name, Told] = {}

    def take(self, line: Line, *, internal: bool) -> None:
        """A line that has come, once; it is compared by the next `settle`."""
        told = Told(internal, line)
        if told.name not in self._groups and told.name not in self._came:
            self._identities.add(told, of_identity(told))
            self._came[told.name] = told

    def lacks(self, control: Control) -> None:
        """A file that has less than its own totals."""
        day = "day", True, control.account, control.currency, control.day
        self._controls.setdefault(day, {})[control.file] = control
        self._stale |= self._open.sharing(day)

    def turn(self, as_of: date) -> None:
        """Another day: what waits ages, and what waited for too long is missing."""
        self._as_of = as_of
        for part in _parts(self._compared, self._compared):
            if any(not broken.external for broken in part.breaks):
                self._stale |= part.members

    def settle(self) -> Changes:
        """Compare what has come."""
        before: list[Break[Line]] = []
        after: list[Break[Line]] = []
        self._identify(before, after)
        self._compare(before, after)
        return _difference(before, after)

    def outcome(self) -> tuple[list[Match[Line]], list[Break[Line]]]:
        """All that is found by now, in no order."""
        parts = _parts(self._groups, self._groups) + _parts(self._compared, self._compared)
        matches = [match for part in parts for match in part.matches]
        return matches, [broken for part in parts for broken in part.breaks] + list(self._alone.values())

    def _identify(self, before: list[Break[Line]], after: list[Break[Line]]) -> None:
        """P0 and P1 of whatever shares an id or number with what has come."""
        while self._came:
            _, seed = self._came.popitem()
            members = self._identities.reached(seed, of_identity)
            for name in members:
                self._came.pop(name, None)
            for part in _parts(self._groups, members):
                before += part.breaks
                for told in part.left:
                    self._leave(told)
            found = identified(*_sides(members.values()), self._rules)
            left = [*_told(found.internal, internal=True), *_told(found.external, internal=False)]
            after += found.breaks
            self._groups |= dict.fromkeys(members, _Part(members, found.matches, found.breaks, left))
            for told in left:
                self._open.add(told, (*of_comparison(told, self._rules), day_of(told)))
                self._stale[told.name] = told

    def _leave(self, told: Told) -> None:
        """An open line is open no more; those that were compared with it are compared again."""
        self._open.remove(told, (*of_comparison(told, self._rules), day_of(told)))
        part = self._compared.get(told.name)
        if part is not None:
            self._stale |= part.members

    def _compare(self, before: list[Break[Line]], after: list[Break[Line]]) -> None:
        """P2 to P7 of whatever could be compared with what is stale. A part that one line of is stale is all anew:
        what still links its lines has linked them before, and who takes a link away makes all of them stale.
        """
        gone: dict[int, _Part] = {}
        while self._stale:
            name, seed = self._stale.popitem()
            members = self._open.reached(seed, self._keys) if name in self._open.sharing(day_of(seed)) else {name: seed}
            for part in _parts(self._compared, members):
                gone[id(part)] = part
            for member in members:
                self._stale.pop(member, None)
                self._compared.pop(member, None)
            if name in self._open.sharing(day_of(seed)):
                part = self._found(members)
                after += part.breaks
                self._compared |= dict.fromkeys(members, part)
        for part in gone.values():
            before += part.breaks
        self._cut(before, after)

    def _keys(self, told: Told) -> Iterator[Hashable]:
        """What a line may share; its day only where a file of that day is cut."""
        yield from of_comparison(told, self._rules)
        if day_of(told) in self._controls:
            yield day_of(told)

    def _found(self, members: dict[Name, Told]) -> _Part:
        days = {day_of(told) for told in members.values()} & self._controls.keys()
        controls = [control for day in days for control in self._controls[day].values()]
        found = remaining(*_sides(members.values()), self._rules, as_of=self._as_of, controls=controls)
        return _Part(members, found.matches, found.breaks, [])

    def _cut(self, before: list[Break[Line]], after: list[Break[Line]]) -> None:
        """A control of a day that has no open line is a break by itself."""
        alone = [
            control
            for day, named in self._controls.items()
            if not self._open.sharing(day)
            for control in named.values()
        ]
        made = {broken.keys["file"]: broken for broken in cut_sources(alone, [])}
        before += self._alone.values()
        after += made.values()
        self._alone = made


def _parts(known: dict[Name, _Part], names: Iterable[Name]) -> list[_Part]:
    """The parts that these lines are of, once each."""
    return list({id(part): part for name in names if (part := known.get(name)) is not None}.values())


def _told(lines: Iterable[Line], *, internal: bool) -> list[Told]:
    return [Told(internal, line) for line in lines]


def _sides(members: Iterable[Told]) -> tuple[list[Line], list[Line]]:
    """Both sides, in the order of their places."""
    ordered = sorted(members, key=lambda told: told.name)
    return [told.line for told in ordered if told.internal], [told.line for told in ordered if not told.internal]


def _difference(before: list[Break[Line]], after: list[Break[Line]]) -> Changes:
    old, new = ({_about(one): one for one in breaks} for breaks in (before, after))
    opened = [one for about, one in new.items() if about not in old]
    return Changes(opened, [one for about, one in old.items() if about not in new])


def _about(one: Break[Line]) -> About:
    """What a break says, without the words of its reason."""
    lines = tuple(tuple(line.place for line in side) for side in (one.internal, one.external))
    return one.type, tuple(sorted(one.keys.items())), one.difference, one.currency, *lines

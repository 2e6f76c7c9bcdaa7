"""The features by name: what a rule may read, and what the agents of keys that span accounts publish.

The position of a feature is its wire value in verdicts: what a payment and its account say from 0, what is counted by
key from COUNTED_FROM; both lists are appended to, never reordered. docs/risk.md shows the table.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple, get_type_hints

from payments.risk.activity import Activity, Key
from payments.risk.distinct import MORE, count
from payments.risk.moment import Moment
from payments.risk.windows import SPANS, Totals, totals

Value = bool | int | str
"""Integers are 64-bit; amounts are minor units."""

Read = Callable[[Moment], Value]

COUNTED_FROM = 128

DISTINCT_PLACES = (1, 2)
"""Places in SPANS: distinct keys are counted in an hour and in a day."""

_MEASURES = {
    "attempts": "Payments tried",
    "approvals": "Payments whose money was reserved",
    "attempted_minor": "Sum of the payments tried",
    "approved_minor": "Sum of the payments whose money was reserved",
}


class Feature(NamedTuple):
    """One name that a rule may read."""

    position: int
    name: str
    type: type[Value]
    meaning: str
    read: Read


def published(of: Key, activity: Activity, now_us: int) -> dict[str, int]:
    """What is published of a payee, card, device or IP address, by name of the feature."""
    measured = {
        _measure_name(of, measure, place): value
        for place, window in enumerate(activity.windows)
        for measure, value in zip(Totals._fields, totals(window, SPANS[place], now_us), strict=True)
    }
    counted = {
        _distinct_name(of, kind, place): count(activity.seen[kind], SPANS[place], now_us)
        for kind, place in _distinct(of)
    }
    return measured | counted


def _said() -> Iterator[Feature]:
    """By the payment and its account: the public properties of Moment, in their order."""
    members = [(name, member) for name, member in vars(Moment).items() if isinstance(member, property)]
    for position, (name, member) in enumerate(members):
        read = member.fget
        assert read is not None
        assert read.__doc__ is not None
        yield Feature(position, name, get_type_hints(read)["return"], read.__doc__, read)


def _counted() -> Iterator[Feature]:
    """By key, window after window."""
    every = chain.from_iterable(chain(_measures_of(of), _distincts_of(of)) for of in Key)
    for position, (name, meaning, read) in enumerate(every, COUNTED_FROM):
        yield Feature(position, name, int, meaning, read)


def _measures_of(of: Key) -> Iterator[tuple[str, str, Read]]:
    for place, span in enumerate(SPANS):
        for index, (measure, meaning) in enumerate(_MEASURES.items()):
            name = _measure_name(of, measure, place)
            own = partial(Moment.measure, place=place, index=index)
            yield name, f"{meaning}, {_whose(of)}, last {span.name}.", own if of is Key.ACCOUNT else _last(name)


def _distincts_of(of: Key) -> Iterator[tuple[str, str, Read]]:
    for kind, place in _distinct(of):
        name = _distinct_name(of, kind, place)
        meaning = f"Distinct {_plural(kind)}, {_whose(of)}, last {SPANS[place].name}; above 32 it is {MORE}."
        own = partial(Moment.distinct, kind=kind, place=place)
        yield name, meaning, own if of is Key.ACCOUNT else _last(name)


def _last(name: str) -> Read:
    return partial(Moment.last_published, name=name)


def _distinct(of: Key) -> list[tuple[Key, int]]:
    return [(kind, place) for place in DISTINCT_PLACES for kind in Key if kind is not of]


def _measure_name(of: Key, measure: str, place: int) -> str:
    return f"{_prefix(of)}{measure}_{SPANS[place].name}"


def _distinct_name(of: Key, kind: Key, place: int) -> str:
    return f"{_prefix(of)}distinct_{_plural(kind)}_{SPANS[place].name}"


def _prefix(of: Key) -> str:
    return "" if of is Key.ACCOUNT else f"{of.name.lower()}_"


def _plural(kind: Key) -> str:
    return f"{kind.name.lower()}s"


def _whose(of: Key) -> str:
    return "by this account" if of is Key.ACCOUNT else f"of this {of.name.lower()} over all accounts"


FEATURES: dict[str, Feature] = {feature.name: feature for feature in chain(_said(), _counted())}
AT_POSITION: dict[int, Feature] = {feature.position: feature for feature in FEATURES.values()}

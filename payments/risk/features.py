"""The features by name: what a rule may read, and what the agents of keys that span accounts publish.

The position of a feature is its wire value in verdicts: what a payment and its account say from 0, what is counted by
key from COUNTED_FROM; both lists are appended to, never reordered. docs/risk.md shows the table.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple, get_type_hints

from payments.risk.activity import Activity, Key
from payments.risk.distinct import count
from payments.risk.moment import Moment
from payments.risk.windows import SPANS, totals

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
    """A sentence; the window is in the name."""

    read: Read
    of: Key | None = None
    """Whose history it is; None where the payment or its account says it."""


def published(
    of: Key, activity: Activity, in_currency: Activity, now_us: int, names: Collection[str]
) -> dict[str, int]:
    """What is published, for payments in one currency, of a payee, card, device or IP address, by name of the feature:
    these names, and perhaps others of their windows.

    Counts are those of all its payments; sums those of `in_currency`, its payments in that currency.
    """
    values = {
        name: count(activity.seen[kind], SPANS[place], now_us)
        for kind, place in _distinct(of)
        if (name := _distinct_name(of, kind, place)) in names
    }
    for place, span in enumerate(SPANS):
        if not any(_measure_name(of, measure, place) in names for measure in _MEASURES):
            continue
        counts = totals(activity.windows[place], span, now_us)
        sums = totals(in_currency.windows[place], span, now_us)
        both = counts._replace(attempted_minor=sums.attempted_minor, approved_minor=sums.approved_minor)
        values |= {_measure_name(of, measure, place): value for measure, value in both._asdict().items()}
    return values


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
    every = ((of, *counted) for of in Key for counted in chain(_measures_of(of), _distincts_of(of)))
    for position, (of, name, meaning, read) in enumerate(every, COUNTED_FROM):
        yield Feature(position, name, int, meaning, read, of)


def _measures_of(of: Key) -> Iterator[tuple[str, str, Read]]:
    for place in range(len(SPANS)):
        for index, (measure, meaning) in enumerate(_MEASURES.items()):
            name = _measure_name(of, measure, place)
            own = partial(Moment.measure, place=place, index=index)
            yield name, f"{meaning}, {_whose(of)}.", own if of is Key.ACCOUNT else _last(name)


def _distincts_of(of: Key) -> Iterator[tuple[str, str, Read]]:
    for kind, place in _distinct(of):
        name = _distinct_name(of, kind, place)
        meaning = f"Distinct {_plural(kind)}, {_whose(of)}."
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
    return "this account" if of is Key.ACCOUNT else f"this {of.name.lower()}, all accounts"


FEATURES: dict[str, Feature] = {feature.name: feature for feature in chain(_said(), _counted())}
AT_POSITION: dict[int, Feature] = {feature.position: feature for feature in FEATURES.values()}

"""Goal: in whatever order lines come, the stream says what the nightly full run says, and each step what it changed.

Method: random lines with few ids, amounts, references and days, so that they meet in every pass; they come in a random
order, with looks and days in between; the full run over all of them is the judge.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.following.following import Following
from reconciliation.matching.cascade import match
from reconciliation.matching.controls import Control
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break
from reconciliation.matching.rules import Rules
from tests.reconciliation.matching.builders import rules

MONDAY = date(2026, 11, 16)
WINDOW = {"after_days": 1}
RULES = [
    rules(calendar="WEEKDAYS", date_window=WINDOW),
    rules(calendar="WEEKDAYS", group_by=["payout"], fee_types=["fee"], date_window=WINDOW),
    rules(calendar="WEEKDAYS", tolerance={"amount_minor": 1}, date_window=WINDOW),
    rules(calendar="WEEKDAYS", similarity=80, group_by=["payout"]),
]
TEXTS = st.sampled_from(["", "", "INV-1", "INV-22222", "invoice 22222", "RF18 rent"])


@st.composite
def lines(draw: st.DrawFn) -> list[tuple[bool, Line]]:
    """Lines of both sides, each in a place of its own."""
    count = draw(st.integers(0, 12))
    return [
        (
            draw(st.booleans()),
            Line(
                f"file-{number % 2}",
                number,
                draw(st.sampled_from([100, 101, 200, -100])),
                "EUR" if draw(st.integers(0, 5)) else "USD",
                MONDAY + timedelta(days=draw(st.integers(0, 3))),
                draw(st.sampled_from(["", "", "a", "b", "c"])),
                draw(TEXTS),
                (draw(st.sampled_from(["", "po_1"])),),
                draw(st.sampled_from(["", "", "e1"])),
                type=draw(st.sampled_from(["charge", "fee"])),
                gross_minor=draw(st.sampled_from([None, None, 0, 100])),
                fee_minor=draw(st.sampled_from([None, None, 0, 1])),
            ),
        )
        for number in range(count)
    ]


CONTROLS = st.lists(
    st.builds(
        Control,
        st.sampled_from(["cut-1", "cut-2"]),
        st.just(""),
        st.just("EUR"),
        st.dates(MONDAY, MONDAY + timedelta(days=3)),
        st.sampled_from([100, 200, 300]),
    ),
    max_size=2,
    unique_by=lambda control: control.file,
)


def about(one: Any, *, reasons: bool = True) -> Hashable:
    """All that is said of a match or break."""
    sides = tuple(tuple(line.place for line in side) for side in (one.internal, one.external))
    if isinstance(one, Break):
        return (
            one.type,
            one.reason if reasons else "",
            tuple(sorted(one.keys.items())),
            one.difference,
            one.currency,
            sides,
        )
    return one.pass_, tuple(sorted(one.keys.items())), one.score, one.note, sides


def said(found: Iterable[Any], *, reasons: bool = True) -> Counter[Hashable]:
    return Counter(about(one, reasons=reasons) for one in found)


@settings(max_examples=300)
@given(told=lines(), used=st.sampled_from(RULES), controls=CONTROLS, chance=st.randoms(use_true_random=False))
def test_the_stream_says_what_the_full_run_says(
    told: list[tuple[bool, Line]], used: Rules, controls: list[Control], chance: Any
) -> None:
    following = Following(used, MONDAY)
    comes: list[Any] = [*told, *controls, *(MONDAY + timedelta(days=day) for day in range(1, 5))]
    chance.shuffle(comes)
    standing: Counter[Hashable] = Counter()
    today = MONDAY
    for one in comes:
        if isinstance(one, Control):
            following.lacks(one)
        elif isinstance(one, date):
            today = max(today, one)
            following.turn(today)
        else:
            following.take(one[1], internal=one[0])
        if chance.random() < 0.4:
            changes = following.settle()
            standing += said(changes.opened, reasons=False)
            standing -= said(changes.closed, reasons=False)
    changes = following.settle()
    standing += said(changes.opened, reasons=False)
    standing -= said(changes.closed, reasons=False)
    matches, breaks = following.outcome()
    internal, external = ([line for side, line in told if side is wanted] for wanted in (True, False))
    full = match(internal, external, used, as_of=today, controls=controls)
    assert said(matches) == said(full.matches)
    assert said(breaks) == said(full.breaks)
    assert standing == said(full.breaks, reasons=False)


def test_a_break_opens_waits_is_missing_and_closes() -> None:
    following = Following(RULES[0], MONDAY)
    following.take(Line("ledger", 1, 100, "EUR", MONDAY, "a"), internal=True)
    assert [one.type for one in following.settle().opened] == ["TIMING"]
    following.turn(MONDAY + timedelta(days=1))
    assert following.settle() == ([], [])
    following.turn(MONDAY + timedelta(days=2))
    changes = following.settle()
    assert ([one.type for one in changes.closed], [one.type for one in changes.opened]) == (
        ["TIMING"],
        ["MISSING_EXTERNAL"],
    )
    following.take(Line("bank", 1, 100, "EUR", MONDAY + timedelta(days=1), "a"), internal=False)
    assert [one.type for one in following.settle().closed] == ["MISSING_EXTERNAL"]
    assert len(following.outcome()[0]) == 1


def test_what_a_line_does_not_touch_is_not_looked_at() -> None:
    """A day of settled payments costs a late line nothing: its part is its own amount alone."""
    following = Following(RULES[0], MONDAY)
    for number in range(200):
        for internal in (True, False):
            following.take(
                Line("ledger" if internal else "bank", number, 100, "EUR", MONDAY, f"p{number}"), internal=internal
            )
    following.settle()
    following.take(Line("ledger", 900, 100, "EUR", MONDAY, "late"), internal=True)
    assert len(following.settle().opened) == 1
    assert [len(part.members) for part in following._compared.values()] == [1]

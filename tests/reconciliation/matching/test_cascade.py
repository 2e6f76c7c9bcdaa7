"""Goal: each pass finds what it is for and leaves what could be meant in two ways; each difference has its name."""

from datetime import date
from typing import Any

import pytest

from reconciliation.matching.breaks import BreakType as B
from reconciliation.matching.cascade import match
from reconciliation.matching.controls import Control
from reconciliation.matching.lines import Line
from reconciliation.matching.passes.pairing import CANDIDATES_MAX
from tests.reconciliation.matching.builders import MONDAY, broken, matched, own, rules, theirs

LATER = date(2026, 12, 31)
"""Long after every settlement: nothing waits any more."""

PAID: dict[str, Any] = {"amount_minor": 500, "id": "a"}


def test_the_same_id_is_a_match_and_says_so() -> None:
    found = match([own(1, 500, id="a")], [theirs(1, 500, id="a")], rules(), as_of=LATER)
    assert matched(found) == [("exact_id", [1], [1])]
    assert (found.matches[0].keys, found.matches[0].score, found.breaks) == ({"id": "a"}, 100, [])


@pytest.mark.parametrize(
    ("mine", "other", "parts", "kind", "difference"),
    [
        ({}, {"amount_minor": 499}, {}, B.AMOUNT_MISMATCH, 1),
        ({}, {"currency": "USD"}, {}, B.CURRENCY_MISMATCH, 500),
        ({"fee_minor": 10}, {"fee_minor": 12}, {}, B.FEE_DIFFERENCE, -2),
        ({"gross_minor": 510}, {"gross_minor": 510, "amount_minor": 495}, {}, B.FEE_DIFFERENCE, 5),
        (
            {"original_minor": 450, "original_currency": "GBP"},
            {"original_minor": 450, "original_currency": "GBP", "amount_minor": 503},
            {},
            B.FX_DIFFERENCE,
            -3,
        ),
        ({"status": "captured"}, {"status": "failed"}, {"statuses": {"captured": ["paid"]}}, B.STATUS_MISMATCH, 0),
        ({}, {"day": 4}, {"date_window": {"after_days": 3}}, B.TIMING, 0),
        ({"day": 2}, {}, {"date_window": {"after_days": 3}}, B.TIMING, 0),
        ({}, {"amount_minor": 499}, {"tolerance": {"amount_minor": 0}}, B.AMOUNT_MISMATCH, 1),
        ({}, {"amount_minor": -500}, {}, B.AMOUNT_MISMATCH, 1_000),
    ],
)
def test_a_pair_of_one_id_that_differs(
    mine: dict[str, Any], other: dict[str, Any], parts: dict[str, Any], kind: B, difference: int
) -> None:
    found = match(
        [own(1, **PAID | mine)],
        [theirs(1, **PAID | other)],
        rules(**parts),
        as_of=LATER,
    )
    assert broken(found) == [(kind, difference, [1], [1])]


@pytest.mark.parametrize(
    ("mine", "other", "parts", "note"),
    [
        ({}, {"day": 4}, {"date_window": {"after_days": 4}}, ""),
        ({"day": 4}, {"day": 7}, {"date_window": {"after_days": 1}}, ""),  # Friday to Monday: one business day
        ({}, {"amount_minor": 499}, {"tolerance": {"amount_minor": 1}}, "within tolerance"),
        ({}, {"amount_minor": 499}, {"tolerance": {"basis_points": 20}}, "within tolerance"),
        ({"fee_minor": 10}, {"fee_minor": 12}, {"tolerance": {"fee_minor": 2}}, "within tolerance"),
        (
            {},
            {"amount_minor": 540, "currency": "USD", "original_minor": 500, "original_currency": "EUR"},
            {},
            "settled in USD",
        ),
        ({"status": "captured"}, {"status": "paid"}, {"statuses": {"captured": ["paid"]}}, ""),
    ],
)
def test_a_pair_of_one_id_that_differs_as_the_rules_allow(
    mine: dict[str, Any], other: dict[str, Any], parts: dict[str, Any], note: str
) -> None:
    found = match(
        [own(1, **PAID | mine)],
        [theirs(1, **PAID | other)],
        rules(**parts),
    )
    assert (matched(found), found.breaks) == ([("exact_id", [1], [1])], [])
    assert note in found.matches[0].note
    assert found.matches[0].score == (90 if note else 100)


def test_one_id_in_several_lines() -> None:
    books = [own(1, 500, id="a"), own(2, 500, id="b"), own(3, 500, id="c"), own(4, 20, id="d")]
    bank = [
        theirs(1, 200, id="a"),
        theirs(2, 300, id="a"),
        theirs(3, 200, id="b"),
        theirs(4, 100, id="b"),
        theirs(5, 500, id="c"),
        theirs(6, 500, id="c", day=3),
        theirs(7, 10, id="d"),
        theirs(8, 10, id="d"),
    ]
    found = match(books, bank, rules(), as_of=LATER)
    assert matched(found) == [("exact_id", [1], [1, 2]), ("exact_id", [3], [5]), ("exact_id", [4], [7, 8])]
    assert broken(found) == [(B.PARTIAL, 200, [2], [3, 4]), (B.DUPLICATE_EXTERNAL, -500, [], [6])]


def test_the_books_may_have_a_line_twice() -> None:
    found = match([own(1, 500, id="a"), own(2, 500, id="a")], [theirs(1, 500, id="a")], rules(), as_of=LATER)
    assert matched(found) == [("exact_id", [1], [1])]
    assert broken(found) == [(B.DUPLICATE_INTERNAL, 500, [2], [])]


def test_an_entry_told_in_two_files_counts_once() -> None:
    again = Line("bank2.csv", 1, 500, "EUR", MONDAY, "a", entry="e1")
    found = match([own(1, 500, id="a")], [again, theirs(1, 500, id="a", entry="e1")], rules(), as_of=LATER)
    assert matched(found) == [("exact_id", [1], [1])]
    assert [(one.type, one.external[0].file) for one in found.breaks] == [(B.DUPLICATE_EXTERNAL, "bank2.csv")]


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ("INV-0042/2026", "inv 0042 2026"),
        ("0000123456", "123456"),
        ("RF18539007547034", "539007547034"),
        ("ORDER77421", "payment for order77421, thank you"),
    ],
)
def test_references_written_in_another_way(mine: str, other: str) -> None:
    found = match([own(1, 500, reference=mine)], [theirs(1, 500, reference=other)], rules(), as_of=LATER)
    assert matched(found) == [("reference", [1], [1])]


def test_a_reference_that_two_lines_share_decides_nothing() -> None:
    bank = [theirs(1, 500, reference="ORDER77421"), theirs(2, 500, reference="order 77421")]
    found = match([own(1, 500, reference="ORDER77421")], bank, rules(), as_of=LATER)
    assert found.matches == []
    assert [one[0] for one in broken(found)] == [B.MISSING_EXTERNAL, B.MISSING_INTERNAL, B.MISSING_INTERNAL]


@pytest.mark.parametrize(("parts", "found"), [({}, True), ({"date_window": {"after_days": 3}}, False)])
def test_dates_of_a_reference_are_compared_only_with_a_window(parts: dict[str, Any], found: bool) -> None:
    outcome = match([own(1, 500, reference="ORDER-7")], [theirs(1, 500, reference="ORDER-7", day=9)], rules(**parts))
    assert bool(outcome.matches) is found
    assert [one.type for one in outcome.breaks] == ([] if found else [B.TIMING])


def test_an_equal_reference_goes_before_one_that_contains_it() -> None:
    bank = [theirs(1, 500, reference="about ORDER77421"), theirs(2, 500, reference="order 77421")]
    found = match([own(1, 500, reference="ORDER77421")], bank, rules(), as_of=LATER)
    assert matched(found) == [("reference", [1], [2])]


def test_a_short_reference_is_not_looked_for_in_texts() -> None:
    found = match([own(1, 500, reference="42")], [theirs(1, 500, reference="room 42")], rules(), as_of=LATER)
    assert found.matches == []


def test_a_reference_with_another_amount_is_one_break() -> None:
    found = match([own(1, 500, reference="ORDER-7")], [theirs(1, 600, reference="order 7")], rules(), as_of=LATER)
    assert broken(found) == [(B.AMOUNT_MISMATCH, -100, [1], [1])]


def test_amount_and_date_alone_must_be_unique_on_both_sides() -> None:
    books = [own(1, 500), own(2, 700), own(3, 700), own(4, 900), own(5, 950)]
    bank = [theirs(1, 500, day=1), theirs(2, 700, day=1), theirs(3, 900), theirs(4, 900, day=1), theirs(5, 950, day=4)]
    found = match(books, bank, rules(date_window={"after_days": 3}), as_of=LATER)
    assert matched(found) == [("amount_date", [1], [1])]
    assert len(found.breaks) == 8


def test_amount_and_date_are_not_used_without_a_window() -> None:
    assert match([own(1, 500)], [theirs(1, 500)], rules(), as_of=LATER).matches == []


def test_groups_of_a_declared_key() -> None:
    parts = rules(group_by=["payout", "day"], fee_types=["fee"])
    books = [
        own(1, 500, keys=("p1", "")),
        own(2, 300, keys=("p1", "")),
        own(3, 100, keys=("p2", "")),
        own(4, 50, keys=("p3", "")),
        own(5, 10, keys=("", "mon")),
        own(6, 11, keys=("", "mon")),
    ]
    bank = [
        theirs(1, 800, keys=("p1", "")),
        theirs(2, 90, keys=("p2", "")),
        theirs(3, 50, keys=("p3", "")),
        theirs(4, -5, keys=("p3", ""), type="fee"),
        theirs(5, 7, keys=("", "mon")),
        theirs(6, 14, keys=("", "mon")),
    ]
    found = match(books, bank, parts, as_of=LATER)
    assert matched(found) == [
        ("groups:payout", [1, 2], [1]),
        ("groups:payout", [4], [3]),
        ("groups:day", [5, 6], [5, 6]),
    ]
    assert broken(found) == [(B.UNBALANCED_BATCH, 10, [3], [2]), (B.ORPHAN_FEE, 5, [], [4])]


def test_groups_compare_fees_of_both_sides() -> None:
    books = [own(1, 500, keys=("p",), fee_minor=5), own(2, 300, keys=("p",), fee_minor=3)]
    lump = theirs(1, 800, keys=("p",), fee_minor=9)
    assert broken(match(books, [lump], rules(group_by=["payout"]), as_of=LATER)) == [
        (B.FEE_DIFFERENCE, -1, [1, 2], [1])
    ]


def test_tolerance_pairs_what_has_nothing_else_in_common() -> None:
    parts = rules(tolerance={"amount_minor": 2, "after_days": 1})
    found = match([own(1, 500), own(2, 900)], [theirs(1, 498, day=1), theirs(2, 897)], parts, as_of=LATER)
    assert matched(found) == [("tolerance", [1], [1])]
    assert found.matches[0].score == 80


def test_what_a_crowded_line_could_mean_is_not_given_to_another() -> None:
    crowd = [theirs(number, 1_000 + number) for number in range(1, CANDIDATES_MAX + 2)]
    lonely, parts = theirs(9_999, 950), rules(tolerance={"amount_minor": 300})
    wide, narrow = own(1, 1_201), own(2, 700)
    assert matched(match([narrow], [*crowd, lonely], parts, as_of=LATER)) == [("tolerance", [2], [9_999])]
    assert match([wide, narrow], [*crowd, lonely], parts, as_of=LATER).matches == []


def test_similarity_pairs_the_most_alike_of_equal_amounts() -> None:
    books = [own(1, 500, reference="Acme Trading Ltd invoice March"), own(2, 500, reference="Zenith Bakery")]
    bank = [theirs(1, 500, reference="ACME TRADING LIMITED march inv"), theirs(2, 500, reference="Bakery Zenith GmbH")]
    found = match(books, bank, rules(similarity=70), as_of=LATER)
    assert matched(found) == [("similarity", [1], [1]), ("similarity", [2], [2])]
    assert all(70 <= one.score <= 100 for one in found.matches)
    assert match(books, bank, rules(), as_of=LATER).matches == []


def test_a_sum_of_lines_is_suggested_but_matches_nothing() -> None:
    books = [own(1, 123), own(2, 456), own(3, 10_000)]
    found = match(books, [theirs(1, 579)], rules(subset_sum=True), as_of=LATER)
    assert [([a.line for a in one.internal], [b.line for b in one.external]) for one in found.suggestions] == [
        ([1, 2], [1])
    ]
    assert (found.matches, len(found.breaks)) == ([], 4)
    two_ways = [*books, own(4, 579 - 10), own(5, 10)]
    assert match(two_ways, [theirs(1, 579)], rules(subset_sum=True), as_of=LATER).suggestions == []


def test_an_open_line_waits_for_its_settlement_days_and_is_then_missing() -> None:
    friday = own(1, 500, day=4)
    parts = rules(settlement_days=2)
    assert [broken(match([friday], [], parts, as_of=date(2026, 11, day)))[0][0] for day in (20, 23, 24)] == [
        B.TIMING,
        B.TIMING,
        B.MISSING_EXTERNAL,
    ]


def test_a_cut_file_is_one_break_with_the_lines_that_it_lacks() -> None:
    books = [own(1, 100, id="a"), own(2, 200, id="b"), own(3, 300, id="c"), own(4, 400, id="d", day=9)]
    for missing_lines in (2, None):
        control = Control("bank.csv", "", "EUR", MONDAY, 500, missing_lines)
        found = match(books, [theirs(1, 100, id="a")], rules(), as_of=LATER, controls=[control])
        assert broken(found) == [(B.TRUNCATED_SOURCE, 500, [2, 3], []), (B.MISSING_EXTERNAL, 400, [4], [])]


@pytest.mark.parametrize(("missing_minor", "missing_lines"), [(500, 3), (501, 2), (501, None)])
def test_a_cut_file_whose_lines_are_not_sure_names_none(missing_minor: int, missing_lines: int | None) -> None:
    books = [own(1, 200, id="b"), own(2, 300, id="c")]
    control = Control("bank.csv", "", "EUR", MONDAY, missing_minor, missing_lines)
    found = match(books, [], rules(), as_of=LATER, controls=[control])
    assert [one[0] for one in broken(found)] == [B.MISSING_EXTERNAL, B.MISSING_EXTERNAL, B.TRUNCATED_SOURCE]


FEE: dict[str, Any] = {"gross_minor": 0, "fee_minor": 39, "id": "a"}
PAYMENT: dict[str, Any] = {"gross_minor": 1_000, "fee_minor": 0, "id": "a"}


@pytest.mark.parametrize(
    ("other", "kind", "difference"),
    [
        ({"gross_minor": 1_000, "fee_minor": 39}, None, 0),
        ({"gross_minor": 1_000, "fee_minor": 41, "amount_minor": 959}, B.FEE_DIFFERENCE, 2),
        ({"gross_minor": 1_100, "fee_minor": 39, "amount_minor": 1_061}, B.AMOUNT_MISMATCH, -100),
        ({"currency": "USD"}, B.CURRENCY_MISMATCH, 961),
        ({}, None, 0),
    ],
)
def test_a_payment_and_its_fee_in_two_lines_are_one_of_the_other_side(
    other: dict[str, Any], kind: B | None, difference: int
) -> None:
    """A line that the provider pays out without fee, whether it tells gross and fee or not."""
    settled: dict[str, Any] = {"amount_minor": 961, "id": "a"} | other
    found = match([own(1, 1_000, **PAYMENT), own(2, -39, **FEE)], [theirs(1, **settled)], rules())
    if kind is None:
        assert matched(found) == [("exact_id", [1, 2], [1])]
    else:
        assert broken(found) == [(kind, difference, [1, 2], [1])]


def test_a_payment_that_has_not_come_is_one_break_with_its_fee() -> None:
    lines = [
        own(1, 1_000, **PAYMENT),
        own(2, -39, **FEE),
        own(3, -7, **FEE | {"id": "b"}),
        own(4, -5, gross_minor=0, fee_minor=5),
    ]
    found = match(lines, [], rules(settlement_days=0), as_of=LATER)
    assert broken(found) == [
        (B.MISSING_EXTERNAL, 961, [1, 2], []),
        (B.MISSING_EXTERNAL, -7, [3], []),
        (B.MISSING_EXTERNAL, -5, [4], []),
    ]


def test_payments_and_fees_of_a_payout_are_the_line_of_the_bank() -> None:
    """Gross and fees of two payments, told in four lines, against one net line of a bank, which knows no fees."""
    books = [
        own(1, 1_000, keys=("po_1",), gross_minor=1_000, fee_minor=0, id="a"),
        own(2, -39, keys=("po_1",), gross_minor=0, fee_minor=39, id="a"),
        own(3, 500, keys=("po_1",), gross_minor=500, fee_minor=0, id="b"),
        own(4, -32, keys=("po_1",), gross_minor=0, fee_minor=32, id="b"),
    ]
    found = match(books, [theirs(1, 1_429, keys=("po_1",), day=1)], rules(group_by=["payout"]))
    assert matched(found) == [("groups:payout", [1, 2, 3, 4], [1])]
    assert found.breaks == []

"""Goal: whatever the lines, each is in one match or one break, sums are kept, and their order changes nothing."""

from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.matching.balances import Balance, accounted, unproven
from reconciliation.matching.breaks import BreakType
from reconciliation.matching.calendars import Calendar
from reconciliation.matching.cascade import match
from reconciliation.matching.chains import Leg, follow
from reconciliation.matching.lines import Line, total_minor
from tests.reconciliation.matching.builders import MONDAY, own, rules, theirs

EVERYTHING = rules(
    date_window={"before_days": 1, "after_days": 2},
    group_by=["payout"],
    fee_types=["fee"],
    statuses={"ok": ["paid"]},
    tolerance={"amount_minor": 1, "fee_minor": 1},
    similarity=80,
    subset_sum=True,
)


@st.composite
def lines(draw: st.DrawFn, file: str) -> list[Line]:
    """Few values, so that they meet."""
    one = st.builds(
        lambda amount, currency, day, id_, reference, key, type_, fee: (
            amount,
            {
                "currency": currency,
                "date": MONDAY + timedelta(days=day),
                "id": id_,
                "reference": reference,
                "keys": (key,),
                "type": type_,
                "fee_minor": fee,
            },
        ),
        st.integers(-3, 6).map(lambda n: n * 50),
        st.sampled_from(["EUR", "EUR", "USD"]),
        st.integers(0, 5),
        st.sampled_from(["", "", "a", "b", "c"]),
        st.sampled_from(["", "ORDER-100", "order 100", "shop"]),
        st.sampled_from(["", "p1", "p2"]),
        st.sampled_from(["", "fee"]),
        st.sampled_from([None, 0, 1]),
    )
    return [
        Line(file=file, line=number, amount_minor=amount, **fields)
        for number, (amount, fields) in enumerate(draw(st.lists(one, max_size=9)), 1)
    ]


@settings(max_examples=150, deadline=None)
@given(lines("books.csv"), lines("bank.csv"), st.integers())
def test_each_line_once_sums_kept_and_the_same_answer_in_any_order(
    internal: list[Line], external: list[Line], seed: int
) -> None:
    found = match(internal, external, EVERYTHING)
    for side, given_lines in (("internal", internal), ("external", external)):
        used = [line for one in found.matches for line in getattr(one, side)]
        used += [line for one in found.breaks for line in getattr(one, side)]
        assert sorted(used, key=lambda line: line.place) == given_lines
    proof = accounted(found)
    for currency in {line.currency for line in (*internal, *external)}:
        own_minor = total_minor([line for line in internal if line.currency == currency])
        other_minor = total_minor([line for line in external if line.currency == currency])
        matched_own, open_own, matched_other, open_other = proof[currency]
        assert (matched_own + open_own, matched_other + open_other) == (own_minor, other_minor)
    chance = Random(seed)
    shuffled = [chance.sample(side, len(side)) for side in (internal, external)]
    assert match(shuffled[0], shuffled[1], EVERYTHING) == found


def test_balances_add_up_and_meet_the_next_day() -> None:
    def day(number: int, opening: int, movements: int, closing: int) -> Balance:
        return Balance("acc", "EUR", MONDAY + timedelta(days=number), opening, movements, closing)

    good = [day(0, 0, 5, 5), day(1, 5, -2, 3), day(4, 3, 1, 4), day(7, 4, 0, 4)]
    assert unproven(good, Calendar.TARGET) == []
    assert [one.type for one in unproven([day(0, 0, 5, 6)], Calendar.TARGET)] == [BreakType.UNBALANCED_BATCH]
    gap = unproven([day(4, 0, 5, 5), day(7, 6, 0, 6)], Calendar.TARGET)
    assert [(one.type, one.difference) for one in gap] == [(BreakType.CHAIN_GAP, -1)]
    assert unproven([day(0, 0, 5, 5), day(2, 9, 0, 9)], Calendar.TARGET) == []


def test_an_order_is_followed_to_the_bank() -> None:
    by_id, by_payout = rules(), rules(group_by=["payout"])
    orders = [own(1, 100, id="o1"), own(2, 200, id="o2"), own(3, 300, id="o3")]
    charges = [
        theirs(1, 100, id="o1", keys=("p1",)),
        theirs(2, 200, id="o2", keys=("p1",)),
        theirs(3, 300, id="o3", keys=("p2",)),
    ]
    payouts = [Line("payouts.csv", 1, 300, "EUR", MONDAY, keys=("p1",), reference="PAYOUT-1")]
    bank = [Line("statement.csv", 1, 300, "EUR", MONDAY, reference="stripe payout 1")]
    legs = [Leg("orders", "charges", by_id), Leg("charges", "payouts", by_payout), Leg("payouts", "bank", by_id)]
    chain = follow(legs, {"orders": orders, "charges": charges, "payouts": payouts, "bank": bank})
    assert [(way.line.line, way.reached) for way in chain.ways] == [
        (1, ("orders", "charges", "payouts", "bank")),
        (2, ("orders", "charges", "payouts", "bank")),
        (3, ("orders", "charges")),
    ]

"""Goal: a run says what ties and what does not, the same whenever it is run, and a break keeps its id over the days.

Method: charges in the tables of the ledger and Stripe's reports as files, real Postgres; days pass by the cut-off.
"""

from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from reconciliation.breaks.living import Changes
from reconciliation.runs.rules import ReadRules, read_rules
from reconciliation.runs.run import Asked, Result, compute
from reconciliation.runs.writing import write
from tests.reconciliation.conftest import Bring
from tests.reconciliation.ledger import RULES, charge, fee, report

READ = read_rules(RULES)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (f"2026-11-{day}" for day in range(16, 21))


def run_on(books: Connection, day: str, read: ReadRules = READ) -> tuple[Result, Changes]:
    """Files of today are brought now, so it is the run's clock that is moved: the cut-off is far ahead."""
    books.execute(
        "UPDATE recon_files SET brought_at = %s WHERE brought_at > %s", (f"{day} 08:00+00", f"{day} 08:00+00")
    )
    asked = Asked(datetime.fromisoformat(f"{day}T20:00:00").replace(tzinfo=UTC), None, None, "fatima")
    result = compute(books, read, asked)
    return result, write(books, read, result, 4)


def living(books: Connection) -> list[tuple[Any, ...]]:
    query = "SELECT type, status, difference_minor, day::text, due_on::text FROM recon_breaks ORDER BY difference_minor"
    return books.execute(query).fetchall()


def test_a_day_that_ties_and_the_same_run_again(books: Connection, bring: Bring) -> None:
    charge(books, 1, 10_00, MONDAY)
    charge(books, 2, 25_50, MONDAY)
    rows = (("order-1", "10.00", MONDAY, "charge"), ("order-2", "25.50", MONDAY, "charge"))
    bring("stripe.csv", report(*rows), "stripe")
    first, changes = run_on(books, TUESDAY)
    assert (len(first.outcome.matches), first.breaks, changes) == (2, [], Changes())
    total = first.totals["EUR"]
    assert (total.internal_minor, total.external_minor, total.difference_minor) == (35_50, 35_50, 0)
    ledger = next(tie for tie in first.ties if tie.side == "internal")
    shown = (ledger.party, ledger.opening_minor, ledger.movements_minor, ledger.closing_minor, ledger.unexplained_minor)
    assert shown == ("stripe_clearing", 0, 35_50, 35_50, 0)
    again, _ = run_on(books, TUESDAY)
    assert again.result_hash == first.result_hash
    assert books.execute("SELECT count(*), count(DISTINCT result_hash) FROM recon_runs").fetchone() == (2, 1)
    assert books.execute("SELECT internal, external FROM recon_matches WHERE number = 0 LIMIT 1").fetchone() is not None
    charge(books, 3, 1, MONDAY)
    assert run_on(books, TUESDAY)[0].result_hash != first.result_hash


def test_what_waits_becomes_missing_and_closes_by_itself_under_one_id(books: Connection, bring: Bring) -> None:
    charge(books, 1, 10_00, MONDAY)
    bring("first.csv", report(("order-0", "7.00", MONDAY, "charge")), "stripe")
    found, changes = run_on(books, TUESDAY)
    assert changes == Changes(opened=2)
    assert living(books) == [
        ("MISSING_INTERNAL", "open", -7_00, MONDAY, "2026-11-24"),
        ("TIMING", "open", 10_00, MONDAY, "2026-11-24"),
    ]
    later, changes = run_on(books, WEDNESDAY)
    assert changes == Changes(changed=1)
    assert {one.break_id for one in later.breaks} == {one.break_id for one in found.breaks}
    assert [row[0] for row in living(books)] == ["MISSING_INTERNAL", "MISSING_EXTERNAL"]
    bring("second.csv", report(("order-1", "9.00", THURSDAY, "charge")), "stripe")
    assert run_on(books, THURSDAY)[1] == Changes(changed=1)
    assert living(books)[1][:3] == ("AMOUNT_MISMATCH", "open", 1_00)
    charge(books, 0, 7_00, MONDAY)
    _, changes = run_on(books, FRIDAY)
    assert changes == Changes(closed=1)
    assert living(books)[0][:2] == ("MISSING_INTERNAL", "closed")
    actions = "SELECT array_agg(action ORDER BY event) FROM recon_break_events GROUP BY break_id ORDER BY 1"
    assert books.execute(actions).fetchall() == [(["open", "change", "change"],), (["open", "close"],)]


def test_a_run_that_looks_back_changes_no_living_break(books: Connection, bring: Bring) -> None:
    charge(books, 1, 10_00, MONDAY)
    bring("first.csv", report(("order-1", "10.00", THURSDAY, "charge")), "stripe")
    run_on(books, THURSDAY)
    before = books.execute("SELECT brought_at FROM recon_files").fetchone()
    back, changes = run_on(books, MONDAY)
    assert before is not None
    assert changes == Changes()
    assert back.span.last.isoformat() == MONDAY
    assert living(books) == []


def test_days_asked_for_are_matched_with_their_neighbours_and_tell_nothing_of_them(
    books: Connection, bring: Bring
) -> None:
    """A charge of Monday that is settled on Tuesday is no break of Tuesday; one that is missing on Monday neither."""
    charge(books, 1, 10_00, MONDAY)
    charge(books, 2, 1_00, MONDAY)
    charge(books, 3, 3_00, TUESDAY)
    bring("two.csv", report(("order-1", "10.00", TUESDAY, "charge"), ("order-3", "3.00", TUESDAY, "charge")), "stripe")
    read = read_rules(RULES)
    cut_off = datetime(2030, 1, 1, tzinfo=UTC)
    tuesday = datetime.fromisoformat(TUESDAY).date()
    result = compute(books, read, Asked(cut_off, tuesday, tuesday, "fatima"))
    assert [one.keys["id"] for one in result.outcome.matches] == ["order-1", "order-3"]
    assert result.breaks == []


def test_a_file_that_lacks_what_its_statement_states_is_one_break(books: Connection, bring: Bring) -> None:
    """An MT940 of two days, whose second opens otherwise than the first one closed."""
    days = [
        (":60F:C261115EUR0,00", ":61:2611161116C10,00NTRFNONREF//B1", ":62F:C261116EUR10,00"),
        (":60F:C261116EUR12,00", ":61:2611171117C5,00NTRFNONREF//B2", ":62F:C261117EUR17,00"),
    ]
    for number, (opening, line, closing) in enumerate(days, 1):
        parts = (f":20:S{number}", ":25:NL01", f":28C:{number}/1", opening, line, closing, "-")
        bring(f"{number}.sta", "\n".join(parts) + "\n", "bank")
    rules = RULES.replace("sources: [stripe]", "sources: [bank]")
    result, _ = run_on(books, WEDNESDAY, read_rules(rules))
    gap = next(one for one in result.breaks if one.broken.type == "CHAIN_GAP")
    assert (gap.broken.difference, gap.day.isoformat()) == (-2_00, TUESDAY)
    bank = next(tie for tie in result.ties if tie.side == "external")
    assert (bank.opening_minor, bank.movements_minor, bank.closing_minor, bank.unexplained_minor) == (
        0,
        15_00,
        17_00,
        2_00,
    )


def test_a_payment_and_the_fee_that_the_ledger_posts_for_it_are_what_the_provider_pays_out(
    books: Connection, bring: Bring
) -> None:
    """One that ties, one whose fee is another, one without a fee in the books, and one that has not come."""
    for number in range(1, 5):
        charge(books, number, 10_00, MONDAY)
        if number != 3:
            fee(books, number, 39, MONDAY)
    head = report().strip()
    rows = [
        f"txn_{number},{MONDAY} 12:00:00,eur,10.00,{kept},{net},charge,ch_{number},order-{number},po_1"
        for number, kept, net in ((1, "0.39", "9.61"), (2, "0.41", "9.59"), (3, "0.39", "9.61"))
    ]
    bring("stripe.csv", "\n".join([head, *rows]) + "\n", "stripe")
    result, _ = run_on(books, FRIDAY)
    assert [(one.keys["id"], len(one.internal), len(one.external)) for one in result.outcome.matches] == [
        ("order-1", 2, 1)
    ]
    found = {one.broken.keys["id"]: (one.broken.type, one.broken.difference) for one in result.breaks}
    assert found == {
        "order-2": ("FEE_DIFFERENCE", 2),
        "order-3": ("FEE_DIFFERENCE", 39),
        "order-4": ("MISSING_EXTERNAL", 9_61),
    }
    ledger = next(tie for tie in result.ties if tie.side == "internal")
    assert (ledger.types, ledger.unexplained_minor) == ({"charge": 40_00, "provider_fee": -1_17}, 0)


def test_rules_that_compare_gross_leave_the_fees_out_and_say_so(books: Connection, bring: Bring) -> None:
    charge(books, 1, 10_00, MONDAY)
    fee(books, 1, 39, MONDAY)
    row = f"txn_1,{MONDAY} 12:00:00,eur,10.00,0.39,9.61,charge,ch_1,order-1,po_1"
    bring("stripe.csv", f"{report().strip()}\n{row}\n", "stripe")
    read = read_rules(RULES.replace("sources: [stripe]}", "sources: [stripe], amount: gross}"))
    result, _ = run_on(books, FRIDAY, read)
    assert (len(result.outcome.matches), result.breaks) == (1, [])
    ledger = next(tie for tie in result.ties if tie.side == "internal")
    shown = ledger.movements_minor, ledger.adjusted_minor, ledger.closing_minor, ledger.unexplained_minor
    assert shown == (10_00, -39, 9_61, 0)


def test_a_fee_is_no_payment_of_its_own(books: Connection, bring: Bring) -> None:
    """Rules without accounts take each payment once."""
    paid = charge(books, 1, 10_00, MONDAY)
    fee(books, 1, 39, MONDAY)
    row = f"txn_1,{MONDAY} 12:00:00,eur,10.00,0.39,9.61,charge,ch_1,{paid.hex[-16:].upper()},po_1"
    bring("stripe.csv", f"{report().strip()}\n{row}\n", "stripe")
    rules = RULES.replace(
        "{accounts: [stripe_clearing], currencies: [EUR], id: order}", "{currencies: [EUR], id: short}"
    )
    result, _ = run_on(
        books, FRIDAY, read_rules(rules.replace("sources: [stripe]}", "sources: [stripe], amount: gross}"))
    )
    assert (len(result.outcome.matches), result.breaks) == (1, [])


def test_what_came_in_another_currency_explains_the_difference_of_both(books: Connection, bring: Bring) -> None:
    charge(books, 1, 10_00, MONDAY)
    bring("stripe.csv", report(("order-1", "11.00", MONDAY, "charge")).replace(",eur,", ",usd,"), "stripe")
    result, _ = run_on(books, TUESDAY)
    told = {currency: (one.difference_minor, one.breaks_minor) for currency, one in result.totals.items()}
    assert told == {"EUR": (10_00, 10_00), "USD": (-11_00, -11_00)}

"""Goal: what is no longer needed goes, and nothing that proves a result does."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection

from reconciliation.runs.forgetting import Keep, forget_matches
from reconciliation.runs.reads import find_run, passes_of
from reconciliation.runs.signing import SignOff, sign
from tests.reconciliation.conftest import Bring
from tests.reconciliation.ledger import charge, report
from tests.reconciliation.runs.test_runs import MONDAY, TUESDAY, run_on

KEEP = Keep(matches_days=30, signed_years=1)
NOW = datetime.now(UTC)


def matches(books: Connection) -> set[UUID]:
    return {row[0] for row in books.execute("SELECT run_id FROM recon_matches").fetchall()}


def forgotten(books: Connection, now: datetime) -> list[UUID]:
    found = []
    while (run := forget_matches(books, KEEP, now)) is not None:
        found.append(run)
    return found


def test_old_matches_go_and_what_was_signed_is_kept_for_its_term(books: Connection, bring: Bring) -> None:
    charge(books, 1, 10_00, MONDAY)
    bring("stripe.csv", report(("order-1", "10.00", MONDAY, "charge")), "stripe")
    old, signed, newest = (run_on(books, TUESDAY)[0].run_id for _ in range(3))
    for age, run in enumerate((old, signed, newest)):
        books.execute("UPDATE recon_runs SET run_at = %s WHERE run_id = %s", (NOW - timedelta(days=40 - age), run))
    assert isinstance(sign(books, signed, "", "carla"), SignOff)
    before: tuple[Any, ...] = find_run(books, old) or ()
    passes = passes_of(books, old)
    assert forgotten(books, NOW - timedelta(days=15)) == []
    assert forgotten(books, NOW) == [old]
    assert matches(books) == {signed, newest}
    assert (find_run(books, old) or ())[:-1] == before[:-1], "hash, tie-out and totals are as they were"
    assert passes_of(books, old) == passes == [("exact_id", 1, 1, 1)]
    assert forgotten(books, NOW + timedelta(days=400)) == [signed]
    assert matches(books) == {newest}, "the newest of a rule set is what people look at"

"""Goal: what is shown of a run is whole however long ago it was, and costs no more than what is shown."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import Connection

from reconciliation.runs import reads, signing
from reconciliation.runs.run import cut_off_of, day_of
from tests.reconciliation.conftest import Bring
from tests.reconciliation.ledger import charge, report
from tests.reconciliation.runs.test_runs import MONDAY, READ, TUESDAY, run_on

NOW = datetime(2026, 11, 23, tzinfo=UTC)
_SIGN = """
INSERT INTO recon_sign_offs (sign_off_id, run_id, rule_set, last_day, result_hash, live_breaks, note, signed_by,
    signed_at, reopened_because, reopened_at)
SELECT gen_random_uuid(), %s, 'r', '2026-11-16', '', 0, '', 'fatima', now() - %s, 'again', now()
FROM generate_series(1, %s)"""


def test_a_signature_is_found_by_its_run_however_many_came_later(books: Connection, bring: Bring) -> None:
    bring("mon.csv", report(("order-1", "10.00", MONDAY, "charge")), "stripe")
    old, _ = run_on(books, MONDAY)
    new, _ = run_on(books, TUESDAY)
    books.execute(_SIGN, (old.run_id, timedelta(days=3_650), 1))
    books.execute(_SIGN, (new.run_id, timedelta(0), 1_001))
    [signed] = signing.sign_offs_of(books, [old.run_id])
    assert signed.run_id == old.run_id
    assert len(signing.sign_offs_of(books, [old.run_id, new.run_id])) == 1_002


def test_the_largest_breaks_and_the_ages_of_all(books: Connection, bring: Bring) -> None:
    for number in range(1, 6):
        charge(books, number, 1_000 * number, MONDAY)
    bring("mon.csv", report(("order-9", "7.00", MONDAY, "charge")), "stripe")
    found, _ = run_on(books, TUESDAY)
    whole = list(reads.breaks_of(books, found.run_id))
    assert len(whole) > 2
    assert list(reads.breaks_of(books, found.run_id, 2)) == whole[:2]
    ages = reads.ages_of(books, found.run_id)
    assert sum(one.breaks for one in ages) == len(whole)
    assert sum(one.value_minor for one in ages) == sum(abs(one.difference_minor) for one in whole)
    assert {(one.type, one.currency, one.age_days) for one in ages} == {
        (one.type, one.currency, one.age_days) for one in whole
    }


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00"])
def test_days_beyond_all_books_are_refused_as_a_value_that_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match="is no day from 1970-01-01 to 2999-12-31"):
        cut_off_of(text, READ.rules, NOW)
    with pytest.raises(ValueError, match=r"is no day from|Invalid isoformat"):
        day_of(text)

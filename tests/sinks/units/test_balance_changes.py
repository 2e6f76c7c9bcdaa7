"""Goal: the changes sent to the table balances are those of a fold over the entries, one account after the other."""

from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.entries import Entry, EntryKind
from payments.errors import InvariantViolation
from payments.identifiers import NIL
from sinks.balances import change_rows, changes_of, exact_sums
from sinks.copy_rows import postgres_time
from tests.sinks.units.ledger import ALICE, BOB, CAROL, CLEARING, FIRST_TIME_US, batch_of, entry, ledgers

SMALLEST, LARGEST = -(2**63), 2**63 - 1


class Change(NamedTuple):
    """What one account's row must say."""

    posted_minor: int
    available_minor: int
    stated_minor: int | None
    changed_at_us: int


def folded(entries: list[Entry]) -> dict[bytes, Change]:
    """Double entry in plain Python: who is touched, by how much, and what the ledger said last."""
    posted: Counter[bytes] = Counter()
    available: Counter[bytes] = Counter()
    stated: dict[bytes, int] = {}
    touched: dict[bytes, int] = {}

    def touch(account: bytes, time_us: int) -> None:
        touched[account] = max(touched.get(account, 0), time_us)

    for one in entries:
        payer, payee, amount = one.debit_account, one.credit_account, one.amount_minor
        if one.kind is EntryKind.POSTED:
            posted[payer] -= amount
            posted[payee] += amount
            available[payee] += amount
            if payer == CLEARING:
                available[payer] -= amount
            if payee != CLEARING:
                stated[payee] = one.available_after_minor
            touch(payer, one.decided_at_us)
            touch(payee, one.decided_at_us)
        elif one.kind in (EntryKind.RESERVED, EntryKind.RETURNED, EntryKind.ACCOUNT_OPENED):
            sign = {EntryKind.RESERVED: -1, EntryKind.RETURNED: 1, EntryKind.ACCOUNT_OPENED: 0}[one.kind]
            available[payer] += sign * amount
            stated[payer] = one.available_after_minor
            touch(payer, one.decided_at_us)
    return {id_: Change(posted[id_], available[id_], stated.get(id_), at_us) for id_, at_us in touched.items()}


def changes(entries: list[Entry], *cuts: int) -> list[tuple[bytes, Change]]:
    """The rows in their order; the entries may be spread over several records."""
    edges = [0, *sorted(cuts), len(entries)]
    records = [entries[low:high] for low, high in pairwise(edges)]
    return [read(row) for row in change_rows(changes_of(batch_of(*records), {}))]


def read(row: Any) -> tuple[bytes, Change]:
    stated = int(row["stated_available_minor"]) if row["is_stated"] else None
    at_us = int(row["changed_at"]) - int(postgres_time(np.int64(0)))  # type: ignore[arg-type]
    change = Change(int(row["posted_delta_minor"]), int(row["available_delta_minor"]), stated, at_us)
    return row["account_id"].tobytes(), change


@settings(max_examples=60)
@given(entries=ledgers())
def test_changes_are_the_fold_of_the_entries(entries: list[Entry]) -> None:
    assert dict(changes(entries)) == folded(entries)


@settings(max_examples=40)
@given(entries=ledgers())
def test_each_account_has_one_row_and_rows_ascend_by_account(entries: list[Entry]) -> None:
    """Two writers that lock rows in one order wait for each other and never deadlock."""
    accounts = [account for account, _ in changes(entries)]
    assert accounts == sorted(set(accounts))


@settings(max_examples=40)
@given(entries=ledgers())
def test_what_is_posted_in_a_batch_adds_up_to_zero(entries: list[Entry]) -> None:
    assert sum(change.posted_minor for _, change in changes(entries)) == 0


@settings(max_examples=40)
@given(entries=ledgers(), cut=st.integers(0, 43))
def test_where_records_end_makes_no_difference(entries: list[Entry], cut: int) -> None:
    assert changes(entries, min(cut, len(entries))) == changes(entries)


@settings(max_examples=40)
@given(entries=ledgers())
def test_stated_balances_are_the_sums_of_the_changes_from_the_first_entry_on(entries: list[Entry]) -> None:
    """From an empty ledger on, a sum of amounts and a stated balance are two ways to the same number."""
    for account, change in changes(entries):
        if change.stated_minor is not None:
            assert change.stated_minor == change.available_minor, account.hex()


@pytest.mark.parametrize(
    "kind",
    [
        EntryKind.REJECTED,
        EntryKind.REFUSED,
        EntryKind.REPLAYED,
        EntryKind.KEY_REUSED,
        EntryKind.QUARANTINED,
        EntryKind.ACCOUNT_FROZEN,
        EntryKind.ACCOUNT_UNFROZEN,
        EntryKind.ACCOUNT_CLOSED,
        EntryKind.OVERDRAFT_LIMIT_SET,
        EntryKind.JOURNAL_OPENED,
        EntryKind.JOURNAL_CANCELLED,
        EntryKind.LEG_REFUSED,
        EntryKind.STANDING_SET,
        EntryKind.NOTED,
    ],
)
def test_entries_that_move_nothing_touch_no_balance(kind: EntryKind) -> None:
    assert len(changes_of(batch_of([entry(kind, amount_minor=500)]), {}).account) == 0


def test_an_account_opened_with_a_limit_has_a_row_and_no_money() -> None:
    """The limit stands in the entry's amount; it must not become a balance."""
    [(account, change)] = changes([entry(EntryKind.ACCOUNT_OPENED, ALICE, NIL, amount_minor=50_000)])
    assert (account, change) == (ALICE, Change(0, 0, 0, FIRST_TIME_US))


def test_a_payment_to_a_system_account_is_available_there_at_once_and_states_nothing() -> None:
    [(account, clearing), (payer, paid)] = changes([entry(EntryKind.POSTED, BOB, CLEARING, 70)])
    assert (account, clearing) == (CLEARING, Change(70, 70, None, FIRST_TIME_US))
    assert (payer, paid) == (BOB, Change(-70, 0, None, FIRST_TIME_US)), "it left what is available when reserved"


def test_a_deposit_takes_from_the_clearing_account_what_it_gives() -> None:
    found = dict(changes([entry(EntryKind.POSTED, CLEARING, BOB, 70, after_minor=70)]))
    assert found[CLEARING][:3] == (-70, -70, None)
    assert found[BOB][:3] == (70, 70, 70)


def test_a_payment_to_oneself_leaves_everything_as_it_was() -> None:
    entries = [
        entry(EntryKind.RESERVED, CAROL, CAROL, 40, after_minor=60),
        entry(EntryKind.POSTED, CAROL, CAROL, 40, after_minor=100),
    ]
    assert dict(changes(entries))[CAROL][:3] == (0, 0, 100)


def test_the_last_statement_counts_and_the_latest_time() -> None:
    """Records of two inputs: the later record may carry the earlier broker time."""
    early, late = FIRST_TIME_US, FIRST_TIME_US + 9
    entries = [
        entry(EntryKind.RESERVED, ALICE, amount_minor=10, after_minor=90, time_us=late),
        entry(EntryKind.RESERVED, ALICE, amount_minor=20, after_minor=70, time_us=early),
    ]
    assert dict(changes(entries))[ALICE] == Change(0, -30, 70, late)


def test_ids_are_ordered_as_unsigned_bytes_and_told_apart_by_their_last() -> None:
    """Ids that end in zeros: numpy drops those of a byte string when it reads one."""
    base = bytes(6) + b"\x80" + bytes(8)
    ids = [base + b"\0", base + b"\1", b"\xff" + bytes(15)]
    opened = [entry(EntryKind.ACCOUNT_OPENED, id_[:6] + b"\x80" + id_[7:], NIL) for id_ in reversed(ids)]
    assert [account for account, _ in changes(opened)] == sorted(one.debit_account for one in opened)


AMOUNTS = st.integers(SMALLEST, LARGEST) | st.integers(-5, 5) | st.sampled_from([SMALLEST, LARGEST, 2**32, -(2**32)])


@settings(max_examples=60)
@given(runs=st.lists(st.lists(AMOUNTS, min_size=1, max_size=8), min_size=1, max_size=6))
def test_sums_are_those_of_whole_numbers_or_none_at_all(runs: list[list[int]]) -> None:
    values = np.array([value for run in runs for value in run], np.int64)
    starts = np.cumsum([0, *map(len, runs[:-1])])
    expected = [sum(run) for run in runs]
    if all(SMALLEST <= total <= LARGEST for total in expected):
        assert exact_sums(values, starts).tolist() == expected
    else:
        with pytest.raises(InvariantViolation, match="64 bits"):
            exact_sums(values, starts)


@pytest.mark.parametrize("values", [[LARGEST], [SMALLEST], [LARGEST, SMALLEST], [-1, SMALLEST, 1], [0]])
def test_the_edges_of_64_bits_are_sums_too(values: list[int]) -> None:
    assert exact_sums(np.array(values, np.int64), np.array([0])).tolist() == [sum(values)]

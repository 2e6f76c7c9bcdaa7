"""Balances of ledgers with every kind of movement: at any point as the shards held them, and as Postgres' facts say."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import Connection

from millrace.audit.ledger.entry_batch import EntryBatch, batches
from millrace.audit.report import Differs
from millrace.replay.balances import Balance, Balances
from millrace.replay.comparison import compare
from millrace.replay.tables import open_holds, shown_balances, summed_balances
from payments.book import Book, evolve
from payments.entries import EntryKind
from payments.postings import postings
from runtime.postgres import connect
from schemas.codec.ledger import decode_ledger_record, encode_ledger_record
from sinks.balances import prepare_session
from tests.sinks.every_kind import ANNA, SHARDS, EveryKind
from tests.sinks.shards_in_memory import ShardsInMemory
from tests.sinks.test_every_kind import apply

Ledgers = list[list[bytes]]


@pytest.fixture(scope="module")
def ledgers() -> Ledgers:
    shards = ShardsInMemory(SHARDS)
    EveryKind(shards).run()
    return [shards.ledger(shard) for shard in range(SHARDS)]


@pytest.fixture
def connection(ledgers: Ledgers, migrated: str, tmp_path: Path) -> Iterator[Connection]:
    """To tables in which the whole ledger is applied."""
    with connect(migrated, "test") as connection:
        prepare_session(connection)
        apply(connection, dict(enumerate(ledgers)))
        yield connection


def batches_of(values: list[bytes]) -> Iterator[EntryBatch]:
    return batches((offset, decode_ledger_record(value)) for offset, value in enumerate(values))


def added_up(ledgers: Ledgers) -> Balances:
    balances = Balances()
    for values in ledgers:
        for batch in batches_of(values):
            balances.add(batch, "somewhere")
    return balances


def prefixes(ledgers: Ledgers) -> Iterator[Ledgers]:
    """Every shard at a tenth of its ledger, at two tenths …"""
    for tenth in range(1, 11):
        yield [values[: len(values) * tenth // 10] for values in ledgers]


def test_balances_at_every_point_are_those_of_the_books(ledgers: Ledgers) -> None:
    for prefix in prefixes(ledgers):
        posted: Counter[bytes] = Counter()
        available: dict[bytes, int] = {}
        for values in prefix:
            book = Book()
            for entry in (entry for value in values for entry in decode_ledger_record(value).entries()):
                evolve(book, entry)
                for leg in postings(entry):
                    posted[leg.account] += leg.amount_minor
                available |= {
                    account: state.available_minor
                    for account in (entry.debit_account, entry.credit_account)
                    if (state := book.accounts.get(account)) is not None
                }
        balances = added_up(prefix)
        for account, amount in available.items():
            found = balances.of(account)
            assert found is not None
            assert (found.posted_minor, found.available_minor) == (posted[account], amount)
        assert not any(totals.postings_sum_minor for totals in balances.totals().values())


def test_batches_of_one_record_give_the_same(ledgers: Ledgers) -> None:
    whole, one_by_one = added_up(ledgers), Balances()
    for values in ledgers:
        for offset, value in enumerate(values):
            one_by_one.add(EntryBatch([(offset, decode_ledger_record(value))]), "somewhere")
    assert {id_: whole.of(id_) for id_ in whole.ids()} == {id_: one_by_one.of(id_) for id_ in one_by_one.ids()}


@pytest.mark.parametrize("kind", [EntryKind.CAPTURED, EntryKind.DEBITED, EntryKind.COLLECTED, EntryKind.LEG_SETTLED])
def test_a_stated_balance_that_is_no_sum(ledgers: Ledgers, kind: EntryKind) -> None:
    for values in ledgers:
        for value in values:
            record = decode_ledger_record(value)
            entries = list(record.entries())
            at = next((at for at, entry in enumerate(entries) if entry.kind is kind), None)
            if at is None:
                continue
            wrong = entries[at]._replace(available_after_minor=entries[at].available_after_minor + 1)
            forged = encode_ledger_record(record.header, [*entries[:at], wrong], {})
            until = values[: values.index(value)]
            with pytest.raises(Differs, match="available_after_minor"):
                added_up([[*until, forged]])
            return
    raise AssertionError(f"no {kind.name} in the ledgers")


def test_postgres_agrees_at_the_newest_point_and_at_earlier_ones(ledgers: Ledgers, connection: Connection) -> None:
    assert compare(added_up(ledgers), shown_balances(connection)).differing_accounts == 0
    for prefix in prefixes(ledgers):
        next_offsets = {shard: len(values) for shard, values in enumerate(prefix)}
        comparison = compare(added_up(prefix), summed_balances(connection, next_offsets))
        assert comparison.first == []
        assert comparison.accounts > 0


def test_a_changed_item_is_found_at_an_earlier_point(ledgers: Ledgers, connection: Connection) -> None:
    connection.execute("UPDATE item_events SET amount_minor = 116 WHERE amount_minor = 111")
    next_offsets = {shard: len(values) for shard, values in enumerate(ledgers)}
    comparison = compare(added_up(ledgers), summed_balances(connection, next_offsets))
    assert (comparison.differing_accounts, comparison.drift_minor) == (1, 5)
    connection.rollback()


def test_open_holds_are_taken_over_with_the_balances(ledgers: Ledgers, connection: Connection) -> None:
    found = open_holds(connection)
    assert sorted(found.values()) == [111, 2_002]
    balances = Balances()
    for block in shown_balances(connection):
        columns = block["account_id"], block["currency"].view("S3"), block["posted_minor"], block["available_minor"]
        balances.adopt(*columns)
    balances.adopt_holds(found)
    before = balances.of(ANNA)
    assert before is not None
    record = decode_ledger_record(final_capture(ledgers, 100, before.available_minor + 11))
    balances.add(EntryBatch([(0, record)]), "behind what was taken over")
    assert balances.of(ANNA) == Balance("EUR", before.posted_minor, before.available_minor + 11)


def final_capture(ledgers: Ledgers, amount: int, after: int) -> bytes:
    """Of the hold that is still open: 100 of 111."""
    values = [decode_ledger_record(value) for values in ledgers for value in values]
    records = [(record, entry) for record in values for entry in record.entries()]
    placed = next((record, e) for record, e in records if e.kind is EntryKind.HELD and e.amount_minor == 111)
    [hold] = placed[1].details
    ended = hold._replace(amount_minor=0, captured_minor=amount, is_open=False)  # type: ignore[call-arg]
    entry = placed[1]._replace(
        kind=EntryKind.CAPTURED, amount_minor=amount, available_after_minor=after, details=(ended,)
    )
    return encode_ledger_record(placed[0].header, [entry], {})

"""One row changed, added or taken away in each table: the audit names the table, the key and both values."""

import re
from typing import NamedTuple

import psycopg
import pytest

from millrace.audit.ledger.partition_log import AuditedTopics
from millrace.audit.report import Difference, Invariant
from millrace.audit.verify import verify
from runtime.settings import Settings
from tests.audit.pipeline import Pipeline
from tests.support.side_by_side import by_night, sampled

ONE_PAYMENT = "(SELECT payment_id FROM decisions WHERE kind = 0 ORDER BY payment_id LIMIT 1)"


class Tampering(NamedTuple):
    """A statement, and patterns of what the audit must say of it."""

    statement: str
    place: str
    expected: str
    found: str


CHANGED_ROWS = [
    Tampering(
        f"UPDATE decisions SET amount_minor = amount_minor + 1 WHERE payment_id = {ONE_PAYMENT}",
        r"table decisions, payment_id [0-9a-f-]{36}",
        r"amount_minor \d+",
        r"amount_minor \d+",
    ),
    Tampering(
        f"UPDATE decisions SET payee = payer, payer = payee WHERE payment_id = {ONE_PAYMENT}",
        r"table decisions, payment_id .*",
        r"payer .*, payee .*",
        r"payer .*, payee .*",
    ),
    Tampering(
        f"UPDATE decisions SET decided_at = decided_at + interval '1 microsecond' WHERE payment_id = {ONE_PAYMENT}",
        r"table decisions, payment_id .*",
        r"decided_at \d+",
        r"decided_at \d+",
    ),
    Tampering(
        f"UPDATE decisions SET shard = shard + 1 WHERE payment_id = {ONE_PAYMENT}",
        r"table decisions, payment_id .*",
        r"this row|no such row",
        r"no such row.*|payment_id .*",
    ),
    Tampering(
        "UPDATE decisions SET description = 'gift' WHERE payment_id ="
        " (SELECT payment_id FROM decisions WHERE description IS NOT NULL ORDER BY payment_id LIMIT 1)",
        r"table decisions, payment_id .*",
        r"description '(rent|every kind|a payment).*",
        r"description 'gift' of payment_id .*",
    ),
    Tampering(
        "UPDATE decisions SET description = 'gift' WHERE payment_id ="
        " (SELECT payment_id FROM decisions WHERE description IS NULL ORDER BY payment_id LIMIT 1)",
        r"table decisions, payment_id .*",
        r"description '(rent|every kind|a payment).*|no description",
        r"description 'gift' of payment_id .*|one",
    ),
    Tampering(
        "UPDATE journal_entries SET amount_minor = 1 + amount_minor WHERE payment_id IN"
        " (SELECT payment_id FROM journal_entries ORDER BY payment_id LIMIT 1)",
        r"table journal_entries, journal_id .*",
        r"amount_minor \d+",
        r"amount_minor \d+",
    ),
    Tampering(
        "UPDATE journal_entries SET currency = 'CHF' WHERE journal_id IN"
        " (SELECT journal_id FROM journal_entries ORDER BY journal_id LIMIT 1)",
        r"table journal_entries, journal_id .*",
        r"currency (EUR|USD)",
        r"currency CHF",
    ),
    Tampering(
        "UPDATE refusals SET reason = 1 WHERE payment_id IN (SELECT payment_id FROM refusals LIMIT 1)",
        r"table refusals, payment_id .*",
        r"reason \d+",
        r"reason 1",
    ),
    Tampering(
        "UPDATE returns SET source_offset = source_offset + 1 WHERE payment_id IN"
        " (SELECT payment_id FROM returns LIMIT 1)",
        r"table returns, payment_id .*",
        r"source_offset \d+|this row|no such row",
        r".*",
    ),
    Tampering(
        "UPDATE account_events SET amount_minor = 7 WHERE operation_id IN"
        " (SELECT operation_id FROM account_events LIMIT 1)",
        r"table account_events, operation_id .*",
        r"amount_minor \d+",
        r"amount_minor 7",
    ),
    Tampering(
        "UPDATE accounts SET overdraft_limit_minor = 100000 WHERE account_id IN"
        " (SELECT account_id FROM accounts LIMIT 1)",
        r"table accounts, account_id .*",
        r"overdraft_limit_minor \d+",
        r"overdraft_limit_minor 100000",
    ),
    Tampering(
        "UPDATE accounts SET status = 2 WHERE account_id IN (SELECT account_id FROM accounts WHERE status = 1)",
        r"table accounts, account_id .*",
        r"status 1",
        r"status 2",
    ),
    Tampering(
        "INSERT INTO account_sums SELECT account_id, now(), 12345678901 FROM balances ORDER BY account_id LIMIT 1",
        r"table account_sums, account_id [0-9a-f-]{36}, until .*",
        r"posted_minor -?\d+",
        r"posted_minor 12345678901",
    ),
    Tampering(
        "UPDATE balances SET posted_minor = posted_minor + 1 WHERE account_id IN"
        " (SELECT account_id FROM balances LIMIT 1)",
        r"table balances, account_id .*",
        r"posted_minor -?\d+",
        r"posted_minor -?\d+",
    ),
    Tampering(
        "UPDATE accounts SET type = 0 WHERE type = 3",
        r"table accounts, account_id .*",
        r"type 3",
        r"type 0",
    ),
    Tampering(
        "UPDATE journal_legs SET amount_minor = amount_minor + 1 WHERE (journal_id, leg_index) IN"
        " (SELECT journal_id, leg_index FROM journal_legs LIMIT 1)",
        r"table journal_legs, journal_id .*",
        r"amount_minor -?\d+",
        r"amount_minor -?\d+",
    ),
    Tampering(
        "UPDATE causes SET code = 'R02' WHERE code = 'R01'",
        r"table causes, operation_id .*",
        r"code R01",
        r"code R02",
    ),
    Tampering(
        "UPDATE verdicts SET outcome = 0 WHERE ctid IN (SELECT ctid FROM verdicts WHERE outcome = 1 LIMIT 1)",
        r"table verdicts, operation_id .*",
        r"outcome 1",
        r"outcome 0",
    ),
    Tampering(
        "UPDATE rule_sets SET text = text || ' ' WHERE shard = 0 AND version = 1",
        r"table rule_sets, version 1",
        r"(?s)text .*",
        r"(?s)text .*",
    ),
    Tampering(
        "UPDATE item_events SET owner = item_id WHERE ctid IN"
        " (SELECT ctid FROM item_events WHERE item_kind = 0 LIMIT 1)",
        r"table item_events, item_id .*",
        r"owner .*",
        r"owner .*",
    ),
    Tampering(
        "UPDATE holds SET remaining_minor = 112 WHERE remaining_minor = 111",
        r"table holds, hold_id .*",
        r"remaining_minor 111",
        r"remaining_minor 112",
    ),
    Tampering(
        "UPDATE given_back SET refunded_minor = 0 WHERE refunded_minor = 1600",
        r"table given_back, payment_id .*",
        r"refunded_minor 1600",
        r"refunded_minor 0",
    ),
    Tampering(
        "UPDATE disputes SET is_open = false WHERE is_open AND uncollected_minor = 0",
        r"table disputes, dispute_id .*",
        r"is_open True",
        r"is_open False",
    ),
    Tampering(
        "UPDATE receivables SET amount_minor = 1 WHERE receivable_id IN"
        " (SELECT receivable_id FROM receivables WHERE is_open LIMIT 1)",
        r"table receivables, receivable_id .*",
        r"amount_minor \d+",
        r"amount_minor 1",
    ),
    Tampering(
        "UPDATE journals SET legs = '[]' WHERE refusal > 0"
        " AND journal_id NOT IN (SELECT request_id FROM provider_requests)",
        r"table journals, journal_id .*",
        r"legs \[\[.*",
        r"legs \[\]",
    ),
    Tampering(
        "UPDATE reserved_legs SET currency = 'CHF' WHERE leg_id IN (SELECT leg_id FROM reserved_legs LIMIT 1)",
        r"table reserved_legs, leg_id .*",
        r"currency (EUR|USD)",
        r"currency CHF",
    ),
    Tampering(
        "UPDATE outcome_counts SET entries = entries + 1 WHERE shard = 1 AND kind = 2",
        r"table outcome_counts, shard 1, kind 2",
        r"entries \d+",
        r"entries \d+",
    ),
    Tampering(
        "UPDATE sink_lanes SET next = next + 1 WHERE (shard, lane, peer) IN"
        " (SELECT shard, lane, peer FROM sink_lanes LIMIT 1)",
        r"table sink_lanes, shard \d, lane \d, peer \d",
        r"next \d+",
        r"next \d+",
    ),
    Tampering(
        "UPDATE sink_progress SET credits_next_offset = credits_next_offset + 1 WHERE shard = 2",
        r"table sink_progress, shard 2",
        r"credits_next_offset \d+",
        r"credits_next_offset \d+",
    ),
    Tampering(
        "UPDATE sink_progress SET last_hash = decode(repeat('ab', 32), 'hex') WHERE shard = 0",
        r"table sink_progress, shard 0",
        r"last_hash [0-9a-f]{64}",
        r"last_hash (ab){32}",
    ),
    Tampering(
        "UPDATE sink_progress SET ledger_next_offset = ledger_next_offset + 100 WHERE shard = 0",
        r"table sink_progress, shard 0",
        r"ledger_next_offset \d+",
        r"ledger_next_offset \d+",
    ),
]
TABLES = ["decisions", "journal_entries", "refusals", "returns", "account_events", "accounts", "balances"]
TABLES += ["outcome_counts", "sink_lanes", "journal_legs", "causes", "item_events", "holds", "uncollected_deposits"]
TABLES += ["verdicts", "risk_terms", "rule_sets"]
TABLES += ["given_back", "disputes", "receivables", "reserved_legs", "journals", "reviews"]
TABLES += ["payment_orders", "provider_requests", "attempt_settlements"]


def difference_after(statement: str, url: str, settings: Settings, topics: AuditedTopics) -> Difference:
    with psycopg.connect(url) as connection:
        assert connection.execute(statement.encode()).rowcount == 1
    report = verify(settings.model_copy(update={"database_url": url}), topics)
    (difference,) = report.differences
    assert not report.ok
    assert report.to_json()["first_difference"] == difference._asdict()
    assert difference.invariant is Invariant.TABLES
    assert report.proofs[Invariant.TABLES].verdict == "failed"
    assert report.proofs[Invariant.REPLAY].verdict == "proved"
    return difference


@pytest.mark.parametrize("tampering", sampled(CHANGED_ROWS, 3), ids=lambda tampering: tampering.statement[:60])
def test_a_changed_row_is_named(pipeline: Pipeline, tables: str, settings: Settings, tampering: Tampering) -> None:
    difference = difference_after(tampering.statement, tables, settings, pipeline.topics)
    assert re.fullmatch(tampering.place, difference.place), difference
    assert re.fullmatch(tampering.expected, difference.expected), difference
    assert re.fullmatch(tampering.found, difference.found, re.DOTALL), difference
    assert difference.expected != difference.found


@pytest.mark.parametrize("table", sampled(TABLES, 3))
def test_a_missing_row_is_named(pipeline: Pipeline, tables: str, settings: Settings, table: str) -> None:
    statement = f"DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} LIMIT 1)"
    difference = difference_after(statement, tables, settings, pipeline.topics)
    assert difference.place.startswith(f"table {table}, ")
    assert difference.found.startswith("no such row")


@pytest.mark.parametrize("end", ["min", "max"])
@pytest.mark.parametrize("table", ["decisions", *by_night("journal_entries", "returns")])
def test_an_invented_row_is_named_wherever_it_stands(
    pipeline: Pipeline, tables: str, settings: Settings, table: str, end: str
) -> None:
    key = "journal_id" if table == "journal_entries" else "payment_id"
    with psycopg.connect(tables) as connection:
        connection.execute(f"CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM {table} LIMIT 1".encode())
        connection.execute(
            f"UPDATE copy SET {key} = '00000000-0000-8000-8000-000000000001',"
            f" shard = (SELECT {end}(shard) FROM {table}),"
            f" ledger_sequence = (SELECT {end}(ledger_sequence) FROM {table}) + {-1 if end == 'min' else 1}".encode()
        )
        assert connection.execute(f"INSERT INTO {table} SELECT * FROM copy".encode()).rowcount == 1
    report = verify(settings.model_copy(update={"database_url": tables}), pipeline.topics)
    (difference,) = report.differences
    assert difference.place == f"table {table}, {key} 00000000-0000-8000-8000-000000000001"
    assert difference.expected == "no such row"


def test_the_drift_is_the_sum_of_what_balances_are_off(pipeline: Pipeline, tables: str, settings: Settings) -> None:
    with psycopg.connect(tables) as connection:
        connection.execute(
            "UPDATE balances SET posted_minor = posted_minor + 3, available_minor = available_minor - 4"
            " WHERE account_id IN (SELECT account_id FROM balances ORDER BY account_id LIMIT 2)"
        )
    report = verify(settings.model_copy(update={"database_url": tables}), pipeline.topics)
    assert report.drift_minor == 14
    assert not report.ok

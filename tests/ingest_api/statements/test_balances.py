"""Goal: the four figures as they stood at any microsecond, equal to a fold of the ledger, found by an index."""

import re
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from ingest_api.problems import Problem
from ingest_api.reads.accounts import BALANCE_AT, find_balance
from ingest_api.reads.database import Database
from tests.ingest_api.statements.fold import Figures, figures_at, placed_entries
from tests.sinks.every_kind import ANNA, BERT, CARL, DORA, EVE, SHOP
from tests.sinks.test_every_kind import Played

NAMES = ["anna", "bert", "carl", "dora", "shop", "eve"]
MICROSECOND = timedelta(microseconds=1)


async def shown(ledger: Database, account: bytes, at: datetime | None) -> Figures:
    balance = await find_balance(ledger, account, at)
    return Figures(balance.posted_minor, balance.available_minor, balance.held_minor, balance.incoming_minor)


ALL_MOMENTS = """
SELECT moment, now.posted_minor - later.posted_minor, now.available_minor - later.available_minor,
    now.held_minor - later.held_minor, now.incoming_minor - later.incoming_minor
FROM unnest(%(moments)s::timestamptz[]) AS moment
CROSS JOIN (
    SELECT coalesce(sum(posted_minor), 0)::bigint AS posted_minor,
        coalesce(sum(available_minor), 0)::bigint AS available_minor,
        coalesce((SELECT held_minor FROM account_holdings WHERE account_id = %(account)s), 0) AS held_minor,
        coalesce((SELECT incoming_minor FROM account_holdings WHERE account_id = %(account)s), 0) AS incoming_minor
    FROM balances WHERE account_id = %(account)s
) AS now
CROSS JOIN LATERAL (
    SELECT coalesce(sum(posted_minor), 0)::bigint AS posted_minor,
        coalesce(sum(available_minor), 0)::bigint AS available_minor,
        coalesce(sum(held_minor), 0)::bigint AS held_minor,
        coalesce(sum(incoming_minor), 0)::bigint AS incoming_minor
    FROM account_changes WHERE account_id = %(account)s AND changed_at > moment
) AS later"""
"""What find_balance asks of one moment, of all at once."""


def moments_of(played: Played) -> list[datetime]:
    """Each entry's own microsecond, and one before."""
    times = {placed.at for placed in placed_entries(played)}
    return sorted(times | {time - MICROSECOND for time in times})


@pytest.mark.parametrize("account", [ANNA, BERT, CARL, DORA, SHOP, EVE], ids=NAMES)
def test_every_moment_is_the_fold_of_the_ledger_until_then(ledger_url: str, played: Played, account: bytes) -> None:
    moments = moments_of(played)
    with psycopg.connect(ledger_url) as connection:
        rows = connection.execute(ALL_MOMENTS, {"moments": moments, "account": UUID(bytes=account)}).fetchall()
    found = {moment: Figures(*figures) for moment, *figures in rows}
    assert found == {moment: figures_at(played, account, moment) for moment in moments}
    assert len(set(found.values())) > 1


async def test_the_answer_of_some_moments_and_of_now(ledger: Database, played: Played) -> None:
    moments = moments_of(played)[::40]
    found = [await shown(ledger, BERT, at) for at in moments]
    assert found == [figures_at(played, BERT, at) for at in moments]
    assert await shown(ledger, BERT, None) == figures_at(played, BERT, moments_of(played)[-1])


def test_the_moments_see_all_four_figures_move(played: Played) -> None:
    """A guard of the tests above: no figure is the same all the time, and some money is in flight."""
    moments = moments_of(played)[::5]
    figures = [figures_at(played, account, at) for account in (ANNA, BERT) for at in moments]
    assert all(len(set(column)) > 2 for column in zip(*figures, strict=True))
    assert any(one.available_minor != one.posted_minor - one.held_minor - one.incoming_minor for one in figures)


async def test_an_account_that_is_not_open_yet_had_nothing(ledger: Database, played: Played) -> None:
    first = placed_entries(played)[0].at
    assert await shown(ledger, SHOP, first - timedelta(days=400)) == Figures(0, 0, 0, 0)


async def test_an_unknown_account_has_no_balance(ledger: Database, played: Played) -> None:
    with pytest.raises(Problem):
        await find_balance(ledger, bytes(15) + b"\x07", placed_entries(played)[0].at)


MANY = (
    """INSERT INTO decisions (payment_id, kind, reason, payer, payee, amount_minor, currency, decided_at, shard,
        ledger_sequence, ledger_offset, command_offset, command_item)
    SELECT gen_random_uuid(), 0, 0, gen_random_uuid(), gen_random_uuid(), 1, 'EUR', now(), 0, n, n, n, 0
    FROM generate_series(1, 20000) AS n""",
    """INSERT INTO journal_entries (journal_id, payment_id, debit_account, credit_account, amount_minor, currency,
        posted_at, shard, ledger_sequence, ledger_offset, entry_index, source, source_offset, source_item)
    SELECT payment_id, payment_id, payer, payee, 1, 'EUR', decided_at, 0, ledger_sequence, 0, 0, 0, 0, 0
    FROM decisions WHERE decided_at = now()""",
    """INSERT INTO journal_legs SELECT payment_id, 0, payer, 1, 'EUR', decided_at, 0, ledger_sequence, 0, 0
    FROM decisions WHERE decided_at = now()""",
    """INSERT INTO returns SELECT payment_id, 0, payer, payee, 1, 'EUR', decided_at, 0, ledger_sequence, 0, 0, 0, 0
    FROM decisions WHERE decided_at = now()""",
    """INSERT INTO item_events SELECT 0, ledger_sequence, 0, 9, 0, payment_id, payer, payment_id, 13, 0, 1, decided_at
    FROM decisions WHERE decided_at = now()""",
    "ANALYZE decisions, journal_entries, journal_legs, returns, item_events",
)
"""Enough rows that reading a table whole is dear."""

INDEXES = {
    "journal_entries_of_debit",
    "journal_entries_of_credit",
    "journal_legs_of_account",
    "decisions_of_payer",
    "returns_of_payer",
    "item_events_of_owner",
}


def test_indexes_find_what_is_later(ledger_url: str, played: Played) -> None:
    """Every arm has its index."""
    asked = {"account": UUID(bytes=ANNA), "at": placed_entries(played)[-1].at}
    with psycopg.connect(ledger_url) as connection:
        for statement in MANY:
            connection.execute(statement)
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {BALANCE_AT}".encode(), asked))
        connection.rollback()
    big = "decisions|journal_entries|journal_legs|returns|item_events"
    assert not re.search(rf"Seq Scan on ({big})", plan), plan
    assert {index for index in INDEXES if index in plan} == INDEXES, plan

"""Goal: a month's statement ties out with an independent fold, closes where the next one opens, and is bounded."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ingest_api.problems import Problem
from ingest_api.reads.accounts import find_balance
from ingest_api.reads.database import Database
from ingest_api.statements import month as months
from ingest_api.statements.formats.files import FORMATS, StatementFormat
from ingest_api.statements.formats.json_document import JsonStatement
from ingest_api.statements.kinds import LineKind
from ingest_api.statements.moments import Month, Period, Year
from ingest_api.statements.month import rendered
from tests.ingest_api.statements.fold import legs_of
from tests.sinks.every_kind import ANNA, BERT, CARL, DORA, EVE, SHOP
from tests.sinks.test_every_kind import Played

ACCOUNTS = [ANNA, BERT, CARL, DORA, SHOP, EVE]
NAMES = ["anna", "bert", "carl", "dora", "shop", "eve"]
MONTH = Month(2026, 9)
"""In which the script plays."""


async def written(ledger: Database, account: bytes, period: Period, format_: StatementFormat) -> bytes:
    return b"".join([part async for part in rendered(ledger, account, period, FORMATS[format_].begin())])


async def statement(ledger: Database, account: bytes, period: Period = MONTH) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await written(ledger, account, period, StatementFormat.JSON))
    return found


@pytest.mark.parametrize("account", ACCOUNTS, ids=NAMES)
async def test_a_statement_is_the_fold_of_its_month(ledger: Database, played: Played, account: bytes) -> None:
    shown = await statement(ledger, account)
    legs = legs_of(played, account)
    assert [entry["amount_minor"] for entry in shown["entries"]] == [amount for _, amount in legs]
    balance = shown["opening_balance_minor"]
    for entry in shown["entries"]:
        balance += entry["amount_minor"]
        assert entry["balance_minor"] == balance
    assert balance == shown["closing_balance_minor"]
    assert sum(total["credited_minor"] - total["debited_minor"] for total in shown["totals"]) == balance
    assert sum(total["credits"] + total["debits"] for total in shown["totals"]) == len(legs)


@pytest.mark.parametrize("account", ACCOUNTS, ids=NAMES)
async def test_a_month_closes_where_the_next_one_opens(ledger: Database, account: bytes) -> None:
    august, september, october = [await statement(ledger, account, Month(2026, number)) for number in (8, 9, 10)]
    assert august["closing_balance_minor"] == september["opening_balance_minor"] == 0
    assert september["closing_balance_minor"] == october["opening_balance_minor"] == october["closing_balance_minor"]
    assert september["to"] == october["from"] == "2026-10-01T00:00:00.000000Z"
    assert october["entries"] == october["totals"] == []
    balance = await find_balance(ledger, account)
    assert (october["closing_balance_minor"], october["closing_available_minor"]) == (
        balance.posted_minor,
        balance.available_minor,
    )
    assert (october["closing_held_minor"], october["closing_incoming_minor"]) == (
        balance.held_minor,
        balance.incoming_minor,
    )


async def test_a_year_is_its_months(ledger: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, in little memory, whatever it has."""
    monkeypatch.setattr(months, "BATCH_LINES", 3)
    year, month = await statement(ledger, SHOP, Year(2026)), await statement(ledger, SHOP)
    assert (year["month"], year["year"], month["month"], month["year"]) == (None, "2026", "2026-09", None)
    assert len(year["entries"]) > 10
    assert year["entries"] == month["entries"]
    moved = sum(entry["amount_minor"] for entry in year["entries"])
    assert year["opening_balance_minor"] + moved == year["closing_balance_minor"]


async def test_what_entries_are_called(ledger: Database) -> None:
    """Every kind occurs; parties, fees and descriptions are those of the script."""
    shown = {account: (await statement(ledger, account))["entries"] for account in ACCOUNTS}
    assert {entry["kind"] for entries in shown.values() for entry in entries} == set(LineKind) - {LineKind.WITHDRAWAL}
    first = shown[ANNA][0]
    assert (first["kind"], first["counterparty_name"], first["description"]) == (
        "deposit",
        "cash clearing",
        "a payment",
    )
    [exchange] = [entry for entry in shown[BERT] if entry["kind"] == "exchange"]
    assert (exchange["amount_minor"], exchange["fee_minor"]) == (-1_025, 25)
    [charged] = [entry for entry in shown[CARL] if entry["fee_minor"] == 5]
    assert (charged["kind"], charged["amount_minor"]) == ("transfer", 100)
    journals = [entry for entry in shown[CARL] if entry["kind"] == "journal"]
    assert [(entry["counterparty"], entry["description"]) for entry in journals] == [(None, "every kind")]


@pytest.mark.parametrize("batch_lines", [1, 2, 7])
@pytest.mark.parametrize("account", ACCOUNTS, ids=NAMES)
async def test_batches_join_without_a_gap(
    ledger: Database, account: bytes, batch_lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one ends between legs of one microsecond."""
    whole = await written(ledger, account, MONTH, StatementFormat.CSV)
    monkeypatch.setattr(months, "BATCH_LINES", batch_lines)
    assert await written(ledger, account, MONTH, StatementFormat.CSV) == whole


async def test_what_a_provider_did_has_its_name(ledger: Database) -> None:
    """Charges; refunds through the provider, before and after the release (which posts nothing) of what they give back;
    payouts that succeeded.
    """
    found = {
        (account, kind): sorted(
            entry["amount_minor"]
            for entry in (await statement(ledger, account))["entries"]
            if entry["kind"] == kind and (kind != "refund" or entry["counterparty_name"])
        )
        for account in (SHOP, BERT)
        for kind in ("payment_order", "refund", "payout")
    }
    assert found == {
        (SHOP, "payment_order"): [40, 477, 1_000, 1_100, 1_200, 1_300, 1_400],
        (SHOP, "refund"): [-300, -177, -100],
        (SHOP, "payout"): [],
        (BERT, "payment_order"): [500],
        (BERT, "refund"): [-500],
        (BERT, "payout"): [-188, -77, -10],
    }


async def test_totals_by_kind(ledger: Database) -> None:
    shown = await statement(ledger, SHOP)
    totals = {total["kind"]: total for total in shown["totals"]}
    assert totals["refund"]["debited_minor"] == 1_600 + 300 + 177 + 100, "of payments, and of payment orders"
    assert totals["dispute"]["fees_on_debits_minor"] == 5 * 150, "two others found nothing to debit"
    assert totals["debt_recovered"]["debits"] == 1


async def test_a_month_that_is_over_is_the_same_for_ever(ledger: Database) -> None:
    over = await statement(ledger, ANNA)
    assert over["final"] is True
    assert over["as_of"] == "2026-10-01T01:00:00.000000Z"
    for format_ in StatementFormat:
        assert await written(ledger, ANNA, MONTH, format_) == await written(ledger, ANNA, MONTH, format_)


async def test_the_month_under_way_is_not_final(ledger: Database) -> None:
    today = datetime.now(UTC)
    shown = await statement(ledger, ANNA, Month(today.year, today.month))
    assert shown["final"] is False
    assert shown["as_of"] < shown["to"]


async def test_a_month_to_come_and_an_unknown_account_are_refused(ledger: Database) -> None:
    to_come = datetime.now(UTC) + timedelta(days=40)
    with pytest.raises(Problem, match="not begun"):
        await statement(ledger, ANNA, Month(to_come.year, to_come.month))
    with pytest.raises(Problem):
        await statement(ledger, bytes(15) + b"\x07")


@pytest.mark.parametrize("text", ["2026-13", "2026-0", "2026-1", "26-01", "0000-01", "2026-01-01", "", "９９９９-01"])
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(Problem, match="2026-10"):
        Month.parse(text)


def test_a_month_ends_where_the_next_begins() -> None:
    months = [Month(year, number) for year in (2023, 2024) for number in range(1, 13)]
    assert all(month.end == after.start for month, after in pairwise(months))
    assert str(Month.parse("2026-02")) == "2026-02"


class OneEntry(JsonStatement):
    """A rendering that takes one entry at most."""

    entries_max = 1


async def test_a_format_says_how_much_it_takes(ledger: Database) -> None:
    with pytest.raises(Problem, match="take csv"):
        await anext(rendered(ledger, ANNA, MONTH, OneEntry()))

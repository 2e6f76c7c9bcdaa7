"""Goal: the year's report adds up what the statements list, ties out per account, and totals per currency."""

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest_api.problems import Problem
from ingest_api.reads.database import Database
from ingest_api.statements import tax
from ingest_api.statements.formats.json_document import JsonStatement
from ingest_api.statements.moments import Month, Year
from ingest_api.statements.month import rendered
from ingest_api.statements.tax import ACCOUNTS_MAX, tax_report
from payments.identifiers import ACCOUNT, format_id
from tests.sinks.every_kind import ANNA, BERT, CARL, DORA, EVE, SHOP

ACCOUNTS = [ANNA, BERT, CARL, DORA, SHOP, EVE]
SUMS = ("credits", "credited_minor", "fees_on_credits_minor", "debits", "debited_minor", "fees_on_debits_minor")


async def report(ledger: Database, accounts: list[bytes], year: int = 2026) -> list[dict[str, str]]:
    content = b"".join([part async for part in tax_report(ledger, accounts, Year(year))]).decode()
    return list(csv.DictReader(io.StringIO(content, newline="")))


async def test_kinds_are_those_of_the_statements(ledger: Database) -> None:
    rows = await report(ledger, ACCOUNTS)
    for account in ACCOUNTS:
        parts = [part async for part in rendered(ledger, account, Month(2026, 9), JsonStatement())]
        totals = {total["kind"]: [total[name] for name in SUMS] for total in json.loads(b"".join(parts))["totals"]}
        own = [row for row in rows if row["account"] == format_id(ACCOUNT, account)]
        assert {row["kind"]: [int(row[name]) for name in SUMS] for row in own if row["row"] == "kind"} == totals
        assert [row["row"] for row in own] == ["opening", *["kind"] * len(totals), "closing"]
        moved = sum(int(row["credited_minor"]) - int(row["debited_minor"]) for row in own if row["row"] == "kind")
        assert int(own[0]["balance_minor"]) + moved == int(own[-1]["balance_minor"])


async def test_a_report_is_the_same_however_it_is_added_up(ledger: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await report(ledger, ACCOUNTS)
    monkeypatch.setattr(tax, "SUMMED_ENTRIES", 1)
    assert await report(ledger, ACCOUNTS) == whole


def test_busy_days_are_added_up_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tax, "SUMMED_ENTRIES", 10)
    year, first, second, last = Year(2026), *(datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2, 9))
    days: list[Any] = [{"day": day, "entries": entries} for day, entries in ((first, 4), (second, 30), (last, 10))]
    assert [*tax._slices(days, year)] == [(year.start, second), (second, last), (last, year.end)]
    assert [*tax._slices([], year)] == []


async def test_totals_are_per_currency(ledger: Database) -> None:
    rows = await report(ledger, ACCOUNTS)
    expected: Counter[str] = Counter()
    for row in rows:
        if row["row"] == "kind":
            expected[row["currency"]] += int(row["credited_minor"])
    totals = {row["currency"]: int(row["credited_minor"]) for row in rows if row["row"] == "total"}
    assert totals == expected
    assert set(totals) == {"EUR", "USD"}


async def test_other_years_have_balances_alone(ledger: Database) -> None:
    [before_opening, before_closing] = await report(ledger, [SHOP], 2025)
    [after_opening, after_closing] = await report(ledger, [SHOP], 2027)
    own = await report(ledger, [SHOP])
    assert before_opening["balance_minor"] == before_closing["balance_minor"] == own[0]["balance_minor"] == "0"
    closing = next(row for row in own if row["row"] == "closing")
    assert after_opening["balance_minor"] == after_closing["balance_minor"] == closing["balance_minor"]
    assert (own[0]["at"], closing["at"]) == ("2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z")


async def test_unknown_accounts_and_too_many_are_refused(ledger: Database) -> None:
    with pytest.raises(Problem):
        await report(ledger, [ANNA, bytes(15) + b"\x07"])
    with pytest.raises(Problem, match="At most"):
        await report(ledger, [ANNA] * (ACCOUNTS_MAX + 1))


@pytest.mark.parametrize("text", ["26", "20266", "0000", "9999", "２０２６", "", "-202"])
def test_what_is_no_year(text: str) -> None:
    with pytest.raises(Problem, match="2026"):
        Year.parse(text)

"""Goal: over HTTP, with the real pipeline behind it: what was posted is on the statement, in every format."""

import csv
import io
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from ingest_api.statements.formats.camt053 import NAMESPACE
from tests.ingest_api.client import ApiClient, problem_of


def this_month() -> str:
    return f"{datetime.now(UTC):%Y-%m}"


@pytest.fixture(scope="module")
def no_account() -> str:
    return "acc_00000000000000000000000001"


def test_pages_join_and_balances_agree(api: ApiClient) -> None:
    account, other = api.funded_account("100.00"), api.open_account()
    for amount in ("1.00", "2.00", "3.00"):
        last = api.transfer(account, other, amount, description="=1+1")
    entries = f"/v1/accounts/{account}/entries"
    newest = api.get(entries, last, limit="3").json()
    rest = api.get(entries, limit="3", cursor=newest["next_cursor"]).json()
    assert [entry["amount_minor"] for entry in newest["items"] + rest["items"]] == [-300, -200, -100, 10_000]
    assert newest["opening_balance_minor"] == rest["closing_balance_minor"]
    assert newest["closing_balance_minor"] == api.balance_minor(account) == 9_400
    oldest = api.get(entries, order="asc").json()
    assert oldest["items"] == (newest["items"] + rest["items"])[::-1]
    for earlier, later in pairwise(oldest["items"]):
        assert later["balance_minor"] == earlier["balance_minor"] + later["amount_minor"]


def test_a_balance_as_it_stood(api: ApiClient) -> None:
    account, other = api.funded_account("100.00"), api.open_account()
    last = api.transfer(account, other, "1.50")
    deposit, transfer = api.get(f"/v1/accounts/{account}/entries", last, order="asc").json()["items"]
    now = api.get(f"/v1/accounts/{account}/balance", last).json()
    assert (now["posted"], now["available"], now["held"], now["incoming"]) == ("98.50", "98.50", "0.00", "0.00")
    for entry in (deposit, transfer):
        then = api.get(f"/v1/accounts/{account}/balance", at=entry["at"]).json()
        assert (then["posted_minor"], then["as_of"]) == (entry["balance_minor"], entry["at"])
    assert api.get("/v1/balance", accountId=account, at=deposit["at"]).json()["available"] == "100.00"
    to_come = api.get(f"/v1/accounts/{account}/balance", at="2999-01-01T00:00:00Z")
    problem_of(to_come, 422, "parameter_invalid")


def test_a_statement_in_every_format(api: ApiClient) -> None:
    account, other = api.funded_account("100.00"), api.open_account()
    last = api.transfer(account, other, "2.50", description="=SUM(A1)")
    path = f"/v1/accounts/{account}/statement"
    shown = api.get(path, last, month=this_month())
    assert (shown.status_code, shown.headers["content-type"]) == (200, "application/json")
    assert shown.json()["closing_balance"] == "97.50"
    assert [entry["kind"] for entry in shown.json()["entries"]] == ["deposit", "transfer"]
    table = api.get(path, month=this_month(), format="csv")
    assert table.headers["content-disposition"] == f'attachment; filename="{account}-{this_month()}.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["description"] for row in rows if row["row"] == "entry"] == ["", "'=SUM(A1)"]
    assert NAMESPACE in api.get(path, month=this_month(), format="camt053").text
    assert api.get(path, month=this_month(), format="pdf").content.startswith(b"%PDF-")


def test_a_tax_report(api: ApiClient) -> None:
    account, other = api.funded_account("100.00"), api.open_account()
    last = api.transfer(account, other, "2.50")
    report = api.get(f"/v1/accounts/{account}/tax-report", last, year=this_month()[:4])
    rows = {(row["row"], row["kind"]): row for row in csv.DictReader(io.StringIO(report.text, newline=""))}
    assert rows["kind", "deposit"]["credited"] == "100.00"
    assert rows["kind", "transfer"]["debited_minor"] == "250"
    assert rows["closing", ""]["balance"] == "97.50"
    of_nobody = api.get("/v1/users/usr_00000000000000000000000001/tax-report", year="2026")
    assert of_nobody.text.splitlines() == report.text.splitlines()[:1]


def test_what_is_refused_is_a_problem_document(api: ApiClient, no_account: str) -> None:
    account = api.open_account()
    assert api.balance_minor(account) == 0, "shown from here on"
    path = f"/v1/accounts/{account}"
    problem_of(api.get(f"{path}/statement", month="2026-13"), 422, "parameter_invalid")
    problem_of(api.get(f"{path}/statement", month="2999-01"), 422, "parameter_invalid")
    problem_of(api.get(f"{path}/statement", month=this_month(), format="xls"), 422, "parameter_invalid")
    problem_of(api.get(f"{path}/tax-report", year="26"), 422, "parameter_invalid")
    problem_of(api.get(f"{path}/entries", cursor="of another list"), 422, "cursor_invalid")
    for route, query in (("statement", {"month": this_month()}), ("entries", {}), ("tax-report", {"year": "2026"})):
        problem_of(api.http.get(f"/v1/accounts/{no_account}/{route}", params=query), 404, "account_not_found")

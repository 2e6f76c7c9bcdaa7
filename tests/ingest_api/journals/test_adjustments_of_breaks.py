"""Goal: what two people agree about a break is posted by the streams, once, however often it is asked for.

Method: a whole installation. Lines of a bank that the books lack are broken; one is approved by two calls at a time,
the other is left approved and not sent, as by a crash, and then sent by two calls at a time.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from payments.identifiers import parse_id, system_account
from payments.postings import SystemAccount
from reconciliation.breaks import desk
from reconciliation.breaks.desk import Deed
from reconciliation.breaks.machine import Status
from reconciliation.runs.sides import BREAK
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient
from tests.support.waiting import eventually

PATH = "/v1/reconciliation"
RULES = """
version: 1
name: adjusting
books: {accounts: [suspense], currencies: [NOK]}
statements: {sources: [adjusting]}
"""
FILE = """:20:ADJUSTING
:25:NO9386011117947
:28C:1/1
:60F:C261116NOK0,00
:61:2611161116C10,00NTRFNONREF//B1
:61:2611161116C20,00NTRFNONREF//B2
:62F:C261116NOK30,00
-
"""
"""Nobody else in this installation has kroner."""


def legs(amount: str) -> list[dict[str, str]]:
    return [
        {"account": account, "side": side, "amount": amount, "currency": "NOK"}
        for account, side in (("suspense", "debit"), ("fees", "credit"))
    ]


@pytest.fixture
def people(settings: Settings, api_url: str) -> tuple[ApiClient, ApiClient]:
    """Who proposes, and who approves."""
    fatima, bert = (ApiClient(api_url, issue_token(settings, name, ALL_SCOPES, 600)) for name in ("fatima", "bert"))
    return fatima, bert


def broken(api: ApiClient) -> list[dict[str, Any]]:
    octets = {"Content-Type": "application/octet-stream"}
    at = f"{PATH}/files?source=adjusting&name=adjusting.sta"
    assert api.http.post(at, content=FILE.encode(), headers=octets).status_code == 201
    run = api.post(f"{PATH}/runs", {"rules": RULES})
    assert run.status_code == 201, run.text
    found: list[dict[str, Any]] = api.get(f"{PATH}/breaks", rules="adjusting").json()["items"]
    return found


def twice(call: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(2) as pool:
        return [one.result() for one in [pool.submit(call) for _ in range(2)]]


def resolved(api: ApiClient, at: str) -> dict[str, Any]:
    """Once the ledger has decided."""
    eventually(lambda: api.get(at).json()["status"] == "resolved", f"{at} is resolved")
    shown: dict[str, Any] = api.get(at).json()
    return shown


def test_an_adjustment_of_two_people_is_posted_once(settings: Settings, people: tuple[ApiClient, ApiClient]) -> None:
    fatima, bert = people
    larger, smaller = broken(fatima)
    assert [(one["type"], one["difference"]) for one in (larger, smaller)] == [
        ("MISSING_INTERNAL", "-20.00"),
        ("MISSING_INTERNAL", "-10.00"),
    ]
    for one, amount in ((larger, "20.00"), (smaller, "10.00")):
        body = {"kind": "adjust", "reason_code": "BANK", "because": "it came", "legs": legs(amount)}
        assert fatima.post(f"{PATH}/breaks/{one['id']}/adjustments", body).status_code == 200
    at, crashed = (f"{PATH}/breaks/{one['id']}" for one in (larger, smaller))
    own = fatima.post(f"{at}/steps", {"action": "approve", "because": "seen"})
    assert own.json()["code"] == "second_person_needed"
    answers = twice(lambda: bert.post(f"{at}/steps", {"action": "approve", "because": "seen"}))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    _approved_and_not_sent(settings, smaller["id"])
    twice(lambda: bert.post(f"{crashed}/steps", {"action": "post", "because": "once more"}))
    for place, shown in ((at, resolved(fatima, at)), (crashed, resolved(fatima, crashed))):
        [adjustment] = shown["adjustments"]
        assert (adjustment["outcome"], adjustment["decided_by"]) == ("posted", "bert")
        journal = fatima.get(f"/v1/journals/{adjustment['journal']}").json()
        assert (journal["status"], journal["reason"]) == ("posted", place.rpartition("/")[2])
    with psycopg.connect(settings.database_url) as books:
        suspense = UUID(bytes=system_account(SystemAccount.SUSPENSE, "NOK"))
        query = "SELECT count(*), sum(amount_minor)::bigint FROM account_legs WHERE account_id = %s"
        assert books.execute(query, (suspense,)).fetchone() == (2, -30_00)
    again = fatima.post(f"{PATH}/runs", {"rules": RULES}).json()
    assert again["breaks"] == 2, "an adjustment is no line that the bank would show"
    assert fatima.get(f"{PATH}/breaks", rules="adjusting").json()["items"] == [], "and what is resolved stays so"


def _approved_and_not_sent(settings: Settings, break_id: str) -> None:
    id_ = parse_id(BREAK, break_id)
    assert id_ is not None
    with psycopg.connect(settings.database_url, autocommit=True) as books:
        done = desk.approve(books, UUID(bytes=id_), Deed("bert", "seen"), settings.shards)
    assert done is Status.APPROVED

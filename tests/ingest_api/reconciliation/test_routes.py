"""Goal: finance does its day over HTTP: file, run, break, adjustment by two people, report, signature.

Method: the app in memory with real Postgres; one partition in memory posts what is approved.
"""

import base64
import io
from collections.abc import Callable
from typing import Any

import openpyxl
import psycopg
from pypdf import PdfReader

from ingest_api.identity.tokens import Scope
from payments.entries import EntryKind
from tests.ingest_api.client import problem_of
from tests.ingest_api.owners.world import Caller, World
from tests.ingest_api.reconciliation.conftest import done
from tests.reconciliation.ledger import RULES, charge, report

MONDAY = "2024-11-18"
LEGS = [
    {"account": "fees", "side": "debit", "amount": "1.00", "currency": "EUR"},
    {"account": "stripe_clearing", "side": "credit", "amount": "1.00", "currency": "EUR"},
]
ADJUST = {"kind": "adjust", "reason_code": "PROVIDER_FEE", "because": "=HYPERLINK(1)", "legs": LEGS}
PATH = "/v1/reconciliation"


async def bring(world: World, caller: Caller, content: str, name: str = "stripe.csv") -> Any:
    """A file goes as bytes, which `Caller` does not send."""
    headers = {"Authorization": f"Bearer {caller._token}", "Content-Type": "application/octet-stream"}
    query = f"{PATH}/files?source=stripe&name={name}"
    return await world._http.post(query, content=content.encode(), headers=headers)


async def broken(world: World, fatima: Caller) -> tuple[Any, Any]:
    """The books have 10.00, the provider says 9.00: the run and the break."""
    with psycopg.connect(world.services.settings.database_url, autocommit=True) as books:
        charge(books, 1, 10_00, MONDAY, order="=1+1")
    assert done(await bring(world, fatima, report(("=1+1", "9.00", MONDAY, "charge"))), 201)["lines"] == 1
    run = done(await fatima("POST", f"{PATH}/runs", {"rules": RULES}), 201)
    [found] = done(await fatima("GET", f"{PATH}/breaks"))["items"]
    return run, found


async def test_from_the_file_to_the_signature(world: World, fatima: Caller, bert: Caller) -> None:
    run, found = await broken(world, fatima)
    assert (found["type"], found["difference"], run["totals"]["EUR"]["difference_minor"]) == (
        "AMOUNT_MISMATCH",
        "1.00",
        100,
    )
    at = f"{PATH}/breaks/{found['id']}"
    detail = done(await fatima("GET", at))
    assert detail["lines"][0]["raw"].startswith("txn_=1+1_9.00,")
    proposed = done(await fatima("POST", f"{at}/adjustments", ADJUST))
    assert (proposed["status"], proposed["adjustments"][0]["legs"][0]["account_name"]) == ("proposed", "fees")
    assert len(done(await bert("GET", f"{PATH}/adjustments"))["items"]) == 1
    approve = {"action": "approve", "because": "seen the invoice"}
    own = await fatima("POST", f"{at}/steps", approve)
    assert (own.status_code, own.json()["code"]) == (409, "second_person_needed")
    waiting = await fatima("POST", f"{PATH}/sign-offs", {"run": run["id"]})
    assert waiting.json()["code"] == "proposals_waiting"
    resolved = done(await bert("POST", f"{at}/steps", approve))
    assert (resolved["status"], resolved["adjustments"][0]["outcome"]) == ("resolved", "posted")
    entry = world.partition.entries[-1]
    assert (entry.kind, entry.amount_minor) == (EntryKind.JOURNAL_POSTED, 1_00)
    signed = done(await bert("POST", f"{PATH}/sign-offs", {"run": run["id"], "note": "fine"}), 201)
    assert signed["result_hash"] == run["result_hash"]
    locked = await fatima("POST", f"{at}/steps", {"action": "reopen", "because": "not so"})
    assert locked.json()["code"] == "period_signed_off"
    again = {"because": "the provider corrected it"}
    assert done(await bert("POST", f"{PATH}/sign-offs/{signed['id']}/reopen", again))["reopened_by"] == "bert"
    [listed] = done(await fatima("GET", f"{PATH}/sign-offs"))["items"]
    assert listed["reopened_because"] == again["because"]
    told = world.rows(
        "SELECT action, actor FROM audit_entries WHERE action LIKE 'reconciliation.%%' ORDER BY at, entry_id"
    )
    assert [(one["actor"], one["action"].partition(".")[2]) for one in told] == [
        ("fatima", "file"),
        ("fatima", "run"),
        ("fatima", "propose"),
        ("bert", "approve"),
        ("bert", "sign"),
        ("bert", "reopen"),
    ]


async def test_reports_say_the_same_and_run_nothing(world: World, fatima: Caller) -> None:
    run, found = await broken(world, fatima)
    at = f"{PATH}/runs/{run['id']}/report?format="
    table = (await fatima("GET", f"{at}csv")).content.decode()
    assert "total,,1.00,EUR" in table
    assert run["result_hash"] in table
    book = openpyxl.load_workbook(io.BytesIO((await fatima("GET", f"{at}xlsx")).content))
    sheet = book["Breaks"]
    assert [sheet.cell(2, column).value for column in (1, 2, 3)] == [found["id"], "AMOUNT_MISMATCH", 1]
    assert sheet.freeze_panes == "A2"
    kinds = {cell.data_type for one in book for row in one.iter_rows() for cell in row if cell.value is not None}
    assert kinds <= {"s", "n", "d"}, "no formula, whatever a reference looks like"
    text = "".join(
        page.extract_text() for page in PdfReader(io.BytesIO((await fatima("GET", f"{at}pdf")).content)).pages
    )
    assert run["result_hash"][:16] in text
    assert (await fatima("GET", f"{at}doc")).status_code == 422


async def test_files_lines_and_documents(world: World, fatima: Caller, bert: Caller) -> None:
    _, found = await broken(world, fatima)
    again = done(await bring(world, fatima, report(("=1+1", "9.00", MONDAY, "charge"))))
    cut = done(await bring(world, fatima, "no statement at all", "note.txt"))
    assert (again["status"], cut["status"]) == ("refused", "quarantined")
    first = done(await fatima("GET", f"{PATH}/files?limit=1"))
    rest = done(await fatima("GET", f"{PATH}/files?cursor={first['next_cursor']}"))
    assert [one["status"] for one in first["items"] + rest["items"]] == ["quarantined", "refused", "imported"]
    assert done(await fatima("GET", f"{PATH}/files/{again['first_import']}"))["lines"] == 1
    assert done(await fatima("GET", f"{PATH}/sources"))["items"][0]["quarantined"] == 1
    document = {"name": "a.pdf", "media_type": "application/pdf", "because": "x"}
    at = f"{PATH}/breaks/{found['id']}"
    body = document | {"content_base64": base64.b64encode(b"%PDF").decode()}
    attached = done(await fatima("POST", f"{at}/attachments", body))["attachments"][0]
    answer = await bert("GET", f"{at}/attachments/{attached['id']}")
    assert (answer.content, answer.headers["content-disposition"]) == (b"%PDF", "attachment")
    broken_text = await fatima("POST", f"{at}/attachments", document | {"content_base64": "%"})
    assert broken_text.json()["errors"][0]["pointer"] == "/content_base64"
    line = done(await fatima("GET", f"{PATH}/lines/{found['external'][0]}"))
    assert line["references"]["order_id"] == "=1+1"


async def test_who_may_only_propose_approves_and_signs_nothing(world: World, fatima: Caller) -> None:
    run, found = await broken(world, fatima)
    clerk = world.caller("clerk", Scope.RECONCILIATION_READ, Scope.RECONCILIATION_WRITE)
    reader = world.caller("reader", Scope.RECONCILIATION_READ)
    at = f"{PATH}/breaks/{found['id']}"
    assert (await reader("POST", f"{at}/adjustments", ADJUST)).status_code == 403
    done(await fatima("POST", f"{at}/adjustments", ADJUST))
    for path, body in (
        (f"{at}/steps", {"action": "approve", "because": "x"}),
        (f"{PATH}/sign-offs", {"run": run["id"]}),
    ):
        assert (await clerk("POST", path, body)).status_code == 403
    assert done(await clerk("POST", f"{at}/steps", {"action": "comment", "because": "x"}))["status"] == "proposed"


async def test_pages_and_filters_of_breaks(world: World, fatima: Caller) -> None:
    with psycopg.connect(world.services.settings.database_url, autocommit=True) as books:
        for number in range(1, 6):
            charge(books, number, number * 100, f"2024-11-{10 + number:02}")
    done(await fatima("POST", f"{PATH}/runs", {"rules": RULES, "cut_off": "2024-11-15"}), 201)
    asks: dict[str, Callable[[dict[str, Any]], Any]] = {
        "value": lambda one: -one["difference_minor"],
        "age": lambda one: one["day"],
    }
    for order, key in asks.items():
        first = done(await fatima("GET", f"{PATH}/breaks?order={order}&limit=3"))
        rest = done(await fatima("GET", f"{PATH}/breaks?order={order}&cursor={first['next_cursor']}"))
        items = first["items"] + rest["items"]
        assert len(items) == 5
        assert items == sorted(items, key=key)
    assert {one["type"] for one in items} == {"TIMING", "MISSING_EXTERNAL"}
    assert len(done(await fatima("GET", f"{PATH}/breaks?type=TIMING"))["items"]) == 2
    assert done(await fatima("GET", f"{PATH}/breaks?status=closed"))["items"] == []
    wrong = await fatima(
        "GET", f"{PATH}/breaks?order=age&cursor={done(await fatima('GET', f'{PATH}/breaks?limit=1'))['next_cursor']}"
    )
    assert wrong.json()["code"] == "cursor_invalid"


async def test_what_is_wrong_is_told(fatima: Caller) -> None:
    rules = await fatima("POST", f"{PATH}/runs", {"rules": "version: 1"})
    assert (rules.status_code, rules.json()["code"]) == (422, "reconciliation_rules_invalid")
    assert "name" in rules.json()["detail"]
    day = await fatima("POST", f"{PATH}/runs", {"rules": RULES, "cut_off": "soon"})
    assert day.status_code == 422
    for path in ("runs/rrn_x", "breaks/brk_x", "files/x", "lines/x", "runs/rrn_01jd5v2q7xf8k8v6n3m4p5r6st/report"):
        assert (await fatima("GET", f"{PATH}/{path}")).status_code == 404, path


async def test_a_filter_that_no_text_of_postgres_can_be_is_refused(world: World) -> None:
    for path in ("runs?rules", "breaks?rules", "breaks?owner", "files?source"):
        problem_of(await world.operator("GET", f"/v1/reconciliation/{path}=a%00b"), 400, "request_malformed")

"""Goal: what is done at the desk of this installation is done at one elsewhere by the same command, told the same.

Method: commands as they are run with --url, against an API of the test.
"""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest_api.problems import Fault
from millrace.cli import EXIT_FAILED, EXIT_NOT_RUNNING, EXIT_USAGE
from tests.client.world import problem
from tests.remote.conftest import Run, Server

FAR = ("--url", "http://far", "--profile", "default")
CASE: dict[str, Any] = {
    "id": "payments.commands-1-1234567890-0",
    "status": "open",
    "reason": "malformed",
    "detail": "ends inside",
    "topic": "payments.commands",
    "partition": 1,
    "offset": 1_234_567_890,
    "item": 0,
    "received_at": "2026-11-22T10:00:00.123000Z",
    "value_bytes": 3,
}
IN_FULL = CASE | {"redrivable": True, "wrong": "[b]cut", "advice": "Look.", "value_base64": "YWJj", "commands": []}
REDRIVEN = CASE | {"redriven_to": {"topic": "payments.commands", "partition": 2, "offset": 9}}


def page(*items: Any) -> httpx.Response:
    return httpx.Response(200, json={"items": items, "has_more": False, "next_cursor": None})


def quarantine(asked: list[str]) -> Server:
    """An API with one open case."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "far"
        asked.append(f"{request.method} {request.url.path} {request.url.query.decode()} {request.content.decode()}")
        if request.method == "GET":
            listed = page(CASE) if request.url.params.get("status") == "open" else page()
            return listed if request.url.path.endswith("/quarantine") else httpx.Response(200, json=IN_FULL)
        if "resolved" in request.url.path:
            return httpx.Response(409, content=problem(Fault.CASE_RESOLVED).content)
        return httpx.Response(200, json=REDRIVEN if request.url.path.endswith("redrive") else CASE)

    return answer


def test_cases_are_listed_and_looked_into(run: Run) -> None:
    asked: list[str] = []
    listed_as_rows = run(quarantine(asked), "quarantine", "list", *FAR).output
    assert CASE["id"] in listed_as_rows, "an id that was cut short can't be copied into the next command"
    listed = json.loads(run(quarantine(asked), "quarantine", "list", "--json", *FAR).output)
    assert listed == {"items": [CASE], "has_more": False}
    assert asked[0] == "GET /v1/quarantine status=open&limit=50 "
    shown = run(quarantine(asked), "quarantine", "inspect", CASE["id"], *FAR).output
    assert "[b]cut" in shown
    assert "61 62 63" in shown


def test_cases_are_redriven_and_discarded_one_by_one(run: Run) -> None:
    asked: list[str] = []
    done = run(quarantine(asked), "quarantine", "redrive", "--all", "--force", *FAR)
    assert (done.exit_code, "offset 9" in done.output) == (0, True), done.output
    assert asked[1].endswith('/redrive  {"force":true}')
    part = run(quarantine(asked), "quarantine", "discard", "resolved-1-1-0", "t-1-2-0", "--because", "old", *FAR)
    assert part.exit_code == EXIT_FAILED
    assert "quarantine_case_resolved" in part.output
    assert "t-1-2-0: discarded" in part.output


def test_who_acts_elsewhere_is_told_by_the_token(run: Run) -> None:
    wrong = run(quarantine([]), "quarantine", "discard", "t-1-2-0", "--because", "old", "--as", "otto", *FAR)
    assert (wrong.exit_code, "--as" in wrong.stderr) == (EXIT_USAGE, True)


def test_without_an_api_it_is_the_installation_here(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "empty"))
    asked: list[str] = []
    assert run(quarantine(asked), "quarantine", "list").exit_code in {EXIT_FAILED, EXIT_NOT_RUNNING}
    assert asked == []
    monkeypatch.setenv("MILLRACE_URL", "http://far")
    monkeypatch.setenv("MILLRACE_PROFILE", "default")
    assert run(quarantine(asked), "quarantine", "list").exit_code == 0
    assert len(asked) == 1


def test_the_audit_log_is_shown_and_verified_to_its_end(run: Run) -> None:
    entry = {"id": "aud_1", "at": "2026-11-22T10:00:00Z", "action": "login", "request_id": "r", "after": {"a": None}}
    stretches = {None: (20_000, 20_000), "20000": (5, None)}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/audit"):
            return page(entry)
        verified, next_after = stretches[request.url.params.get("after")]
        result = {"ok": True, "verified": verified, "head_position": 20_005, "head_hash": "ab", "unsealed": 0}
        found = {"result": result | {"differences": [], "differences_found": 0}, "has_more": next_after is not None}
        return httpx.Response(200, json=found | {"head": "signed", "next_after": next_after})

    assert json.loads(run(answer, "audit", "log", "--json", *FAR).output) == [entry]
    assert "login" in run(answer, "audit", "log", *FAR).output
    assert json.loads(run(answer, "audit", "log", "--verify", "--json", *FAR).output)["verified"] == 20_005


BREAK: dict[str, Any] = {
    **dict.fromkeys(("reason", "age", "due_on", "owner", "opened_at", "changed_at"), "x"),
    "id": "brk_1",
    "rules": "cards",
    "type": "missing_external",
    "status": "open",
    "keys": {"reference": "r-1"},
    "difference": "10.50",
    "difference_minor": 1050,
    "currency": "EUR",
    "day": "2026-11-20",
    "age_days": 2,
    "is_overdue": True,
    "after_sign_off": False,
    "internal": [],
    "external": [],
}
SIGNED: dict[str, Any] = {
    **dict.fromkeys(("live_breaks", "changed_since"), 0),
    **dict.fromkeys(("first_day", "last_day", "signed_at", "note", "reopened_by", "reopened_because"), ""),
    "id": "sgn_1",
    "run": "run_1",
    "rules": "cards",
    "result_hash": "ab",
    "signed_by": "olga",
    "reopened_at": None,
}
IN_DETAIL: dict[str, Any] = {"lines": [], "trail": [], "adjustments": [], "attachments": []}


def test_breaks_runs_and_signatures_are_those_of_the_api(run: Run, tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1/reconciliation/")
        asked.append((path, json.loads(request.content) if request.content else dict(request.url.params)))
        found = {"breaks": page(BREAK), "runs": page({"id": "run_1", "result_hash": "ab"})}
        found |= {"sign-offs": httpx.Response(201, json=SIGNED), "runs/run_1/report": httpx.Response(200, content=b"%")}
        return found.get(path) or httpx.Response(200, json=BREAK | IN_DETAIL | {"status": "proposed"})

    listed = run(answer, "recon", "breaks", "--rules", "cards", "--order", "age", *FAR)
    assert "10.50 EUR" in listed.output, listed.output
    assert json.loads(run(answer, "recon", "breaks", "--json", *FAR).output) == [BREAK]
    leg = ("--leg", "debit:fees:1.00:EUR", "--kind", "adjust", "--reason-code", "PROVIDER_FEE", "--because", "fee")
    assert "brk_1: proposed" in run(answer, "recon", "propose", "brk_1", *leg, *FAR).output
    assert run(answer, "recon", "resolve", "brk_1", "assign", "--owner", "o", "--because", "b", *FAR).exit_code == 0
    assert "by olga" in run(answer, "recon", "sign", "cards", *FAR).output
    out = tmp_path / "r.pdf"
    assert run(answer, "recon", "report", "cards", "--out", str(out), *FAR).exit_code == 0
    assert out.read_bytes() == b"%"
    assert asked[0] == ("breaks", {"order": "age", "rules": "cards", "limit": "50"})
    legs = [{"account": "fees", "side": "debit", "amount": "1.00", "currency": "EUR"}]
    proposed = {"kind": "adjust", "reason_code": "PROVIDER_FEE", "because": "fee", "legs": legs}
    assert asked[2] == ("breaks/brk_1/adjustments", proposed)
    assert asked[3] == ("breaks/brk_1/steps", {"action": "assign", "owner": "o", "because": "b"})
    assert asked[5] == ("sign-offs", {"run": "run_1"})
    by = run(answer, "recon", "sign", "cards", "--by", "otto", *FAR)
    assert (by.exit_code, "--by" in by.stderr) == (EXIT_USAGE, True)

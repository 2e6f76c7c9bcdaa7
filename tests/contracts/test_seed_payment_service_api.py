"""Goal: document 4, transfers between accounts and with external banks, works by its paths, which have no version.

Method: a customer opens accounts, is paid in, transfers, withdraws, sends money over a bank and looks at the history.
"""

from typing import Any

import pytest

from ingest_api.seed_routes.words import WORDS
from tests.connectors.banks.bank_process import SECRET, BankProcess
from tests.contracts.visitor import Visitor, fields_of, signed_up


@pytest.mark.usefixtures("rules")
def test_accounts_transfers_banks_and_history(visitor: Visitor, operator: Visitor, bank: BankProcess) -> None:
    gerd, user = signed_up(visitor, "gerd")
    a = gerd("POST /accounts", {"currency": "USD", "type": "checking"}, 201)["id"]
    b = gerd("POST /accounts", {"currency": "USD", "type": "savings"}, 201)["id"]
    detail = gerd(f"GET /accounts/{a}")
    fields_of(detail, id=str, currency=str, type=str, status=str)
    operator(f"PUT /accounts/{b}", {"status": "frozen"})
    operator(f"POST /accounts/{a}/deposit", {"amount": 250.0, "currency": "USD"}, 201)

    asked = {"from_account": a, "to_account": b, "amount": 100.0, "currency": "USD"}
    asked |= {"description": "Payment for services"}
    gerd.refused("POST /transfers", asked, 422, "payee_frozen")
    operator(f"PUT /accounts/{b}", {"status": "open"})
    sent = gerd("POST /transfers", asked, 201)
    fields_of(sent, id=str, from_account=str, to_account=str, amount=str, currency=str, status=str, description=str)
    assert {name: sent[name] for name in asked} == asked | {"amount": "100.00"}
    gerd.refused("POST /transfers", asked | {"amount": 150.01}, 422, "insufficient_funds")
    gerd.refused("POST /transfers", asked | {"to_account": "acc_" + "7" * 26}, 404, "payee_not_found")
    state = gerd.until(f"GET /transfers/{sent['id']}/status", final=True)
    assert (state["status"], state["transfer_status"]) == ("posted", "completed")
    words = {"pending", "processing", "under_review", "completed", "failed"}  # and cancelled, below
    assert {word.payment_service_api for word in WORDS.values()} == words

    is_held_and_given_up(gerd, operator, asked | {"amount": 66.6})
    gerd(f"POST /accounts/{b}/withdraw", {"amount": 30.0, "currency": "USD"}, 201)
    balance = gerd(f"GET /accounts/{b}/balance")
    assert (balance["posted"], balance["currency"]) == ("70.00", "USD")

    trust = {"bank_name": "Trust Bank", "api_url": bank.url}
    trust |= {"auth_credentials": {"client_id": "millrace", "client_secret": SECRET}}  # type: ignore[dict-item]
    bank_id = operator("POST /external-banks", trust, 201)["id"]
    operator("POST /external-banks", trust | {"bank_name": "Another Bank"}, 201)
    first = operator("GET /external-banks", limit="1")
    rest = operator("GET /external-banks", cursor=first["next_cursor"])["items"]
    assert bank_id in [one["id"] for one in first["items"] + rest]
    number = {"bankName": "Trust Bank", "bankAccountNumber": "000987654321", "bankRoutingNumber": "021000021"}
    linked = gerd(f"POST /user/{user['userId']}/accounts", number | {"accountId": a}, 201)["bankAccountId"]
    bank.tell("accounts", number="021000021/000987654321", holder="Gerd")
    code = bank.tell("codes", number="021000021/000987654321")
    assert gerd(f"POST /user/{user['userId']}/accounts/{linked}/verify", code)["status"] == "verified"
    for payer, payee, amount in ((a, linked, 20.0), (linked, a, 5.5)):
        body = {"from_account": payer, "to_account": payee, "amount": amount, "currency": "USD"}
        moved = gerd.answer(f"POST /external-banks/{bank_id}/transfers", body)
        assert moved.status_code in {201, 202}, moved.text
        there = gerd.until(f"GET {moved.headers['Location']}", status="posted")
        assert (there["from_account"], there["to_account"], there["final"]) == (payer, payee, True)
    assert gerd(f"GET /accounts/{a}/balance")["posted"] == "135.50"

    listed = gerd("GET /transactions", account=a, type="transfer", status="posted")["items"]
    assert [one["id"] for one in listed] == [sent["id"]]
    today = listed[0]["decided_at"][:10]
    assert sent["id"] in [one["id"] for one in gerd("GET /transactions", account=b, date=today)["items"]]
    assert gerd("GET /transactions", account=a, date="2026-01-01")["items"] == []
    page = gerd("GET /transactions", account=b, limit="1")
    rest = gerd("GET /transactions", account=b, cursor=page["next_cursor"])
    assert (page["has_more"], rest["has_more"]) == (True, False)
    assert page["items"] + rest["items"] == gerd("GET /transactions", account=b)["items"]
    one = gerd(f"GET /transactions/{sent['id']}")
    assert {name: one[name] for name in asked} == asked | {"amount": "100.00"}
    assert [step["status"] for step in one["timeline"]][-1] == "posted"


def is_held_and_given_up(caller: Visitor, operator: Visitor, asked: dict[str, Any]) -> None:
    """A transfer that a rule holds for people: `cancelled` once they have declined it."""
    held = caller("POST /transfers", asked, 202)["id"]
    assert caller.until(f"GET /transfers/{held}/status", final=False)["transfer_status"] == "under_review"
    case = f"/v1/cases/{held.replace('pay_', 'cas_')}"
    operator.until(f"GET {case}", status="open")
    operator(f"POST {case}/decision", {"decision": "decline"})
    state = caller.until(f"GET /transfers/{held}/status", final=True)
    assert (state["reason"], state["transfer_status"]) == ("review_declined", "cancelled")

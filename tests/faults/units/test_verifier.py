"""The verifier's fold of single entries, without brokers."""

from collections import Counter
from typing import Any

from payments.postings import clearing_account
from tests.faults.verifier import Verifier

ANNA, CLEARING, FEES = b"\x11" * 16, clearing_account("EUR"), clearing_account("USD")


def entry(kind: str, debit: bytes, credit: bytes, available_after_minor: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "operation_id": b"\7" * 16,
        "debit_account": debit,
        "credit_account": credit,
        "amount_minor": 30,
        "available_after_minor": available_after_minor,
    }


def folded(*entries: dict[str, Any]) -> tuple[list[str], Counter[str]]:
    verifier = Verifier("nowhere:1", "", 4, "group", 5_000)
    for one in entries:
        verifier._fold(one)
    return verifier._verdict.findings, verifier._posted


def test_a_providers_fee_is_posted_between_accounts_that_nobody_opens() -> None:
    findings, posted = folded(entry("posted", FEES, CLEARING, 0))
    assert findings == []
    assert (posted[FEES.hex()], posted[CLEARING.hex()]) == (-30, 30)


def test_a_credit_to_an_account_that_was_never_opened_is_a_finding() -> None:
    findings, _ = folded(entry("posted", CLEARING, ANNA, 30))
    assert findings == [f"posted for an account that was never opened: {ANNA.hex()}"]


def test_a_credit_that_states_another_balance_is_a_finding() -> None:
    findings, _ = folded(entry("account_opened", ANNA, b"\0" * 16, 0), entry("posted", CLEARING, ANNA, 31))
    assert findings == [f"posted states another balance than the sum for {ANNA.hex()}"]

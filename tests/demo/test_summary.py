"""Goal: the last page shows every figure, says what a repeated run did, and never claims a proof that failed."""

from typing import Any

import msgspec
import pytest

from millrace.audit.report import AuditReport, Difference, Invariant
from millrace.demo.client import PatientClient
from millrace.demo.crashes import Crash
from millrace.demo.load import Load
from millrace.demo.outcomes import BusyAccount
from millrace.demo.payments_file import RealPayment
from millrace.demo.run import DemoResult, LatencyMs
from millrace.demo.summary import print_summary
from payments.identifiers import ACCOUNT, derive_account_id, format_id

BUSY = derive_account_id("demo", "BUSY")
RESULT = DemoResult(
    payments=29_961,
    posted=29_740,
    rejected=221,
    returned=0,
    quarantined=0,
    duplicates=0,
    replayed=0,
    postings_sum_minor=0,
    drift_minor=0,
    negative_accounts=0,
    wall_s=2.39,
    payments_per_s=12_536,
    latency_ms=LatencyMs(567, 1_773),
    crashes=[],
    repeated_requests=3,
    proven=True,
)


@pytest.fixture
def load() -> Load:
    load = Load(PatientClient("http://127.0.0.1:1", "t"), [RealPayment("1", "BUSYBIC", "B", 1, "EUR")], 4)
    load.accounts = {"BUSYBIC": format_id(ACCOUNT, BUSY)}
    return load


def shown(
    capsys: pytest.CaptureFixture[str], load: Load, report: AuditReport, crashes: list[Crash], **changed: Any
) -> str:
    result = msgspec.structs.replace(RESULT, **changed)
    print_summary(result, report, load, [BusyAccount(BUSY, 28_795, 2_448_564_943)], crashes)
    return " ".join(capsys.readouterr().out.split())


def test_every_figure_is_there_and_grouped(capsys: pytest.CaptureFixture[str], load: Load) -> None:
    page = shown(capsys, load, AuditReport(), [])
    for words in (
        "29,961 real payments",
        "posted 29,740",
        "rejected (debtor ran dry) 221",
        "12,536/s over 2.39 s",
        "567 / 1,773 ms",
        f"{format_id(ACCOUNT, BUSY)} BUSYBIC 28,795 24,485,649.43 EUR",
        "PROVEN: every payment final once, duplicates 0",
    ):
        assert words in page
    assert "Every key had come before" not in page
    assert "Killed" not in page


def test_a_second_run_says_that_nothing_moved(capsys: pytest.CaptureFixture[str], load: Load) -> None:
    page = shown(capsys, load, AuditReport(), [], replayed=29_961)
    assert "Every key had come before: this run moved nothing" in page
    assert "Every key" not in shown(capsys, load, AuditReport(), [], replayed=29_960)


def test_what_was_killed_is_named(capsys: pytest.CaptureFixture[str], load: Load) -> None:
    page = shown(capsys, load, AuditReport(), [Crash("worker-0", 16, 1.0), Crash("broker", 83, 2.0)])
    assert "Killed with -9 during the load: worker-0, broker. Requests repeated: 3." in page


def test_books_that_differ_are_not_proven(capsys: pytest.CaptureFixture[str], load: Load) -> None:
    report = AuditReport()
    report.differs(Difference(Invariant.TABLES, "table balances, account_id 7", "posted_minor 1", "posted_minor 2"))
    page = shown(capsys, load, report, [], proven=False)
    assert "NOT PROVEN" in page
    assert "table balances, account_id 7" in page
    assert "PROVEN: every" not in page

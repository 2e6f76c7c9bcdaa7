"""Goal: every day that ties is called tied, every cut one is called cut with the missing value, and no other is broken.

The expected values come from a second reading of the files, whole trees with the standard library's parser.
"""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from millrace.cli import EXIT_FAILED, app
from reconciliation.matching.breaks import BreakType
from reconciliation.ties.days import Day, Status, participants, tie
from reconciliation.ties.folders import tie_folders
from reconciliation.ties.reading import Detail, Notification, Report, Sum, Unreadable, read_report

CUT = {
    "2024-10-05": (95_500, 19_600),
    "2024-11-05": (1_507_091, 1_867_042),
    "2024-11-06": (1_929_416, 2_910_883),
    "2024-11-12": (1_719_135, 387_574),
    "2024-11-15": (286_026, 3_227_549),
    "2024-11-16": (699_621, 1_110_121),
    "2024-11-19": (4_000, 700),
    "2024-11-30": (175_980, 664_968),
}
"""Dates whose notification stops at 500 payments → missing debit and credit, in cents."""


@pytest.fixture(scope="module")
def days(centrolink: Path) -> dict[str, Day]:
    return {day.date: day for day in tie_folders(centrolink / "camt052", centrolink / "camt054")}


def totals(file: Path, element: str, *, named: bool) -> Counter[bool]:
    """Cents by direction (debit or not); `named`: of balances, only those of a participant."""
    found: Counter[bool] = Counter()
    for one in ElementTree.parse(file).iter():
        if one.tag.rpartition("}")[2] != element or (named and one.find("{*}Tp/{*}CdOrPrtry/{*}Prtry") is None):
            continue
        amount, direction = one.findtext("{*}Amt"), one.findtext("{*}CdtDbtInd")
        found[direction == "DBIT"] += int(Decimal(amount or "NaN") * 100)
    return found


def test_every_day_gets_its_answer(centrolink: Path, days: dict[str, Day]) -> None:
    reports, details = ({file.stem for file in (centrolink / name).iterdir()} for name in ("camt052", "camt054"))
    assert set(days) == reports | details
    assert {date for date, day in days.items() if day.status is Status.SINGLE_SIDED} == reports ^ details
    broken = {date: day for date, day in days.items() if day.status is Status.BROKEN}
    assert {date: day[3:5] for date, day in broken.items()} == CUT
    assert {(day.type, day.details) for day in broken.values()} == {(BreakType.TRUNCATED_SOURCE, 500)}


def test_a_second_reading_of_the_files_agrees(centrolink: Path, days: dict[str, Day]) -> None:
    both = [day for day in days.values() if day.status is not Status.SINGLE_SIDED]
    for day in both:
        told = totals(centrolink / "camt052" / f"{day.date}.xml", "Bal", named=True)
        named = totals(centrolink / "camt054" / f"{day.date}.xml", "TxDtls", named=False)
        assert (day.missing_debit_minor, day.missing_credit_minor) == (
            told[True] - named[True],
            told[False] - named[False],
        ), day.date
    assert len(both) == 143


def test_sums_are_matched_with_banks_of_which_none_is_used_twice(days: dict[str, Day]) -> None:
    found = [one for day in days.values() for one in day.participants]
    assert (len(found), sum(one.matched for one in found)) == (1_049, 1_009)
    for day in days.values():
        used = Counter((one.debit, agent) for one in day.participants for agent in one.agents)
        assert set(used.values()) <= {1}, day.date


def report(*sums: Sum, opening: int = 0, closing: int | None = None) -> Report:
    net = sum(-one.amount_minor if one.debit else one.amount_minor for one in sums)
    return Report("EUR", opening, opening + net if closing is None else closing, sums)


def paid(agent: str, amount_minor: int, *, debit: bool = False) -> Detail:
    return Detail(agent, debit, amount_minor)


def test_more_payments_than_the_report_counts_are_no_cut_file() -> None:
    day = tie("2026-11-20", report(Sum("A", False, 500)), Notification((paid("A", 501),)))
    assert (day.status, day.type, day.missing_credit_minor) == (Status.BROKEN, BreakType.AMOUNT_MISMATCH, -1)


def test_a_report_that_does_not_add_up_is_broken_by_itself() -> None:
    day = tie("2026-11-20", report(Sum("A", False, 500), closing=499), Notification((paid("A", 500),)))
    assert (day.status, day.type) == (Status.BROKEN, BreakType.UNBALANCED_BATCH)


def test_a_sum_that_two_sets_of_banks_could_make_stays_open() -> None:
    sums = report(Sum("A", False, 300), Sum("B", False, 300), Sum("C", False, 7))
    paid_in = Notification((paid("x", 100), paid("x", 200), paid("y", 300), paid("C", 7)))
    found = {one.participant: one for one in participants(sums, paid_in)}
    assert {name: one.matched for name, one in found.items()} == {"A": False, "B": False, "C": True}
    assert found["C"].agents == ("C",)


def test_dates_before_the_first_one_stay_single_sided(centrolink: Path) -> None:
    early = tie_folders(centrolink / "camt052", centrolink / "camt054", since="2024-11-20")
    assert [day.date for day in early if day.status is Status.BROKEN] == ["2024-11-30"]
    assert all(day.status is Status.SINGLE_SIDED for day in early if day.date < "2024-11-20")


REPORT = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.052.001.06"><BkToCstmrAcctRpt><Rpt><Acct><Id>
<IBAN>LT809872649478701594</IBAN></Id><Ccy>EUR</Ccy></Acct>{}</Rpt></BkToCstmrAcctRpt></Document>"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<Document", "no_statement"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>" + REPORT.format(""), "doctype"),
        (REPORT.format(""), "is it a camt.052"),
        (REPORT.format("</Rpt><Rpt>"), "2 accounts"),
    ],
)
def test_a_file_that_can_not_be_read_says_why(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "2026-11-20.xml"
    file.write_text(text)
    with pytest.raises(Unreadable, match=reason):
        read_report(file)


def test_a_file_that_can_not_be_read_breaks_its_own_day(centrolink: Path, tmp_path: Path) -> None:
    """A day's file that was cut in its XML has nothing that counts; the other days keep their answers."""
    for folder in ("camt052", "camt054"):
        (tmp_path / folder).mkdir()
        for date in ("2024-03-11", "2024-03-13", "2024-03-14"):
            text = (centrolink / folder / f"{date}.xml").read_bytes()
            cut = (folder, date) in {("camt054", "2024-03-13"), ("camt052", "2024-03-14")}
            (tmp_path / folder / f"{date}.xml").write_bytes(text[: len(text) // 2] if cut else text)
    whole = read_report(centrolink / "camt052" / "2024-03-13.xml")
    folders = ["--reports", str(tmp_path / "camt052"), "--details", str(tmp_path / "camt054")]
    answer = CliRunner().invoke(app, ["recon", "tie", *folders, "--json"])
    tied, cut_details, cut_report = json.loads(answer.stdout)
    assert (answer.exit_code, tied["status"], tied["reason"]) == (EXIT_FAILED, "tied", None)
    assert [(day["status"], day["type"]) for day in (cut_details, cut_report)] == [("broken", "TRUNCATED_SOURCE")] * 2
    assert (cut_details["missing_debit_minor"], cut_details["missing_credit_minor"]) == (
        whole.total_minor(debit=True),
        whole.total_minor(debit=False),
    )
    assert cut_details["reason"].startswith("2024-03-13.xml: xml_invalid")


def test_the_command(centrolink: Path, tmp_path: Path) -> None:
    folders = ["--reports", str(centrolink / "camt052"), "--details", str(centrolink / "camt054")]
    answer = CliRunner().invoke(app, ["recon", "tie", *folders, "--json"])
    assert answer.exit_code == 0, answer.output
    told = {day["date"]: day for day in json.loads(answer.stdout)}
    assert told["2024-11-19"]["missing_debit_minor"] == 4_000
    assert told["2024-03-11"] | {"participants": 4} == {
        "date": "2024-03-11",
        "status": "tied",
        "type": None,
        "missing_debit_minor": 0,
        "missing_credit_minor": 0,
        "currency": "EUR",
        "details": 28,
        "participants": 4,
        "reason": None,
    }
    empty = CliRunner().invoke(app, ["recon", "tie", "--reports", str(tmp_path), "--details", str(tmp_path)])
    assert (empty.exit_code, "no file *.xml" in empty.stderr) == (EXIT_FAILED, True)


def test_statements_balance_and_chain(centrolink: Path, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["recon", "chain", str(centrolink / "camt053"), "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout) == {"files": 84, "statements": 149, "breaks": []}
    for name, change in {"2024-03-13": "", "2024-03-14": "21903960.39"}.items():
        text = (centrolink / "camt053" / f"{name}.xml").read_text()
        opening = text[text.index("OPBD") :].partition('Ccy="EUR">')[2].partition("<")[0]
        (tmp_path / f"{name}.xml").write_text(text.replace(f">{opening}<", f">{change or opening}<", 1))
    broken = json.loads(CliRunner().invoke(app, ["recon", "chain", str(tmp_path), "--json"]).stdout)["breaks"]
    assert [one["type"] for one in broken] == ["UNBALANCED_BATCH", "CHAIN_GAP"]

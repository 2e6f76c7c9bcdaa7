"""Goal: on files with faults at known places everything is found and nothing is invented; the proof can fail.

`millrace recon prove` runs it on 101,000 lines; here the same on a twentieth, with several seeds.
"""

import csv
import json
from collections import Counter
from datetime import date
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from millrace.cli import EXIT_FAILED, EXIT_USAGE, app
from reconciliation.generated import proof
from reconciliation.generated.faults import CALLED, FaultKind, generate
from reconciliation.generated.proof import made_up, prove

FIRST = date(2026, 11, 2)


@pytest.mark.parametrize(("seed", "fee_lines"), [(1, False), (2, False), (3, False), (4, True), (5, True)])
def test_every_seeded_fault_is_found_and_nothing_else(tmp_path: Path, seed: int, fee_lines: bool) -> None:
    """Whether the books have what is paid out in one line, or the payment and its fee in two."""
    found = prove(made_up(5_000, seed, FIRST), tmp_path, seed, 10, fee_lines=fee_lines)
    assert (found.unfound, found.invented) == ([], [])
    assert (found.precision, found.recall, found.faults, found.breaks) == ("1.0000", "1.0000", 66, 66)
    assert set(found.faults_by_kind) == set(FaultKind)
    assert found.lines > 4_900


def test_a_fault_that_nobody_seeded_is_invented_and_one_that_is_called_wrongly_is_unfound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "CALLED", CALLED | {FaultKind.LATE: CALLED[FaultKind.MISSING]})
    found = prove(made_up(5_000, 1, FIRST), tmp_path, 1, 10)
    assert (len(found.unfound), len(found.invented)) == (10, 10)
    assert (found.precision, found.recall) == ("0.8484", "0.8484")


def test_no_payment_and_no_file_has_two_faults() -> None:
    made = generate(made_up(5_000, 4, FIRST), 4, 10)
    assert set(Counter(fault.place for fault in made.faults).values()) == {1}
    assert made == generate(made_up(5_000, 4, FIRST), 4, 10)


def test_the_commands(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["recon", "prove", "--lines", "2000", "--faults", "3", "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["faults"] == 21
    few = CliRunner().invoke(app, ["recon", "prove", "--lines", "100", "--faults", "90"])
    assert (few.exit_code, "too few payments" in few.stderr) == (EXIT_FAILED, True)


def test_files_of_payments_in_a_list(tmp_path: Path) -> None:
    payments = tmp_path / "payments.csv"
    rows = [f"R{number},{1000 + number},EUR,2026-11-18" for number in range(12)]
    payments.write_text("\n".join(["reference,amount_minor,currency,date", *rows]))
    out = tmp_path / "files"
    answer = CliRunner().invoke(app, ["recon", "generate", "--payments", str(payments), "--out", str(out), "--json"])
    assert answer.exit_code == 0, answer.output
    names = json.loads(answer.stdout)["files"]
    assert names == [f"{shape}-2026-11-18-EUR.{ending}" for shape, ending in (
        ("adyen", "csv"), ("bai2", "bai"), ("camt053", "xml"), ("mt940", "sta"), ("paypal", "csv"), ("stripe", "csv")
    )]  # fmt: skip
    with (out / "books.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 12
    payments.write_text("reference,amount_minor,fee_minor,currency,date\nR1,1000,39,EUR,2026-11-18\n")
    asked = ["recon", "generate", "--payments", str(payments), "--out", str(out), "--fee-lines"]
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert (out / "books.csv").read_text().splitlines()[1:] == [
        "stripe,R1,1000,0,1000,EUR,2026-11-18",
        "stripe,R1,0,39,-39,EUR,2026-11-18",
    ]
    payments.write_text("reference,amount_minor,currency,date\nR1,1.5,EUR,2026-11-18\n")
    wrong = CliRunner().invoke(app, ["recon", "generate", "--payments", str(payments), "--out", str(out)])
    assert (wrong.exit_code, "line 2" in wrong.stderr) == (EXIT_USAGE, True)
    payments.write_text("reference,amount_minor,currency,date\n")
    none = CliRunner().invoke(app, ["recon", "generate", "--payments", str(payments), "--out", str(out)])
    assert (none.exit_code, "there is no payment in payments.csv" in none.stderr) == (EXIT_FAILED, True)
    payments.write_bytes(b"reference\n\xe4\n")
    latin = CliRunner().invoke(app, ["recon", "generate", "--payments", str(payments), "--out", str(out)])
    assert (latin.exit_code, "no CSV in UTF-8" in latin.stderr) == (EXIT_USAGE, True)


def test_files_of_payments_in_the_ledger(migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (
        "journal_id, payment_id, debit_account, credit_account, amount_minor, currency, posted_at, shard,"
        " ledger_sequence, ledger_offset, entry_index, source, source_offset, source_item"
    )
    with psycopg.connect(migrated) as connection:
        for number in range(6):
            connection.execute(
                f"INSERT INTO journal_entries ({columns}) VALUES (gen_random_uuid(), %s, gen_random_uuid(),"
                " gen_random_uuid(), %s, 'EUR', '2026-11-18T23:30:00Z', 0, 0, 0, 0, 0, 0, 0)",
                (f"0190a1b2-0000-7000-8000-{number:012}", 500 + number),
            )
    monkeypatch.setenv("DATABASE_URL", migrated)
    answer = CliRunner().invoke(app, ["recon", "generate", "--out", str(tmp_path), "--limit", "5", "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["payments"] == 5
    with (tmp_path / "books.csv").open(newline="") as file:
        books = list(csv.DictReader(file))
    assert {(one["reference"], one["gross_minor"], one["date"]) for one in books} == {
        (f"8000{number:012}", str(500 + number), "2026-11-18") for number in range(5)
    }


def test_a_database_that_does_not_answer_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none?connect_timeout=2")
    answer = CliRunner().invoke(app, ["recon", "generate", "--out", str(tmp_path)])
    assert (answer.exit_code, "Postgres" in answer.stderr) == (EXIT_FAILED, True)

"""What `millrace recon generate|prove` do: payments of the ledger or of a CSV file → settlement files; the proof."""

import csv
import io
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import psycopg
import typer
from rich.progress import Progress

from millrace.cli import EXIT_FAILED
from millrace.commands.output import errors, faults_shown, print_failure, print_json, screen
from millrace.environment import connected
from payments.identifiers import system_account
from payments.money import EXPONENTS
from payments.postings import SystemAccount
from reconciliation.generated.entries import Entry
from reconciliation.generated.faults import Generated, generate
from reconciliation.generated.proof import Proof, made_up, prove, write_files
from runtime.settings import Settings

FIRST_DAY: Final = date(2026, 11, 2)
FEE_BASIS_POINTS, FEE_FIXED_MINOR = 140, 25
"""What a provider keeps of a payment for which the ledger has posted no fee: 1.4 % and 25 minor units."""

_PAYMENTS = """
SELECT right(replace(payment_id::text, '-', ''), 16), amount_minor, currency, (posted_at AT TIME ZONE 'UTC')::date, (
    SELECT sum(CASE WHEN fee.debit_account = ANY(%s::uuid[]) THEN fee.amount_minor
        ELSE -fee.amount_minor END)::bigint
    FROM causes JOIN journal_entries AS fee ON fee.journal_id = causes.operation_id
    WHERE causes.cause_id = first.payment_id AND causes.code = 'provider_fee' AND fee.currency = first.currency
)
FROM (SELECT DISTINCT ON (payment_id) * FROM journal_entries ORDER BY payment_id, posted_at, journal_id) AS first
WHERE NOT EXISTS (SELECT FROM causes WHERE operation_id = journal_id AND code = 'provider_fee')
ORDER BY posted_at DESC, payment_id
LIMIT %s
"""


def run_generate(
    out: Path, payments: Path | None, *, limit: int, faults: int, seed: int, fee_lines: bool, as_json: bool
) -> None:
    """Files, `books.csv` with what the books say, and `faults.csv` with what is wrong and where."""
    try:
        with faults_shown(as_json=as_json):
            entries = list(_of_ledger(limit) if payments is None else _of_file(payments))
        if not entries:
            raise ValueError(f"there is no payment in {payments.name if payments is not None else 'the ledger'}")
        generated = generate(entries, seed, faults)
    except (ValueError, psycopg.Error) as fault:
        print_failure(fault if isinstance(fault, ValueError) else f"Postgres: {fault}")
        raise typer.Exit(EXIT_FAILED) from fault
    write_files(generated, out)
    _write_books(generated, out, fee_lines=fee_lines)
    if as_json:
        print_json({"payments": len(entries), "files": [file.name for file in generated.files]})
    else:
        screen.print(f"{len(entries):,} payments in {len(generated.files):,} files in {out}")


def run_prove(lines: int, faults: int, seed: int, *, fee_lines: bool, as_json: bool) -> None:
    """In a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="millrace-proof-") as folder, Progress(console=errors) as bar:
        task = bar.add_task("files read", total=None)
        try:
            entries = made_up(lines, seed, FIRST_DAY)
            found = prove(entries, Path(folder), seed, faults, lambda: bar.advance(task), fee_lines=fee_lines)
        except ValueError as fault:
            print_failure(fault)
            raise typer.Exit(EXIT_FAILED) from fault
    if as_json:
        print_json(found)
    else:
        screen.print(
            f"{found.faults} faults in {found.lines:,} lines: precision {found.precision}, recall {found.recall}"
        )
    if not perfect(found):
        raise typer.Exit(EXIT_FAILED)


def perfect(found: Proof) -> bool:
    """Everything that was seeded was found, and nothing else."""
    return not found.unfound and not found.invented


def _of_ledger(limit: int) -> Iterator[Entry]:
    with psycopg.connect(connected(Settings()).database_url) as connection:
        fees = [system_account(SystemAccount.PROVIDER_FEES, currency).hex() for currency in EXPONENTS]
        for reference, amount_minor, currency, day, posted in connection.execute(_PAYMENTS, (fees, limit)):
            made_up_fee = min(amount_minor * FEE_BASIS_POINTS // 10_000 + FEE_FIXED_MINOR, amount_minor)
            yield Entry(reference.upper(), amount_minor, made_up_fee if posted is None else posted, currency, day)


def _of_file(path: Path) -> Iterator[Entry]:
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path.name} is no CSV in UTF-8: {error}", param_hint="--payments") from error
    for number, row in enumerate(rows, 2):
        try:
            entry = msgspec.convert(row, _Payment, strict=False)
        except msgspec.ValidationError as error:
            raise typer.BadParameter(f"{path.name}, line {number}: {error}", param_hint="--payments") from error
        if entry.currency not in EXPONENTS:
            told = f"{path.name}, line {number}: {entry.currency!r} is no currency"
            raise typer.BadParameter(told, param_hint="--payments")
        yield Entry(entry.reference, entry.amount_minor, entry.fee_minor, entry.currency, entry.date)


class _Payment(msgspec.Struct):
    reference: str
    amount_minor: int
    currency: str
    date: date
    fee_minor: int = 0


def _write_books(generated: Generated, out: Path, *, fee_lines: bool) -> None:
    with (out / "books.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["provider", "reference", "gross_minor", "fee_minor", "net_minor", "currency", "date"])
        for provider, entries in generated.books.items():
            for one in entries:
                for net_minor, gross_minor, fee_minor in one.book_lines(fee_lines=fee_lines):
                    amounts = (gross_minor, fee_minor, net_minor)
                    writer.writerow([provider, one.reference, *amounts, one.currency, one.booked_on])
    with (out / "faults.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("fault", "place"), *generated.faults])

"""The commands `millrace statement` and `millrace balance`, as millrace.cli has the others."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
files = typer.Typer(help="Files of banks and payment providers.")


@files.callback()
def _group() -> None:
    """Without a callback a group of one command would be that command."""


@files.command()
def parse(
    paths: Annotated[
        list[Path], typer.Argument(help="Files, or folders, with all that is in them.", show_default=False)
    ],
    profile: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="What the columns of any other CSV or XLSX mean (YAML)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file.")] = False,
) -> None:
    """Read statements and reports of any known format. Exits 1 when a file is refused; nothing of it is taken then."""
    from millrace.statements.parsing import run_parse

    run_parse(paths, profile, as_json=as_json)


Account = Annotated[str, typer.Argument(help="acc_…")]


@app.command()
def statement(
    account: Account,
    month: Annotated[str | None, typer.Option(help="2026-10, in UTC.")] = None,
    year: Annotated[str | None, typer.Option(help="2026, instead of a month.")] = None,
    format_: Annotated[str, typer.Option("--format", help="json, csv, camt053 or pdf.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="A file; default stdout.", dir_okay=False)] = None,
) -> None:
    """Write the statement of an account's month or year."""
    from ingest_api.statements.formats.files import StatementFormat
    from millrace.statements.command import run_statement

    if format_ not in set(StatementFormat):
        raise typer.BadParameter(f"one of {', '.join(StatementFormat)}", param_hint="--format")
    run_statement(account, (month, year), StatementFormat(format_), out)


@app.command()
def balance(
    account: Account,
    at: Annotated[str, typer.Option(help="RFC 3339, UTC where no offset is given; default now.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show posted, available, held and incoming as they stand, or stood."""
    from millrace.statements.command import run_balance

    try:
        moment = datetime.fromisoformat(at) if at else None
    except ValueError as error:
        raise typer.BadParameter("a time as 2026-10-31T23:59:59.999999Z", param_hint="--at") from error
    run_balance(account, moment, as_json=as_json)
